"""A posterior as a law: its medians, its two intervals, and what would narrow them (T-K1)."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError
from scaling.numeric.inference.evidence.evidence import Evidence, Measured
from scaling.numeric.inference.posterior import Posterior, infer, quantiles
from scaling.numeric.inference.prior import Prior
from scaling.numeric.inputs.arrays import FloatArray, Real, as_positive, non_negative, positive
from scaling.numeric.inputs.recipe import Recipe
from scaling.numeric.laws.facts import Fact, fact
from scaling.numeric.laws.law import Law, Point, Provenance, check_level
from scaling.numeric.population.second_moments import SecondMoments

#: Draws that a law carries: the median of a law known to a factor of 2 is good to 5 %.
_DRAWS = 500
#: Further outside what was tried than this factor, an answer carries a warning.
_BEYOND = 2.0
#: Batch sizes that are answered at once; fewer for intervals, which take 25 times the memory.
_PART, _PART_OF_INTERVAL = 4096, 256
#: Half the width of a normal distribution's 90 % interval, in standard deviations.
_HALF_OF_90 = 1.6448536269514722


@dataclass(frozen=True, eq=False, repr=False)
class PosteriorLaw(Law):
    """The law that draws of a posterior make.

    Parameters
    ----------
    posterior : Posterior
    provenance : Provenance
    recipe : Recipe, optional
        The tuned run, where that is the evidence.
    noise_scale : tuple of float, optional
        Between what it was said to lie, with probability 0.9.
    eps : float, optional
        For which the law answers; the recipe's unless given.
    second_moments : SecondMoments, optional
        Adam's, half-way through the tuned run: they tell what another eps does (T-J3, with the
        noise scale, or the posterior median of B_crit; at the tuned batch size that does not
        matter).

    Raises
    ------
    InputError
        If eps differs from the recipe's without second moments.

    Examples
    --------
    >>> law = PosteriorLaw.of_tuned_run(Recipe(3e-4, 256))
    >>> low, high = law.interval(1024)
    >>> bool(low < 3e-4 < law.learning_rate(1024) < 6e-4 < high)
    True
    """

    posterior: Posterior
    provenance: Provenance
    recipe: Recipe | None = None
    noise_scale: tuple[float, float] | None = None
    eps: float | None = None
    second_moments: SecondMoments | None = None

    level = 0.9

    def __post_init__(self) -> None:
        if self.eps is None or self.recipe is None:
            return
        non_negative(self.eps, "eps")
        if self.eps != self.recipe.eps and self.second_moments is None:
            raise InputError("another than the tuned run's needs second_moments", "eps")

    @classmethod
    def of_tuned_run(
        cls,
        recipe: Recipe,
        noise_scale: tuple[float, float] | None = None,
        *,
        prior: Prior | None = None,
        eps: float | None = None,
        second_moments: SecondMoments | None = None,
    ) -> Self:
        """Make the law of one tuned run.

        Parameters
        ----------
        recipe : Recipe
        noise_scale : tuple of float, optional
            Two numbers in order, between which it lies with probability 0.9.
        prior : Prior, optional
            Learned from real sweeps by default.
        eps, second_moments
            As in the constructor.
        """
        measured = None
        if noise_scale is not None:
            low, high = noise_scale
            factor = float((high / low) ** (0.5 / _HALF_OF_90))
            measured = Measured(float(np.sqrt(low) * np.sqrt(high)), factor)
        batch_size, learning_rate = np.array([[recipe.batch_size], [recipe.learning_rate]])
        evidence = Evidence(batch_size, learning_rate, noise_scale=measured)
        known = "one tuned run" if measured is None else "one tuned run and a range of noise scales"
        provenance = Provenance("assumed", f"{known}; the rest as in sweeps of other models")
        # As a file would hold them, so that a saved law answers the same.
        draws = infer(evidence, prior).to_dict(_DRAWS)
        return cls(Posterior.from_dict(draws), provenance, recipe, noise_scale, eps, second_moments)

    @property
    def reference(self) -> Point:
        """The tuned run, or the middle of the batch sizes tried."""
        if self.recipe is not None:
            return Point(self.recipe.batch_size, self.recipe.learning_rate)
        middle = float(np.exp2(self.posterior.center))
        return Point(middle, float(self.learning_rate(middle)))

    @property
    def learning_rate_limit(self) -> float:
        """lr_inf, where all draws have long saturated."""
        return float(self.learning_rate(np.exp2(min(self.posterior.center + 200, 1000))))

    @property
    def theory(self) -> tuple[str, ...]:
        """Ids of the family and of the posterior."""
        return "T-I4", "T-K1"

    @property
    def route(self) -> str:
        """What the law is inferred from, as tests/evidence names it."""
        if self.recipe is None:
            return "optima" if self.optima else "runs"
        if self.effective_eps not in (None, self.recipe.eps):
            return "second moments"
        return "tuned run" if self.noise_scale is None else "noise scale"

    @cached_property
    def noise_batch_size(self) -> float:  # type: ignore[override]
        """Posterior median of B_n."""
        return self._median("noise_batch_size")

    @cached_property
    def critical_batch_size(self) -> float:  # type: ignore[override]
        """Posterior median of B_crit."""
        return self._median("critical_batch_size")

    @cached_property
    def peak(self) -> Point | None:
        """Where the optimum is largest, if that is likelier than not within what was tried."""
        largest = float(self.posterior.ranges[0, 1])
        if not self.posterior.falls(largest)[0] > 1 / 2:
            return None
        batch = self._median("peak_batch_size")
        return Point(batch, float(self.learning_rate(batch)))

    def learning_rate(self, batch_size: npt.ArrayLike) -> Real:
        """Posterior median at ``batch_size``."""
        rate = _in_parts(self.posterior.learning_rate, batch_size, _PART)
        return rate * self._eps_shift(batch_size)

    @property
    def knows(self) -> tuple[str, ...]:
        """Eps, where second moments tell what it does."""
        return () if self.second_moments is None else ("eps",)

    @property
    def effective_eps(self) -> float | None:
        """The eps that enters; None where the law knows of none."""
        if self.second_moments is None or self.recipe is None:
            return None
        return self.recipe.eps if self.eps is None else self.eps

    def at(self, **setting: float) -> Self:
        """Return the law for another eps, if it knows what that does."""
        if setting.keys() <= set(self.knows):
            return replace(self, eps=setting["eps"]) if setting else self
        return super().at(**setting)

    def eps_effect(self, batch_size: float) -> Fact | None:
        """State what epsilon does at a batch size."""
        eps, moments = self.effective_eps, self.second_moments
        if eps is None or moments is None or self.recipe is None:
            return None
        batch, reference = positive(batch_size, "batch_size"), self.recipe.eps
        here = moments.at_batch_size(batch, self.recipe.batch_size, self._gradient_noise)
        return fact(
            "eps acts",
            eps=eps,
            reference=reference,
            factor=float(here.eps_shift(eps, reference)),
            share=float(here.share_below(eps)),
        )

    @property
    def _gradient_noise(self) -> float:
        """B_n of T-J2: the noise scale as measured, else where the rise ends, as it is there."""
        if self.noise_scale is None:
            return self.critical_batch_size
        low, high = self.noise_scale
        return float(np.sqrt(low) * np.sqrt(high))

    def _eps_shift(self, batch_size: npt.ArrayLike) -> Real:
        """Return what another eps does (T-J3)."""
        eps, moments = self.effective_eps, self.second_moments
        if eps is None or moments is None or self.recipe is None:
            return 1.0
        return moments.shift_over_batch_sizes(
            as_positive(batch_size, "batch_size"),
            eps,
            reference=(self.recipe.batch_size, self.recipe.eps),
            noise_scale=self._gradient_noise,
        )

    def exponent(self, batch_size: npt.ArrayLike) -> Real:
        """Posterior median of the local exponent (T-E5)."""

        def median(batch: FloatArray) -> FloatArray:
            return np.asarray(quantiles(self.posterior.exponent(batch), [0.5])[0])

        return _in_parts(median, batch_size, _PART)

    def steps_factor(self, batch_size: npt.ArrayLike) -> Real:
        """S/S_min = 1 + B_crit/B (T-E4) at the median of B_crit."""
        return 1 + self.critical_batch_size / as_positive(batch_size, "batch_size")

    def interval(self, batch_size: npt.ArrayLike, level: float = 0.9) -> tuple[Real, Real]:
        """Interval of the optimum that a new sweep would find."""
        return self._interval(batch_size, level, ("low", "high"))

    def law_interval(self, batch_size: npt.ArrayLike, level: float = 0.9) -> tuple[Real, Real]:
        """Interval of the law itself, about which optima of sweeps scatter."""
        return self._interval(batch_size, level, ("law_low", "law_high"))

    def parameter_intervals(self, level: float = 0.9) -> dict[str, tuple[float, float]]:
        """Intervals of B_n, B_crit and, if there is one, the peak's batch size."""
        tails = [(1 - check_level(level)) / 2, (1 + level) / 2]
        found = {}
        for name in ("noise_batch_size", "critical_batch_size", "peak_batch_size"):
            if name != "peak_batch_size" or self.peak is not None:
                # A draw, for between an infinite one and another there is none.
                ends = np.quantile(self._parameters[name], tails, method="inverted_cdf")
                found[name] = (float(ends[0]), float(ends[1]))
        return found

    def assumptions(self) -> tuple[Fact, ...]:
        """State what is taken from elsewhere."""
        facts = [fact("prior"), fact("optimizer as tuned")]
        if self.second_moments is not None:
            eps = self.effective_eps
            facts.append(fact("second moments", eps=eps, mean_root=self.second_moments.mean_root))
        if self.noise_scale is not None:
            low, high = self.noise_scale
            facts.insert(0, fact("noise scale range", low=low, high=high))
        return tuple(facts)

    def advice(self) -> tuple[Fact, ...]:
        """State what would narrow the answer."""
        return (fact("narrow the noise scale") if self.noise_scale else fact("narrow"),)

    def warnings(self, batch_size: float) -> tuple[Fact, ...]:
        """State how far outside the batch sizes tried it is; of one tuned run all others are."""
        low, high = (float(x) for x in self.posterior.ranges[0])
        times = self.posterior.beyond(batch_size)["batch_size"]
        if low == high or times <= _BEYOND:
            return ()
        known = {"quantity": "batch_size", "value": batch_size, "times": times}
        return (fact("extrapolated", **known, low=low, high=high),)

    def to_dict(self) -> dict[str, Any]:
        """Return what defines the law, as JSON values."""
        return {
            "kind": "posterior",
            "recipe": None if self.recipe is None else asdict(self.recipe),
            "noise_scale": None if self.noise_scale is None else list(self.noise_scale),
            "eps": self.eps,
            "second_moments": self.second_moments and json.loads(self.second_moments.to_json()),
            "posterior": self.posterior.to_dict(len(self.posterior.draws)),
        }

    @cached_property
    def _parameters(self) -> dict[str, FloatArray]:
        return self.posterior.parameters()

    def _median(self, name: str) -> float:
        return float(quantiles(self._parameters[name], [0.5])[0])

    def _interval(
        self, batch_size: npt.ArrayLike, level: float, ends: tuple[str, str]
    ) -> tuple[Real, Real]:
        check_level(level)

        def bounds(batch: FloatArray) -> FloatArray:
            found = self.posterior.answer(batch, level=level)
            return np.array([getattr(found, end) for end in ends])

        shift = self._eps_shift(batch_size)
        low, high = _in_parts(bounds, batch_size, _PART_OF_INTERVAL)
        return low * shift, high * shift


def _in_parts(
    function: Callable[[FloatArray], FloatArray], batch_size: npt.ArrayLike, size: int
) -> Any:
    """Answer for few batch sizes at a time; the last axis becomes the shape of what is asked."""
    batch = np.asarray(as_positive(batch_size, "batch_size"))
    flat = batch.ravel()
    parts = [function(flat[i : i + size]) for i in range(0, max(flat.size, 1), size)]
    whole = np.concatenate(parts, axis=-1)
    return whole.reshape((*whole.shape[:-1], *batch.shape))[()]
