"""What every law answers.

A law is the optimal learning rate as a function of the batch size, together with what follows
from it (peak, critical batch size, local exponent, regime, inverse, cost in steps and examples)
and a statement of where its numbers come from.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError, InputError
from scaling.numeric.inputs.arrays import FloatArray, Real, as_positive, positive
from scaling.numeric.inputs.display import Shown
from scaling.numeric.laws._roots import sign_changes
from scaling.numeric.laws.search_space import SearchSpace, widen

Source = Literal["fitted", "measured", "assumed"]

#: Beyond this factor outside the fitted range, an answer carries a warning.
EXTRAPOLATION_LIMIT = 8.0

#: Exponents below this are rounding, not a slope.
FLAT = 1e-11


class Point(NamedTuple):
    """A batch size and the learning rate that is best there."""

    batch_size: float
    learning_rate: float


@dataclass(frozen=True)
class Provenance:
    """Where a law's numbers come from.

    Attributes
    ----------
    source : {"fitted", "measured", "assumed"}
        Fitted to optima, measured from gradients, or taken as given.
    description : str
        The same in words.
    batch_size_range : tuple of float, optional
        Smallest and largest batch size that the law was fitted on.
    """

    source: Source
    description: str
    batch_size_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.source not in get_args(Source):
            raise InputError(f"must be one of {get_args(Source)}, got {self.source!r}", "source")
        if not self.description.isprintable():
            raise InputError("must be printable, on one line", "description")
        if self.batch_size_range is not None:
            low, high = self.batch_size_range
            if not 0 < low <= high < np.inf:
                raise InputError(
                    f"must be two positive numbers in order, got {low:g} and {high:g}",
                    "batch_size_range",
                )


class Law(Shown, ABC):
    """The optimal learning rate as a function of the batch size.

    Methods take batch sizes as scalars or arrays of any shape and return the same shape.
    Batch sizes that are not positive and finite give NaN (``regime``: ``"invalid"``).

    Attributes
    ----------
    provenance : Provenance
        Where the numbers come from.
    noise_batch_size : float
        B_n of T-E2, where sqrt scaling ends; 0 and infinity are possible.
    critical_batch_size : float
        B_crit = E_min/S_min (T-A4, T-E4): the examples that tiny batches need over the steps
        that huge ones need. Where T-E2 holds exactly, a run at this batch size takes twice the
        fewest of both.
    """

    provenance: Provenance
    noise_batch_size: float
    critical_batch_size: float

    @property
    @abstractmethod
    def reference(self) -> Point:
        """The point to which ratios, and the rules of thumb, refer."""

    @property
    @abstractmethod
    def learning_rate_limit(self) -> float:
        """lr_inf, the optimum for B -> infinity; infinite if the law never saturates."""

    @property
    @abstractmethod
    def peak(self) -> Point | None:
        """Where the optimum is largest and beyond which it falls (T-E3), if it does."""

    @abstractmethod
    def learning_rate(self, batch_size: npt.ArrayLike) -> Real:
        """Optimal learning rate at ``batch_size``."""

    @abstractmethod
    def steps_factor(self, batch_size: npt.ArrayLike) -> Real:
        """Steps to a given loss, relative to those of a huge batch, S/S_min (T-A4, T-E4)."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return what defines the law, as JSON values; infinite numbers are None."""

    def summary(self) -> dict[str, str]:
        """What the law rests on: a point of it, its two scales, where they come from."""
        point = self.reference
        return {
            "learning_rate": f"{point.learning_rate:.6g} at batch size {point.batch_size:.10g}",
            "noise_batch_size": f"{self.noise_batch_size:.6g}",
            "critical_batch_size": f"{self.critical_batch_size:.6g}",
            self.provenance.source: self.provenance.description,
        }

    def examples_factor(self, batch_size: npt.ArrayLike) -> Real:
        """Examples to a given loss, relative to those of a tiny batch, E/E_min (T-A4, T-E4).

        A tiny batch needs the fewest where T-E2 holds exactly, but not always elsewhere.
        """
        batch = as_positive(batch_size, "batch_size")
        critical = self.critical_batch_size
        if critical == 0:
            return np.where(np.isnan(batch), np.nan, np.inf)[()]
        if critical == np.inf:
            return np.where(np.isnan(batch), np.nan, 1.0)[()]
        return self.steps_factor(batch) * batch / critical

    def exponent(self, batch_size: npt.ArrayLike) -> Real:
        """Local exponent d log lr / d log B (T-E5): 1/2 is sqrt scaling, 1 is linear."""
        batch = as_positive(batch_size, "batch_size")
        # Fourth-order central difference; at this step truncation and rounding are both 1e-12.
        step = 1e-3
        around = np.multiply.outer(np.exp([-2 * step, -step, step, 2 * step]), batch)
        far_below, below, above, far_above = self.learning_rate(around)
        return (8 * np.log(above / below) - np.log(far_above / far_below)) / (12 * step)

    def regime(self, batch_size: npt.ArrayLike) -> Any:
        """Name the regime of T-E5 by the local exponent.

        Returns
        -------
        str, or ndarray of str
            "falling" below 0 (beyond the peak), "flat" up to 1/4, "sqrt" up to 3/4, "linear"
            above: the multiples of 1/2 that the exponent tends to far from B_n and B_crit, with
            the boundaries halfway. "invalid" for malformed batch sizes.
        """
        exponent = np.asarray(self.exponent(batch_size))
        names = np.select(
            [np.isnan(exponent), exponent < -FLAT, exponent < 0.25, exponent < 0.75],
            ["invalid", "falling", "flat", "sqrt"],
            default="linear",
        )
        return str(names) if names.ndim == 0 else names

    def batch_sizes(self, learning_rate: float) -> tuple[float, ...]:
        """All batch sizes whose optimum is ``learning_rate``: none, one or two, ascending."""
        target = positive(learning_rate, "learning_rate")

        def excess(log_batch: FloatArray) -> FloatArray:
            return np.asarray(np.log(self.learning_rate(np.exp(log_batch)) / target))

        low, high = self._log_range()
        peak = self.peak
        if peak is None:
            branches = [(low, high)]
        elif is_close(target, peak.learning_rate):
            return (peak.batch_size,)
        else:
            top = float(np.log(peak.batch_size))
            branches = [(low, top), (top, high)]
        roots = [root for branch in branches for root, _ in sign_changes(excess, *branch)]
        return tuple(float(np.exp(root)) for root in roots)

    def interval(self, batch_size: npt.ArrayLike, level: float = 0.95) -> tuple[Real, Real] | None:
        """Confidence interval of the learning rate, or None where nothing is known of it."""
        as_positive(batch_size, "batch_size")
        check_level(level)
        return None

    def search_space(self, batch_size: float, level: float = 0.9) -> SearchSpace:
        """Learning rates among which a sweep should look for the best, from the interval.

        Parameters
        ----------
        batch_size : float
            Positive, in the unit of the law.
        level : float, default 0.9
            Confidence level of the interval, between 0 and 1.

        Returns
        -------
        SearchSpace
            Outside the batch sizes that the law was fitted on it is wider than the interval, as
            `SearchSpace` says, and carries a warning.

        Raises
        ------
        DataError
            If the law has no intervals, or the interval has zero or infinite width.

        Examples
        --------
        >>> from scaling import fit_optima
        >>> law = fit_optima([16, 64, 256, 1024, 4096], [5e-4, 9e-4, 14e-4, 11e-4, 6e-4])
        >>> space = law.search_space(512)
        >>> space.low < space.learning_rate < space.high
        True
        """
        batch = positive(batch_size, "batch_size")
        edge = batch
        if self.provenance.batch_size_range is not None:
            low, high = self.provenance.batch_size_range
            edge = min(max(batch, low), high)
        interval = self.interval(np.array([batch, edge]), level)
        if interval is None:
            raise DataError(
                f"this law has no intervals to search in ({self.provenance.description}); fit a "
                "law to optima at more batch sizes than it has parameters"
            )
        (low, low_edge), (high, high_edge) = interval
        space = SearchSpace(batch, float(self.learning_rate(batch)), float(low), float(high), level)
        if edge != batch:
            space = widen(space, edge, (float(low_edge), float(high_edge)))
        return space.with_warnings(*self.warnings(batch)).checked()

    def parameter_intervals(self, level: float = 0.95) -> dict[str, tuple[float, float]] | None:
        """Confidence intervals of B_n, B_crit and the peak's batch size, or None if not known."""
        check_level(level)
        return None

    def assumptions(self) -> tuple[str, ...]:
        """Say in words what the answer takes for granted."""
        return ()

    def warnings(self, batch_size: float) -> tuple[str, ...]:
        """Say in words why the answer at this batch size should not be trusted, if so."""
        batch = positive(batch_size, "batch_size")
        if self.provenance.batch_size_range is None:
            return ()
        return extrapolation(batch, self.provenance.batch_size_range)

    def _search_peak(self) -> Point | None:
        """Find the peak numerically, for laws without a closed form of it."""

        def slope(log_batch: FloatArray) -> FloatArray:
            return np.asarray(self.exponent(np.exp(log_batch)))

        tops = [
            float(np.exp(x))
            for x, falls in sign_changes(slope, *self._log_range(), zero=FLAT)
            if falls
        ]
        points = [Point(batch, float(self.learning_rate(batch))) for batch in tops]
        return max(points, key=lambda point: point.learning_rate, default=None)

    def _log_range(self) -> tuple[float, float]:
        """Range of log batch size in which a numerical search looks."""
        scales = [self.reference.batch_size, self.noise_batch_size, self.critical_batch_size]
        finite = [scale for scale in scales if 0 < scale < np.inf]
        return float(np.log(min(finite)) - 50), float(np.log(max(finite)) + 50)


def extrapolation(value: float, fitted: tuple[float, float]) -> tuple[str, ...]:
    """Say in words how far a value lies outside the range of a fit, if it is far."""
    low, high = fitted
    outside = max(low / value, value / high)
    if outside <= EXTRAPOLATION_LIMIT:
        return ()
    return (
        f"extrapolated: {value:.10g} is {outside:.3g} times outside the fitted range "
        f"{low:.10g} to {high:.10g}",
    )


def finite_or_none(value: float) -> float | None:
    """Return the number, or None (JSON null) where it is infinite."""
    return float(value) if np.isfinite(value) else None


def is_close(value: float, other: float) -> bool:
    """Whether two positive numbers differ by rounding only."""
    return bool(abs(value / other - 1) < 4 * np.finfo(float).eps)


def check_level(level: float) -> float:
    """Return a confidence level between 0 and 1, or raise an error."""
    if not 0 < level < 1:
        raise InputError(f"must be between 0 and 1, got {level!r}", "level")
    return level
