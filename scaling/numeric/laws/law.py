"""The interface of every law: all that commands, figures and engines ask of one.

A law is the optimal learning rate as a function of the batch size, together with what follows
from it (peak, critical batch size, local exponent, regime, inverse, cost in steps and examples),
what it can be asked for (covariates, the optimizer) and where its numbers come from.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, get_args

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError, InputError
from scaling.numeric.facts import Fact, extrapolation
from scaling.numeric.inputs.arrays import FloatArray, Real, as_number, as_positive, positive
from scaling.numeric.inputs.display import Shown
from scaling.numeric.inputs.recipe import GradientStatistics, Recipe
from scaling.numeric.laws.search_space import SearchSpace

if TYPE_CHECKING:  # a query starts without them
    from scaling.numeric.moments.models import MomentModel

Source = Literal["fitted", "measured", "assumed"]

#: What a recipe says of the optimizer and a law may know.
OPTIMIZER = ("eps", "beta1", "beta2")

#: Exponents below this are rounding, not a slope.
_FLAT = 1e-11
#: Where a numerical search first looks, as many values of an interval.
_SAMPLES = 4097
#: More than the bits of a number, so that no bracket is left to narrow.
_HALVINGS = 2000


class Point(NamedTuple):
    """A batch size and the learning rate that is best there."""

    batch_size: float
    learning_rate: float


#: What batch sizes may count.
UNITS = ("examples", "sequences", "tokens")


@dataclass(frozen=True)
class Provenance:
    """Where a law's numbers come from.

    Attributes
    ----------
    source : {"fitted", "measured", "assumed"}
        Fitted to optima, measured from gradients, or taken as given.
    description : str
        The same in a short phrase.
    batch_size_range : tuple of float, optional
        Smallest and largest batch size that the law was fitted on.
    unit : {"examples", "sequences", "tokens"}, optional
        Of batch sizes, where it is known.
    """

    source: Source
    description: str
    batch_size_range: tuple[float, float] | None = None
    unit: str | None = None

    def __post_init__(self) -> None:
        if self.source not in get_args(Source):
            raise InputError(f"must be one of {get_args(Source)}, got {self.source!r}", "source")
        if self.unit is not None and self.unit not in UNITS:
            raise InputError(f"must be one of {', '.join(UNITS)}, got {self.unit!r:.80}", "unit")
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
    recipe : Recipe or None
        The tuned run, of a law that goes through one.
    statistics : GradientStatistics or None
        What is known of the gradients, of a law that rests on it.
    optima : tuple of Point
        The table to which the law was fitted, if it was.
    setting : tuple of (str, float)
        The values of what it `needs` for which the law answers; see `at`.
    """

    provenance: Provenance
    noise_batch_size: float
    critical_batch_size: float
    recipe: Recipe | None = None
    statistics: GradientStatistics | None = None
    optima: tuple[Point, ...] = ()
    setting: tuple[tuple[str, float], ...] = ()

    @property
    @abstractmethod
    def reference(self) -> Point:
        """The point to which ratios, and the rules of thumb, refer."""

    @property
    @abstractmethod
    def learning_rate_limit(self) -> float:
        """lr_inf, the optimum for B -> infinity; infinite if the law never saturates."""

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
        """What the law rests on; without a setting that it needs, what it needs."""
        source = {self.provenance.source: self.provenance.description}
        if self.needs and not self.setting:
            return {"needs": ", ".join(self.needs)} | source
        point = self.reference
        values = dict(self.setting) | {
            "batch_size": point.batch_size,
            "learning_rate": point.learning_rate,
            "B_n": self.noise_batch_size,
            "B_crit": self.critical_batch_size,
        }
        return {name: f"{x:.4g}" for name, x in values.items()} | source

    @property
    def theory(self) -> tuple[str, ...]:
        """Ids of the formula that the law is."""
        return ("T-E2",)

    @property
    def route(self) -> str | None:
        """Of those that tests/evidence tries on real trainings; None if it is none of them."""
        return None

    @property
    def model(self) -> "MomentModel | None":
        """Model of Adam's update, of a law that rests on one."""
        return None

    @property
    def knows(self) -> tuple[str, ...]:
        """Which of `OPTIMIZER` change the learning rate and can be given to `at`."""
        return ()

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of what `at` must be given before the law can answer."""
        return ()

    @property
    def effective_eps(self) -> float | None:
        """The eps that enters, 0 if it cannot; None where the law knows of none."""
        return None

    def eps_effect(self, batch_size: float) -> Fact | None:  # noqa: ARG002 - of laws that know
        """State what epsilon does at a batch size; None where the law knows of none."""
        return None

    @property
    def surge_end(self) -> float | None:
        """Epsilon beyond which the optimum no longer falls as the batch grows (T-B10).

        0 if it does at no epsilon, infinity if at all; None where epsilon does not enter.
        """
        return None

    @property
    def peak(self) -> Point | None:
        """Where the optimum is largest and beyond which it falls (T-E3), if it does."""
        return self._search_peak() if self._plain is None else self._plain.peak

    def at(self, **setting: float) -> Self:
        """Return the law for other covariates, or another optimizer.

        Parameters
        ----------
        **setting : float
            All that it `needs`, or any of what it `knows`.

        Raises
        ------
        InputError
            If it has no place for what is given, or something is missing.
        """
        for name in setting:
            raise InputError(
                "cannot be changed: the law was fitted to runs with one optimizer; leave it out",
                name if name in OPTIMIZER else "covariate",
            )
        return self

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
        if self._plain is not None:
            return self._plain.exponent(batch_size)
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
            [np.isnan(exponent), exponent < -_FLAT, exponent < 0.25, exponent < 0.75],
            ["invalid", "falling", "flat", "sqrt"],
            default="linear",
        )
        return str(names) if names.ndim == 0 else names

    def batch_sizes(self, learning_rate: float) -> tuple[float, ...]:
        """All batch sizes whose optimum is ``learning_rate``: none, one or two, ascending."""
        if self._plain is not None:
            return self._plain.batch_sizes(learning_rate)
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

    def interval(self, batch_size: npt.ArrayLike, level: float = 0.9) -> tuple[Real, Real] | None:
        """Interval of the optimum that a new sweep would find; None where none is known."""
        as_positive(batch_size, "batch_size")
        check_level(level)
        return None

    def law_interval(
        self, batch_size: npt.ArrayLike, level: float = 0.9
    ) -> tuple[Real, Real] | None:
        """Interval of the law itself, about which optima scatter; None where none is known."""
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
            Of the interval, between 0 and 1.

        Returns
        -------
        SearchSpace
            Outside the batch sizes that the law was fitted on it carries a warning.

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
        interval = self.interval(batch, level)
        if interval is None:
            raise DataError(
                f"this law has no intervals to search in ({self.provenance.description}); those of "
                "a tuned run, of optima and of sweeps have"
            )
        low, high = (float(end) for end in interval)
        space = SearchSpace(batch, float(self.learning_rate(batch)), low, high, level)
        return space.with_warnings(*self.warnings(batch)).checked()

    def parameter_intervals(self, level: float = 0.9) -> dict[str, tuple[float, float]] | None:
        """Intervals of B_n, B_crit and the peak's batch size, or None if not known."""
        check_level(level)
        return None

    def assumptions(self) -> tuple[Fact, ...]:
        """State what the answer takes for granted, and how well the law fits."""
        return ()

    def verdicts(self) -> tuple[Fact, ...]:
        """State how probable it is that the rise has ended, and that the optimum falls."""
        return ()

    def advice(self) -> tuple[Fact, ...]:
        """State what would narrow the answer, where that is known."""
        return ()

    def warnings(self, batch_size: float) -> tuple[Fact, ...]:
        """State why the answer at this batch size should not be trusted, if so."""
        batch = positive(batch_size, "batch_size")
        if self.provenance.batch_size_range is None:
            return ()
        return extrapolation("batch_size", batch, self.provenance.batch_size_range)

    @property
    def _plain(self) -> "Law | None":
        """The same law in closed form, where it has one."""
        return None

    def _search_peak(self) -> Point | None:
        """Find the peak numerically, for laws without a closed form of it."""

        def slope(log_batch: FloatArray) -> FloatArray:
            return np.asarray(self.exponent(np.exp(log_batch)))

        tops = [
            float(np.exp(x))
            for x, falls in sign_changes(slope, *self._log_range(), zero=_FLAT)
            if falls
        ]
        points = [Point(batch, float(self.learning_rate(batch))) for batch in tops]
        return max(points, key=lambda point: point.learning_rate, default=None)

    def _log_range(self) -> tuple[float, float]:
        """Range of log batch size in which a numerical search looks."""
        scales = [self.reference.batch_size, self.noise_batch_size, self.critical_batch_size]
        finite = [scale for scale in scales if 0 < scale < np.inf]
        return float(np.log(min(finite)) - 50), float(np.log(max(finite)) + 50)


