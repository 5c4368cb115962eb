"""Columns within cells: W&B's API writes whole dicts, an engine one column for each batch size."""

import re

import numpy as np

from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.inputs.text import parse_size
from scaling.numeric.sources.records import parse_dict
from scaling.numeric.tables._columns import (
    OR_MISSING,
    BadCellError,
    Column,
    Columns,
    Texts,
    read_numbers,
    read_texts,
)
from scaling.numeric.tables._frames import columns_of_records
from scaling.numeric.tables.roles import candidates

#: A learning rate of one batch size, as ``lr_256``.
_OF_SIZE = re.compile(r"(.*?)_(\d+(?:\.\d+)?(?:x\d+)*)")


def unpack(found: Columns) -> Columns:
    """Give dicts in cells columns of their own, and join learning rates named by batch size.

    The dicts stay as texts too: second moments are read as the document that they are.
    """
    names: list[str] = []
    columns: list[Column] = []
    for name, column in zip(found.names, found.columns, strict=True):
        inner = _unpack_dicts(name, column)
        names += [name, *(inner.names if inner else ())]
        columns += [column, *(inner.columns if inner else ())]
    return _join_rates(Columns(names, columns, found.lines))


def _unpack_dicts(name: str, column: Column) -> Columns | None:
    """Read a column of dicts, as Python or JSON writes them; None if it is none."""
    if not isinstance(column, Texts):
        return None
    known = {}
    for text in filter(None, column.distinct):
        known[text] = parse_dict(text)
        if known[text] is None:
            return None
    if not known:
        return None
    rows = np.arange(len(column))
    return columns_of_records([{name: known.get(text, {})} for text in read_texts(column, rows)])


def _join_rates(found: Columns) -> Columns:
    """Join ``lr_64``, ``lr_256``, one of them in a row; their names tell the batch sizes."""
    if candidates("learning_rate", found.names):
        return found
    sizes = {}
    for name in found.names:
        match = _OF_SIZE.fullmatch(name)
        if match and candidates("learning_rate", [match[1]]):
            sizes[name] = parse_size(match[2])
    if not sizes:
        return found
    try:
        rates = np.array([_numbers(found.columns[found.names.index(name)]) for name in sizes])
    except BadCellError:
        return found
    given = ~np.isnan(rates)
    if (given.sum(axis=0) > 1).any():
        return found

    def pick(values: FloatArray) -> FloatArray:
        """Values of the one column that each row has; NaN where it has none."""
        return np.asarray(
            np.where(given, values, 0).sum(axis=0) / np.where(given.any(axis=0), 1, np.nan)
        )

    joined = {"lr": pick(rates)}
    if not candidates("batch_size", found.names):
        joined["batch_size"] = pick(np.array([*sizes.values()])[:, np.newaxis])
    return Columns([*found.names, *joined], [*found.columns, *joined.values()], found.lines)


def _numbers(column: Column) -> FloatArray:
    return read_numbers(column, np.arange(len(column)), OR_MISSING)
