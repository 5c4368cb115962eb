"""What runs tell about the best learning rate of their cell: a few that were made, or might be.

A run u octaves above its cell's optimum has the log loss floor + k shape(u) + noise. The shape is
`height`, that of `read_valleys`, but far from the optimum it flattens: too small a learning rate
learns nothing, and no run loses much more than that. Real valleys wander from it as they rise: by
a share of every octave's rise that grows with the distance, so that what lies far off tells on
which side the optimum is, and no more. Along the learning rate that is a random walk observed with
noise, whose likelihood is Kalman's, the floor being its unknown start.

Of runs that were made, curvature, asymmetry, flattening and noise are summed over, by what valleys
are like. Of those that might be, the Fisher matrix tells what is left of the optimum when the
others are eliminated: one run says nothing, two tell by the usual k, three by themselves.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np

from scaling.numeric.inference.evidence.valleys import height
from scaling.numeric.inputs.arrays import FloatArray

#: Usual asymmetry, octaves from the optimum in which a valley flattens (natural logarithm), and
#: their spreads; share by which an octave's rise is off. By the log score of readings by two to all
#: runs of a cell, which is flat about them (tests/evidence/plan_replay.py).
_ASYMMETRY, _ASYMMETRY_SPREAD, _FLAT, _FLAT_SPREAD, _SHARE = 0.2, 0.5, 1.8, 0.7, 0.2
#: Octaves from the optimum at which it is twice that.
_VALID = 2.5
#: Where an optimum is looked for beyond the runs, and how finely, octaves.
_BEYOND, _GRID = 4.0, 1 / 16
#: Standard deviations from the mean at which densities are summed, for what matters little and for
#: what the runs may tell well.
_FEW, _MANY = np.linspace(-2, 2, 5), np.linspace(-2.5, 2.5, 21)
#: Misfit per octave squared of an optimum beyond where runs diverge, as `read_valleys` has it.
_WALL = 9.0
#: Rise of the misfit that ends a 90 % region, how many standard errors that is, and half-way.
_RISE, _WIDTH, _HALF = 2.706, 1.645, 2 * float(np.log(2))
#: Variance of a logarithm that is known as well as it need be.
_SURE = 1e-3
#: Step of numerical derivatives.
_TINY = 1e-3
#: Error in octaves that a valley of another shape makes, however many runs there are.
_SHAPE_ERROR = 0.06
#: Valleys of seven sweeps: mean of log k, its spread between sweeps and between the cells of one;
#: log of noise/k, likewise.
_LOG_CURVATURE, _SPREAD, _WITHIN = -4.0, 1.4, 0.65
_LOG_NOISE, _NOISE_SPREAD, _NOISE_WITHIN = -1.0, 0.65, 0.3


class Reading(NamedTuple):
    """An optimum in octaves and its errors; log k and log(noise/k) as means and variances.

    ``likelihood`` is its logarithm on a grid of optima, where it was worked out.

    An infinite error makes the optimum a bound; both are infinite where the runs tell nothing.
    """

    optimum: float
    below: float
    above: float
    curvature: tuple[float, float]
    noise: tuple[float, float]
    likelihood: tuple[FloatArray, FloatArray] | None = None


@dataclass(frozen=True)
class Valley:
    """What a new cell's valley is expected to be.

    Attributes
    ----------
    log_curvature, spread : float
        Of k, the rise of the log loss per octave squared: median and deviation of its logarithm.
    log_noise, noise_spread : float
        Of a run's noise over k, likewise.
    cells : int
        Cells seen from which this was learned.
    """

    log_curvature: float = _LOG_CURVATURE
    spread: float = float(np.hypot(_SPREAD, _WITHIN))
    log_noise: float = _LOG_NOISE
    noise_spread: float = float(np.hypot(_NOISE_SPREAD, _NOISE_WITHIN))
    cells: int = 0

    @property
    def curvature(self) -> float:
        """Median of k."""
        return float(np.exp(self.log_curvature))

    @property
    def noise(self) -> float:
        """Standard deviation of a run's log loss."""
        return float(np.exp(self.log_curvature + self.log_noise))

    def learned(self, readings: list[Reading]) -> Self:
        """Learn from cells, starting from what other sweeps had."""
        curvature, spread = _pooled(
            (self.log_curvature, self.spread), _WITHIN, [r.curvature for r in readings]
        )
        noise, noise_spread = _pooled(
            (self.log_noise, self.noise_spread), _NOISE_WITHIN, [r.noise for r in readings]
        )
        return replace(
            self,
            log_curvature=curvature,
            spread=spread,
            log_noise=noise,
            noise_spread=noise_spread,
            cells=self.cells + len(readings),
        )

    def terms(self, away: FloatArray) -> FloatArray:
        """Fisher matrix of one run, by octaves from the optimum, shape (..., 4, 4).

        Of floor, log k, asymmetry and optimum.
        """

        def rise(u: FloatArray, a: float) -> FloatArray:
            return self.curvature * shape(u, np.array(a), np.array(_FLAT))

        here = rise(away, _ASYMMETRY)
        by_shape = (rise(away, _ASYMMETRY + _TINY) - rise(away, _ASYMMETRY - _TINY)) / (2 * _TINY)
        slope = (rise(away + _TINY, _ASYMMETRY) - rise(away - _TINY, _ASYMMETRY)) / (2 * _TINY)
        derivatives = np.stack([np.ones_like(here), here, by_shape, -slope], axis=-1)
        deviation = np.hypot(self.noise, _SHARE * here)
        derivatives = derivatives / deviation[..., None]
        return derivatives[..., :, None] * derivatives[..., None, :]

    def error(self, terms: FloatArray) -> FloatArray:
        """Variance of the optimum, in octaves^2, from runs whose matrices add up to that."""
        left = terms + np.diag([0.0, self.spread**-2.0, _ASYMMETRY_SPREAD**-2.0, 0.0])
        for _ in range(3):
            first, rest = left[..., :1, 1:], left[..., 1:, 1:]
            left = rest - first.swapaxes(-1, -2) * first / np.maximum(left[..., :1, :1], 1e-12)
        return np.asarray(1 / np.maximum(left[..., 0, 0], 1e-9) + _SHAPE_ERROR**2)

    def read(
        self, rate: FloatArray, log_loss: FloatArray, count: FloatArray, ceiling: float = np.inf
    ) -> Reading:
        """Read a cell.

        Parameters
        ----------
        rate, log_loss, count : ndarray, shape (n,)
            log2 of the learning rates, natural logarithms of the losses, runs behind each.
        ceiling : float, optional
            log2 of the lowest learning rate at which runs diverged.
        """
        grid = np.arange(rate.min() - _BEYOND, rate.max() + _BEYOND + _GRID, _GRID)
        # Axes: curvature, noise, flattening, asymmetry, optimum.
        curvature = self.log_curvature + self.spread * _MANY
        noise = self.log_noise + self.noise_spread * _FEW
        order = np.argsort(rate, kind="stable")
        away = rate[order, None] - grid
        rise = shape(
            away,
            (_ASYMMETRY + _ASYMMETRY_SPREAD * _FEW)[:, None, None],
            (_FLAT + _FLAT_SPREAD * _FEW)[:, None, None, None],
        )
        noises = np.multiply.outer(1 / count[order], _along(np.exp(2 * noise), 3))
        square, product, rest, log_width = _walk(
            away, np.moveaxis(rise, -2, 0), log_loss[order], noises
        )
        scale = np.exp(-_along(curvature, 4))
        log = -(square * scale**2 - 2 * product * scale + rest) / 2 - log_width
        log -= (rate.size - 1) * _along(curvature, 4)
        for nodes, axis in ((_MANY, 4), (_FEW, 3), (_FEW, 2), (_FEW, 1)):
            log = log - _along(nodes, axis) ** 2 / 2
        log = log - _WALL / 2 * np.maximum(grid - ceiling, 0.0) ** 2
        mass = np.exp(log - log.max())
        mass /= mass.sum()
        by_optimum = mass.sum(axis=(0, 1, 2, 3))
        return Reading(
            *_region(grid, by_optimum),
            _moments(curvature, mass.sum(axis=(1, 2, 3, 4))),
            _moments(noise, mass.sum(axis=(0, 2, 3, 4))),
            (grid, np.log(np.maximum(by_optimum / by_optimum.max(), 1e-300))),
        )

    def loss_rise(self, away: FloatArray) -> FloatArray:
        """Rise of the log loss some octaves above the optimum; at most to e times the loss."""
        rise = self.curvature * shape(away, np.array(_ASYMMETRY), np.array(_FLAT))
        return np.minimum(rise, 1.0)