def sign_changes(
    function: Callable[[FloatArray], FloatArray], lower: float, upper: float, *, zero: float = 0.0
) -> Iterator[tuple[float, bool]]:
    """Yield each root in ascending order, with True where the function goes from + to -.

    The function is vectorised, and changes sign slowly compared with the interval/4096; its
    values up to ``zero`` are rounding and count as no sign at all.
    """
    grid = np.linspace(lower, upper, _SAMPLES)
    sign = np.sign(np.where(np.abs(values := function(grid)) <= zero, 0.0, values))
    grid, sign = grid[sign != 0], sign[sign != 0]
    for i in np.flatnonzero(sign[1:] != sign[:-1]):
        falls = bool(sign[i] > 0)
        yield bisect(lambda x: float(function(np.asarray(x))), *grid[i : i + 2], falls=falls), falls


def bisect(
    function: Callable[[float], float],
    lower: float,
    upper: float,
    *,
    falls: bool,
    width: float = 0.0,
) -> float:
    """Narrow the bracket of a root, down to a width or as far as numbers go.

    The function is positive at the lower end only if it falls, else at the upper end only.
    Written here to keep the import of scipy.optimize out of `lr query`.
    """
    for _ in range(_HALVINGS):
        middle = (lower + upper) / 2
        if not lower < middle < upper or upper - lower <= width:
            break
        lower, upper = (middle, upper) if (function(middle) > 0) == falls else (lower, middle)
    return float((lower + upper) / 2)


def finite_or_none(value: float) -> float | None:
    """Return the number, or None (JSON null) where it is infinite."""
    return float(value) if np.isfinite(value) else None


def is_close(value: float, other: float) -> bool:
    """Whether two positive numbers differ by rounding only."""
    return bool(abs(value / other - 1) < 4 * np.finfo(float).eps)


def check_level(level: float) -> float:
    """Return a confidence level between 0 and 1, or raise an error."""
    if not 0 < as_number(level, "level") < 1:
        raise InputError(f"must be between 0 and 1, got {level!r}", "level")
    return level
