"""Robust fits of log y = const + slope log x + sum_j p_j log(x + X_j), with X_j in [0, inf].

Both laws that are fitted to tables have this form: the optimal learning rate (T-E2, two
shifts B_n and B_crit) and the steps to a given loss (T-A4, one shift). Tables often
determine a shift only from one side, so a shift may end at 0 or at infinity, and confidence is
read off the profile of the cost and not off a covariance alone, which knows no corner.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np

from scaling.errors import DataError
from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.laws.batch_size_law import shift_weights
from scaling.numeric.tradeoff._confidence import sample_region

#: Huber's tuning constant: 95 % efficiency on Gaussian errors.
_HUBER = 1.345
#: Median absolute deviation to standard deviation.
_MAD = 1.4826
#: Errors below this (relative) are treated as none: the floor of the robust scale.
_EXACT = 1e-9
_MAX_REWEIGHTINGS = 100
#: The first rounds weigh like least absolute deviations (a scale below any real error), so that
#: a gross error does not set the scale by which it is judged.
_ABSOLUTE_ROUNDS = 10
_ABSOLUTE_SCALE = 0.01


@dataclass(frozen=True)
class ShiftedPowers:
    """The form: slope of log x and the power of each shifted factor."""

    slope: float
    powers: tuple[float, ...]

    @property
    def size(self) -> int:
        """Number of parameters: the constant and the shifts."""
        return 1 + len(self.powers)

    def shape(self, x: FloatArray, shifts: FloatArray) -> FloatArray:
        """log y minus the constant, at x relative to the reference; shifts (..., J), x (n,).

        The factors are (x + X)/(1 + X), which tend to 1 for X -> infinity.
        """
        result = self.slope * np.log(x)
        for j, power in enumerate(self.powers):
            p, q = shift_weights(shifts[..., j, None])
            result = result + power * np.log(p + q * x)
        return result

    def jacobian(self, x: FloatArray, shifts: FloatArray) -> FloatArray:
        """Derivatives of log y by (constant, log X_1, ...), shape (n, size)."""
        columns = [np.ones_like(x)]
        for shift, power in zip(shifts, self.powers, strict=True):
            p, q = shift_weights(shift)
            columns.append(power * p * q * (1 - x) / (p + q * x))
        return np.stack(columns, axis=-1)


@dataclass(frozen=True)
class ShiftedPowersFit:
    """A fitted form, and how far the table determines it.

    ``x`` is relative to the reference, and so are ``shifts``; logarithms are natural.
    """

    form: ShiftedPowers
    x: FloatArray
    log_y: FloatArray
    weights: FloatArray
    constant: float
    shifts: FloatArray

    @property
    def residuals(self) -> FloatArray:
        """log y, measured minus fitted."""
        return self.log_y - self.constant - self.form.shape(self.x, self.shifts)

    @property
    def has_error(self) -> bool:
        """Whether there is scatter about the fit from which to tell how far to trust it."""
        return self.degrees_of_freedom > 0 and self.error > 10 * _EXACT

    @property
    def degrees_of_freedom(self) -> int:
        """Points minus parameters; corners count as parameters, since they were searched."""
        return self.x.size - self.form.size

    @cached_property
    def error(self) -> float:
        """Standard deviation of one log y about the fit; NaN without degrees of freedom."""
        if not self.degrees_of_freedom:
            return np.nan
        # Huber (1973): down-weighted points count for what they contribute, with his correction
        # for few points.
        share = np.mean(self.weights == 1) if np.any(self.weights == 1) else 1.0
        correction = 1 + self.form.size / self.x.size * (1 - share) / share
        total = np.sum((self.weights * self.residuals) ** 2) / self.degrees_of_freedom
        return float(max(np.sqrt(total) * correction / share, _EXACT))

    @property
    def unit_covariance(self) -> FloatArray:
        """`covariance` if the error were 1; known even where the error is not."""
        free = np.concatenate([[True], (self.shifts > 0) & (self.shifts < np.inf)])
        result = np.full((free.size, free.size), np.nan)
        root = np.sqrt(self.weights)[:, None]
        jacobian = root * self.form.jacobian(self.x, self.shifts)[:, free]
        result[np.ix_(free, free)] = np.linalg.pinv(jacobian.T @ jacobian)
        return result

    @property
    def covariance(self) -> FloatArray:
        """Covariance of (constant, log X_1, ...); NaN for shifts at 0 or infinity."""
        return self.error**2 * self.unit_covariance

    def interval(self, x: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
        """Confidence interval of log y at x, of any shape, from the region."""
        lower, upper = np.full(x.shape, np.inf), np.full(x.shape, -np.inf)
        flat = np.atleast_1d(x)
        for shifts, low, high in zip(*self.region(level), strict=True):
            shape = self.form.shape(flat, shifts).reshape(x.shape)
            lower, upper = np.minimum(lower, shape + low), np.maximum(upper, shape + high)
        return lower, upper

    def region(self, level: float) -> "Region":
        """Sample the profile-likelihood region of the shifts.

        Returns
        -------
        Region

        Notes
        -----
        Any one number that follows from the law has, at the given level, the interval of its
        values over this region: the cost rises by at most t^2 error^2, t Student's quantile.
        """
        if level not in self._regions:
            self._regions[level] = self._sample(level)
        return self._regions[level]

    @cached_property
    def _regions(self) -> dict[float, "Region"]:
        """Regions sampled so far: one answer asks for the same one several times."""
        return {}

    def _sample(self, level: float) -> "Region":
        from scipy.special import stdtrit

        quantile = float(stdtrit(self.degrees_of_freedom, (1 + level) / 2))
        budget = (quantile * self.error) ** 2
        total = np.sum(self.weights)

        def profile(shifts: FloatArray) -> tuple[FloatArray, FloatArray]:
            rest = self.log_y - self.form.shape(self.x, shifts)
            constant = rest @ self.weights / total
            return constant, (rest - constant[..., None]) ** 2 @ self.weights

        minimum = float(profile(self.shifts)[1])

        sampled = sample_region(lambda shifts: profile(shifts)[1] - minimum, self.shifts, budget)
        shifts = np.vstack([self.shifts, sampled])
        constant, cost = profile(shifts)
        # Laws are read from files, and files are edited.
        if cost.min() < 0.9 * minimum - self.x.size * _EXACT**2 or abs(
            constant[0] - self.constant
        ) > max(1e-6, self.error):
            raise DataError("the parameters are not those that fit the optima; fit them again")
        half = np.sqrt(np.maximum(budget - (cost - minimum), 0) / total)
        return Region(shifts, constant - half, constant + half)


class Region(NamedTuple):
    """What a table does not exclude.

    Attributes
    ----------
    shifts : ndarray, shape (K, J)
        Shifts that the table does not exclude, up to the edge of what it does.
    lower, upper : ndarray, shape (K,)
        Range of the constant at each of them.
    """

    shifts: FloatArray
    lower: FloatArray
    upper: FloatArray


def fit_shifted_powers(form: ShiftedPowers, x: FloatArray, log_y: FloatArray) -> ShiftedPowersFit:
    """Fit by iteratively reweighted least squares (Huber's weights), corners included.

    Parameters
    ----------
    form : ShiftedPowers
        What to fit.
    x, log_y : ndarray, shape (n,)
        x > 0 relative to a reference inside the table; at least as many different x as
        parameters.
    """
    weights = np.ones_like(x)
    low, high = np.log(x.min()), np.log(x.max())
    starts = np.array(list(product(np.linspace(low, high, 3), repeat=len(form.powers))))
    fit = _best_fit(form, x, log_y, weights, starts)
    if x.size <= form.size:
        return fit  # nothing is left over by which to judge a point
    for reweighting in range(_MAX_REWEIGHTINGS):
        sizes = np.abs(fit.residuals)
        scale = (
            _ABSOLUTE_SCALE if reweighting < _ABSOLUTE_ROUNDS else _robust_scale(sizes, form.size)
        )
        reweighted = huber_weights(sizes, scale)
        if reweighting > _ABSOLUTE_ROUNDS and np.max(np.abs(reweighted - weights)) < 1e-6:
            break
        weights = reweighted
        logs = np.log(np.maximum(fit.shifts, 1e-300))
        # From where the last fit ended, and in case that is a far corner, from nearer by.
        restarts = np.stack([np.clip(logs, low - far, high + far) for far in (30, 1)])
        fit = _best_fit(form, x, log_y, weights, restarts, last=fit)
    return fit


def huber_weights(residuals: FloatArray, scale: float) -> FloatArray:
    """Weights of least squares that no gross error can upset (Huber 1964)."""
    return np.asarray(np.minimum(1, _HUBER * scale / np.maximum(np.abs(residuals), _EXACT)))


def _robust_scale(sizes: FloatArray, parameters: int) -> float:
    """Standard deviation from the median absolute residual.

    The smallest residuals are left out, as many as there are parameters, which would fit that
    many points exactly whatever the errors.
    """
    rest = np.sort(sizes)[parameters:]
    return max(_MAD * float(np.median(rest)) if rest.size else 0.0, _EXACT)


def _best_fit(
    form: ShiftedPowers,
    x: FloatArray,
    log_y: FloatArray,
    weights: FloatArray,
    starts: FloatArray,
    last: ShiftedPowersFit | None = None,
) -> ShiftedPowersFit:
    """Weighted least squares over every choice of which shifts are 0, infinite or free.

    The shifts of the last fit, if any, are kept unless better ones are found.
    """
    best: ShiftedPowersFit | None = None
    best_cost = np.inf
    if last is not None:
        best = _corner_fit(form, x, log_y, weights, last.shifts, last.shifts)
        best_cost = float(np.sum(weights * best.residuals**2))
    # Corners first, and an interior fit only if it is better: a shift that runs away to
    # infinity must end as infinity and not as some large number.
    choices = sorted(product((0.0, np.inf, np.nan), repeat=len(form.powers)), key=_count_free)
    for corner in choices:
        for start in np.unique(np.where(np.isnan(corner), starts, 0.0), axis=0):
            fit = _corner_fit(form, x, log_y, weights, np.array(corner), start)
            cost = float(np.sum(weights * fit.residuals**2))
            if cost < best_cost * (1 - 1e-7) - x.size * _EXACT**2:
                best, best_cost = fit, cost
    assert best is not None  # noqa: S101 - the first cost is finite
    return best


def _count_free(corner: tuple[float, ...]) -> int:
    return int(np.isnan(corner).sum())


def _corner_fit(
    form: ShiftedPowers,
    x: FloatArray,
    log_y: FloatArray,
    weights: FloatArray,
    corner: FloatArray,
    start: FloatArray,
) -> ShiftedPowersFit:
    """Least squares with some shifts held at 0 or infinity; NaN marks the free ones."""
    from scipy.optimize import least_squares

    free = np.isnan(corner)
    root = np.sqrt(weights)

    def shifts_of(logs: FloatArray) -> FloatArray:
        shifts = corner.copy()
        shifts[free] = np.exp(np.clip(logs, -600, 600))
        return shifts

    def constant_of(shifts: FloatArray) -> float:
        return float(np.average(log_y - form.shape(x, shifts), weights=weights))

    def residuals(parameters: FloatArray) -> FloatArray:
        shape = form.shape(x, shifts_of(parameters[1:]))
        result: FloatArray = root * (parameters[0] + shape - log_y)
        return result

    def jacobian(parameters: FloatArray) -> FloatArray:
        columns = form.jacobian(x, shifts_of(parameters[1:]))
        result: FloatArray = root[:, None] * columns[:, np.concatenate([[True], free])]
        return result

    shifts = shifts_of(start[free])
    if free.any():
        first = np.concatenate([[constant_of(shifts)], start[free]])
        found = least_squares(
            residuals, first, jacobian, method="lm", xtol=1e-14, ftol=1e-14, gtol=1e-14
        )
        shifts = shifts_of(found.x[1:])
    return ShiftedPowersFit(form, x, log_y, weights, constant_of(shifts), shifts)