def shape(u: FloatArray, asymmetry: FloatArray, flat: FloatArray) -> FloatArray:
    """Rise of a valley of unit curvature, u octaves above its optimum."""
    most = np.exp(2 * flat)
    return np.asarray(-most * np.expm1(-height(u, asymmetry) / most))


def _walk(
    away: FloatArray, rise: FloatArray, log_loss: FloatArray, noise: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Kalman's likelihood of runs in the order of their learning rates, in units of k.

    With innovations (of the losses over k) less (of the rises), over their deviation: sums of
    squares of the first, of products, of squares of the second, and of the deviations' logarithms.
    """
    variance, level, path = noise[0], log_loss[0], rise[0]
    square = product = rest = log_width = np.zeros(1)
    for i in range(1, len(log_loss)):
        variance = variance + _wander(away[i - 1], away[i], rise[i - 1], rise[i])
        total = variance + noise[i]
        loss, own = log_loss[i] - level, rise[i] - path
        square, product, rest = (
            sums + each / total
            for sums, each in ((square, loss * loss), (product, loss * own), (rest, own * own))
        )
        log_width = log_width + np.log(total) / 2
        gain = variance / total
        level, path, variance = level + gain * loss, path + gain * own, gain * noise[i]
    return square, product, rest, log_width


def _wander(u: FloatArray, v: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Variance with which valleys of unit curvature wander between u and v octaves."""

    def along(start: FloatArray, end: FloatArray, rise: FloatArray) -> FloatArray:
        share = _SHARE * (1 + ((start + end) / 2 / _VALID) ** 2)
        return np.asarray((share * rise) ** 2 / np.maximum(end - start, 1e-9))

    across = along(u, 0.0 * u, low) + along(0.0 * v, v, high)
    return np.where((u < 0) & (v > 0), across, along(u, v, high - low))


def _along(values: FloatArray, axis: int) -> FloatArray:
    return values.reshape(-1, *[1] * axis)


def _moments(nodes: FloatArray, mass: FloatArray) -> tuple[float, float]:
    mean = float(mass @ nodes)
    return mean, float(mass @ (nodes - mean) ** 2)


def _pooled(
    usual: tuple[float, float], within: float, found: list[tuple[float, float]]
) -> tuple[float, float]:
    """Mean over a sweep's cells and deviation of a new one, from means and variances of each."""
    mean, spread = usual
    precision = 1 / (spread**2 - within**2)
    total = precision * mean
    for middle, variance in found:
        # What the cell itself says, without what it was read by.
        own = 1 / max(variance, _SURE) - spread**-2.0
        if own > 0:
            weight = 1 / (within**2 + 1 / own)
            precision += weight
            total += weight * (middle / max(variance, _SURE) - mean / spread**2) / own
    return total / precision, float(np.hypot(precision**-0.5, within))


def _region(grid: FloatArray, mass: FloatArray) -> tuple[float, float, float]:
    """Optimum and errors from a likelihood, or a bound where it does not end on one side."""
    misfit = -2 * np.log(np.maximum(mass / mass.max(), 1e-300))
    inside, half = grid[misfit <= _RISE], grid[misfit <= _HALF]
    low, high = float(inside[0]), float(inside[-1])
    down, up = low > grid[0], high < grid[-1]
    if down and up:
        best = float(grid[np.argmin(misfit)])
        best = min(max(best, low), high)
        return best, max(best - low, _GRID) / _WIDTH, max(high - best, _GRID) / _WIDTH
    if down:
        return float(half[0]), max(float(half[0]) - low, _GRID), np.inf
    if up:
        return float(half[-1]), np.inf, max(high - float(half[-1]), _GRID)
    return float(grid[np.argmin(misfit)]), np.inf, np.inf
