"""What each cell of a sweep says about its best learning rate: T-K1's measured optima.

The log loss of a cell around its optimum x is taken as floor + k ((exp(a u) - 1)/a)^2 with
u = log lr - x: T-A1 makes it a parabola in lr itself (a = 1); a = 0 is a parabola in log lr.
Floor and k are fitted at every x and a of a grid; how fast the misfit grows away from the best x
is the error of the optimum. Where it does not grow on one side, the optimum lies beyond what
was tried and the cell gives a bound; learning rates at which runs diverge are walls.

Noise and curvature are learned from all cells together, so that a cell with few runs, or noisy
ones, borrows from the others.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError
from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.tables.runs import Cells

BoolArray = npt.NDArray[np.bool_]
_OCTAVE = float(np.log(2))
_STEP = 1 / 16
#: Octaves that the grid of optima reaches beyond the learning rates tried.
_MARGIN = 1.5
#: Real valleys are nearly parabolas in log lr (tests/evidence); those of T-A1 are not.
_ASYMMETRIES = np.arange(-0.9, 2.2, 0.3)
USUAL_ASYMMETRY, _ASYMMETRY_SPREAD = 0.3, 0.5
#: Noise of log losses, and error of the model as a share of the height above the floor.
_NOISES = np.geomspace(1e-6, 0.3, 50)
_SHARES = np.array([0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.45])
_ROUNDS = 4
#: Spread of log k among cells of which nothing is known, and share of those unlike the others.
_ANY, _UNLIKE = 3.0, 0.05
#: A cell's own noise counts as if the common one came from so many runs.
_SHRINKAGE = 8.0
#: Rise of the misfit (twice the negative log likelihood) that ends a 90 % region, and how many
#: standard errors that is.
_RISE, _WIDTH = 2.706, 1.645
#: Misfit per octave squared of an optimum beyond where runs diverge.
_WALL = 9.0
#: Error of reading a vertex between learning rates, in steps of their grid.
_SHAPE_ERROR = 0.12
_CHUNK = 4_000_000
#: Median of the square of a standard normal.
_MEDIAN_SQUARE = 0.4549


@dataclass(frozen=True, eq=False)
class Valleys:
    """Optima of cells in octaves (log2 of the learning rate), with errors below and above.

    An infinite error marks a bound: the optimum lies on that side, or there about. ``reading`` is
    how far the vertex of the three lowest losses, which is how optima are usually read, lies from
    the optimum (a standard deviation); NaN where no cell tells.
    """

    optimum: FloatArray
    below: FloatArray
    above: FloatArray
    noise: FloatArray
    curvature: FloatArray
    reading: float

    @property
    def bound(self) -> FloatArray:
        """1 if the optimum is at least that, -1 at most, 0 if it is known."""
        return np.where(np.isinf(self.above), 1.0, np.where(np.isinf(self.below), -1.0, 0.0))

    @property
    def known(self) -> BoolArray:
        """Where the optimum lies between two learning rates."""
        return np.asarray(self.bound == 0)


def that_tell(cells: Cells) -> Cells:
    """Return the cells whose valley was seen at two learning rates or more.

    Raises
    ------
    DataError
        If there is none.
    """
    told = cells.rates > 1
    if not told.any():
        raise DataError(
            "no batch size has runs at two learning rates or more that did not diverge; run "
            "several learning rates at each"
        )
    return cells if told.all() else cells.take(told)


def height(u: FloatArray, a: FloatArray) -> FloatArray:
    """((exp(a u) - 1)/a)^2 at u octaves: the shape of a valley."""
    a = np.where(np.abs(a) < 1e-6, 1e-6, a) * _OCTAVE
    return np.asarray((np.expm1(np.clip(a * u, -30, 8)) / a) ** 2)


def read_valleys(cells: Cells) -> Valleys:
    """Read the optimum of every cell, and how well it is known.

    Parameters
    ----------
    cells : Cells
    """
    rate = np.nan_to_num(cells.log_rate / _OCTAVE)
    there = cells.count > 0
    z = np.where(
        there, np.nan_to_num(cells.log_loss - np.nanmin(cells.log_loss, axis=1)[:, None]), 0.0
    )
    grid = np.arange(rate[there].min() - _MARGIN, rate[there].max() + _MARGIN + _STEP, _STEP)
    noise, share, factor = 1e-3, 0.2, np.ones(len(cells))
    tall = z
    span = np.where(there, rate, -np.inf).max(axis=1) - np.where(there, rate, np.inf).min(axis=1)
    rough = z.max(axis=1) / np.maximum(span / 2, 1.0) ** 2
    curvature = np.full(len(cells), max(float(np.median(rough)), 1e-6))
    spread = _ANY
    asymmetry = USUAL_ASYMMETRY
    for round_ in range(_ROUNDS):
        deviation = factor[:, None] * np.sqrt(
            noise**2 / np.maximum(cells.count, 1) + (share * tall) ** 2
        )
        weight = np.where(there, 1 / deviation**2, 0.0)
        fit = _fit(grid, rate, z, weight, curvature, spread, asymmetry)
        if round_ == _ROUNDS - 1:
            break
        rest = z - fit.model
        noise, share = _errors(rest, tall, cells.count, fit.freedom)
        own = np.sqrt(noise**2 / np.maximum(cells.count, 1) + (share * tall) ** 2)
        usable = there & (fit.freedom > 0.2)
        ratio = np.where(usable, np.minimum(rest**2 / own**2, 16.0), 0.0).sum(axis=1)
        freedom = np.where(usable, fit.freedom, 0).sum(axis=1)
        factor = np.sqrt((_SHRINKAGE + ratio) / (_SHRINKAGE + freedom))
        # By the model's height, so that a run does not count for more because it came out low.
        tall = np.maximum(np.maximum(z - rest, z - 3 * noise), 0.0)
        tall = tall * (1 + tall / _bottom(z, there))
        known = (fit.low > grid[0]) & (fit.high < grid[-1])
        if known.any():
            logs = np.log(fit.curvature[known])
            curvature = np.full(len(cells), float(np.exp(np.median(logs))))
            spread = float(np.clip(1.4826 * np.median(np.abs(logs - np.median(logs))), 0.3, 1.5))
            asymmetry = float(np.median(fit.asymmetry[known]))
    return _read(grid, fit, cells, rate, there, noise * factor)


def _bottom(z: FloatArray, there: BoolArray) -> float:
    """Usual height of a cell's fifth lowest run: beyond it, models of valleys fail."""
    ordered = np.sort(np.where(there, z, np.inf), axis=1)
    place = ordered[:, min(4, z.shape[1] - 1)]
    place = place[np.isfinite(place)]
    return max(float(np.median(place)), 1e-12) if place.size else np.inf


