"""The transfer law (T-E6): from one tuned run and gradient statistics to any other setting.

The theory's absolute learning rate needs the Hessian, which nobody has. Its ratio between two
settings does not: it is f(target)/f(reference), where f is the alignment of the update with the
gradient over the curvature along it (T-A1), both averaged over the coordinates of a population.
For a uniform one, with the same |gradient| and noise in all coordinates, f = mu/(s + (R0-1) mu^2).

Momentum takes noise from one update, and over a run of many gives it back (T-I1, T-I2). So a law
has a horizon: a run, which is what a user wants, or one step, which the articles have.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError, InputError
from scaling.numeric.facts import Fact, fact
from scaling.numeric.inputs.arrays import (
    FloatArray,
    Real,
    as_non_negative,
    as_positive,
    non_negative,
    positive,
    step_number,
)
from scaling.numeric.inputs.recipe import GradientStatistics, Recipe
from scaling.numeric.laws.batch_size_law import BatchSizeLaw
from scaling.numeric.laws.law import OPTIMIZER, Law, Point, Provenance, bisect, finite_or_none
from scaling.numeric.moments.models import DEFAULT_MODEL, MomentModel, evaluate, moment_model
from scaling.numeric.population.averages import Average, average, is_sketch

if TYPE_CHECKING:
    from scaling.numeric.population.gradients import GradientPopulation
    from scaling.numeric.population.second_moments import SecondMoments

#: What is told of a sketched population.
_COUNTED = (
    "count",
    "cell_count",
    "cells_per_octave",
    "has_curvature",
    "nans",
    "infinities",
    "without_gradient",
    "without_noise",
    "without_both",
)


@dataclass(frozen=True, repr=False)
class TransferLaw(Law):
    """The law through a tuned run, for gradients of known statistics (T-E6).

    Parameters
    ----------
    recipe : Recipe
        The tuned run, which the law reproduces.
    statistics : GradientStatistics
        Noise scale, and where known the gradient's size and the curvature ratio.
    eps, beta1, beta2 : float, optional
        The optimizer for which the law answers; the recipe's unless given.
    moments : str, default "mean-field-outside"
        Moment model, see `scaling.update_moments`.
    population : {"uniform", "gaussian"} or GradientPopulation
        How gradients differ between coordinates: not at all, drawn from N(0, gamma^2), or as in
        an actual model, of whose population the statistics then must be; see `from_population`.
    second_moments : SecondMoments, optional
        Adam's own second moments, taken half-way through the tuned run at its batch size: epsilon
        then acts by T-J3 instead of through the gradient's RMS, whose place they take.
    step : float, optional
        Number t of the step at which both runs are compared; by default infinity (stationary
        averages). It enters ``exact-adam`` only.
    horizon : float, default infinity
        Number K of steps of which noise adds up: infinity for a run, in which momentum damps no
        noise; 1 for the best learning rate of one step; between, c_K of T-I1 (in the exact models
        either 1 or infinity).
    provenance : Provenance, optional
        Where the statistics come from; "assumed" unless given.

    Raises
    ------
    InputError
        If an argument is out of its range or has no place in the moment model.

    Examples
    --------
    >>> law = TransferLaw(Recipe(3e-4, 256), GradientStatistics(noise_scale=4000))
    >>> print(f"{law.learning_rate(1024):.2e}")
    5.52e-04
    >>> law.peak is None  # over a run it rises up to the noise scale, then is flat
    True
    >>> one_step = TransferLaw(Recipe(3e-4, 256), GradientStatistics(4000), horizon=1)
    >>> print(f"{one_step.learning_rate(1024):.2e} {one_step.peak.batch_size:.1f}")
    2.46e-04 235.3
    """

    recipe: Recipe = field()  # which hides the default of the face
    statistics: GradientStatistics = field()
    eps: float | None = None
    beta1: float | None = None
    moments: str = DEFAULT_MODEL
    population: "str | GradientPopulation" = "uniform"
    provenance: Provenance = field(
        default_factory=lambda: Provenance(
            "assumed", "through one tuned run, with gradient statistics as given"
        )
    )
    beta2: float | None = None
    step: float | None = None
    horizon: float = np.inf
    second_moments: "SecondMoments | None" = None
    noise_batch_size: float = field(init=False)
    critical_batch_size: float = field(init=False)

    @classmethod
    def from_population(
        cls,
        recipe: Recipe,
        population: "GradientPopulation",
        *,
        curvature_ratio: float = 1.0,
        **optimizer: Any,
    ) -> Self:
        """Make the law of a model's own population of gradients.

        Parameters
        ----------
        recipe : Recipe
            The tuned run.
        population : GradientPopulation
            Gradients and noise of the model's coordinates.
        curvature_ratio : float, default 1
            R0 = sign(g)^T H sign(g) / tr(H), positive; 1 for a diagonal Hessian.
        **optimizer
            ``eps``, ``beta1``, ``beta2``, ``moments``, ``step``, ``horizon``, as in the
            constructor.

        Raises
        ------
        InputError
            As the constructor.
        DataError
            If no coordinate has a gradient or noise, if some have a gradient but no noise, which
            leaves the law without a limit for small batches, or if the curvature of all together
            is not positive.

        Examples
        --------
        >>> from scaling import GradientPopulation
        >>> population = GradientPopulation.from_arrays([1e-3, -4e-3, 2e-3], [0.1, 0.1, 0.2])
        >>> law = TransferLaw.from_population(Recipe(3e-4, 256), population)
        >>> print(f"{law.learning_rate(1024):.2e}")
        4.64e-04
        """
        if population.without_noise:
            raise DataError(
                f"{population.without_noise} coordinates have a gradient but no noise, so the "
                "optimum has no limit for small batches; leave them out"
            )
        scale = population.noise_scale
        if not scale > 0:
            raise DataError("no coordinate has noise; the batch size does not matter")
        statistics = GradientStatistics(scale, population.grad_rms, curvature_ratio)
        provenance = Provenance(
            "measured", f"through one tuned run, with a sketch of {population.count} coordinates"
        )
        return cls(recipe, statistics, population=population, provenance=provenance, **optimizer)

    def __post_init__(self) -> None:
        if is_sketch(self.population):
            self._check_statistics(self.population)
        self._resolve_defaults()
        self._check_eps()
        # T-E2 as the limits of T-E6 for B -> 0 and B -> infinity, for every moment model.
        slope, pure_noise = self._average.small_batches()
        alignment, relative_curvature = self._noiseless
        if pure_noise <= 0 or relative_curvature <= 0:
            raise DataError("the curvature along the update is not positive; no step is best")
        noise_scale = self.statistics.noise_scale
        noise = noise_scale * (alignment / slope) ** 2
        critical = noise_scale * pure_noise / slope**2 / relative_curvature
        noise = 0.0 if self.model.in_gradient_units else noise
        object.__setattr__(self, "noise_batch_size", noise)
        object.__setattr__(self, "critical_batch_size", critical)

    def _resolve_defaults(self) -> None:
        """Resolve defaults once, so that a saved law does not depend on its reader's."""
        recipe, model = self.recipe, self.model
        beta1, beta2, step = model.defaults(recipe.beta1, recipe.beta2, self.step)
        known = "beta2" in model.knows
        recipe = replace(recipe, beta1=beta1, beta2=beta2 if known else None)
        own_beta1, own_beta2, _ = model.defaults(
            beta1 if self.beta1 is None else self.beta1,
            recipe.beta2 if self.beta2 is None else self.beta2,
        )
        for name, value in (
            ("recipe", recipe),
            ("eps", recipe.eps if self.eps is None else non_negative(self.eps, "eps")),
            ("beta1", own_beta1),
            ("beta2", own_beta2 if known else None),
            ("step", step if known else None),
            ("horizon", step_number(self.horizon, "horizon")),
        ):
            object.__setattr__(self, name, value)

    def _check_eps(self) -> None:
        """Refuse an epsilon of which nothing tells what it does."""
        if self.second_moments is not None:
            if self.statistics.grad_rms is not None or self.population != "uniform":
                raise InputError(
                    "take the place of the gradient's RMS and of a population; give one of them",
                    "second_moments",
                )
            if self.model.eps == "absent":
                raise InputError(f"moments {self.moments!r} have no eps", "second_moments")
        if self.eps != self.recipe.eps and not self.eps_enters:
            raise InputError(
                f"changes from {self.recipe.eps:g} to {self.eps:g}, and what that does is not "
                f"known: {self._why_eps_is_left_out}",
                "eps",
            )

    @property
    def _why_eps_is_left_out(self) -> str:
        if self.model.eps == "absent":
            return f"moments {self.moments!r} have no eps"
        return "give second_moments, or grad_rms"

    def _check_statistics(self, population: "GradientPopulation") -> None:
        """Refuse statistics that are not the population's, and a population without a best step."""
        statistics, own = self.statistics, (population.noise_scale, population.grad_rms)
        for name, value in zip(("noise_scale", "grad_rms"), own, strict=True):
            given = getattr(statistics, name)
            if given is None or not np.isclose(given, value, rtol=1e-9, atol=0.0):
                raise InputError(
                    f"{name} must be {value:g}, that of the population, got {given!r}",
                    "statistics",
                )
        if population.trace <= 0:
            raise DataError(
                f"the curvature adds up to {population.trace:g}; no step is best unless it is "
                "positive"
            )

    @cached_property
    def model(self) -> MomentModel:
        """The moment model."""
        return moment_model(self.moments)

    @property
    def theory(self) -> tuple[str, ...]:
        """Ids of the formula, which depends on the population."""
        if not isinstance(self.population, str):
            return "T-A1", "T-A2"
        if self.second_moments is not None:
            return ("T-J3",)
        return ("T-E6",) if self.population == "uniform" else ("T-E6", "T-F5")

    @property
    def knows(self) -> tuple[str, ...]:
        """Which of eps, beta1 and beta2 enter."""
        found = {"eps"} if self.eps_enters else set()
        return tuple(name for name in OPTIMIZER if name in found.union(self.model.knows))

    @cached_property
    def eps_enters(self) -> bool:
        """Whether epsilon enters: the model has one, and something tells what it does."""
        known = self.statistics.grad_rms is not None or self.second_moments is not None
        return known and self.model.eps != "absent"

    @property
    def effective_eps(self) -> float:
        """The eps that enters, 0 if it cannot."""
        return float(self.eps or 0.0) if self.eps_enters else 0.0

    @property
    def reference(self) -> Point:
        """The tuned run."""
        return Point(self.recipe.batch_size, self.recipe.learning_rate)

    @property
    def learning_rate_limit(self) -> float:
        """lr_inf, where the update is noiseless."""
        if self._plain is not None:
            return self._plain.learning_rate_limit
        alignment, relative_curvature = self._noiseless
        shift = self._eps_shift(np.asarray(np.inf), self.effective_eps)
        return float(self._unit * shift / (alignment * relative_curvature))

    @cached_property
    def surge_end(self) -> float | None:
        """Epsilon beyond which the optimum no longer falls as the batch grows (T-B10)."""
        if not self.eps_enters or self.statistics.grad_rms is None:
            return None
        return self.statistics.grad_rms * surge_end(self._average)

    def at(self, **setting: float) -> Self:
        """Return the law for another eps, beta1 or beta2; the tuned run stays as it was."""
        for name in setting:
            if name not in OPTIMIZER:
                raise InputError(
                    "only a law from `lr fit` has covariates; leave it out", "covariate"
                )
        changes: dict[str, Any] = setting  # for mypy: not the other fields of the law
        return replace(self, **changes) if setting else self

    def learning_rate(self, batch_size: npt.ArrayLike, *, eps: npt.ArrayLike | None = None) -> Real:
        """Optimal learning rate at ``batch_size``.

        Parameters
        ----------
        batch_size : array_like
            In the unit of the recipe's.
        eps : array_like, optional
            Another epsilon than the law's own, at least 0, broadcast against ``batch_size``.

        Returns
        -------
        numpy.float64 or ndarray
            Of the broadcast shape; NaN where a batch size is not positive and finite or an eps
            is negative or not finite.

        Raises
        ------
        InputError
            If an eps is given that cannot enter: without the gradient's RMS, or in a model
            without epsilon.
        """
        batch = as_positive(batch_size, "batch_size")
        if eps is not None and not self.eps_enters:
            raise InputError(f"cannot enter: {self._why_eps_is_left_out}", "eps")
        own = np.asarray(self.effective_eps) if eps is None else as_non_negative(eps, "eps")
        value = self._value(self._average, batch, self.eps_ratio(own))
        return (self._unit * value * self._eps_shift(batch, own))[()]

    def steps_factor(self, batch_size: npt.ArrayLike) -> Real:
        """S/S_min, by T-A1 the largest possible decrease over the decrease at ``batch_size``."""
        batch = as_positive(batch_size, "batch_size")
        signal = np.sqrt(batch) / np.sqrt(self.statistics.noise_scale)
        alignment, curvature = self._average.sums(signal, signal * self._eps_ratio)
        _, relative_curvature = self._noiseless
        return curvature / alignment / alignment / relative_curvature

    def eps_effect(self, batch_size: float) -> Fact | None:
        """State what epsilon does at a batch size, beside the tuned run's; None if it is unknown.

        With Adam's second moments the share of the parameters whose sqrt(v) lies below it, too.
        """
        if not self.eps_enters:
            return None
        own, reference = self.effective_eps, self.recipe.eps
        if own == reference and self.second_moments is None:
            return None  # nothing that was not so in the tuned run
        batch = positive(batch_size, "batch_size")
        values: dict[str, Any] = {"eps": own, "reference": reference}
        values["factor"] = float(
            self.learning_rate(batch) / self.learning_rate(batch, eps=reference)
        )
        if self.second_moments is not None:
            here = self.second_moments.at_batch_size(
                batch, self.recipe.batch_size, self.statistics.noise_scale
            )
            values["share"] = float(here.share_below(own))
        return fact("eps acts", **values)

    def _eps_shift(self, batch: FloatArray, eps: npt.ArrayLike) -> Real:
        """Return what epsilon does besides entering f: T-J1 at this batch size (T-J2, T-J3)."""
        if self.second_moments is None:
            return 1.0
        return self.second_moments.shift_over_batch_sizes(
            batch,
            eps,
            reference=(self.recipe.batch_size, self.recipe.eps),
            noise_scale=self.statistics.noise_scale,
            inside=self.model.eps == "inside",
        )

    def assumptions(self) -> tuple[Fact, ...]:
        """State where the statistics come from, and what the update and its epsilon are."""
        statistics, model = self.statistics, self.model
        population = self.population
        counted = {}
        if not isinstance(population, str):
            counted = {name: getattr(population, name) for name in _COUNTED}
            population = "sketched"
        optimizer = {"beta1": self.beta1, "beta2": self.beta2, "step": self.step}
        return (
            fact(
                "no error bar",
                noise_scale=statistics.noise_scale,
                source=self.provenance.source,
            ),
            fact(f"{population} population", curvature_ratio=statistics.curvature_ratio, **counted),
            fact("update", model=model.summary, theory=model.theory, **optimizer),
            fact("horizon", steps=self.horizon),
            self._how_eps_enters(),
        )

    def warnings(self, batch_size: float) -> tuple[Fact, ...]:
        """State why the answer at this batch size should not be trusted, if so."""
        own, reference = float(self.eps or 0.0), self.recipe.eps
        facts = list(super().warnings(batch_size))
        facts += self._large_eps("eps", own, batch_size)
        if own != reference:
            facts += self._large_eps("the reference's eps", reference, self.recipe.batch_size)
        return tuple(facts)

    def _how_eps_enters(self) -> Fact:
        """State by what epsilon enters, or for want of what it does not."""
        if self.model.eps == "absent":
            return fact("no eps", moments=self.moments)
        if self.second_moments is not None:
            return fact("second moments", eps=self.eps, mean_root=self.second_moments.mean_root)
        gamma = self.statistics.grad_rms
        if gamma is None:
            return fact("eps without gradient", eps=self.eps)
        ratio = float(self._eps_ratio)
        return fact("eps enters", eps=self.eps, stands=self.model.eps, ratio=ratio, grad_rms=gamma)

    def _large_eps(self, which: str, eps: float, batch_size: float) -> list[Fact]:
        """State that eps is as large as the gradient, if it is."""
        ratio = float(self.eps_ratio(eps))
        if ratio < 1:
            return []
        # What eps competes with is the batch gradient, noise included.
        noisy = ratio / float(np.hypot(1, np.sqrt(self.statistics.noise_scale / batch_size)))
        key = "acts as SGD" if noisy >= 1 else "comes to act as SGD"
        return [fact(key, which=which, ratio=ratio, ratio_with_noise=noisy)]

    def to_dict(self) -> dict[str, Any]:
        """Return what defines the law, as JSON values."""
        return {
            "kind": "transfer",
            "recipe": asdict(self.recipe),
            "statistics": asdict(self.statistics),
            "eps": self.eps,
            "beta1": self.beta1,
            "moments": self.moments,
            "population": self.population
            if isinstance(self.population, str)
            else json.loads(self.population.to_json()),
            "beta2": self.beta2,
            "step": None if self.step is None else finite_or_none(self.step),
            "horizon": finite_or_none(self.horizon),
            "second_moments": self.second_moments and json.loads(self.second_moments.to_json()),
        }

    def eps_ratio(self, eps: npt.ArrayLike) -> Real:
        """eps/gamma, or 0 where eps does not enter."""
        if not self.eps_enters or self.statistics.grad_rms is None:
            return np.zeros_like(eps, dtype=float)[()]
        return np.asarray(eps)[()] / self.statistics.grad_rms

    @cached_property
    def _eps_ratio(self) -> Real:
        """eps/gamma of the law's own eps."""
        return self.eps_ratio(float(self.eps or 0.0))

    @cached_property
    def _average(self) -> Average:
        """The population's average of the update at the law's own beta1 and beta2."""
        return self._average_at(self.beta1, self.beta2)

    def _average_at(self, beta1: float | None, beta2: float | None) -> Average:
        update = self.model.bind(beta1, beta2, self.step, self.horizon)
        return average(self.population, self.model, update, self.statistics.curvature_ratio)

    @cached_property
    def _noiseless(self) -> tuple[float, float]:
        """Alignment G and curvature over G^2 for a huge batch."""
        return self._average.noiseless(float(self._eps_ratio))

    @cached_property
    def _unit(self) -> float:
        """Learning rate where f of T-E6 is 1: the tuned one over f at the tuned run."""
        recipe = self.recipe
        same = (recipe.beta1, recipe.beta2) == (self.beta1, self.beta2)
        average = self._average if same else self._average_at(recipe.beta1, recipe.beta2)
        value = self._value(average, np.asarray(recipe.batch_size), self.eps_ratio(recipe.eps))
        return float(recipe.learning_rate / value)

    def _value(self, average: Average, batch: FloatArray, eps_ratio: Real) -> Real:
        """f of T-E6: alignment over curvature."""
        # Of the two roots, since the ratio leaves the range of numbers first.
        signal = np.sqrt(batch) / np.sqrt(self.statistics.noise_scale)
        alignment, curvature = average.sums(signal, signal * eps_ratio)
        # SGD's update shrinks as sigma/sqrt(B), so the learning rate grows as its inverse.
        return (alignment * signal if self.model.in_gradient_units else alignment) / curvature

    @cached_property
    def _plain(self) -> BatchSizeLaw | None:
        """T-E2 itself, where it is not only the two limits of this law but all of it."""
        model = self.model
        if (
            self.population != "uniform"
            or not model.is_algebraic
            or (self.effective_eps and (model.eps == "outside" or self.second_moments is not None))
        ):
            return None
        batch = self.recipe.batch_size
        rate = float(self.learning_rate(batch))
        return BatchSizeLaw(batch, rate, self.noise_batch_size, self.critical_batch_size)

    def _search_peak(self) -> Point | None:
        highest = super()._search_peak()
        # Where the sums are not exact, the flat end of a law that only rises is not quite flat.
        least = self.learning_rate_limit * (1 + self._average.accuracy)
        return highest if highest is not None and highest.learning_rate > least else None


