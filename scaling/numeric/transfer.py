"""The transfer law (T-E6): from one tuned run and gradient statistics to any other setting.

The theory's absolute learning rate needs the Hessian, which nobody has. Its ratio between two
settings does not: for a uniform population (every coordinate with the same |gradient| and the
same noise) it is f(target)/f(reference) with f = mu / (s + (R0 - 1) mu^2).
"""

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError
from scaling.numeric._arrays import (
    FloatArray,
    Real,
    as_non_negative,
    as_positive,
    decay_rate,
    non_negative,
)
from scaling.numeric.batch_size_law import BatchSizeLaw
from scaling.numeric.law import Law, Point, Provenance
from scaling.numeric.moments import DEFAULT_MODEL, MomentModel, evaluate, moment_model
from scaling.numeric.recipe import GradientStatistics, Recipe


@dataclass(frozen=True)
class TransferLaw(Law):
    """The law through a tuned run, for gradients of known statistics (T-E6).

    Parameters
    ----------
    recipe : Recipe
        The tuned run, which the law reproduces.
    statistics : GradientStatistics
        Noise scale, and where known the gradient's size and the curvature ratio.
    eps, beta1 : float, optional
        The optimizer for which the law answers; the recipe's unless given.
    moments : str, default "mean-field-outside"
        Moment model, see `scaling.update_moments`.
    population : str, default "uniform"
        How gradients differ between coordinates; "uniform" (not at all) is the only one so far.
    provenance : Provenance, optional
        Where the statistics come from; "assumed" unless given.

    Raises
    ------
    InputError
        If an argument is out of its range or the model does not know this beta1.

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
    population: str = "uniform"
    provenance: Provenance = field(
        default_factory=lambda: Provenance(
            "assumed", "through one tuned run, with gradient statistics as given"
        )
    )
    noise_batch_size: float = field(init=False)
    critical_batch_size: float = field(init=False)

    def __post_init__(self) -> None:
        if self.population != "uniform":
            raise InputError(f"must be 'uniform', got {self.population!r}", "population")
        recipe, model = self.recipe, self.model
        # Defaults are resolved here, once, so that a saved law does not depend on its reader's.
        recipe_beta1 = model.default_beta1 if recipe.beta1 is None else recipe.beta1
        recipe = replace(recipe, beta1=recipe_beta1)
        eps = recipe.eps if self.eps is None else non_negative(self.eps, "eps")
        beta1 = recipe_beta1 if self.beta1 is None else decay_rate(self.beta1, "beta1")
        model.noise_damping(recipe_beta1)
        # T-E2 as the limits of T-E6 for B -> 0 and B -> infinity, for every moment model:
        # kappa^2 = nu^2 sigma^2/g^2 with nu the noiseless update (T-B8).
        noise = model.gaussian_factor * self.statistics.noise_scale
        critical = model.noise_damping(beta1) * noise / self.statistics.curvature_ratio
        noise *= 0.0 if model.in_gradient_units else self._noiseless(eps) ** 2
        for name, value in (
            ("recipe", recipe),
            ("eps", eps),
            ("beta1", beta1),
            ("noise_batch_size", noise),
            ("critical_batch_size", critical),
        ):
            object.__setattr__(self, name, value)

    @property
    def model(self) -> MomentModel:
        """The moment model."""
        return moment_model(self.moments)

    @property
    def effective_eps(self) -> float:
        """The eps that enters: 0 without a gradient size, or in a model without epsilon."""
        return self._own_eps if self._eps_enters else 0.0

    @property
    def reference(self) -> Point:
        """The tuned run."""
        return Point(self.recipe.batch_size, self.recipe.learning_rate)

    @property
    def learning_rate_limit(self) -> float:
        """lr_inf, where the update is noiseless."""
        if self._closed_form is not None:
            return self._closed_form.learning_rate_limit
        limit = 1 / (self._noiseless(self._own_eps) * self.statistics.curvature_ratio)
        return self.recipe.learning_rate * limit / self._reference_value()

    @property
    def peak(self) -> Point | None:
        """Where the optimum is largest and beyond which it falls, if it does (T-E3)."""
        if self._closed_form is not None:
            return self._closed_form.peak

        return self._search_peak()

    def learning_rate(
        self,
        batch_size: npt.ArrayLike,
        *,
        eps: npt.ArrayLike | None = None,
        beta1: float | None = None,
    ) -> Real:
        """Optimal learning rate at ``batch_size``.

        Parameters
        ----------
        batch_size : array_like
            In the unit of the recipe's.
        eps : array_like, optional
            Another epsilon than the law's own, at least 0, broadcast against ``batch_size``.
        beta1 : float, optional
            Another beta1 than the law's own.

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
        if eps is None and beta1 is None and self._closed_form is not None:
            return self._closed_form.learning_rate(batch)
        if eps is not None and not self._eps_enters:
            raise InputError(f"cannot enter: {self._why_eps_is_left_out}", "eps")
        epsilons = np.asarray(self._own_eps) if eps is None else as_non_negative(eps, "eps")
        value = self._value(batch, epsilons, self._own_beta1 if beta1 is None else beta1)
        return value * (self.recipe.learning_rate / self._reference_value())

    def exponent(self, batch_size: npt.ArrayLike) -> Real:
        """Local exponent d log lr / d log B (T-E5)."""
        if self._closed_form is not None:
            return self._closed_form.exponent(batch_size)
        return super().exponent(batch_size)

    def steps_factor(self, batch_size: npt.ArrayLike) -> Real:
        """S/S_min, by T-A1 the largest possible decrease over the decrease at ``batch_size``."""
        batch = as_positive(batch_size, "batch_size")
        mean, variance = self._moments(batch, np.asarray(self._own_eps), self._own_beta1)
        return 1 + variance / mean / mean / self.statistics.curvature_ratio

    def batch_sizes(self, learning_rate: float) -> tuple[float, ...]:
        """All batch sizes whose optimum is ``learning_rate``: none, one or two, ascending."""
        if self._closed_form is not None:
            return self._closed_form.batch_sizes(learning_rate)
        return super().batch_sizes(learning_rate)

    def assumptions(self) -> tuple[str, ...]:
        """Say in words what the answer takes for granted."""
        statistics, model = self.statistics, self.model
        said = [
            f"noise scale {statistics.noise_scale:g}: {self.provenance.source}, with no error bar, "
            "hence no interval",
            f"every coordinate alike, curvature ratio R0 = {statistics.curvature_ratio:g}"
            + (" (diagonal Hessian)" if statistics.curvature_ratio == 1 else ""),
            f"beta1 = {self._own_beta1:g}; update: {model.summary} ({model.theory})",
        ]
        if model.eps == "absent":
            said.append(self._why_eps_is_left_out)
        elif not self._eps_enters:
            said.append(
                f"eps -> 0: eps = {self._own_eps:g} cannot enter, {self._why_eps_is_left_out}; "
                "that is harmless while eps is far below the gradient's RMS"
            )
        else:
            ratio = self._eps_ratio(self._own_eps)
            said.append(
                f"eps = {self._own_eps:g} {model.eps} the root, {ratio:.3g} times the gradient's "
                f"RMS {statistics.grad_rms:g}"
            )
        return tuple(said)

    def warnings(self, batch_size: float) -> tuple[str, ...]:
        """Say in words why the answer at this batch size should not be trusted, if so."""
        said = list(super().warnings(batch_size))
        target, reference = self._own_eps, self.recipe.eps
        if target != reference and not self._eps_enters:
            said.append(
                f"the change of eps from {reference:g} to {target:g} is left out: "
                f"{self._why_eps_is_left_out}"
            )
        said.extend(self._eps_warning("eps", target, batch_size))
        if target != reference:
            said.extend(self._eps_warning("the reference's eps", reference, self.recipe.batch_size))
        return tuple(said)

    def _eps_warning(self, name: str, eps: float, batch_size: float) -> list[str]:
        """Say what it means that eps is as large as the gradient, if it is."""
        ratio = float(self._eps_ratio(eps))
        if ratio < 1:
            return []
        # What eps competes with is the batch gradient, noise included.
        noisy = ratio / float(np.hypot(1, np.sqrt(self.statistics.noise_scale / batch_size)))
        said = f"{name} is {ratio:.3g} times the gradient's RMS"
        if noisy >= 1:
            return [
                f"{said}: Adam divides by little else and acts as SGD with momentum, its best "
                "learning rate growing in proportion to eps"
            ]
        return [
            f"{said}, though only {noisy:.2g} times that of the noisy batch gradient: with larger "
            "batches Adam comes to act as SGD with momentum"
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return what defines the law, as JSON values."""
        return {
            "kind": "transfer",
            "recipe": asdict(self.recipe),
            "statistics": asdict(self.statistics),
            "eps": self.eps,
            "beta1": self.beta1,
            "moments": self.moments,
            "population": self.population,
        }

    @property
    def _own_eps(self) -> float:
        return float(self.eps or 0.0)

    @property
    def _own_beta1(self) -> float:
        return float(self.beta1 or 0.0)

    @property
    def _eps_enters(self) -> bool:
        return self.statistics.grad_rms is not None and self.model.eps != "absent"

    @property
    def _why_eps_is_left_out(self) -> str:
        if self.model.eps == "absent":
            return f"moments '{self.moments}' have no eps"
        return "the gradient's RMS is not given"

    @cached_property
    def _closed_form(self) -> BatchSizeLaw | None:
        """T-E2 itself, where it is not only the two limits of this law but all of it."""
        model = self.model
        if not model.is_algebraic or (model.eps == "outside" and self.effective_eps):
            return None
        batch, eps = np.asarray(self.recipe.batch_size), np.asarray(self._own_eps)
        at_reference = float(self._value(batch, eps, self._own_beta1))
        return BatchSizeLaw(
            self.recipe.batch_size,
            self.recipe.learning_rate * at_reference / self._reference_value(),
            self.noise_batch_size,
            self.critical_batch_size,
        )

    def _reference_value(self) -> float:
        """f of T-E6 at the tuned run."""
        batch, eps = np.asarray(self.recipe.batch_size), np.asarray(self.recipe.eps)
        return float(self._value(batch, eps, self.recipe.beta1))

    def _value(self, batch: FloatArray, eps: FloatArray, beta1: float | None) -> Real:
        """f of T-E6, in the form mu/(s - mu^2 + R0 mu^2), which does not cancel."""
        mean, variance = self._moments(batch, eps, beta1)
        value = mean / (variance + self.statistics.curvature_ratio * mean**2)
        if self.model.in_gradient_units:
            # The update shrinks as sigma/sqrt(B), so the learning rate grows as its inverse.
            value = value * np.sqrt(batch / self.statistics.noise_scale)
        return value

    def _moments(
        self, batch: FloatArray, eps: FloatArray, beta1: float | None
    ) -> tuple[Real, Real]:
        """Mean and variance of the update."""
        signal = np.sqrt(batch / self.statistics.noise_scale)
        mean, _, variance = evaluate(self.model, signal, signal * self._eps_ratio(eps), beta1)
        return mean, variance

    def _eps_ratio(self, eps: npt.ArrayLike) -> Real:
        """eps/gamma, or 0 where eps does not enter."""
        if not self._eps_enters or self.statistics.grad_rms is None:
            return np.zeros_like(eps, dtype=float)[()]
        return np.asarray(eps)[()] / self.statistics.grad_rms

    def _noiseless(self, eps: float) -> float:
        """Noiseless update nu of a gradient of size gamma (T-B8)."""
        return float(self.model.noiseless(np.ones(()), np.asarray(self._eps_ratio(eps))))
