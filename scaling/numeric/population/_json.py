"""The text of a population's cells: JSON around arrays that are compressed, read strictly."""

import base64
import binascii
import json
import zlib
from typing import Any, NamedTuple, TypedDict

import numpy as np

from scaling.errors import DataError
from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.inputs.documents import (
    MalformedError,
    compare_keys,
    convert,
    open_document,
)
from scaling.numeric.population._cells import (
    COARSEST_LEVEL,
    COLUMNS,
    COLUMNS_WITH_CURVATURE,
    ZERO,
    Cells,
    level_bits,
    most_cells,
)

_FORMAT = "adam-lr-scaling population"
_VERSION = 1
_WHERE = "population"
#: No text of ours is longer.
_LONGEST = 1_000_000
_INDEX, _SUM = np.dtype("<i4"), np.dtype("<f8")
#: The largest whole number up to which floats count.
_MOST_COORDINATES = 2**53
#: Means may lie outside of their cell by this much, relatively, for they are rounded.
_ROUNDING = 1e-6


class _Document(TypedDict):
    level: int
    curvature: bool
    cells: int
    nans: int
    infinities: int
    data: str


class Contents(NamedTuple):
    """What a text says: the cells, and how many coordinates were left out."""

    cells: Cells
    nans: int
    infinities: int


def write(contents: Contents) -> str:
    """Return the text, of less than 1 MB."""
    cells = contents.cells
    data = b"".join(
        np.ascontiguousarray(values, dtype=kind).tobytes()
        for values, kind in ((cells.rows, _INDEX), (cells.columns, _INDEX), (cells.sums.T, _SUM))
    )
    document = {
        "format": _FORMAT,
        "version": _VERSION,
        "level": cells.level,
        "curvature": cells.has_curvature,
        "cells": cells.rows.size,
        "nans": contents.nans,
        "infinities": contents.infinities,
        "data": base64.b64encode(zlib.compress(data)).decode("ascii"),
    }
    return json.dumps(document)


def read(text: str) -> Contents:
    """Read such a text.

    Raises
    ------
    DataError
        If it is malformed or comes from a newer version.
    """
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise DataError(f"{_WHERE}: must be a text of at most 1 MB, as to_json returns")
    document, _ = open_document(
        _WHERE, text, form=_FORMAT, newest=_VERSION, missing="not a population; to_json writes one"
    )
    try:
        found = convert(document, _Document)
        compare_keys(document, found)
        return _contents(found)
    except MalformedError as error:
        raise DataError(f"{_WHERE}: not valid: {error}") from None


def _contents(document: _Document) -> Contents:
    columns = COLUMNS_WITH_CURVATURE if document["curvature"] else COLUMNS
    level = _whole(document, "level", COARSEST_LEVEL)
    size = _whole(document, "cells", most_cells(columns))
    left_out = (_whole(document, "nans"), _whole(document, "infinities"))
    data = _unpack(document["data"], size * (2 * _INDEX.itemsize + columns * _SUM.itemsize))
    indices = np.frombuffer(data, _INDEX, 2 * size).astype(np.int64).reshape(2, size)
    sums = np.frombuffer(data, _SUM, offset=2 * size * _INDEX.itemsize).astype(np.float64)
    cells = Cells(level, indices[0], indices[1], sums.reshape(columns, size).T.copy())
    _check(cells)
    return Contents(cells, *left_out)


def _whole(document: Any, key: str, most: int = _MOST_COORDINATES) -> int:
    value: int = document[key]
    if not 0 <= value <= most:
        raise MalformedError(f"{key} must be a whole number from 0 to {most:g}, got {value:g}")
    return value


def _unpack(text: str, size: int) -> bytes:
    """Decode and decompress, never to more than is expected."""
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(base64.b64decode(text, validate=True), size + 1)
    except (binascii.Error, ValueError, zlib.error):
        raise MalformedError("data is damaged") from None
    if len(data) != size or not unpacker.eof or unpacker.unused_data:
        raise MalformedError("data is not of the length that the number of cells says")
    return data


def _check(cells: Cells) -> None:
    """Refuse sums that no coordinates have."""
    rows, columns, sums = cells.rows, cells.columns, cells.sums
    ascending = (rows[1:] > rows[:-1]) | ((rows[1:] == rows[:-1]) & (columns[1:] > columns[:-1]))
    if not ascending.all():
        raise MalformedError("the cells are not in ascending order")
    count = sums[:, 0]
    if not (np.isfinite(sums).all() and (count >= 1).all() and (count == np.floor(count)).all()):
        raise MalformedError("the cells hold what is not a number, or a count that is not whole")
    if count.sum() > _MOST_COORDINATES:
        raise MalformedError(f"the cells hold more than {_MOST_COORDINATES:g} coordinates")
    octaves, bits = cells.octaves, level_bits(cells.level)
    for axis, (index, octave, bit) in enumerate(zip((rows, columns), octaves, bits, strict=True)):
        lower, upper = _edges(index, bit)
        mean, square = sums[:, 1 + axis] / count, sums[:, (3, 5)[axis]] / count
        inside = (lower * (1 - _ROUNDING) <= mean) & (mean <= upper * (1 + _ROUNDING))
        # Between the square of the mean and what is largest for that mean.
        most = (lower + upper) * mean - lower * upper
        possible = (mean**2 <= square * (1 + _ROUNDING)) & (square <= most * (1 + _ROUNDING))
        if not (inside & possible & (np.abs(octave) < 1200)).all():
            raise MalformedError("the means of a cell lie outside of it")


def _edges(index: Any, bit: int) -> tuple[FloatArray, FloatArray]:
    """Lower and upper end of cells, in units of their octave."""
    width = 2.0**-bit if bit >= 0 else 0.0
    part = (index & ((1 << bit) - 1)) * width if bit >= 0 else 0.0 * index
    lower = 1.0 + part
    upper = lower + width if bit >= 0 else np.full(index.shape, 2.0 ** (2**-bit))
    is_zero = index == ZERO
    return np.where(is_zero, 0.0, lower), np.where(is_zero, 0.0, upper)