#: eps/gamma between which the end of the surge is looked for, and at how many values first.
_RANGE = (1e-6, 1e6)
_STEPS = 25
#: Accuracy of sums that are known to rounding.
_ROUNDING = 1e-10
#: Signals at which f is compared with its limit.
_SIGNALS = np.geomspace(0.1, 1e2, 25)
#: Signals at which kappa is read off; at larger ones it loses digits.
_FAR = np.array([1e3, 2e3])
#: Of a sketch, whose coordinates may differ by many orders of magnitude.
_WIDE_SIGNALS = np.geomspace(0.1, 1e8, 73)


def surge_end(average: Average) -> float:
    """Return eps/gamma beyond which there is no surge.

    A larger epsilon makes the surge rarer (T-B10). The optimum f(B) of T-E6 surges if somewhere
    it exceeds its limit f(infinity): in between, or on the way there, where f/f(infinity) - 1
    tends to kappa/a^2. Both are looked at, the latter by extrapolation.

    Parameters
    ----------
    average : Average
        Of an update over a population. Where its sums are known to rounding, the end is found to
        1e-8; otherwise the surge ends where it is no longer larger than their error.

    Returns
    -------
    float
        0 if there is none at any eps from 1e-6 gamma, infinity if there still is one at 1e6 gamma.
    """
    exact = average.accuracy < _ROUNDING
    signals = np.concatenate([_SIGNALS, _FAR]) if exact else _WIDE_SIGNALS

    def excess(log_ratio: float) -> float:
        ratio = float(np.exp(log_ratio))
        alignment, relative_curvature = average.noiseless(ratio)
        top, bottom = average.sums(signals, signals * ratio)
        over = top / bottom * (alignment * relative_curvature) - 1
        if not exact:
            return float(over.max()) - average.accuracy
        scaled = over * signals**2  # kappa + O(1/a^2) at the far end
        kappa = scaled[-1] + (scaled[-1] - scaled[-2]) / 3
        return float(max(scaled[:-2].max(), kappa))

    low, high = (float(np.log(end)) for end in _RANGE)
    grid = np.linspace(low, high, _STEPS)
    surging = [i for i, x in enumerate(grid) if excess(x) > 0]
    if not surging:
        return 0.0
    last = surging[-1]
    if last == _STEPS - 1:
        return np.inf
    width = 1e-12 if exact else 1e-4
    return float(np.exp(bisect(excess, grid[last], grid[last + 1], falls=True, width=width)))


