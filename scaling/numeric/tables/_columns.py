"""Columns of a table: arrays of numbers, or texts."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError
from scaling.numeric.inputs.arrays import FloatArray, IntArray
from scaling.numeric.inputs.text import (
    NUMBER,
    parse_batch_size,
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
    """A column of texts; each different text is kept, and later read, only once.

    Attributes
    ----------
    distinct : list of str
        The different texts.
    codes : ndarray of int
        For each row, the index of its text.
    """

    distinct: list[str]
    codes: IntArray


Column: TypeAlias = FloatArray | Texts


class Columns(NamedTuple):
    """What a file or a data frame holds.

    Attributes
    ----------
    names : list of str
        Of the columns, as they stand there.
    columns : list of Column
        All of one length.
    lines : ndarray of int or None
        For each row, the line where it begins, from 1; None where there are no lines.
    """

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
        codes = np.concatenate(self._pieces) if self._pieces else np.empty(0, dtype=np.intp)
        return Texts(list(self._code_of), codes)


class Reading(NamedTuple):
    """A way to read cells as numbers: from texts, and which of given numbers it accepts."""

    parse: Callable[[str], float]
    accepts: Callable[[FloatArray], npt.NDArray[np.bool_]]


def _is_positive(values: FloatArray) -> npt.NDArray[np.bool_]:
    return (values > 0) & (values < np.inf)


FINITE = Reading(parse_finite, np.isfinite)
OR_MISSING = Reading(parse_or_missing, lambda values: np.full(values.shape, True))
POSITIVE = Reading(parse_positive, _is_positive)
BATCH_SIZE = Reading(parse_batch_size, _is_positive)
SIZE = Reading(parse_size, _is_positive)
#: Whatever can be compared with a number.
ANY_NUMBER = Reading(
    lambda text: parse_batch_size(text) if "x" in text.lower() else parse_or_missing(text),
    OR_MISSING.accepts,
)


class BadCellError(Exception):
    """A cell that cannot be read: its row, counted from 0, and what it had to be."""

    def __init__(self, row: int, problem: str) -> None:
        super().__init__(problem)
        self.row = row


def read_numbers(column: Column, rows: IntArray, reading: Reading) -> FloatArray:
    """Read some rows of a column as numbers, or raise `BadCellError` for the first bad one."""
    if not isinstance(column, Texts):
        values = column[rows]
        bad = np.flatnonzero(~reading.accepts(values))
        if bad.size:
            _, problem = _read_cell(spell(values[bad[0]]), reading)
            raise BadCellError(int(bad[0]), problem)
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
    if problems:
        row = int(np.flatnonzero(np.isin(codes, list(problems)))[0])
        raise BadCellError(row, problems[int(codes[row])])
    return numbers[codes]


def _read_cell(text: str, reading: Reading) -> tuple[float, str]:
    """Return the number, or NaN and what is wrong with it."""
    if re.search(r"[\r\n]", text):
        return np.nan, f"must be a number, got a quoted cell of several lines, {text!r:.40}"
    try:
        return reading.parse(text), ""
    except InputError as error:
        return np.nan, error.message


def length(column: Column) -> int:
    """Return how many rows there are."""
    return len(column.codes) if isinstance(column, Texts) else len(column)


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


def as_column(values: Any) -> Column:
    """Make a column of an array, a list, or a column of a data frame.

    Numbers stay numbers and missing ones become NaN; everything else becomes text, so that
    what cannot be read as a number is shown as it stood there.

    Raises
    ------
    TypeError
        If it is none of these.
    """
    if isinstance(values, list | tuple):
        return column_of_cells(values)
    # Of data frames' columns, to_numpy knows better than numpy what missing values are.
    array = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values)
    if array.ndim != 1:
        raise TypeError
    if array.dtype in (np.float16, np.float32):
        # A 3e-4 in single precision was meant to be 3e-4.
        return array.astype(str).astype(np.float64)
    if array.dtype.kind in "iuf":
        return array.astype(np.float64)
    cells = array.tolist()
    if hasattr(values, "isna"):  # pandas, whose missing values are not only None
        cells = [
            None if absent else cell for cell, absent in zip(cells, values.isna(), strict=True)
        ]
    return column_of_cells(cells)


def column_of_cells(cells: Sequence[Any]) -> Column:
    """Make a column of Python's objects; None is a missing cell."""
    if all(type(cell) in _NUMBERS or isinstance(cell, np.number) for cell in cells):
        try:
            return np.array(cells, dtype=np.float64)
        except OverflowError:  # a whole number beyond floating point
            pass
    builder = TextsBuilder()
    builder.extend("" if cell is None else str(cell) for cell in cells)
    return builder.column()
