"""The text of a population: JSON around arrays that are compressed, read strictly."""

import base64
import binascii
import json
import zlib
from typing import Any, NamedTuple, TypedDict

import numpy as np

from scaling.errors import DataError
from scaling.numeric.inputs.documents import (
    MalformedError,
    compare_keys,
    convert,
    open_document,
)
from scaling.numeric.population._histogram import COARSEST_LEVEL, ZERO, Histogram, most_cells

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

    histogram: Histogram
    nans: int
    infinities: int


def write(contents: Contents) -> str:
    """Return the text, of less than 1 MB."""
    cells = contents.histogram
    data = b"".join(
        np.ascontiguousarray(values, dtype=kind).tobytes()
        for values, kind in ((cells.rows, _INDEX), (cells.columns, _INDEX), (cells.sums.T, _SUM))
    )
    document: _Document = {
        "level": cells.level,
        "curvature": cells.has_curvature,
        "cells": cells.rows.size,
        "nans": contents.nans,
        "infinities": contents.infinities,
        "data": base64.b64encode(zlib.compress(data)).decode("ascii"),
    }
    return json.dumps({"format": _FORMAT, "version": _VERSION, **document})


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
        compare_keys(document, dict.fromkeys(_Document.__annotations__))
        return _contents(found)
    except MalformedError as error:
        raise DataError(f"{_WHERE}: not valid: {error}") from None


def _contents(document: _Document) -> Contents:
    columns = 9 if document["curvature"] else 6
    if COARSEST_LEVEL < document["level"] <= 18:
        raise MalformedError(
            "its cells are coarser than an octave, as earlier versions made them of extremely "
            "wide populations; summarise the gradients anew"
        )
    level = _whole(document, "level", COARSEST_LEVEL)
    size = _whole(document, "cells", most_cells(columns))
    nans, infinities = (_whole(document, key, _MOST_COORDINATES) for key in ("nans", "infinities"))
    data = _unpack(document["data"], size * (2 * _INDEX.itemsize + columns * _SUM.itemsize))
    rows, columns_ = np.frombuffer(data, _INDEX, 2 * size).astype(np.intp).reshape(2, size)
    sums = np.frombuffer(data, _SUM, offset=2 * size * _INDEX.itemsize).astype(np.float64)
    histogram = Histogram(level, rows, columns_, sums.reshape(columns, size).T.copy())
    _check(histogram)
    return Contents(histogram, nans, infinities)


def _whole(document: Any, key: str, most: int) -> int:
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


def _check(cells: Histogram) -> None:
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
    for axis, (index, bit) in enumerate(zip((rows, columns), cells.bits, strict=True)):
        lower = np.where(index == ZERO, 0.0, 1 + (index & (2**bit - 1)) / 2**bit)
        upper = np.where(index == ZERO, 0.0, lower + 2.0**-bit)
        mean, square = sums[:, 1 + axis] / count, sums[:, (3, 5)[axis]] / count
        inside = (lower * (1 - _ROUNDING) <= mean) & (mean <= upper * (1 + _ROUNDING))
        # Between the square of the mean and what is largest for that mean.
        most = (lower + upper) * mean - lower * upper
        possible = (mean**2 <= square * (1 + _ROUNDING)) & (square <= most * (1 + _ROUNDING))
        octave = np.where(index == ZERO, 0, index >> bit)
        if not (inside & possible & (np.abs(octave) < 1200)).all():
            raise MalformedError("the means of a cell lie outside of it")