@dataclass(frozen=True, eq=False)
class _Fit:
    cost: FloatArray  # (C, G)
    model: FloatArray  # (C, n)
    freedom: FloatArray  # (C, n): what the fit has not used up of each run
    curvature: FloatArray
    asymmetry: FloatArray
    low: FloatArray
    high: FloatArray


def _fit(
    grid: FloatArray,
    rate: FloatArray,
    z: FloatArray,
    weight: FloatArray,
    curvature: FloatArray,
    spread: float,
    usual: float,
) -> _Fit:
    """Fit floor and curvature at every optimum of the grid and every asymmetry."""
    count = len(rate)
    cost = np.full((count, grid.size), np.inf)
    best_a = np.zeros((count, grid.size))
    best_k = np.zeros((count, grid.size))
    best_floor = np.zeros((count, grid.size))
    chunk = max(1, _CHUNK // (grid.size * rate.shape[1]))
    # Like the others, or unlike them at what that costs.
    unlike = 2 * float(np.log(_ANY / spread * (1 - _UNLIKE) / _UNLIKE))
    spreads = [(spread, 0.0), (_ANY, unlike)] if spread < _ANY else [(spread, 0.0)]
    for first in range(0, count, chunk):
        rows = slice(first, first + chunk)
        for a in _ASYMMETRIES:
            h = height(rate[rows, :, None] - grid, np.array(a))
            for each, penalty in spreads:
                found, k, floor = _least_squares(weight[rows], z[rows], h, curvature[rows], each)
                found = found + ((a - usual) / _ASYMMETRY_SPREAD) ** 2 + penalty
                better = found < cost[rows]
                for array, value in ((cost, found), (best_a, a), (best_k, k), (best_floor, floor)):
                    array[rows] = np.where(better, value, array[rows])
    at = np.arange(count), np.argmin(cost, axis=1)
    cost = cost - cost[at][:, None]
    a, k, optimum = best_a[at], best_k[at], grid[at[1]]
    u = rate - optimum[:, None]
    shape = height(u, a[:, None])
    slope = k[:, None] * (height(u + 1e-3, a[:, None]) - height(u - 1e-3, a[:, None])) / 2e-3
    jacobian = (
        np.stack([np.ones_like(u), shape * k[:, None], slope], axis=2) * np.sqrt(weight)[..., None]
    )
    gram = np.swapaxes(jacobian, 1, 2) @ jacobian
    gram[:, 1, 1] += 1 / spread**2
    gram[:, range(3), range(3)] += 1e-9 * gram[:, :1, 0]
    leverage = ((jacobian @ np.linalg.inv(gram)) * jacobian).sum(axis=2)
    inside = cost <= _RISE
    low, high = (
        grid[np.argmax(inside, axis=1)],
        grid[grid.size - 1 - np.argmax(inside[:, ::-1], axis=1)],
    )
    return _Fit(
        cost,
        best_floor[at][:, None] + k[:, None] * shape,
        np.where(weight > 0, np.clip(1 - leverage, 0, 1), 0.0),
        k,
        a,
        low,
        high,
    )


def _least_squares(
    w: FloatArray, z: FloatArray, h: FloatArray, prior: FloatArray, spread: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Misfit, k and floor (C, G) of z = floor + k h, with log k near its prior's."""
    total = w.sum(axis=1)[:, None]
    mean = (w * z).sum(axis=1)[:, None] / total
    middle = (w[:, None] @ h)[:, 0] / total
    h = h - middle[:, None]
    product = ((w * (z - mean))[:, None] @ h)[:, 0]
    square = (w[:, None] @ h**2)[:, 0]
    # Two steps of Newton's method for log k, from the prior.
    log_prior = np.log(prior)[:, None]
    free = np.log(np.maximum(product / np.maximum(square, 1e-300), 1e-12))
    log_k = (log_prior + free * spread**2 * square * np.exp(2 * log_prior)) / (
        1 + spread**2 * square * np.exp(2 * log_prior)
    )
    for _ in range(4):
        k = np.exp(log_k)
        slope = k * (square * k - product) + (log_k - log_prior) / spread**2
        bend = np.maximum(k * (2 * square * k - product), k * k * square / 2) + 1 / spread**2
        log_k = log_k - np.clip(slope / bend, -1, 1)
    k = np.exp(log_k)
    cost = (
        (w * (z - mean) ** 2).sum(axis=1)[:, None]
        - 2 * k * product
        + k**2 * square
        + ((log_k - log_prior) / spread) ** 2
    )
    return cost, k, mean - k * middle


def _errors(
    rest: FloatArray, tall: FloatArray, count: FloatArray, freedom: FloatArray
) -> tuple[float, float]:
    """Noise and the model's error by maximum likelihood, robustly (Laplace), from all cells."""
    usable = freedom > 0.2
    if not usable.any():
        return 1e-3, 0.2
    size, weight = np.abs(rest[usable]) / np.sqrt(freedom[usable]), freedom[usable]
    best, lowest = (1e-3, 0.2), np.inf
    for share in _SHARES:
        deviation = np.sqrt(_NOISES[:, None] ** 2 / count[usable] + (share * tall[usable]) ** 2)
        cost = (weight * (np.log(deviation) + np.sqrt(2) * size / deviation)).sum(axis=1)
        node = int(np.argmin(cost))
        if cost[node] < lowest:
            best, lowest = (float(_NOISES[node]), float(share)), float(cost[node])
    return best


def _read(
    grid: FloatArray,
    fit: _Fit,
    cells: Cells,
    rate: FloatArray,
    there: BoolArray,
    noise: FloatArray,
) -> Valleys:
    """Optimum and errors from the misfit of every cell."""
    ceiling = cells.ceiling / _OCTAVE
    step = _steps(rate, there)
    cost = fit.cost + _WALL * np.maximum(grid - ceiling[:, None], 0.0) ** 2
    cost = cost - cost.min(axis=1)[:, None]
    node = np.clip(np.argmin(cost, axis=1), 1, grid.size - 2)
    rows = np.arange(len(cells))
    left, middle, right = (cost[rows, node + k] for k in (-1, 0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where(
            left - 2 * middle + right > 0, (left - right) / (2 * (left - 2 * middle + right)), 0.0
        )
    optimum = grid[node] + _STEP * np.clip(shift, -1, 1)
    inside = cost <= _RISE
    first, last = np.argmax(inside, axis=1), grid.size - 1 - np.argmax(inside[:, ::-1], axis=1)
    below = np.maximum(optimum - grid[first], _STEP / 2) / _WIDTH
    above = np.maximum(grid[last] - optimum, _STEP / 2) / _WIDTH
    # An optimum beyond what was tried is a bound, put where the likelihood falls to a half.
    lowest, highest = (
        np.where(there, rate, np.inf).min(axis=1),
        np.where(there, rate, -np.inf).max(axis=1),
    )
    at_least, at_most = (optimum > highest) & (ceiling == np.inf), optimum < lowest
    half = cost <= 2 * np.log(2)
    lower, upper = (
        grid[np.argmax(half, axis=1)],
        grid[grid.size - 1 - np.argmax(half[:, ::-1], axis=1)],
    )
    below = np.where(at_least, np.maximum(lower - grid[first], _STEP), below)
    above = np.where(at_most, np.maximum(grid[last] - upper, _STEP), above)
    below = np.where(at_most, np.inf, np.hypot(below, _SHAPE_ERROR * step))
    above = np.where(at_least, np.inf, np.hypot(above, _SHAPE_ERROR * step))
    # Nor is anything claimed of what lies beyond.
    lower, upper = np.minimum(lower, highest), np.maximum(upper, lowest)
    optimum = np.where(at_least, lower, np.where(at_most, upper, optimum))
    away = (_vertices(cells) - optimum)[np.isfinite(below) & np.isfinite(above)]
    away = away[np.isfinite(away)]
    reading = float(np.sqrt(np.median(away**2) / _MEDIAN_SQUARE)) if away.size else np.nan
    return Valleys(optimum, below, above, noise, fit.curvature, reading)


def _steps(rate: FloatArray, there: BoolArray) -> FloatArray:
    """Octaves between neighbouring learning rates of each cell; 1 where there is one only."""
    result = np.ones(len(rate))
    for i, row in enumerate(rate):
        different = np.unique(np.round(row[there[i]], 6))
        if different.size > 1:
            result[i] = np.median(np.diff(different))
    return result


def _vertices(cells: Cells) -> FloatArray:
    """Vertex of the parabola through each cell's lowest mean loss and its neighbours; or NaN."""
    result = np.full(len(cells), np.nan)
    for i in range(len(cells)):
        there = cells.count[i] > 0
        x, label = np.unique(cells.log_rate[i, there] / _OCTAVE, return_inverse=True)
        weight = cells.count[i, there]
        z = np.bincount(label, weight * cells.log_loss[i, there]) / np.bincount(label, weight)
        k = int(np.argmin(z))
        if 0 < k < x.size - 1:
            (left, right), (down, up) = np.diff(x[k - 1 : k + 2]), np.diff(z[k - 1 : k + 2])
            slopes = down / left, up / right
            turn = slopes[1] - slopes[0]
            middle = (x[k - 1] + x[k]) / 2
            result[i] = middle - slopes[0] * (left + right) / 2 / turn if turn > 0 else np.nan
    return result
