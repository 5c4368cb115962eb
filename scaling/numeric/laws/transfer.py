"""The transfer law (T-E6): from one tuned run and gradient statistics to any other setting.

The theory's absolute learning rate needs the Hessian, which nobody has. Its ratio between two
settings does not: it is f(target)/f(reference), where f is the alignment of the update with the
gradient over the curvature along it (T-A1), both averaged over the coordinates of a population.
For a uniform one, with the same |gradient| and noise in all coordinates, f = mu/(s + (R0-1) mu^2).
"""

import json
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError, InputError
from scaling.numeric.inputs.arrays import (
    Real,
    as_non_negative,
    as_positive,
    non_negative,
)
from scaling.numeric.inputs.recipe import GradientStatistics, Recipe
from scaling.numeric.laws import _transfer_words
from scaling.numeric.laws._surge import surge_end
from scaling.numeric.laws.batch_size_law import BatchSizeLaw
from scaling.numeric.laws.law import Law, Point, Provenance, finite_or_none
from scaling.numeric.moments.models import DEFAULT_MODEL, MomentModel, evaluate, moment_model
from scaling.numeric.population.averages import Average, Sums, average, is_sketch

if TYPE_CHECKING:
    from scaling.numeric.population.gradients import GradientPopulation


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
    step : float, optional
        Number t of the step at which both runs are compared; by default infinity (stationary
        averages). It enters ``exact-adam`` only.
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
    2.46e-04
    >>> law.peak.batch_size
    235.29...
    """

    recipe: Recipe
    statistics: GradientStatistics
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
            ``eps``, ``beta1``, ``beta2``, ``moments``, ``step``, as in the constructor.

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
        2.42e-04
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
        recipe, model = self.recipe, self.model
        if is_sketch(self.population):
            self._check_statistics(self.population)
        # Defaults are resolved here, once, so that a saved law does not depend on its reader's.
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
        ):
            object.__setattr__(self, name, value)
        # T-E2 as the limits of T-E6 for B -> 0 and B -> infinity, for every moment model.
        slope, pure_noise = self._average.small_batches()
        alignment, relative_curvature = self._noiseless
        if pure_noise <= 0 or relative_curvature <= 0:
            raise DataError("the curvature along the update is not positive; no step is best")
        noise_scale = self.statistics.noise_scale
        noise = noise_scale * (alignment / slope) ** 2
        critical = noise_scale * pure_noise / slope**2 / relative_curvature
        object.__setattr__(self, "noise_batch_size", 0.0 if model.in_gradient_units else noise)
        object.__setattr__(self, "critical_batch_size", critical)

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

    @property
    def model(self) -> MomentModel:
        """The moment model."""
        return moment_model(self.moments)

    @property
    def population_name(self) -> str:
        """The population in a word: uniform, gaussian or sketched."""
        return self.population if isinstance(self.population, str) else "sketched"

    @property
    def effective_eps(self) -> float:
        """The eps that enters: 0 without a gradient size, or in a model without epsilon."""
        return self._own_eps if self.eps_enters else 0.0

    @property
    def reference(self) -> Point:
        """The tuned run."""
        return Point(self.recipe.batch_size, self.recipe.learning_rate)

    @property
    def learning_rate_limit(self) -> float:
        """lr_inf, where the update is noiseless."""
        if self._closed_form is not None:
            return self._closed_form.learning_rate_limit
        alignment, relative_curvature = self._noiseless
        return self.recipe.learning_rate / (alignment * relative_curvature) / self._reference_value

    @property
    def peak(self) -> Point | None:
        """Where the optimum is largest and beyond which it falls, if it does (T-E3)."""
        if self._closed_form is not None:
            return self._closed_form.peak

        highest = self._search_peak()
        # Where the sums are not exact, the flat end of a law that only rises is not quite flat.
        least = self.learning_rate_limit * (1 + self._average.accuracy)
        return highest if highest is not None and highest.learning_rate > least else None

    @cached_property
    def surge_end(self) -> float | None:
        """Epsilon beyond which the optimum no longer falls as the batch grows (T-B10).

        0 if it does at no epsilon, infinity if at all; None where epsilon does not enter.
        """
        if not self.eps_enters or self.statistics.grad_rms is None:
            return None
        return self.statistics.grad_rms * surge_end(self._average)

    def learning_rate(
        self,
        batch_size: npt.ArrayLike,
        *,
        eps: npt.ArrayLike | None = None,
        beta1: float | None = None,
        beta2: float | None = None,
    ) -> Real:
        """Optimal learning rate at ``batch_size``.

        Parameters
        ----------
        batch_size : array_like
            In the unit of the recipe's.
        eps : array_like, optional
            Another epsilon than the law's own, at least 0, broadcast against ``batch_size``.
        beta1, beta2 : float, optional
            Others than the law's own.

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
        same_optimizer = beta1 is None and beta2 is None
        if eps is None and same_optimizer and self._closed_form is not None:
            return self._closed_form.learning_rate(batch)
        if eps is not None and not self.eps_enters:
            why = _transfer_words.why_eps_is_left_out(self)
            raise InputError(f"cannot enter: {why}", "eps")
        epsilons = np.asarray(self._own_eps) if eps is None else as_non_negative(eps, "eps")
        mean = (
            self._average
            if same_optimizer
            else self._average_at(
                self.beta1 if beta1 is None else beta1, self.beta2 if beta2 is None else beta2
            )
        )
        value = self._value(mean, batch, epsilons)
        return value * (self.recipe.learning_rate / self._reference_value)

    def exponent(self, batch_size: npt.ArrayLike) -> Real:
        """Local exponent d log lr / d log B (T-E5)."""
        if self._closed_form is not None:
            return self._closed_form.exponent(batch_size)
        return super().exponent(batch_size)

    def steps_factor(self, batch_size: npt.ArrayLike) -> Real:
        """S/S_min, by T-A1 the largest possible decrease over the decrease at ``batch_size``."""
        batch = as_positive(batch_size, "batch_size")
        alignment, curvature = self._sums(self._average, batch, self._own_eps)
        _, relative_curvature = self._noiseless
        return curvature / alignment / alignment / relative_curvature

    def batch_sizes(self, learning_rate: float) -> tuple[float, ...]:
        """All batch sizes whose optimum is ``learning_rate``: none, one or two, ascending."""
        if self._closed_form is not None:
            return self._closed_form.batch_sizes(learning_rate)
        return super().batch_sizes(learning_rate)

    def assumptions(self) -> tuple[str, ...]:
        """Say in words what the answer takes for granted."""
        return _transfer_words.assumptions(self)

    def warnings(self, batch_size: float) -> tuple[str, ...]:
        """Say in words why the answer at this batch size should not be trusted, if so."""
        return (*super().warnings(batch_size), *_transfer_words.eps_warnings(self, batch_size))

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
        }

    @property
    def _own_eps(self) -> float:
        return float(self.eps or 0.0)

    @property
    def eps_enters(self) -> bool:
        """Whether epsilon enters: the model has one, and the gradient's RMS is known."""
        return self.statistics.grad_rms is not None and self.model.eps != "absent"

    @cached_property
    def _closed_form(self) -> BatchSizeLaw | None:
        """T-E2 itself, where it is not only the two limits of this law but all of it."""
        model = self.model
        if (
            self.population != "uniform"
            or not model.is_algebraic
            or (model.eps == "outside" and self.effective_eps)
        ):
            return None
        at_reference = self._value(self._average, self.recipe.batch_size, self._own_eps)
        return BatchSizeLaw(
            self.recipe.batch_size,
            self.recipe.learning_rate * float(at_reference) / self._reference_value,
            self.noise_batch_size,
            self.critical_batch_size,
        )

    @cached_property
    def _average(self) -> Average:
        """The population's average of the update at the law's own beta1 and beta2."""
        return self._average_at(self.beta1, self.beta2)

    def _average_at(self, beta1: float | None, beta2: float | None) -> Average:
        update = self.model.bind(beta1, beta2, self.step)
        ratio = self.statistics.curvature_ratio
        return average(self.population, self.model, update, ratio)

    @cached_property
    def _noiseless(self) -> tuple[float, float]:
        """Alignment G and curvature over G^2 for a huge batch."""
        return self._average.noiseless(float(self.eps_ratio(self._own_eps)))

    @cached_property
    def _reference_value(self) -> float:
        """f of T-E6 at the tuned run."""
        recipe = self.recipe
        same = (recipe.beta1, recipe.beta2) == (self.beta1, self.beta2)
        of_reference = self._average if same else self._average_at(recipe.beta1, recipe.beta2)
        return float(self._value(of_reference, recipe.batch_size, recipe.eps))

    def _value(self, mean: Average, batch: npt.ArrayLike, eps: npt.ArrayLike) -> Real:
        """f of T-E6: alignment over curvature."""
        alignment, curvature = self._sums(mean, batch, eps)
        if self.model.in_gradient_units:
            # The update shrinks as sigma/sqrt(B), so the learning rate grows as its inverse.
            alignment = alignment * np.sqrt(np.asarray(batch) / self.statistics.noise_scale)
        return alignment / curvature

    def _sums(self, mean: Average, batch: npt.ArrayLike, eps: npt.ArrayLike) -> Sums:
        signal = np.sqrt(np.asarray(batch) / self.statistics.noise_scale)
        return mean.sums(signal, signal * self.eps_ratio(eps))

    def eps_ratio(self, eps: npt.ArrayLike) -> Real:
        """eps/gamma, or 0 where eps does not enter."""
        if not self.eps_enters or self.statistics.grad_rms is None:
            return np.zeros_like(eps, dtype=float)[()]
        return np.asarray(eps)[()] / self.statistics.grad_rms


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
        stand-ins, with momentum c times that (T-D1).

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
    update = law.model.bind(law.beta1, law.beta2, law.step)
    noise = float(evaluate(update, 0.0, _LARGE)[1]) * _LARGE**2
    statistics = GradientStatistics(
        noise * law.statistics.noise_scale, curvature_ratio=law.statistics.curvature_ratio
    )
    unscaled = TransferLaw(Recipe(1.0, law.recipe.batch_size), statistics, moments="sgd")
    rate = 1 / unscaled.learning_rate_limit
    return TransferLaw(Recipe(rate, law.recipe.batch_size), statistics, moments="sgd")
