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

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from scaling.numeric.fits.valleys._shape import (
    CHUNK,
    STEP,
    above,
    by_rate,
    finely,
    height_of,
    least_squares,
    walls,
)
from scaling.numeric.inputs.arrays import BoolArray, FloatArray, IntArray
from scaling.numeric.tables.runs import Cells

Route = Literal["surface", "cells"]


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
        return np.asarray(self.grid[best] + STEP * np.clip(shift, -1, 1))

    @cached_property
    def standard_error(self) -> FloatArray:
        """Half the width of the region in which the cost rises by at most 1, shape (C,)."""
        low, high = self._bounds(1.0)
        return np.maximum((high - low) / 2, STEP / 8)

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
        rate, loss = by_rate(self.cells)
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
        chunk = max(1, CHUNK // (self.grid.size * widest))
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
            around = finely(self.asymmetry[rows], self.asymmetry_error[rows])
            cost = np.full((count, rows.size, self.grid.size), np.inf)
            for a in around:
                height = height_of(
                    np.nan_to_num(self.cells.log_rate[rows])[:, :, None] - self.grid,
                    a[:, None, None],
                )
                fitted, _, _ = least_squares(
                    weight, np.moveaxis(z, 0, 1), height, self.trend[rows], self.spread
                )
                belief = ((a - self.level[rows]) / self.level_spread) ** 2
                cost = np.minimum(cost, np.moveaxis(fitted, 1, 0) + belief[:, None])
            cost = cost + walls(self.grid, self.cells.ceiling[rows])
            result[:, rows] = cost - cost.min(axis=2, keepdims=True)
        return result

    @cached_property
    def _errors_seen(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Fitted heights, deviations, and standardised residuals: pooled, and of each run."""
        u = self.cells.log_rate - self.optimum[:, None]
        shape = height_of(np.nan_to_num(u), self.asymmetry[:, None])
        model = self.floor[:, None] + self.curvature[:, None] * shape
        own = np.where(
            self.share > 0,
            (above(self.cells) - model) / (self.deviation * np.sqrt(np.maximum(self.share, 0.2))),
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
        return float(self.curvature[cell] * height_of(np.array(u), float(self.asymmetry[cell])))

    @cached_property
    def _curves(self) -> list[Any]:
        """Interpolants of log loss above the best, by cell; None with one learning rate."""
        from scipy.interpolate import PchipInterpolator

        rates, losses = by_rate(self.cells)
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
            return np.asarray(self.grid[node] + way * STEP * np.clip(part, 0, 1))

        return edge(first, -1), edge(last, 1)


def _argmin(loss: FloatArray) -> IntArray:
    return np.asarray(np.nanargmin(loss, axis=1))[:, None]
