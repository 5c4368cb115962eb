"""Reading numbers and arrays at the edge of the numeric layer."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError, InputError

FloatArray: TypeAlias = npt.NDArray[np.float64]
#: numpy.float64 for scalar input and FloatArray for an array; which of the two, the checker
#: cannot know, and a union would make users narrow every answer.
Real: TypeAlias = Any


def as_array(values: npt.ArrayLike, name: str) -> FloatArray:
    """Return ``values`` as an array of floats, or raise an error that names them."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("must be a number or an array of numbers", name) from error


def as_positive(values: npt.ArrayLike, name: str) -> FloatArray:
    """Return an array of floats in which whatever is not positive and finite is NaN."""
    array = as_array(values, name)
    valid = (array > 0) & (array < np.inf)
    return array if valid.all() else np.where(valid, array, np.nan)


def positive(value: float, name: str, *, unit: str = "") -> float:
    """Return a positive finite number, or raise an error that names it."""
    number = _number(value, name)
    if not 0 < number < np.inf:
        raise InputError(f"must be a positive, finite number{unit}, got {value!r}", name)
    return number


def non_negative(value: float, name: str) -> float:
    """Return a finite number that is at least zero, or raise an error that names it."""
    number = _number(value, name)
    if not 0 <= number < np.inf:
        raise InputError(f"must be zero or a positive, finite number, got {value!r}", name)
    return number


def decay_rate(value: float, name: str) -> float:
    """Return a number in [0, 1), or raise an error that names it."""
    number = _number(value, name)
    if not 0 <= number < 1:
        raise InputError(f"must be at least 0 and less than 1, got {value!r}", name)
    return number


def _number(value: float, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"must be a number, got {value!r}", name) from error


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
    different = np.unique(columns[0]).size
    if min(columns[0].size, different) < parameters:
        raise DataError(
            f"{columns[0].size} points at {different} different batch sizes cannot determine "
            f"{parameters} parameters; give points at {parameters} or more batch sizes"
        )
    return columns
