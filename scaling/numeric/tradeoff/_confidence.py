"""Sampling the region of shifts in [0, inf] that a table does not exclude."""

from collections.abc import Callable

import numpy as np

from scaling.numeric.inputs.arrays import FloatArray

#: Slices by which a region is sampled, and rounds of 32-fold zoom into a minimum.
_SLICES = 33
_ZOOMS = 8


def sample_region(
    excess: Callable[[FloatArray], FloatArray], estimate: FloatArray, budget: float
) -> FloatArray:
    """Sample {shifts: excess(shifts) <= budget}, its edges included.

    Parameters
    ----------
    excess : callable
        Cost above the minimum, of shifts (..., J) in [0, inf]; J is 1 or 2.
    estimate : ndarray, shape (J,)
        Where the excess is 0.
    budget : float
        How much excess there may be.

    Returns
    -------
    ndarray, shape (K, J)

    Notes
    -----
    Two shifts are sampled in slices: the region may be a long, bent valley that rays from the
    estimate would miss, but at one given first shift it is an interval.
    """
    compact = _sample(lambda point: excess(_from_compact(point)), _to_compact(estimate), budget)
    return _from_compact(compact)


def _sample(
    excess: Callable[[FloatArray], FloatArray], center: FloatArray, budget: float
) -> FloatArray:
    """Sample {excess <= budget} in the unit interval or square."""
    nodes = np.cos(np.pi * np.arange(_SLICES) / (_SLICES - 1))
    if center.size == 1:
        lower, upper = _edges(lambda v: excess(v[..., None]), center, budget)
        line: FloatArray = (lower + upper) / 2 + (upper - lower) / 2 * nodes
        return line[:, None]

    def slice_excess(first: FloatArray, second: FloatArray) -> FloatArray:
        return excess(np.stack(np.broadcast_arrays(first, second), axis=-1))

    def best_second(first: FloatArray) -> FloatArray:
        return _minimise(lambda second: slice_excess(first[:, None], second), first.size)

    lower, upper = _edges(lambda v: slice_excess(v, best_second(v)), center[:1], budget)
    first = (lower + upper) / 2 + (upper - lower) / 2 * nodes
    low, high = _edges(lambda second: slice_excess(first, second), best_second(first), budget)
    second = (low + high)[:, None] / 2 + (high - low)[:, None] / 2 * nodes[:: _SLICES // 8]
    pairs = np.stack(np.broadcast_arrays(first[:, None], second), axis=-1)
    return pairs.reshape(-1, 2)


def _edges(
    excess: Callable[[FloatArray], FloatArray], inside: FloatArray, budget: float
) -> tuple[FloatArray, FloatArray]:
    """Bisect for the ends of {excess <= budget} around points inside, within [0, 1]."""

    def edge(wall: float) -> FloatArray:
        near, far = inside, np.full_like(inside, wall)
        beyond = excess(far) > budget
        for _ in range(60):
            middle = (near + far) / 2
            within = excess(middle) <= budget
            near, far = np.where(within, middle, near), np.where(within, far, middle)
        return np.where(beyond, near, wall)

    return edge(0.0), edge(1.0)


def _minimise(function: Callable[[FloatArray], FloatArray], size: int) -> FloatArray:
    """Minimise ``size`` functions of one variable on [0, 1] at once, by zooming in."""
    lower, upper = np.zeros(size), np.ones(size)
    for _ in range(_ZOOMS):
        grid = np.linspace(lower, upper, 65, axis=-1)
        best = np.argmin(function(grid), axis=-1)[:, None]
        lower = np.take_along_axis(grid, np.maximum(best - 1, 0), axis=-1)[:, 0]
        upper = np.take_along_axis(grid, np.minimum(best + 1, 64), axis=-1)[:, 0]
    return np.take_along_axis(grid, best, axis=-1)[:, 0]


def _to_compact(shifts: FloatArray) -> FloatArray:
    """Map [0, inf] to [1, 0], so that both corners can be reached."""
    return 1 / (1 + np.sqrt(shifts))


def _from_compact(compact: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        return ((1 - compact) / compact) ** 2
