"""The transfer law (T-E6): from one tuned run and gradient statistics to any other setting.

The theory's absolute learning rate needs the Hessian, which nobody has. Its ratio between two
settings does not: for a uniform population (every coordinate with the same |gradient| and the
same noise) it is f(target)/f(reference) with f = mu / (s + (R0 - 1) mu^2).
"""

from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError
from scaling.numeric._arrays import (
    FloatArray,
    Real,
    as_positive,
    non_negative,
)
from scaling.numeric._roots import sign_changes
from scaling.numeric.batch_size_law import BatchSizeLaw
from scaling.numeric.law import FLAT, Law, Point, Provenance
from scaling.numeric.moments import (
    DEFAULT_MODEL,
    MomentModel,
    Moments,
    moment_model,
    update_moments,
)
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
        model = self.model
        if self.population != "uniform":
            raise InputError(f"must be 'uniform', got {self.population!r}", "population")
        if self.eps is not None:
            non_negative(self.eps, "eps")
        model.noise_damping(self.recipe.beta1)
        # T-E2 as the limits of T-E6 for B -> 0 and B -> infinity, for every moment model:
        # kappa^2 = nu^2 sigma^2/g^2 with nu the noiseless update (T-B8).
        noise = model.gaussian_factor * self.statistics.noise_scale
        critical = model.noise_damping(self.optimizer[1]) * noise / self.statistics.curvature_ratio
        if model.in_gradient_units:
            noise = 0.0
        else:
            noise *= self._noiseless(self.optimizer[0]) ** 2
        object.__setattr__(self, "noise_batch_size", noise)
        object.__setattr__(self, "critical_batch_size", critical)

    @property
    def model(self) -> MomentModel:
        """The moment model."""
        return moment_model(self.moments)

    @property
    def optimizer(self) -> tuple[float, float | None]:
        """The (eps, beta1) for which the law answers."""
        return (
            self.recipe.eps if self.eps is None else self.eps,
            self.recipe.beta1 if self.beta1 is None else self.beta1,
        )

    @property
    def effective_eps(self) -> float:
        """The eps that enters: 0 without a gradient size, or in a model without epsilon."""
        return self.optimizer[0] if self._eps_enters else 0.0

    @property
    def reference(self) -> Point:
        """The tuned run."""
        return Point(self.recipe.batch_size, self.recipe.learning_rate)

    @property
    def learning_rate_limit(self) -> float:
        """lr_inf, where the update is noiseless."""
        if self._closed_form is not None:
            return self._closed_form.learning_rate_limit
        limit = 1 / (self._noiseless(self.optimizer[0]) * self.statistics.curvature_ratio)
        return self.recipe.learning_rate * limit / self._reference_value()

    @property
    def peak(self) -> Point | None:
        """Where the optimum is largest and beyond which it falls, if it does (T-E3)."""
        if self._closed_form is not None:
            return self._closed_form.peak

        def slope(log_batch: Any) -> Any:
            return self.exponent(np.exp(log_batch))

        tops = [
            float(np.exp(x))
            for x, falls in sign_changes(slope, *self._log_range(), zero=FLAT)
            if falls
        ]
        points = [Point(batch, float(self.learning_rate(batch))) for batch in tops]
        return max(points, key=lambda point: point.learning_rate, default=None)

    def learning_rate(
        self,
        batch_size: npt.ArrayLike,
        *,
        eps: float | None = None,
        beta1: float | None = None,
    ) -> Real:
        """Optimal learning rate at ``batch_size``.

        Parameters
        ----------
        batch_size : array_like
            In the unit of the recipe's.
        eps, beta1 : float, optional
            Another optimizer than the law's own.

        Returns
        -------
        numpy.float64 or ndarray
            Of the shape of ``batch_size``; NaN where that is not positive and finite.
        """
        batch = as_positive(batch_size, "batch_size")
        if eps is None and beta1 is None and self._closed_form is not None:
            return self._closed_form.learning_rate(batch)
        own_eps, own_beta1 = self.optimizer
        eps = own_eps if eps is None else non_negative(eps, "eps")
        value = self._value(batch, eps, own_beta1 if beta1 is None else beta1)
        return value * (self.recipe.learning_rate / self._reference_value())

    def exponent(self, batch_size: npt.ArrayLike) -> Real:
        """Local exponent d log lr / d log B (T-E5)."""
        if self._closed_form is not None:
            return self._closed_form.exponent(batch_size)
        return super().exponent(batch_size)

    def steps_factor(self, batch_size: npt.ArrayLike) -> Real:
        """S/S_min, by T-A1 the largest possible decrease over the decrease at ``batch_size``."""
        batch = as_positive(batch_size, "batch_size")
        mean, second_moment = self._moments(batch, *self.optimizer)
        ratio = self.statistics.curvature_ratio
        return (second_moment / mean**2 + (ratio - 1)) / ratio

    def batch_sizes(self, learning_rate: float) -> tuple[float, ...]:
        """All batch sizes whose optimum is ``learning_rate``: none, one or two, ascending."""
        if self._closed_form is not None:
            return self._closed_form.batch_sizes(learning_rate)
        return super().batch_sizes(learning_rate)

    def assumptions(self) -> tuple[str, ...]:
        """Say in words what the answer takes for granted."""
        statistics, model = self.statistics, self.model
        eps, beta1 = self.optimizer
        beta1 = model.default_beta1 if beta1 is None else beta1
        said = [
            f"noise scale {statistics.noise_scale:g}: {self.provenance.source}, with no error bar, "
            "hence no interval",
            f"every coordinate alike, curvature ratio R0 = {statistics.curvature_ratio:g}"
            + (" (diagonal Hessian)" if statistics.curvature_ratio == 1 else ""),
            f"beta1 = {beta1:g}; update: {model.summary} ({model.theory})",
        ]
        if model.eps == "absent":
            said.append(f"moments '{model.name}' have no eps")
        elif statistics.grad_rms is None:
            said.append(
                f"eps -> 0: without the gradient's RMS, eps = {eps:g} cannot enter; "
                "that is harmless while eps is far below that RMS"
            )
        else:
            said.append(
                f"eps = {eps:g} {model.eps} the root, gradient RMS {statistics.grad_rms:g}: "
                f"eps/RMS = {eps / statistics.grad_rms:.3g}"
            )
        return tuple(said)

    def warnings(self, batch_size: float) -> tuple[str, ...]:
        """Say in words why the answer at this batch size should not be trusted, if so."""
        said = list(super().warnings(batch_size))
        eps, reference = self.optimizer[0], self.recipe.eps
        if eps != reference and not self._eps_enters:
            said.append(
                f"the change of eps from {reference:g} to {eps:g} is left out: "
                + (
                    f"moments '{self.moments}' have no eps"
                    if self.model.eps == "absent"
                    else "it needs the gradient's RMS"
                )
            )
        ratio = max(eps, reference) / (self.statistics.grad_rms or np.inf)
        if self._eps_enters and ratio >= 1:
            said.append(
                f"eps is {ratio:.3g} times the gradient's RMS: Adam divides by little else and "
                "acts as SGD with momentum, its best learning rate growing in proportion to eps"
            )
        return tuple(said)

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
    def _eps_enters(self) -> bool:
        return self.statistics.grad_rms is not None and self.model.eps != "absent"

    @cached_property
    def _closed_form(self) -> BatchSizeLaw | None:
        """T-E2 itself, where it is not only the two limits of this law but all of it."""
        if self.moments in ("sign", "clip") or (self.model.eps == "outside" and self.effective_eps):
            return None
        at_reference = self._value(as_positive(self.recipe.batch_size, ""), *self.optimizer)
        return BatchSizeLaw(
            self.recipe.batch_size,
            float(self.recipe.learning_rate * at_reference / self._reference_value()),
            self.noise_batch_size,
            self.critical_batch_size,
        )

    def _reference_value(self) -> float:
        """f of T-E6 at the tuned run."""
        recipe = self.recipe
        return float(
            self._value(as_positive(recipe.batch_size, "batch_size"), recipe.eps, recipe.beta1)
        )

    def _value(self, batch: FloatArray, eps: float, beta1: float | None) -> Real:
        """f of T-E6."""
        mean, second_moment = self._moments(batch, eps, beta1)
        value = mean / (second_moment + (self.statistics.curvature_ratio - 1) * mean**2)
        if self.model.in_gradient_units:
            # The update shrinks as sigma/sqrt(B), so the learning rate grows as its inverse.
            value = value * np.sqrt(batch / self.statistics.noise_scale)
        return value

    def _moments(self, batch: FloatArray, eps: float, beta1: float | None) -> Moments:
        signal = np.sqrt(batch / self.statistics.noise_scale)
        damping = signal * self._eps_ratio(eps)
        return update_moments(signal, damping, beta1, moments=self.moments)

    def _eps_ratio(self, eps: float) -> float:
        """eps/gamma, or 0 where eps does not enter."""
        if not self._eps_enters or self.statistics.grad_rms is None:
            return 0.0
        return eps / self.statistics.grad_rms

    def _noiseless(self, eps: float) -> float:
        """Noiseless update nu of a gradient of size gamma (T-B8)."""
        return float(self.model.noiseless(np.ones(()), np.full((), self._eps_ratio(eps))))
