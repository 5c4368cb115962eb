"""The density that is sampled: prior times likelihood, and where the sampler begins."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import hypot, log, pi
from typing import Any

import numpy as np
import numpy.typing as npt

from scaling.numeric.inference.evidence.cells import Gathered
from scaling.numeric.inference.evidence.evidence import Measured
from scaling.numeric.inference.family import Family, bend
from scaling.numeric.inference.likelihood import DEGREES, LOG_TOP
from scaling.numeric.inference.prior import Prior
from scaling.numeric.inputs.arrays import FloatArray

_LOG2E = 1 / log(2)
_LEVEL_SPREAD = 10.0
#: Values of one intermediate array: what fits into a processor's cache is several times faster,
#: and matrices so small are multiplied by one thread, which never waits for a busy processor.
_CHUNK = 16_384


@dataclass(frozen=True, eq=False)
class Target:
    """Prior and likelihood of draws (P, d) of a family."""

    family: Family
    gathered: Gathered
    prior: Prior
    noise_scale: Measured | None
    root_second_moment: Measured | None

    def scatters(self, draws: FloatArray) -> tuple[FloatArray, FloatArray | None]:
        """Scales of what is left over, of cells and of groups."""
        groups = self.family.get(draws, "log_group_scatter") if self.family.groups else None
        return self.family.get(draws, "log_scatter"), groups

    def log_density(self, draws: FloatArray, _power: float, /) -> tuple[FloatArray, FloatArray]:
        """Log prior and log likelihood, each of shape (P,)."""
        return self.log_prior(draws), self.log_likelihood(draws)

    def log_likelihood(self, draws: FloatArray) -> FloatArray:
        """Of the optima, shape (P,)."""
        cells, design = self.gathered.cells, self.gathered.design
        found = [
            cells.log_likelihood(self.family.evaluate(part, design), *self.scatters(part))
            for part in self._chunks(draws)
        ]
        return np.concatenate(found)

    def _chunks(self, draws: FloatArray) -> list[FloatArray]:
        size = max(1, _CHUNK // self.gathered.design.batch.size)
        return [draws[first : first + size] for first in range(0, len(draws), size)]

    def log_prior(self, draws: FloatArray) -> FloatArray:
        """Of the parameters, and of what was measured besides, shape (P,)."""
        mean, spread = self._moments
        z = (draws - mean) / spread
        value = -(z * z).sum(axis=1) / 2 - np.log(spread).sum() - mean.size * _HALF_LOG_2PI
        value += self._log_noise_density
        if self.root_second_moment is not None:
            value -= self._away(self._log_mean_root(draws), self.root_second_moment) ** 2 / 2
        return np.asarray(value)

    def propose(
        self, power: float, size: int, rng: np.random.Generator
    ) -> tuple[FloatArray, FloatArray]:
        """Draw from the prior, and the linear parameters by least squares given the rest.

        Without it nearly all draws of the prior would lie far from the optima. The level's tails
        are Student's, like those of the optima, so that the weights stay finite.
        """
        mean, spread = self._moments
        linear = self.family.linear
        z = rng.standard_normal((size, mean.size - linear))
        draws = np.empty((size, mean.size))
        draws[:, linear:] = mean[linear:] + spread[linear:] * z
        density = -(z * z).sum(axis=1) / 2 - np.log(spread[linear:]).sum()
        density -= z.shape[1] * _HALF_LOG_2PI
        draws[:, :linear], conditional = self.redraw(draws, power, rng)
        return draws, density + conditional

    def redraw(
        self, draws: FloatArray, power: float, rng: np.random.Generator
    ) -> tuple[FloatArray, FloatArray]:
        """Draw the linear parameters (P, L) given the rest, with the log density of each draw."""
        center, root = self._least_squares(draws, power)
        t = np.asarray(rng.standard_normal(center.shape))
        t[:, 0] /= np.sqrt(rng.chisquare(DEGREES, len(t)) / DEGREES)
        away = np.linalg.solve(np.swapaxes(root, 1, 2), t[..., None])
        return center + away[..., 0], _log_density(t, root)

    def redraw_density(self, draws: FloatArray, power: float) -> FloatArray:
        """Log density with which `redraw` would have drawn what is there, shape (P,)."""
        center, root = self._least_squares(draws, power)
        away = draws[:, : self.family.linear] - center
        return _log_density((away[:, None] @ root)[:, 0], root)

    def _least_squares(self, draws: FloatArray, power: float) -> tuple[FloatArray, FloatArray]:
        """Center (P, L) and lower root of the precision (P, L, L) of the linear parameters."""
        found = [self._least_squares_of(part, power) for part in self._chunks(draws)]
        center, precision = (np.concatenate(each) for each in zip(*found, strict=True))
        return center, np.linalg.cholesky(precision)

    def _least_squares_of(self, draws: FloatArray, power: float) -> tuple[FloatArray, FloatArray]:
        """Center and precision of a chunk of the draws."""
        mean, spread = self._moments
        cells, linear = self.gathered.cells, self.family.linear
        columns, products = self._columns
        scale = self.family.linear_scales(draws)
        scatter, groups = self.scatters(draws)
        below, above = cells.scales(scatter)
        weight = cells.count * np.minimum(below, above) ** 2
        rest = cells.optimum - self.family.shape(draws, self.gathered.design)
        own = spread[:linear] ** -2.0
        trust = np.ones_like(rest)
        for reweighting in (True, False):
            w = weight * trust
            # Draws share the columns, but for their scales; a row of all precisions at a time.
            gram = np.swapaxes(w @ products, 0, 1)
            product = (w * rest) @ columns
            if groups is not None:
                # A group's effect is common to its cells, and is integrated out.
                ends = [*cells.start, len(columns)]
                of_group = [w[:, a:b] @ columns[a:b] for a, b in pairwise(ends)]
                sums = np.stack(of_group, axis=1)
                total, moment = (np.add.reduceat(x, cells.start, axis=1) for x in (w, w * rest))
                shrunk = sums / (groups[:, None] ** -2.0 + total)[..., None]
                gram -= np.swapaxes(shrunk, 1, 2) @ sums
                product -= (moment[:, None] @ shrunk)[:, 0]
            gram *= power * scale[:, :, None] * scale[:, None]
            gram[:, range(linear), range(linear)] += own
            product = power * scale * product + own * mean[:linear]
            center = np.linalg.solve(gram, product[..., None])[..., 0]
            if reweighting:
                # What lies far off counts less, as Student's t has it.
                z = (rest - (scale * center) @ columns.T) ** 2 * weight / cells.count
                trust = (DEGREES + 1) / (DEGREES + z)
        return center, gram

    @cached_property
    def _columns(self) -> tuple[FloatArray, FloatArray]:
        """What the linear parameters are multiplied with (n, L), and its products (L, n, L)."""
        columns = self.family.linear_columns(self.gathered.design)
        return columns, columns.T[:, :, None] * columns

    def _log_mean_root(self, draws: FloatArray) -> FloatArray:
        """log2 of the mean of sqrt(v) where it was measured (T-J2)."""
        assert self.root_second_moment is not None  # noqa: S101 - asked only where there is one
        where = log(self.root_second_moment.batch_size or 1) * _LOG2E - self.gathered.center
        noise = self.family.corners(draws, np.zeros((1, self.family.covariates)))[1][:, 0]
        spread = self.family.get(draws, "log_eps_spread")
        scale = self.family.get(draws, "eps_scale") + bend(noise - where, 1.0) / 2
        return np.asarray(scale + spread**2 / 2 * _LOG2E)

    @staticmethod
    def _away(found: FloatArray, measured: Measured) -> FloatArray:
        return np.asarray((found * log(2) - log(measured.value)) / log(measured.factor))

    @cached_property
    def _moments(self) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of every parameter; the level's are of no consequence."""
        mean, spread = self.prior.moments(self.family)
        # Were it flat, tempered likelihoods would not be proper.
        mean[0], spread[0] = _middle(self.gathered.cells.optimum), _LEVEL_SPREAD
        if self.noise_scale is not None:
            # The product of two normal densities of the corner.
            corner = self.family.names.index("corner")
            (m, s), (noise, error) = (mean[corner], spread[corner]), self._corner_by_noise
            spread[corner] = s * error / hypot(s, error)
            mean[corner] = (m * error**2 + noise * s**2) / (s**2 + error**2)
        return mean, spread

    @cached_property
    def _corner_by_noise(self) -> tuple[float, float]:
        """Where the rise ends by the noise scale, and how nearly, as learned from trainings."""
        assert self.noise_scale is not None  # noqa: S101 - asked only where there is one
        over, apart = self.prior.scales["corner_over_noise"]
        measured = log(self.noise_scale.value) * _LOG2E - self.gathered.center
        return measured + over, hypot(apart, log(self.noise_scale.factor) * _LOG2E)

    @cached_property
    def _log_noise_density(self) -> float:
        """Log density of the noise scale that was measured, before any optimum."""
        if self.noise_scale is None:
            return 0.0
        mean, spread = self.prior.scales["corner"]
        noise, error = self._corner_by_noise
        wide = hypot(spread, error)
        return -(((noise - mean) / wide) ** 2) / 2 - log(wide) - _HALF_LOG_2PI


def _middle(values: FloatArray) -> float:
    """Median; NumPy's takes 20 ms to begin with."""
    ordered = np.sort(values)
    return float(ordered[(values.size - 1) // 2] + ordered[values.size // 2]) / 2


def _log_density(t: npt.NDArray[Any], root: FloatArray) -> FloatArray:
    """Of center + root^-T t, the first of t being Student's and the others normal."""
    value = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    value -= (t[:, 1:] ** 2).sum(axis=1) / 2 + (t.shape[1] - 1) * _HALF_LOG_2PI
    value += LOG_TOP - (DEGREES + 1) / 2 * np.log1p(t[:, 0] ** 2 / DEGREES)
    return np.asarray(value)


_HALF_LOG_2PI = log(2 * pi) / 2
