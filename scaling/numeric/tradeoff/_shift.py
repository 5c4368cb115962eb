"""Robust fit of log y = constant + log((x + X)/(1 + X)) - log x, with X in [0, infinity] (T-A4).

Tables often determine X only from one side, so it may end at 0 or at infinity, and confidence is
read off the profile of the cost and not off a covariance alone, which knows no corner. There is
one parameter that is not linear: it is searched on [0, 1], where c = 1/(1 + sqrt X).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.laws.batch_size_law import shift_weights

#: The constant and X.
PARAMETERS = 2
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
#: Places at which the cost is compared, and how often the search zooms in; then Gauss and Newton.
_PLACES, _ZOOMS, _NEWTON_STEPS = 513, 5, 20
#: Places from one end of a confidence region to the other.
_REGION = 33


def _shape(x: FloatArray, shift: FloatArray | float) -> FloatArray:
    """log y minus the constant; tends to 0 for X -> infinity where x = 1. Shifts (...), x (n,)."""
    p, q = shift_weights(np.asarray(shift)[..., None])
    return np.asarray(np.log(p + q * x) - np.log(x))


@dataclass(frozen=True)
class ShiftFit:
    """The fit, and how far the table determines it.

    ``x`` is relative to a reference, and so is ``shift``; logarithms are natural.
    """

    x: FloatArray
    log_y: FloatArray
    weights: FloatArray
    shift: float

    def profile(self, shift: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Best constant, and what it costs, at shifts of any shape."""
        rest = self.log_y - _shape(self.x, shift)
        constant = rest @ self.weights / self.weights.sum()
        return constant, (rest - constant[..., None]) ** 2 @ self.weights

    @cached_property
    def constant(self) -> float:
        """log y at the reference."""
        return float(self.profile(np.array(self.shift))[0])

    @property
    def residuals(self) -> FloatArray:
        """log y, measured minus fitted."""
        return self.log_y - self.constant - _shape(self.x, self.shift)

    @property
    def degrees_of_freedom(self) -> int:
        """Points minus parameters; corners count as parameters, since they were searched."""
        return self.x.size - PARAMETERS

    @property
    def has_error(self) -> bool:
        """Whether there is scatter about the fit from which to tell how far to trust it."""
        return self.degrees_of_freedom > 0 and self.error > 10 * _EXACT

    @cached_property
    def error(self) -> float:
        """Standard deviation of one log y about the fit; NaN without degrees of freedom."""
        if not self.degrees_of_freedom:
            return np.nan
        # Huber (1973): down-weighted points count for what they contribute, with his correction
        # for few points.
        share = np.mean(self.weights == 1) if np.any(self.weights == 1) else 1.0
        correction = 1 + PARAMETERS / self.x.size * (1 - share) / share
        total = np.sum((self.weights * self.residuals) ** 2) / self.degrees_of_freedom
        return float(max(np.sqrt(total) * correction / share, _EXACT))

    @property
    def slope(self) -> FloatArray:
        """Derivative of log y by log X, shape (n,)."""
        p, q = shift_weights(self.shift)
        return np.asarray(p * q * (1 - self.x) / (p + q * self.x))

    @property
    def unit_covariance(self) -> FloatArray:
        """Covariance of (constant, log X) if the error were 1; 0 of a shift at 0 or infinity."""
        columns = np.stack([np.ones_like(self.x), self.slope], axis=-1)
        columns *= np.sqrt(self.weights)[:, None]
        return np.asarray(np.linalg.pinv(columns.T @ columns))

    def region(self, level: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Shifts that the table does not exclude, and the range of the constant at each.

        Any one number that follows from the law has, at the given level, the interval of its
        values over this region: the cost rises by at most t^2 error^2, t Student's quantile.
        """
        from scipy.special import stdtrit

        budget = float(stdtrit(self.degrees_of_freedom, (1 + level) / 2) * self.error) ** 2
        minimum = float(self.profile(np.array(self.shift))[1])
        best = float(_to_compact(self.shift))

        def within(place: float) -> bool:
            return bool(self.profile(_from_compact(place))[1] - minimum <= budget)

        low, high = (_edge(within, best, wall) for wall in (0.0, 1.0))
        between = (low + high) / 2 + (high - low) / 2 * np.cos(np.linspace(0, np.pi, _REGION))
        shift = _from_compact(np.array([best, *between]))
        constant, cost = self.profile(shift)
        half = np.sqrt(np.maximum(budget - (cost - minimum), 0) / self.weights.sum())
        return shift, constant - half, constant + half

    def interval(self, x: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
        """Confidence interval of log y at x, of any shape, from the region."""
        shift, low, high = self.region(level)
        shape = _shape(x.reshape(-1), shift)
        ends = (low[:, None] + shape).min(axis=0), (high[:, None] + shape).max(axis=0)
        return ends[0].reshape(x.shape), ends[1].reshape(x.shape)


def fit_shift(x: FloatArray, log_y: FloatArray) -> ShiftFit:
    """Fit by iteratively reweighted least squares (Huber's weights), corners included.

    Parameters
    ----------
    x, log_y : ndarray, shape (n,)
        x > 0 relative to a reference inside the table; at least two different x.
    """
    fit = _best(x, log_y, np.ones_like(x))
    if x.size <= PARAMETERS:
        return fit  # nothing is left over by which to judge a point
    for reweighting in range(_MAX_REWEIGHTINGS):
        sizes = np.abs(fit.residuals)
        absolute = reweighting < _ABSOLUTE_ROUNDS
        scale = _ABSOLUTE_SCALE if absolute else _robust_scale(sizes)
        weights = np.minimum(1, _HUBER * scale / np.maximum(sizes, _EXACT))
        if reweighting > _ABSOLUTE_ROUNDS and np.max(np.abs(weights - fit.weights)) < 1e-6:
            break
        fit = _best(x, log_y, weights)
    return fit


def _best(x: FloatArray, log_y: FloatArray, weights: FloatArray) -> ShiftFit:
    """Weighted least squares; a corner is left only for what is better."""
    fits = [ShiftFit(x, log_y, weights, corner) for corner in (0.0, np.inf)]
    low, high = 0.0, 1.0
    for _ in range(_ZOOMS):
        places = np.linspace(low, high, _PLACES)
        best = int(np.argmin(fits[0].profile(_from_compact(places))[1]))
        low, high = places[max(best - 1, 0)], places[min(best + 1, _PLACES - 1)]
    shift = float(_from_compact(places[best]))
    if 0 < shift < np.inf:
        fits.append(_newton(ShiftFit(x, log_y, weights, shift)))
    cost = [float(fit.profile(np.array(fit.shift))[1]) for fit in fits]
    # A shift that runs away to infinity must end as infinity and not as some large number.
    allowed = min(cost[:2]) * (1 - 1e-7) - x.size * _EXACT**2
    return fits[2] if len(cost) > 2 and cost[2] < allowed else fits[int(np.argmin(cost[:2]))]


def _newton(fit: ShiftFit) -> ShiftFit:
    """Refine a shift by Gauss and Newton, as long as it gets better."""
    for _ in range(_NEWTON_STEPS):
        slope = fit.slope - np.average(fit.slope, weights=fit.weights)
        square = float(fit.weights @ slope**2)
        if square == 0:
            break
        step = float(fit.weights @ (slope * fit.residuals)) / square
        other = ShiftFit(fit.x, fit.log_y, fit.weights, fit.shift * np.exp(np.clip(step, -1, 1)))
        if not other.weights @ other.residuals**2 < fit.weights @ fit.residuals**2:
            break
        fit = other
    return fit


def _robust_scale(sizes: FloatArray) -> float:
    """Standard deviation from the median absolute residual.

    The smallest residuals are left out, as many as there are parameters, which would fit that
    many points exactly whatever the errors.
    """
    rest = np.sort(sizes)[PARAMETERS:]
    return max(_MAD * float(np.median(rest)) if rest.size else 0.0, _EXACT)


def _edge(within: Callable[[float], bool], best: float, wall: float) -> float:
    """Bisect for the end of a region around ``best``, or return the wall if it reaches that."""
    if within(wall):
        return wall
    near, far = best, wall
    for _ in range(60):
        middle = (near + far) / 2
        near, far = (middle, far) if within(middle) else (near, middle)
    return near


def _to_compact(shift: float) -> float:
    """Map [0, infinity] to [1, 0], so that both corners can be reached."""
    return float(1 / (1 + np.sqrt(shift)))


def _from_compact(place: FloatArray | float) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.asarray(((1 - np.asarray(place)) / place) ** 2)
