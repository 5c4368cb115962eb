"""Reading numbers and arrays at the edge of the numeric layer."""

import numbers
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError, InputError

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.intp]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
#: numpy.float64 for scalar input and FloatArray for an array; which of the two, the checker
#: cannot know, and a union would make users narrow every answer.
Real: TypeAlias = Any

#: No table of training runs spans more; beyond, powers of the ratio overflow.
_WIDEST_TABLE = 1e50


def as_array(values: npt.ArrayLike, name: str) -> FloatArray:
    """Return ``values`` as an array of floats, or raise an error that names them."""
    try:
        array = np.asarray(values)
    except ValueError:  # rows of different lengths
        array = np.empty(1, dtype=object)
    # Integers and floats only: NumPy would read texts as numbers and None as NaN.
    if array.size and array.dtype.kind not in "iuf":
        raise InputError("must be a number or an array of numbers", name)
    return array.astype(np.float64)


def as_positive(values: npt.ArrayLike, name: str) -> FloatArray:
    """Return an array of floats in which whatever is not positive and finite is NaN."""
    array = as_array(values, name)
    valid = (array > 0) & (array < np.inf)
    return array if valid.all() else np.where(valid, array, np.nan)


def as_non_negative(values: npt.ArrayLike, name: str) -> FloatArray:
    """Return an array of floats in which whatever is negative or not finite is NaN."""
    array = as_array(values, name)
    return np.where((array >= 0) & (array < np.inf), array, np.nan)


def positive(value: float, name: str) -> float:
    """Return a positive finite number, or raise an error that names it."""
    number = as_number(value, name)
    if not 0 < number < np.inf:
        raise InputError(f"must be positive and finite, got {value!r}", name)
    return number


def non_negative(value: float, name: str) -> float:
    """Return a finite number that is at least zero, or raise an error that names it."""
    number = as_number(value, name)
    if not 0 <= number < np.inf:
        raise InputError(f"must be at least 0 and finite, got {value!r}", name)
    return number


def shift(value: float, name: str) -> float:
    """Return a number from 0 to infinity, both included, or raise an error that names it."""
    number = as_number(value, name)
    if not number >= 0:
        raise InputError(f"must be between 0 and infinity, got {value!r}", name)
    return number


def decay_rate(value: float, name: str) -> float:
    """Return a number in [0, 1), or raise an error that names it."""
    number = as_number(value, name)
    if not 0 <= number < 1:
        raise InputError(f"must be at least 0 and less than 1, got {value!r}", name)
    return number


def step_number(value: float, name: str) -> float:
    """Return a whole number from 1, or infinity, or raise an error that names it."""
    number = as_number(value, name)
    if not (number >= 1 and (number == np.inf or number.is_integer())):
        raise InputError(f"must be a whole number from 1, or infinity, got {value!r}", name)
    return number


def store(record: object, check: Callable[[float, str], float], *names: str) -> None:
    """Check fields of a frozen dataclass and keep them as floats, whatever number they were."""
    for name in names:
        object.__setattr__(record, name, check(getattr(record, name), name))


def as_number(value: object, name: str) -> float:
    """Return a number of whatever kind as a float, or raise an error that names it."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise InputError(f"must be a number, got {value!r}", name)
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def read_table(
    x: npt.ArrayLike, y: npt.ArrayLike, names: tuple[str, str], parameters: int
) -> tuple[FloatArray, FloatArray]:
    """Validate two columns of positive numbers that are to determine so many parameters."""
    columns = as_array(x, names[0]), as_array(y, names[1])
    for column, name in zip(columns, names, strict=True):
        if column.ndim != 1 or column.shape != columns[0].shape:
            raise InputError("must be vectors of the same length", f"{names[0]}, {names[1]}")
        bad = np.flatnonzero(~((column > 0) & (column < np.inf)))
        if bad.size:
            value = column[bad[0]]
            raise DataError(f"{name}[{bad[0]}] is {value:g}; it must be positive and finite")
    if columns[0].size and columns[0].max() / _WIDEST_TABLE > columns[0].min():
        raise DataError(f"{names[0]} spans more than {_WIDEST_TABLE:g}: is the unit the same?")
    different = np.unique(columns[0]).size
    if min(columns[0].size, different) < parameters:
        raise DataError(
            f"{columns[0].size} points at {different} different batch sizes cannot determine "
            f"{parameters} parameters; give points at {parameters} or more batch sizes"
        )
    return columns
