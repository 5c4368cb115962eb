"""What runs tell about the best learning rate of their cell, before they are made.

A run u octaves above its cell's optimum has the log loss floor + k height(u) + noise, as
`read_valleys` has it; height is off by some share of itself. Floor, log k and optimum are not
known, and the information on the optimum is what the Fisher matrix of the runs leaves when the
other two are eliminated: one run says nothing, two tell by the usual k, three by themselves.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from scaling.numeric.inference.evidence.valleys import Valleys, height
from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.tables.runs import Cells

#: Usual asymmetry and its spread, and what heights are off by: of the same sweeps. (A parabola in
#: the learning rate itself has 1.)
_ASYMMETRY, _ASYMMETRY_SPREAD, _SHARE = 0.1, 0.4, 0.15
#: Octaves from the optimum at which they are off by twice that.
_VALID = 2.0
#: Where an optimum is looked for beyond the runs, and how finely, octaves.
_BEYOND, _GRID = 3.0, 1 / 16
#: Middles of nine equal parts of a normal distribution.
_NODES = np.array([-1.5932, -0.9674, -0.5895, -0.2822, 0.0, 0.2822, 0.5895, 0.9674, 1.5932])
#: Rise of the misfit that ends a 90 % region, how many standard errors that is, and half-way.
_RISE, _WIDTH, _HALF = 2.706, 1.645, 2 * float(np.log(2))
#: By how much log(noise/k) is believed to differ from the usual at most.
_UNLIKE = 2.0
#: Step of numerical derivatives.
_TINY = 1e-3
#: Error in octaves that a valley of another shape makes, however many runs there are.
_SHAPE_ERROR = 0.06
#: Valleys of seven sweeps (mixture of experts, DeepSeek, digits, four of our laboratory), as
#: tests/evidence/plan_replay.py prints them: mean of log k, its spread between sweeps and between
#: the cells of one; log of noise/k, and how many runs' noise that is worth.
_LOG_CURVATURE, _SPREAD, _WITHIN, _LOG_NOISE, _FREEDOM = -4.0, 1.4, 0.65, -1.0, 2.0


@dataclass(frozen=True)
class Valley:
    """Curvature and noise that a new cell is expected to have.

    Attributes
    ----------
    curvature : float
        Median of k, the rise of the log loss per octave squared.
    spread : float
        Standard deviation of log k.
    noise : float
        Standard deviation of a run's log loss.
    cells : int
        Cells seen from which this was learned.
    """

    curvature: float
    spread: float
    noise: float
    cells: int

    @classmethod
    def learned(cls, cells: Cells | None, valleys: Valleys | None) -> Self:
        """Learn from the cells seen, starting from what other sweeps had."""
        log_k, precision, log_noise, freedom, known = _LOG_CURVATURE, _SPREAD**-2.0, 0.0, 0.0, 0
        if cells is not None and valleys is not None:
            there = valleys.known
            known = int(there.sum())
            # Of each cell, what its runs leave after three parameters are fitted tells the noise.
            left = np.maximum(cells.count.sum(axis=1) - 3, 0)[there]
            freedom = float(left.sum())
            added = known / _WITHIN**2
            total = float(np.log(valleys.curvature[there]).sum()) / _WITHIN**2
            log_k = (precision * log_k + total) / (precision + added)
            precision += added
            if freedom:
                log_noise = float((left * np.log(valleys.noise[there])).sum()) / freedom
        relative = _LOG_NOISE + log_k
        weight = freedom / (freedom + _FREEDOM)
        log_noise = np.clip(log_noise, relative - _UNLIKE, relative + _UNLIKE)
        noise = np.exp(weight * log_noise + (1 - weight) * relative)
        spread = np.hypot(precision**-0.5, _WITHIN)
        return cls(float(np.exp(log_k)), float(spread), float(noise), known)

    def terms(self, away: FloatArray) -> FloatArray:
        """Fisher matrix of one run, by octaves from the optimum, shape (..., 4, 4).

        Of floor, log k, asymmetry and optimum.
        """

        def rise(u: FloatArray, a: float) -> FloatArray:
            return self.curvature * height(u, np.array(a))

        here = rise(away, _ASYMMETRY)
        by_shape = (rise(away, _ASYMMETRY + _TINY) - rise(away, _ASYMMETRY - _TINY)) / (2 * _TINY)
        slope = (rise(away + _TINY, _ASYMMETRY) - rise(away - _TINY, _ASYMMETRY)) / (2 * _TINY)
        derivatives = np.stack([np.ones_like(here), here, by_shape, -slope], axis=-1)
        derivatives = derivatives / np.sqrt(self._variance(away, here, 1.0))[..., None]
        return derivatives[..., :, None] * derivatives[..., None, :]

    def error(self, terms: FloatArray) -> FloatArray:
        """Variance of the optimum, in octaves^2, from runs whose matrices add up to that."""
        left = terms + np.diag([0.0, self.spread**-2.0, _ASYMMETRY_SPREAD**-2.0, 0.0])
        for _ in range(3):
            first, rest = left[..., :1, 1:], left[..., 1:, 1:]
            left = rest - first.swapaxes(-1, -2) * first / np.maximum(left[..., :1, :1], 1e-12)
        return np.asarray(1 / np.maximum(left[..., 0, 0], 1e-9) + _SHAPE_ERROR**2)

    def read(
        self, rate: FloatArray, log_loss: FloatArray, count: FloatArray
    ) -> tuple[float, float, float]:
        """Optimum of a cell of few runs, and errors below and above; octaves.

        An infinite error makes it a bound; both are infinite where the runs tell nothing.

        Parameters
        ----------
        rate, log_loss, count : ndarray, shape (n,)
            log2 of the learning rates, natural logarithms of the losses, runs behind each.
        """
        grid = np.arange(rate.min() - _BEYOND, rate.max() + _BEYOND + _GRID, _GRID)
        asymmetry = (_ASYMMETRY + _ASYMMETRY_SPREAD * _NODES[::2])[:, None, None, None]
        curvature = (self.curvature * np.exp(self.spread * _NODES))[:, None, None]
        rise = curvature * height(rate - grid[:, None], asymmetry)
        weight = 1 / self._variance(rate - grid[:, None], rise, count)
        rest = log_loss - rise
        floor = (weight * rest).sum(axis=-1, keepdims=True) / weight.sum(axis=-1, keepdims=True)
        # The floor is integrated out; curvature and asymmetry are summed over.
        log = np.log(weight).sum(axis=-1) - np.log(weight.sum(axis=-1))
        log -= (weight * (rest - floor) ** 2).sum(axis=-1)
        away = -2 * np.logaddexp.reduce(log / 2, axis=(0, 1))
        return _region(grid, away - away.min())

    def _variance(
        self, away: FloatArray, rise: FloatArray, count: FloatArray | float
    ) -> FloatArray:
        """Of a log loss: noise, and what heights are off by, the more the farther away."""
        share = _SHARE * (1 + (away / _VALID) ** 2)
        return np.asarray(self.noise**2 / count + (share * rise) ** 2)

    def loss_rise(self, away: FloatArray) -> FloatArray:
        """Rise of the log loss some octaves above the optimum; at most to e times the loss."""
        return np.minimum(self.curvature * height(away, np.array(_ASYMMETRY)), 1.0)


def _region(grid: FloatArray, away: FloatArray) -> tuple[float, float, float]:
    """Optimum and errors from the misfit on a grid, or a bound where it ends on one side only."""
    inside = grid[away <= _RISE]
    best, low, high = float(grid[np.argmin(away)]), float(inside[0]), float(inside[-1])
    half = grid[away <= _HALF]
    down, up = low > grid[0], high < grid[-1]
    if down and up:
        return best, max(best - low, _GRID) / _WIDTH, max(high - best, _GRID) / _WIDTH
    if down:
        return float(half[0]), max(float(half[0]) - low, _GRID), np.inf
    if up:
        return float(half[-1]), np.inf, max(high - float(half[-1]), _GRID)
    return best, np.inf, np.inf