#: Where eps^2 E[phi^2] has reached its limit to rounding; the next term is of order 1/b.
_LARGE = 1e12


def sgd_limit(law: TransferLaw) -> TransferLaw:
    """SGD's law to which lr*/eps tends as eps grows.

    Parameters
    ----------
    law : TransferLaw
        Of a uniform population; its own eps does not matter.

    Returns
    -------
    TransferLaw
        In units of its value at a huge batch, where lr*/(eps/gamma) is the limit that SignSGD's
        learning rate has there. Its noise is what the moment model leaves of the noise:
        pi/2 times the variance in the article's form, the variance itself without
        stand-ins, for one step with momentum c times that (T-D1).

    Raises
    ------
    InputError
        If the population is not uniform, or the model has no epsilon.

    Notes
    -----
    theory.md T-B11 and T-D1.

    Examples
    --------
    >>> run, statistics = Recipe(3e-4, 256, beta1=0.0), GradientStatistics(4000, grad_rms=1e-6)
    >>> limit = sgd_limit(TransferLaw(run, statistics, moments="article"))
    >>> print(f"{limit.critical_batch_size:.1f} {limit.learning_rate(1e12):.3f}")
    6283.2 1.000
    """
    if law.population != "uniform":
        raise InputError(f"must be uniform, got {law.population!r}", "population")
    if law.model.eps == "absent":
        raise InputError(f"{law.moments!r} have no eps", "moments")
    update = law.model.bind(law.beta1, law.beta2, law.step, law.horizon)
    noise = float(evaluate(update, 0.0, _LARGE)[1]) * _LARGE**2
    statistics = GradientStatistics(
        noise * law.statistics.noise_scale, curvature_ratio=law.statistics.curvature_ratio
    )
    unscaled = TransferLaw(Recipe(1.0, law.recipe.batch_size), statistics, moments="sgd")
    rate = 1 / unscaled.learning_rate_limit
    return TransferLaw(Recipe(rate, law.recipe.batch_size), statistics, moments="sgd")
