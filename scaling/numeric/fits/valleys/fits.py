"""Fitting the valleys of all cells: noise, model error and trends from all runs at once."""

from dataclasses import dataclass, replace

import numpy as np

from scaling.errors import DataError
from scaling.numeric.fits.optima.shifted_powers import huber_weights
from scaling.numeric.fits.valleys._shape import (
    CHUNK,
    OCTAVE,
    STEP,
    above,
    by_rate,
    finely,
    height_of,
    least_squares,
    walls,
)
from scaling.numeric.fits.valleys.valleys import Route, Valleys
from scaling.numeric.inputs.arrays import BoolArray, FloatArray, IntArray
from scaling.numeric.tables.runs import Cells

#: How far the grid of optima reaches beyond the learning rates tried.
_MARGIN = 3 * OCTAVE
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
    grid = np.arange(low, high + STEP, STEP)
    errors = _Errors(1e-3, 0.2, np.ones(len(cells)), _exaggerated(cells, above(cells)))
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
    chunk = max(1, CHUNK // (grid.size * cells.log_rate.shape[1]))
    parts = [
        _Part(cells, np.arange(first, min(first + chunk, count)), errors)
        for first in range(0, count, chunk)
    ]
    for part in parts:
        rows = part.rows
        prior = curvature[rows], spread
        everywhere = np.repeat(_ASYMMETRIES[:, None], rows.size, axis=1)
        for k, a in enumerate(np.concatenate([everywhere, finely(*nearby)[:, rows]])):
            found, _, _ = part.fit(grid, a, *prior)
            found += ((a - asymmetry[rows]) / asymmetry_spread)[:, None] ** 2
            if k < _ASYMMETRIES.size:
                total[k, rows] = found.min(axis=1)
            better = found < cost[rows]
            cost[rows] = np.where(better, found, cost[rows])
            finest[rows] = np.where(better, a[:, None], finest[rows])
    cost = cost + walls(grid, cells.ceiling)
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


class _Part:
    """Some of the cells, and sums over their runs."""

    def __init__(self, cells: Cells, rows: IntArray, errors: _Errors) -> None:
        self.rows = rows
        self.x = np.nan_to_num(cells.log_rate[rows])
        self.count, self.z = cells.count[rows], above(cells)[rows]
        deviation = errors.deviation(cells)[rows]
        self.weight = np.where(self.count > 0, 1 / deviation**2, 0.0)

    def fit(
        self, grid: FloatArray, a: FloatArray, prior: FloatArray, spread: float
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Cost, curvature and floor at every node of grids (G,) or (rows, G), shape (rows, G)."""
        nodes = np.broadcast_to(grid, (self.rows.size, grid.shape[-1]))[:, None]
        height = height_of(self.x[:, :, None] - nodes, a[:, None, None])
        cost, k, floor = least_squares(self.weight, self.z[:, None], height, prior, spread)
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
        height = height_of(u, a)
        step = 1e-4
        jacobian = np.stack(
            [
                np.ones_like(u),
                height,
                k * (height_of(u + step, a) - height_of(u - step, a)) / (2 * step),
                k * (height_of(u, a + step) - height_of(u, a - step)) / (2 * step),
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
    z = above(cells)
    height = np.maximum(z - rest, z - 3 * best[0])
    return _Errors(*best, factor, _exaggerated(cells, np.maximum(height, 0.0)))


def _exaggerated(cells: Cells, height: FloatArray) -> FloatArray:
    """Heights, larger beyond those of the lowest learning rates of a cell."""
    _, losses = by_rate(cells)
    lowest = np.sort(losses - np.nanmin(losses, axis=1)[:, None], axis=1)
    bottom = lowest[:, min(_BOTTOM, lowest.shape[1]) - 1]
    usual = float(np.nanmedian(bottom)) if np.isfinite(bottom).any() else np.inf
    return height * (1 + height / max(usual, 1e-12))


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
        weight = np.where(known, huber_weights(rest, scale), 0)
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
