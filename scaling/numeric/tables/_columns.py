"""Columns of a table: arrays of numbers, or texts."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from scaling.errors import InputError
from scaling.numeric.inputs.arrays import BoolArray, FloatArray, IntArray
from scaling.numeric.inputs.text import (
    GREATEST,
    NUMBER,
    SMALLEST,
    parse_finite,
    parse_or_missing,
    parse_positive,
    parse_size,
)

#: Types of cells that make up a column of numbers; not bool, which is an int to Python.
_NUMBERS = (int, float, type(None))

_IS_PLAIN = re.compile(NUMBER, re.ASCII).fullmatch


@dataclass(frozen=True)
class Texts:
    """A column of texts: the different ones, each read only once, and which one each row has."""

    distinct: list[str]
    codes: IntArray

    def __len__(self) -> int:
        return self.codes.size


Column: TypeAlias = FloatArray | Texts


class Columns(NamedTuple):
    """What a file or a frame holds: columns of one length, and the line where each row begins."""

    names: list[str]
    columns: list[Column]
    lines: IntArray | None = None


class TextsBuilder:
    """Collects a column of texts, piece by piece."""

    def __init__(self) -> None:
        self._code_of: defaultdict[str, int] = defaultdict(count().__next__)
        self._pieces: list[IntArray] = []

    def extend(self, texts: Iterable[str]) -> None:
        """Append texts."""
        self._pieces.append(np.fromiter(map(self._code_of.__getitem__, texts), dtype=np.intp))

    def column(self) -> Texts:
        """Return the column."""
        return Texts(list(self._code_of), np.concatenate(self._pieces))


class Reading(NamedTuple):
    """A way to read cells as numbers: from texts, and which of given numbers it accepts."""

    parse: Callable[[str], float]
    accepts: Callable[[FloatArray], BoolArray]


def _is_positive(values: FloatArray) -> BoolArray:
    return (values >= SMALLEST) & (values <= GREATEST)


def _parse_any(text: str) -> float:
    try:
        return parse_or_missing(text)
    except InputError:
        return parse_size(text)


FINITE = Reading(parse_finite, np.isfinite)
OR_MISSING = Reading(parse_or_missing, lambda values: np.full(values.shape, True))
POSITIVE = Reading(parse_positive, _is_positive)
SIZE = Reading(parse_size, _is_positive)
#: Whatever can be compared with a number.
ANY_NUMBER = Reading(_parse_any, OR_MISSING.accepts)


class BadCellError(Exception):
    """A cell that cannot be read: its row, counted from 0, and what it had to be."""

    def __init__(self, row: int, problem: str) -> None:
        super().__init__(problem)
        self.row = row


def read_numbers(column: Column, rows: IntArray, reading: Reading) -> FloatArray:
    """Read some rows of a column as numbers, or raise `BadCellError` for the first bad one."""
    if not isinstance(column, Texts):
        values = column[rows]
        for row in np.flatnonzero(~reading.accepts(values))[:1].tolist():
            raise BadCellError(row, _read_cell(spell(values[row]), reading)[1])
        return values
    codes = column.codes[rows]
    # Plain numbers need no more care; every other text gets it.
    numbers = np.array([float(t) if _IS_PLAIN(t) else np.nan for t in column.distinct])
    unsure = np.flatnonzero(np.isnan(numbers) | ~reading.accepts(numbers))
    problems = {}
    for code in np.intersect1d(unsure, codes).tolist():
        numbers[code], problem = _read_cell(column.distinct[code], reading)
        if problem:
            problems[code] = problem
    for row in np.flatnonzero(np.isin(codes, list(problems)))[:1].tolist():
        raise BadCellError(row, problems[codes[row]])
    return numbers[codes]


def _read_cell(text: str, reading: Reading) -> tuple[float, str]:
    """Return the number, or NaN and what is wrong with it."""
    if re.search(r"[\r\n]", text):
        return np.nan, f"must be a number, got a quoted cell of several lines, {text!r:.40}"
    try:
        return reading.parse(text), ""
    except InputError as error:
        return np.nan, error.message


def are_missing(column: Column, rows: IntArray) -> BoolArray:
    """Say which cells are empty, or NaN in a column of numbers."""
    if not isinstance(column, Texts):
        return np.asarray(np.isnan(column[rows]))
    return np.array([not text for text in column.distinct])[column.codes[rows]]


def number_cells(column: Column, rows: IntArray, least: int) -> IntArray | None:
    """Number the different cells among some rows; None if one is there fewer times than that."""
    values = (column.codes if isinstance(column, Texts) else column)[rows]
    counts = np.unique(values, return_counts=True)[1]  # without the inverse, which takes longer
    if not counts.size or counts.min() < least:
        return None
    return np.unique(values, return_inverse=True)[1].reshape(-1)


def read_texts(column: Column, rows: IntArray) -> list[str]:
    """Return some rows of a column as texts."""
    if isinstance(column, Texts):
        return [column.distinct[code] for code in column.codes[rows].tolist()]
    return [spell(value) for value in column[rows].tolist()]


def spell(number: float) -> str:
    """Write a number as people do: whole numbers without a point, missing ones as nothing."""
    if np.isnan(number):
        return ""
    number = float(number)
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def column_of_array(array: Any) -> Column:
    """Make a column of a vector; of numbers that were rounded, the decimals that were meant."""
    if array.ndim != 1:
        raise TypeError
    if array.dtype in (np.float16, np.float32):
        return np.asarray(array.astype(str).astype(np.float64))
    if array.dtype.kind in "iuf":
        return np.asarray(array.astype(np.float64))
    return column_of_cells(array.tolist())


def column_of_cells(cells: Sequence[Any]) -> Column:
    """Make a column of Python's objects; None is a missing cell.

    What cannot be read as a number becomes text, to be shown as it stood there.
    """
    if all(type(cell) in _NUMBERS or isinstance(cell, np.number) for cell in cells):
        try:
            return np.array(cells, dtype=np.float64)
        except OverflowError:  # a whole number beyond floating point
            pass
    builder = TextsBuilder()
    builder.extend("" if cell is None else str(cell) for cell in cells)
    return builder.column()
