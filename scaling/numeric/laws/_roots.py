"""All roots of a vectorised function on an interval.

Written here because a bracketing solver for one root (SciPy's) needs its brackets found first,
and finding them by sampling is nearly all there is to it; it also keeps the import of
scipy.optimize out of `lr query`.
"""

from collections.abc import Callable, Iterator

import numpy as np

from scaling.numeric.inputs.arrays import FloatArray

_SAMPLES = 4097
_ZOOM = 65
#: More than the bits of a number, so that no bracket is left to narrow.
_HALVINGS = 2000


def sign_changes(
    function: Callable[[FloatArray], FloatArray], lower: float, upper: float, *, zero: float = 0.0
) -> Iterator[tuple[float, bool]]:
    """Yield each root in ascending order, with True where the function goes from + to -.

    Parameters
    ----------
    function : callable
        Vectorised; changes sign slowly compared with the interval/4096.
    lower, upper : float
        The interval.
    zero : float, default 0
        Values up to this size are rounding and count as no sign at all.
    """
    grid = np.linspace(lower, upper, _SAMPLES)
    sign = np.sign(np.where(np.abs(values := function(grid)) <= zero, 0.0, values))
    grid, sign = grid[sign != 0], sign[sign != 0]
    for i in np.flatnonzero(sign[1:] != sign[:-1]):
        yield _zoom(function, grid[i], grid[i + 1]), bool(sign[i] > 0)


def bisect(
    function: Callable[[float], float], lower: float, upper: float, width: float = 0.0
) -> float:
    """Root of a function of one number that changes sign between two others.

    Parameters
    ----------
    function : callable
        Of a number.
    lower, upper : float
        The two others.
    width : float, default 0
        How narrow a bracket is narrow enough; at 0 it is narrowed until it cannot be.

    Raises
    ------
    ArithmeticError
        If it does not change sign.
    """
    positive = function(lower) > 0
    if positive == (function(upper) > 0):
        raise ArithmeticError(f"no change of sign between {lower:g} and {upper:g}")
    for _ in range(_HALVINGS):
        middle = (lower + upper) / 2
        if not lower < middle < upper or upper - lower <= width:
            break
        lower, upper = (middle, upper) if (function(middle) > 0) == positive else (lower, middle)
    return (lower + upper) / 2


def _zoom(function: Callable[[FloatArray], FloatArray], lower: float, upper: float) -> float:
    """Narrow a bracket by sampling inside it until it cannot be narrowed."""
    for _ in range(_HALVINGS):
        grid = np.linspace(lower, upper, _ZOOM)
        sign = np.sign(function(grid))
        first = int(np.flatnonzero(sign != sign[0])[0]) if np.any(sign != sign[0]) else _ZOOM - 1
        if not grid[first] - grid[first - 1] < upper - lower or sign[first] == 0:
            return float(grid[first])
        if grid[first] - grid[first - 1] <= 4 * np.spacing(max(abs(lower), abs(upper))):
            return float((grid[first - 1] + grid[first]) / 2)
        lower, upper = grid[first - 1], grid[first]
    raise ArithmeticError(f"no root found between {lower:g} and {upper:g}")
