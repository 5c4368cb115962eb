"""What each cell of a sweep says about its best learning rate, as a curve and not as a number.

The log loss of a cell around its optimum x is modelled as floor + k ((exp(a u) - 1)/a)^2 with
u = log lr - x: T-A1 makes it a parabola in lr itself (a = 1); a = 0 is a parabola in log lr. The
larger a, the faster the loss rises above the optimum than below. What the cell knows of x is
the cost (twice the negative log likelihood) on a grid of x, floor and k being fitted at each
node: a cell whose optimum lies beyond its grid has a cost that is flat on one side, which
is what a bound is; nothing else is needed for it.

Two routes lead to the curves. "cells": each cell by itself. "surface": all runs at once; the
curvatures k follow a common trend in batch size and covariates, as far as they are seen to, and
so do the asymmetries, so that weakly determined cells borrow strength.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from scaling.errors import DataError
from scaling.numeric._arrays import FloatArray
from scaling.numeric.sweep.runs import BoolArray, Cells, IntArray

Route = Literal["surface", "cells"]

_OCTAVE = float(np.log(2))
#: Step of the grid of optima, and how far it reaches beyond the learning rates tried.
_STEP = _OCTAVE / 32
_MARGIN = 3 * _OCTAVE
#: Noise of log losses, and error of the valley's model as a share of the height above the floor,
#: that are tried.
_NOISES = np.geomspace(1e-6, 0.3, 40)
_SHAPE_ERRORS = np.array([0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.45])
#: Heights are taken as large beyond that of so many of a cell's lowest learning rates.
_BOTTOM = 5
#: Asymmetries that are tried.
_ASYMMETRIES = np.linspace(-0.6, 2.4, 16)
#: Asymmetry before anything is known: between a parabola in log lr and one in lr (T-A1).
_USUAL_ASYMMETRY = 0.8
#: Prior spread of asymmetry and of curvature (relative) about their trend, by route.
_LOOSE_ASYMMETRY, _LOOSE_CURVATURE = 0.6, 3.0
_CLOSE_ASYMMETRY = 0.3
#: Cells' noise is shrunk to the common one as if that came from so many runs.
_NOISE_PRIOR = 8.0
_ROUNDS = 3
#: Largest number of values of one intermediate array.
_CHUNK = 4_000_000
#: Cost per octave squared of an optimum beyond where runs diverge.
_WALL = 9.0


@dataclass(frozen=True, eq=False)
class Valleys:
    """What each cell says about its best learning rate.

    Attributes
    ----------
    cells : Cells
        The runs.
    route : {"surface", "cells"}
        How the curves were obtained.
    grid : ndarray, shape (G,)
        Log learning rates, evenly spaced.
    cost : ndarray, shape (C, G)
        Twice the negative log likelihood of an optimum there, 0 at the best.
    noise : ndarray, shape (C,)
        Standard deviation of the log loss of one run.
    curvature, asymmetry, floor : ndarray, shape (C,)
        k, a and the floor, above the lowest log loss measured, at the best.
    deviation, share : ndarray, shape (C, n)
        Standard deviation of each run about a model valley; one minus its leverage.
    trend : ndarray, shape (C,)
        Curvatures that were expected, relative standard deviation ``spread``.
    asymmetry_error : ndarray, shape (C,)
        Standard errors of the asymmetries.
    level : ndarray, shape (C,)
        Asymmetries that were expected, standard deviation ``level_spread``.
    """

    cells: Cells
    route: Route
    grid: FloatArray
    cost: FloatArray
    noise: FloatArray
    curvature: FloatArray
    asymmetry: FloatArray
    floor: FloatArray
    deviation: FloatArray
    share: FloatArray
    trend: FloatArray
    spread: float
    level: FloatArray
    level_spread: float
    asymmetry_error: FloatArray

    @cached_property
    def optimum(self) -> FloatArray:
        """Log of the best learning rate, shape (C,); meaningless where it is only a bound."""
        best = np.clip(np.argmin(self.cost, axis=1), 1, self.grid.size - 2)
        rows = np.arange(best.size)
        left, middle, right = (self.cost[rows, best + k] for k in (-1, 0, 1))
        bend = left - 2 * middle + right
        with np.errstate(invalid="ignore", divide="ignore"):
            shift = np.where(bend > 0, (left - right) / (2 * bend), 0.0)
        return np.asarray(self.grid[best] + _STEP * np.clip(shift, -1, 1))

    @cached_property
    def standard_error(self) -> FloatArray:
        """Half the width of the region in which the cost rises by at most 1, shape (C,)."""
        low, high = self._bounds(1.0)
        return np.maximum((high - low) / 2, _STEP / 8)

    @cached_property
    def bound(self) -> IntArray:
        """-1 if the cell only says that the optimum is at most, 1 at least, 0 where it is known.

        A bound is all there is when the lowest loss stands at an end of the learning rates tried
        and a parabola does not turn well inside them either.
        """
        rates = np.where(self.cells.count > 0, self.cells.log_rate, np.nan)
        low, high = np.nanmin(rates, axis=1), np.nanmax(rates, axis=1)
        best = self.best_rate
        # Divergence above the highest learning rate that worked is a wall, not an edge.
        at_high = ((best >= high) & ~np.isfinite(self.cells.ceiling)) | (self.optimum > high)
        at_low = (best <= low) | (self.optimum < low)
        return np.where(at_high, 1, np.where(at_low, -1, 0))

    @cached_property
    def known(self) -> BoolArray:
        """Cells whose optimum lies between learning rates that were tried."""
        rates = self.cells.log_rate
        settings = np.sum(np.diff(np.sort(rates, axis=1), axis=1) > 0, axis=1) + 1
        return np.asarray((self.bound == 0) & (settings >= 3))

    @cached_property
    def best_rate(self) -> FloatArray:
        """Log learning rate of the lowest mean loss, shape (C,)."""
        rate, loss = _by_rate(self.cells)
        return np.asarray(np.take_along_axis(rate, _argmin(loss), axis=1)[:, 0])

    def regret(self, log_rate: FloatArray) -> FloatArray:
        """Relative excess of the loss at given log learning rates over the best measured.

        Between measured learning rates the log loss is interpolated monotonically (PCHIP), so
        that it never falls below them; outside it follows the fitted valley.

        Parameters
        ----------
        log_rate : ndarray, shape (C,)

        Returns
        -------
        ndarray, shape (C,)
        """
        result = np.full(log_rate.shape, np.nan)
        for i, curve in enumerate(self._curves):
            x = log_rate[i]
            if curve is None or not np.isfinite(x):
                continue
            low, high = curve.x[0], curve.x[-1]
            inside = float(np.clip(x, low, high))
            value = float(curve(inside)) + self._valley(i, x) - self._valley(i, inside)
            result[i] = np.expm1(min(max(value, 0.0), 50.0))
        return result

    def replicate_costs(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Cost curves of sweeps with other errors of the losses, shape (count, C, G)."""
        result = np.empty((count, len(self.cells), self.grid.size))
        model, deviation, pool, own = self._errors_seen
        seeds = bool((self.cells.block > 0).any())
        widest = max(count, self.cells.log_rate.shape[1])
        chunk = max(1, _CHUNK // (self.grid.size * widest))
        for first in range(0, len(self.cells), chunk):
            rows = np.arange(first, min(first + chunk, len(self.cells)))
            shape = (count, rows.size, model.shape[1])
            if seeds:
                blocks = self.cells.block[rows]
                signs = rng.choice([-1.0, 1.0], (count, rows.size, int(blocks.max()) + 2))
                drawn = own[rows] * np.take_along_axis(
                    signs, np.broadcast_to(blocks + 1, shape), axis=2
                )
            else:
                drawn = rng.choice(pool, shape)
            z = model[rows] + deviation[rows] * drawn
            weight = np.where(self.cells.count[rows] > 0, 1 / deviation[rows] ** 2, 0.0)
            around = _finely(self.asymmetry[rows], self.asymmetry_error[rows])
            cost = np.full((count, rows.size, self.grid.size), np.inf)
            for a in around:
                height = _height(
                    np.nan_to_num(self.cells.log_rate[rows])[:, :, None] - self.grid,
                    a[:, None, None],
                )
                fitted, _, _ = _least_squares(
                    weight, np.moveaxis(z, 0, 1), height, self.trend[rows], self.spread
                )
                belief = ((a - self.level[rows]) / self.level_spread) ** 2
                cost = np.minimum(cost, np.moveaxis(fitted, 1, 0) + belief[:, None])
            walls = np.maximum(self.grid - self.cells.ceiling[rows, None], 0.0) / _OCTAVE
            cost = cost + _WALL * walls**2
            result[:, rows] = cost - cost.min(axis=2, keepdims=True)
        return result

    @cached_property
    def _errors_seen(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Fitted heights, deviations, and standardised residuals: pooled, and of each run."""
        u = self.cells.log_rate - self.optimum[:, None]
        shape = _height(np.nan_to_num(u), self.asymmetry[:, None])
        model = self.floor[:, None] + self.curvature[:, None] * shape
        own = np.where(
            self.share > 0,
            (_above(self.cells) - model) / (self.deviation * np.sqrt(np.maximum(self.share, 0.2))),
            0.0,
        )
        own = np.clip(own, -4, 4)
        pool = own[(self.share > 0.2)]
        if pool.size < 20:
            pool = np.linspace(-1.7, 1.7, 20)
        # What is drawn has the size that the deviations say.
        scale = max(float(np.sqrt(np.mean(pool**2))), 0.5)
        return model, self.deviation, (pool - pool.mean()) / scale, own / scale

    def _valley(self, cell: int, x: float) -> float:
        u = x - float(self.optimum[cell])
        return float(self.curvature[cell] * _height(np.array(u), float(self.asymmetry[cell])))

    @cached_property
    def _curves(self) -> list[Any]:
        """Interpolants of log loss above the best, by cell; None with one learning rate."""
        from scipy.interpolate import PchipInterpolator

        rates, losses = _by_rate(self.cells)
        result: list[Any] = []
        for rate, loss in zip(rates, losses, strict=True):
            there = np.isfinite(loss)
            if there.sum() < 2:
                result.append(None)
                continue
            result.append(PchipInterpolator(rate[there], loss[there] - loss[there].min()))
        return result

    def _bounds(self, rise: float) -> tuple[FloatArray, FloatArray]:
        """Ends of the region around the optimum in which the cost is at most that."""
        inside = self.cost <= rise
        first = np.argmax(inside, axis=1)
        last = inside.shape[1] - 1 - np.argmax(inside[:, ::-1], axis=1)
        rows = np.arange(first.size)

        def edge(node: IntArray, way: int) -> FloatArray:
            beyond = np.clip(node + way, 0, self.grid.size - 1)
            here, there = self.cost[rows, node], self.cost[rows, beyond]
            with np.errstate(invalid="ignore", divide="ignore"):
                part = np.where(there > here, (rise - here) / (there - here), 0.0)
            return np.asarray(self.grid[node] + way * _STEP * np.clip(part, 0, 1))

        return edge(first, -1), edge(last, 1)


def find_valleys(cells: Cells, name: str = "the runs") -> dict[Route, Valleys]:
    """Model the loss around every cell's optimum, by both routes.

    Parameters
    ----------
    cells : Cells
    name : str, default "the runs"
        What to call them in messages.

    Returns
    -------
    dict
        `Valleys` by route.

    Raises
    ------
    DataError
        If no cell has an optimum between learning rates that were tried.
    """
    rates = cells.log_rate[cells.count > 0]
    low, high = rates.min() - _MARGIN, rates.max() + _MARGIN
    grid = np.arange(low, high + _STEP, _STEP)
    errors = _Errors(1e-3, 0.2, np.ones(len(cells)), _exaggerated(cells, _above(cells)))
    level = np.full(len(cells), _USUAL_ASYMMETRY)
    curvature = _default_curvature(cells)
    nearby = level, np.full(len(cells), _CLOSE_ASYMMETRY)
    # Which runs bear on the optimum depends on the noise, and the noise on the fits.
    for _ in range(_ROUNDS):
        alone = _fit(
            cells, grid, errors, curvature, _LOOSE_CURVATURE, level, _LOOSE_ASYMMETRY, nearby
        )
        errors, nearby = alone.errors, (alone.asymmetry, alone.asymmetry_error)
    single = alone.valleys("cells")
    known = single.known
    if not known.any():
        raise DataError(
            f"{name}: no cell (one batch size, with its covariates) has its lowest loss between "
            "two learning rates, every optimum is at an edge; try lower and higher learning rates"
        )
    together = alone
    for _ in range(2):
        curvature, spread = _curvature_trend(cells, together, known)
        level = _asymmetry_trend(together, known)
        together = _fit(cells, grid, errors, curvature, spread, level, _CLOSE_ASYMMETRY, nearby)
        errors, nearby = together.errors, (together.asymmetry, together.asymmetry_error)
    return {"surface": together.valleys("surface"), "cells": single}


@dataclass(frozen=True, eq=False)
class _Errors:
    """How far losses lie from a model valley: noise, and a share of the height above the floor.

    The share itself grows with the height: no model follows a valley up to its plateaus.
    """

    noise: float
    shape: float
    factor: FloatArray  # (C,): of both, by cell
    height: FloatArray  # (C, n): above the floor, exaggerated where models fail

    def deviation(self, cells: Cells) -> FloatArray:
        """Standard deviations of the cells' log losses."""
        variance = self.noise**2 / np.maximum(cells.count, 1)
        variance = variance + (self.shape * self.height) ** 2
        return np.asarray(self.factor[:, None] * np.sqrt(variance))


@dataclass(frozen=True, eq=False)
class _Fitted:
    """Everything that one pass over the cells gives."""

    cells: Cells
    grid: FloatArray
    total: FloatArray  # (A, C): lowest cost by asymmetry
    cost: FloatArray
    errors: _Errors
    curvature: FloatArray
    asymmetry: FloatArray
    floor: FloatArray
    deviation: FloatArray
    share: FloatArray
    trend: FloatArray
    spread: float
    level: FloatArray
    level_spread: float
    asymmetry_error: FloatArray

    def valleys(self, route: Route) -> Valleys:
        return Valleys(
            self.cells,
            route,
            self.grid,
            self.cost,
            self.errors.noise * self.errors.factor,
            self.curvature,
            self.asymmetry,
            self.floor,
            self.deviation,
            self.share,
            self.trend,
            self.spread,
            self.level,
            self.level_spread,
            self.asymmetry_error,
        )


def _fit(
    cells: Cells,
    grid: FloatArray,
    errors: _Errors,
    curvature: FloatArray,
    spread: float,
    asymmetry: FloatArray,
    asymmetry_spread: float,
    nearby: tuple[FloatArray, FloatArray],
) -> _Fitted:
    """Fit every cell at every optimum of the grid and every asymmetry."""
    count = len(cells)
    cost = np.full((count, grid.size), np.inf)
    finest = np.zeros((count, grid.size))
    total = np.empty((_ASYMMETRIES.size, count))
    chunk = max(1, _CHUNK // (grid.size * cells.log_rate.shape[1]))
    parts = [
        _Part(cells, np.arange(first, min(first + chunk, count)), errors)
        for first in range(0, count, chunk)
    ]
    for part in parts:
        rows = part.rows
        prior = curvature[rows], spread
        everywhere = np.repeat(_ASYMMETRIES[:, None], rows.size, axis=1)
        for k, a in enumerate(np.concatenate([everywhere, _finely(*nearby)[:, rows]])):
            found, _, _ = part.fit(grid, a, *prior)
            found += ((a - asymmetry[rows]) / asymmetry_spread)[:, None] ** 2
            if k < _ASYMMETRIES.size:
                total[k, rows] = found.min(axis=1)
            better = found < cost[rows]
            cost[rows] = np.where(better, found, cost[rows])
            finest[rows] = np.where(better, a[:, None], finest[rows])
    walls = np.maximum(grid - cells.ceiling[:, None], 0.0) / _OCTAVE
    cost = cost + _WALL * walls**2
    node = np.argmin(cost, axis=1)
    at = (np.arange(count), node)
    best = finest[at]
    at_best = [
        part.fit(grid[node[part.rows], None], best[part.rows], curvature[part.rows], spread)
        for part in parts
    ]
    fitted = _Fitted(
        cells,
        grid,
        total,
        cost - cost[at][:, None],
        errors,
        np.concatenate([bend[:, 0] for _, bend, _ in at_best]),
        best,
        np.concatenate([floor[:, 0] for _, _, floor in at_best]),
        errors.deviation(cells),
        np.zeros_like(cells.count),
        curvature,
        spread,
        asymmetry,
        asymmetry_spread,
        np.zeros(count),
    )
    residuals = [
        part.residuals(fitted, grid[node], curvature, spread, asymmetry_spread) for part in parts
    ]
    rest, share, known = (np.concatenate(part) for part in zip(*residuals, strict=True))
    return replace(
        fitted,
        errors=_errors_of(cells, errors, rest, share),
        share=share,
        asymmetry_error=known,
    )


def _finely(asymmetry: FloatArray, error: FloatArray) -> FloatArray:
    """Asymmetries of each cell around its best, close together for what it knows, (7, C)."""
    return asymmetry + 0.7 * error * np.arange(-3, 4)[:, None]


class _Part:
    """Some of the cells, and sums over their runs."""

    def __init__(self, cells: Cells, rows: IntArray, errors: _Errors) -> None:
        self.rows = rows
        self.x = np.nan_to_num(cells.log_rate[rows])
        self.count, self.z = cells.count[rows], _above(cells)[rows]
        deviation = errors.deviation(cells)[rows]
        self.weight = np.where(self.count > 0, 1 / deviation**2, 0.0)

    def fit(
        self, grid: FloatArray, a: FloatArray, prior: FloatArray, spread: float
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Cost, curvature and floor at every node of grids (G,) or (rows, G), shape (rows, G)."""
        nodes = np.broadcast_to(grid, (self.rows.size, grid.shape[-1]))[:, None]
        height = _height(self.x[:, :, None] - nodes, a[:, None, None])
        cost, k, floor = _least_squares(self.weight, self.z[:, None], height, prior, spread)
        return cost[:, 0], k[:, 0], floor[:, 0]

    def residuals(
        self,
        fitted: _Fitted,
        optimum: FloatArray,
        prior: FloatArray,
        spread: float,
        asymmetry_spread: float,
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Residuals, shares that the fits did not use up (1 - leverage), errors of asymmetries."""
        rows = self.rows
        a, k = fitted.asymmetry[rows, None], fitted.curvature[rows, None]
        u = self.x - optimum[rows, None]
        height = _height(u, a)
        step = 1e-4
        jacobian = np.stack(
            [
                np.ones_like(u),
                height,
                k * (_height(u + step, a) - _height(u - step, a)) / (2 * step),
                k * (_height(u, a + step) - _height(u, a - step)) / (2 * step),
            ],
            axis=2,
        )
        root = np.sqrt(self.weight)[..., None] * jacobian
        gram = np.swapaxes(root, 1, 2) @ root
        gram[:, 1, 1] += 1 / (spread * prior[rows]) ** 2
        gram[:, 3, 3] += 1 / asymmetry_spread**2
        gram[:, range(4), range(4)] *= 1 + 1e-9
        gram[:, 2, 2] += 1e-12 * gram[:, 0, 0]
        inverse = np.linalg.inv(gram)
        leverage = np.sum(root * (root @ inverse), axis=2)
        error = np.sqrt(np.clip(inverse[:, 3, 3], 1e-8, _LOOSE_ASYMMETRY**2))
        rest = self.z - fitted.floor[rows, None] - k * height
        return rest, np.where(self.count > 0, np.clip(1 - leverage, 0, 1), 0.0), error


def _least_squares(
    w: FloatArray, z: FloatArray, height: FloatArray, prior: FloatArray, spread: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Fit z = floor + k height by weighted least squares, with k near its prior and positive.

    Weights (C, n), several z (C, S, n), heights (C, n, G), which are overwritten: cost, k and
    floor, each (C, S, G).
    """
    prior = prior[:, None, None]
    total = w.sum(axis=1)[:, None, None]
    mean = (w[:, None] * z).sum(axis=2, keepdims=True) / total
    middle = (w[:, None] @ height) / total
    height -= middle
    product = (w[:, None] * (z - mean)) @ height
    square = w[:, None] @ height**2
    belief = 1 / (spread * prior) ** 2
    k = np.maximum((product + belief * prior) / (square + belief), 0.1 * prior)
    rest = (w[:, None] * (z - mean) ** 2).sum(axis=2, keepdims=True)
    cost = rest - 2 * k * product + k**2 * square + belief * (k - prior) ** 2
    return cost, k, mean - k * middle


def _errors_of(cells: Cells, last: _Errors, rest: FloatArray, share: FloatArray) -> _Errors:
    """Noise and model error by maximum likelihood, robustly (Laplace), from all cells."""
    # Runs that their own fit follows whatever they are say little, and what they say is uncertain.
    usable = share > 0.2
    size = np.abs(rest[usable]) / np.sqrt(share[usable])
    weight, height = share[usable], last.height[usable]
    best, lowest = (1e-3, 0.2), np.inf
    if size.size:
        for shape in _SHAPE_ERRORS:
            variance = _NOISES[:, None] ** 2 / cells.count[usable] + (shape * height) ** 2
            deviation = np.sqrt(variance)
            cost = (weight * (np.log(deviation) + np.sqrt(2) * size / deviation)).sum(axis=1)
            k = int(np.argmin(cost))
            if cost[k] < lowest:
                best, lowest = (float(_NOISES[k]), float(shape)), float(cost[k])
    plain = _Errors(*best, np.ones(len(cells)), last.height)
    deviation = plain.deviation(cells)
    ratio = np.where(usable, rest**2 / (np.maximum(share, 0.2) * deviation**2), 0.0)
    freedom = np.where(usable, share, 0.0).sum(axis=1)
    total = np.where(usable, share * np.minimum(ratio, 16.0), 0.0).sum(axis=1)
    factor = np.sqrt((_NOISE_PRIOR + total) / (_NOISE_PRIOR + freedom))
    # By the model's height, so that a run does not count for more because it came out low; by
    # its own where it lies far above the model, which is an outlier.
    z = _above(cells)
    height = np.maximum(z - rest, z - 3 * best[0])
    return _Errors(*best, factor, _exaggerated(cells, np.maximum(height, 0.0)))


def _above(cells: Cells) -> FloatArray:
    """Log losses above the best of their cell; 0 where there is no run."""
    above = cells.log_loss - np.nanmin(cells.log_loss, axis=1)[:, None]
    return np.asarray(np.nan_to_num(above))


def _exaggerated(cells: Cells, height: FloatArray) -> FloatArray:
    """Heights, larger beyond those of the lowest learning rates of a cell."""
    _, losses = _by_rate(cells)
    lowest = np.sort(losses - np.nanmin(losses, axis=1)[:, None], axis=1)
    bottom = lowest[:, min(_BOTTOM, lowest.shape[1]) - 1]
    usual = float(np.nanmedian(bottom)) if np.isfinite(bottom).any() else np.inf
    return height * (1 + height / max(usual, 1e-12))


def _height(u: FloatArray, a: FloatArray | float) -> FloatArray:
    """((exp(a u) - 1)/a)^2, the valley's shape."""
    a = np.where(np.abs(a) < 1e-6, 1e-6, a)
    result: FloatArray = (np.expm1(np.clip(a * u, -30, 8)) / a) ** 2
    return result


def _default_curvature(cells: Cells) -> FloatArray:
    """Curvature for cells of which nothing is known yet: their own height over their span."""
    loss = cells.log_loss - np.nanmin(cells.log_loss, axis=1)[:, None]
    span = np.nanmax(cells.log_rate, axis=1) - np.nanmin(cells.log_rate, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rough = np.nanmedian(loss, axis=1) / (span / 4) ** 2
    usable = np.isfinite(rough) & (rough > 0)
    middle = float(np.median(rough[usable])) if usable.any() else 1e-2
    return np.full(len(cells), middle)


def _curvature_trend(cells: Cells, fitted: _Fitted, known: BoolArray) -> tuple[FloatArray, float]:
    """Curvatures by a robust trend in batch size and covariates, and the spread about it."""
    columns = [np.log(cells.batch_size), *np.log(cells.covariates).T]
    if np.any(cells.eps > 0) and np.unique(cells.eps).size > 1:
        columns.append(np.log(cells.eps + cells.eps[cells.eps > 0].min()))
    columns = [c - c.mean() for c in columns if np.ptp(c) > 0]
    design = np.stack([np.ones(len(cells)), *columns], axis=1)
    y = np.log(fitted.curvature)
    if known.sum() < 2 * design.shape[1]:
        return np.full(len(cells), float(np.exp(np.median(y[known])))), 0.5
    weight = known.astype(float)
    for _ in range(30):
        root = np.sqrt(weight)[:, None]
        ridge = 1e-3 * np.eye(design.shape[1])
        gram = (root * design).T @ (root * design) + ridge
        found = np.linalg.solve(gram, (root * design).T @ (root[:, 0] * y))
        rest = y - design @ found
        scale = max(1.4826 * float(np.median(np.abs(rest[known]))), 0.05)
        weight = np.where(known, np.minimum(1, 1.345 * scale / np.maximum(np.abs(rest), 1e-9)), 0)
    return np.exp(design @ found), float(np.clip(scale, 0.15, 0.7))


def _asymmetry_trend(fitted: _Fitted, known: BoolArray) -> FloatArray:
    """The asymmetry that suits all cells best."""
    # Capped, so that no single cell decides.
    cost = fitted.total[:, known] - fitted.total[:, known].min(axis=0)
    summed = np.minimum(cost, 6.0).sum(axis=1)
    k = int(np.clip(np.argmin(summed), 1, _ASYMMETRIES.size - 2))
    left, middle, right = summed[k - 1 : k + 2]
    bend = left - 2 * middle + right
    shift = (left - right) / (2 * bend) if bend > 0 else 0.0
    step = _ASYMMETRIES[k + 1] - _ASYMMETRIES[k]
    value = float(_ASYMMETRIES[k] + np.clip(shift, -1, 1) * step)
    return np.full(fitted.floor.size, value)


def _by_rate(cells: Cells) -> tuple[FloatArray, FloatArray]:
    """Learning rates and mean log losses of each cell, repetitions averaged.

    Where a learning rate stands several times, all but its first place are NaN.
    """
    rate, loss, count = cells.log_rate, cells.log_loss.copy(), cells.count
    rows = np.arange(rate.shape[0])
    fresh = np.ones_like(rate, dtype=bool)
    fresh[:, 1:] = rate[:, 1:] != rate[:, :-1]  # sorted by rate; NaN differs from NaN
    number = np.cumsum(fresh, axis=1) - 1
    flat = (rows[:, None] * rate.shape[1] + number).reshape(-1)
    there = count > 0
    totals = np.bincount(flat, np.where(there, loss * count, 0.0).reshape(-1), rate.size)
    counts = np.bincount(flat, count.reshape(-1), rate.size)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (totals / counts)[flat].reshape(rate.shape)
    return rate, np.where(there & fresh, means, np.nan)


def _argmin(loss: FloatArray) -> IntArray:
    return np.asarray(np.nanargmin(loss, axis=1))[:, None]
