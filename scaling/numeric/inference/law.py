"""A posterior as a law: its medians, its two intervals, and what would narrow them (T-K1)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError
from scaling.numeric.facts import Fact, fact
from scaling.numeric.inference.evidence.evidence import Evidence, Measured
from scaling.numeric.inference.posterior import Posterior, infer, quantiles
from scaling.numeric.inference.prior import Prior
from scaling.numeric.inputs.arrays import FloatArray, Real, as_positive, non_negative, positive
from scaling.numeric.inputs.recipe import Recipe
from scaling.numeric.laws.law import OPTIMIZER, Law, Point, Provenance, check_level

if TYPE_CHECKING:  # a query starts without them
    from scaling.numeric.population.second_moments import SecondMoments

#: Further outside what was tried than this factor, an answer carries a warning.
_BEYOND = 2.0
#: Standard error of what another eps does (T-J1), as a share of its octaves: on the trainings of
#: tests/evidence 0.1 (logistic regression) to 0.3.
_SHIFT_ERROR = 0.25
#: Batch sizes that are answered at once; fewer for intervals, which take 25 times the memory.
_PART, _PART_OF_INTERVAL = 4096, 256
#: Half the width of a normal distribution's 90 % interval, in standard deviations.
_HALF_OF_90 = 1.6448536269514722
#: Local exponent (T-E5) below which the rise has ended: halfway from the square root's to none.
_ENDED = 0.25

#: A noise scale as users give it: a number, known to a factor of 2, or two that hold it with
#: probability 0.9.
NoiseScale = float | tuple[float, float]


def measured(noise_scale: NoiseScale | None) -> Measured | None:
    """Return a noise scale as evidence: by default a number is known up to a factor of 2."""
    if noise_scale is None:
        return None
    if not isinstance(noise_scale, tuple):
        return Measured(positive(noise_scale, "noise_scale"))
    low, high = (positive(end, "noise_scale") for end in noise_scale)
    if not low < high:
        raise InputError("must be two numbers in order", "noise_scale")
    return Measured(float(np.sqrt(low) * np.sqrt(high)), (high / low) ** (0.5 / _HALF_OF_90))


@dataclass(frozen=True, eq=False, repr=False)
class PosteriorLaw(Law):
    """The law that draws of a posterior make.

    Parameters
    ----------
    posterior : Posterior
    provenance : Provenance
    recipe : Recipe, optional
        The tuned run, where that is the evidence.
    noise_scale : float or tuple of float, optional
        What was said of it: a number, good to a factor of 2, or two between which it lies with
        probability 0.9.
    eps : float, optional
        For which the law of a tuned run answers; the recipe's unless given.
    second_moments : SecondMoments, optional
        Adam's, half-way through the tuned run: they tell what another eps does (T-J3, with the
        noise scale, or the posterior median of B_crit; at the tuned batch size that does not
        matter).
    optima : tuple of Point, optional
        The table that is the evidence, if there is one.
    setting : tuple of (str, float)
        Covariates, and eps where it was varied, for which the law answers; see `at`.

    Raises
    ------
    InputError
        If eps differs from the recipe's without second moments, or the setting is not complete.

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
    noise_scale: NoiseScale | None = None
    eps: float | None = None
    second_moments: "SecondMoments | None" = None
    optima: tuple[Point, ...] = ()
    setting: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        measured(self.noise_scale)  # which refuses what is none
        if self.setting and tuple(name for name, _ in self.setting) != self.needs:
            raise InputError(f"must give {', '.join(self.needs) or 'nothing'}", "setting")
        if self.eps is None or self.recipe is None:
            return
        non_negative(self.eps, "eps")
        if self.eps != self.recipe.eps and self.second_moments is None:
            raise InputError("another than the tuned run's needs second_moments", "eps")

    @classmethod
    def of_tuned_run(
        cls,
        recipe: Recipe,
        noise_scale: NoiseScale | None = None,
        *,
        prior: Prior | None = None,
        eps: float | None = None,
        second_moments: "SecondMoments | None" = None,
    ) -> Self:
        """Make the law of one tuned run.

        Parameters
        ----------
        recipe : Recipe
        noise_scale, eps, second_moments
            As in the constructor.
        prior : Prior, optional
            Learned from real sweeps by default.
        """
        batch_size, learning_rate = np.array([[recipe.batch_size], [recipe.learning_rate]])
        evidence = Evidence(batch_size, learning_rate, noise_scale=measured(noise_scale))
        besides = {type(None): "", float: " and a noise scale"}
        known = besides.get(type(noise_scale), " and a range of noise scales")
        provenance = Provenance(
            "assumed", f"one tuned run{known}; the rest as in sweeps of other models"
        )
        posterior = _as_saved(infer(evidence, prior))
        return cls(posterior, provenance, recipe, noise_scale, eps, second_moments)

    @classmethod
    def of_evidence(
        cls,
        evidence: Evidence,
        description: str,
        noise_scale: NoiseScale | None = None,
        *,
        prior: Prior | None = None,
        optima: tuple[Point, ...] = (),
    ) -> Self:
        """Make the law of optima.

        Parameters
        ----------
        evidence : Evidence
        description : str
            Where the optima come from.
        noise_scale
            As in the constructor.
        prior : Prior, optional
            Learned from real sweeps by default.
        optima : tuple of Point
            The same optima, to be shown beside the law.
        """
        evidence = replace(evidence, noise_scale=measured(noise_scale))
        low, high = float(evidence.batch_size.min()), float(evidence.batch_size.max())
        provenance = Provenance("fitted", description, (low, high))
        posterior = _as_saved(infer(evidence, prior))
        return cls(posterior, provenance, None, noise_scale, optima=optima)

    @property
    def reference(self) -> Point:
        """The tuned run, or the law at a power of two in the middle of the batch sizes tried."""
        if self.recipe is not None:
            return Point(self.recipe.batch_size, self.recipe.learning_rate)
        low, high = self.posterior.ranges[0]
        middle = float(low if low == high else np.exp2(np.round(self.posterior.center)))
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
            known = "optima" if self.optima else "runs"
            return known if self._tried else "unseen setting"
        eps_changes = self.effective_eps not in (None, self.recipe.eps)
        besides = {"second moments": eps_changes, "noise scale": self.noise_scale is not None}
        return ", ".join(name for name, given in besides.items() if given) or "tuned run"

    @property
    def _tried(self) -> bool:
        """Whether the law answers for a setting that is part of its evidence."""
        with np.errstate(divide="ignore"):
            asked = np.log2([value for _, value in self.setting])
        groups = self.posterior.groups[:, : asked.size]
        return not asked.size or bool(np.isclose(groups, asked, atol=1e-6).all(axis=1).any())

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
        (batch,) = quantiles(self._peaks, [0.5], method="inverted_cdf")
        if not np.isfinite(batch):
            return None
        return Point(float(batch), float(self.learning_rate(batch)))

    def learning_rate(self, batch_size: npt.ArrayLike) -> Real:
        """Posterior median at ``batch_size``."""

        def median(batch: FloatArray) -> FloatArray:
            return np.asarray(self.posterior.learning_rate(batch, **self._asked))

        return _in_parts(median, batch_size, _PART) * self._eps_shift(batch_size)

    @property
    def knows(self) -> tuple[str, ...]:
        """Eps, where second moments tell what it does."""
        return () if self.second_moments is None else ("eps",)

    @property
    def needs(self) -> tuple[str, ...]:
        """Every covariate, and eps if that was varied."""
        return (*self.posterior.covariates, *(("eps",) if self.posterior.family.eps else ()))

    @property
    def effective_eps(self) -> float | None:
        """The eps that enters; None where the law knows of none."""
        if "eps" in self.needs:
            return dict(self.setting).get("eps")
        if self.second_moments is None or self.recipe is None:
            return None
        return self.recipe.eps if self.eps is None else self.eps

    def at(self, **setting: float) -> Self:
        """Return the law for all that it `needs`, or for another eps, if it knows what that does.

        Raises
        ------
        InputError
            If it has no place for what is given, or something is missing.
        """
        if self.knows and setting.keys() == {"eps"}:
            return replace(self, eps=setting["eps"])
        for name, value in setting.items():
            if name in self.needs:
                _check_setting(name, value)
            elif name in OPTIMIZER:
                raise InputError(
                    "cannot be changed: it was the same in all runs that the law rests on; leave "
                    "it out",
                    name,
                )
            else:
                known = ", ".join(self.needs) or "none"
                raise InputError(f"the law has no {name!r}; it has {known}", "covariate")
        missing = [name for name in self.needs if name not in setting]
        if missing:
            raise InputError(
                f"the law needs {', '.join(missing)} too; it was fitted to sweeps at several",
                "eps" if missing == ["eps"] else "covariate",
            )
        return replace(self, setting=tuple((name, float(setting[name])) for name in self.needs))

    @property
    def _covariates(self) -> dict[str, float]:
        """Return what the covariates are, or say what is missing."""
        if self.needs and not self.setting:
            needed = ", ".join(f"{name}=..." for name in self.needs)
            raise InputError(f"say for which: law.at({needed})", "covariate")
        values = dict(self.setting)
        return {name: values[name] for name in self.posterior.covariates}

    @property
    def _asked(self) -> dict[str, Any]:
        """Arguments that ask the posterior for the setting."""
        covariates: Mapping[str, float] = self._covariates
        eps = dict(self.setting)["eps"] if "eps" in self.needs else 0.0
        return {"covariates": covariates, "eps": eps}

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
        known = measured(self.noise_scale)
        return self.critical_batch_size if known is None else known.value

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
            draws = self.posterior.exponent(batch, **self._asked)
            return np.asarray(quantiles(draws, [0.5])[0])

        return _in_parts(median, batch_size, _PART)

    def falls(self, batch_size: float) -> float:
        """Probability that the optimum falls at a batch size."""
        batch = positive(batch_size, "batch_size")
        return float(np.mean(self.posterior.exponent(batch, **self._asked) < 0))

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
        names = "noise_batch_size", "critical_batch_size"
        columns = {name: self._parameters[name] for name in names}
        if self.peak is not None:
            columns["peak_batch_size"] = self._peaks
        # Draws, for between an infinite one and another there is none.
        ends = {name: quantiles(x, tails, method="inverted_cdf") for name, x in columns.items()}
        return {name: (float(low), float(high)) for name, (low, high) in ends.items()}

    def covariate_exponents(self) -> dict[str, dict[str, tuple[float, float, float]]]:
        """Exponents of the covariates in two quantities, as median and 90 % interval.

        Returns
        -------
        dict
            By quantity, ``lr/sqrt(B)`` (of small batches, T-I4's C) and ``B_crit``, then by
            covariate.
        """
        family, draws = self.posterior.family, self.posterior.draws
        found: dict[str, dict[str, tuple[float, float, float]]] = {}
        for quantity, name in (("lr/sqrt(B)", "exponent"), ("B_crit", "corner_exponent")):
            columns = [i for i, own in enumerate(family.names) if own == name]
            found[quantity] = {}
            for covariate, column in zip(self.posterior.covariates, columns, strict=True):
                low, middle, high = map(float, quantiles(draws[:, column], [0.05, 0.5, 0.95]))
                found[quantity][covariate] = middle, low, high
        return found

    def verdicts(self) -> tuple[Fact, ...]:
        """State how probable it is that the rise has ended, and that the optimum falls."""
        low, high = (float(x) for x in self.posterior.ranges[0])
        if low == high:
            return ()
        exponents = self.posterior.exponent([low, high], **self._asked)
        (slow, middle, fast) = quantiles(exponents[:, 0], [0.05, 0.5, 0.95])
        ended = float(np.mean(exponents[:, 1] < _ENDED))
        return (
            fact("slope", batch_size=low, exponent=middle, low=slow, high=fast),
            fact("rise ended", batch_size=high, probability=ended),
            fact("falls", batch_size=high, probability=self.falls(high)),
        )

    def assumptions(self) -> tuple[Fact, ...]:
        """State what is taken from elsewhere."""
        facts = [fact("setting", **dict(self.setting))] if self.setting else []
        if isinstance(self.noise_scale, tuple):
            low, high = self.noise_scale
            facts.append(fact("noise scale range", low=low, high=high))
        elif self.noise_scale is not None:
            facts.append(fact("noise scale to a factor", noise_scale=self.noise_scale))
        facts.append(fact("prior"))
        facts.append(fact("optimizer as tuned") if self.recipe else fact("as in the fitted runs"))
        if self.second_moments is not None:
            eps = self.effective_eps
            facts.append(fact("second moments", eps=eps, mean_root=self.second_moments.mean_root))
        if not self.posterior.diagnostics.trusted:
            facts.append(fact("few draws", effective=self.posterior.diagnostics.effective))
        return tuple(facts)

    def advice(self) -> tuple[Fact, ...]:
        """State what would narrow the answer of a tuned run."""
        if self.recipe is None:
            return ()
        return (fact("narrow") if self.noise_scale is None else fact("narrow the noise scale"),)

    def warnings(self, batch_size: float) -> tuple[Fact, ...]:
        """State how far outside what was tried it is; of one tuned run all others are."""
        batch = positive(batch_size, "batch_size")
        values = {"batch_size": batch, **self._covariates}
        beyond = self.posterior.beyond(**values)
        ranges = dict(zip(values, self.posterior.ranges.tolist(), strict=True))
        tried = np.exp2(self.posterior.groups[:, -1])
        if "eps" in self.needs and tried.size:
            # A smaller eps acts less and less (T-J1); a larger one as nothing tried does.
            values["eps"], ranges["eps"] = self._asked["eps"], [tried.min(), tried.max()]
            beyond["eps"] = values["eps"] / float(tried.max())
        return tuple(
            fact("extrapolated", quantity=name, value=values[name], times=times, low=low, high=high)
            for name, times in beyond.items()
            for low, high in [ranges[name]]
            if times > _BEYOND and low < high
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what defines the law, as JSON values."""
        noise_scale = self.noise_scale
        return {
            "kind": "posterior",
            "recipe": None if self.recipe is None else asdict(self.recipe),
            "noise_scale": list(noise_scale) if isinstance(noise_scale, tuple) else noise_scale,
            "eps": self.eps,
            "second_moments": self.second_moments and json.loads(self.second_moments.to_json()),
            "optima": [point._asdict() for point in self.optima],
            "setting": [{"name": name, "value": value} for name, value in self.setting],
            "posterior": self.posterior.to_dict(len(self.posterior.draws)),
        }

    @cached_property
    def _parameters(self) -> dict[str, FloatArray]:
        return self.posterior.parameters(self._covariates)

    @cached_property
    def _peaks(self) -> FloatArray:
        if self.posterior.ranges[0, 0] == self.posterior.ranges[0, 1]:
            return np.array([np.inf])
        return self.posterior.peaks(**self._asked)

    def _median(self, name: str) -> float:
        return float(quantiles(self._parameters[name], [0.5])[0])

    def _interval(
        self, batch_size: npt.ArrayLike, level: float, ends: tuple[str, str]
    ) -> tuple[Real, Real]:
        check_level(level)

        def bounds(batch: FloatArray) -> FloatArray:
            found = self.posterior.answer(batch, level=level, **self._asked)
            return np.array([getattr(found, end) for end in ends])

        shift = self._eps_shift(batch_size)
        low, high = _in_parts(bounds, batch_size, _PART_OF_INTERVAL)
        if np.all(shift == 1):
            return low, high
        from statistics import NormalDist  # few laws are asked for another eps

        rate = self.learning_rate(batch_size)
        error = NormalDist().inv_cdf((1 + level) / 2) * _SHIFT_ERROR * np.log2(shift)
        below, above = (np.hypot(np.log2(rate / (end * shift)), error) for end in (low, high))
        return rate * np.exp2(-below), rate * np.exp2(above)


def _as_saved(posterior: Posterior) -> Posterior:
    """Return a posterior as a file would hold it, so that a saved law answers the same."""
    return Posterior.from_dict(posterior.to_dict())


def _check_setting(name: str, value: float) -> None:
    """Refuse a covariate, or eps, that is out of its range."""
    try:
        (non_negative if name == "eps" else positive)(value, name)
    except InputError as error:
        option = "eps" if name == "eps" else "covariate"
        raise InputError(f"{name}: {error.message}", option) from None


def _in_parts(
    function: Callable[[FloatArray], FloatArray], batch_size: npt.ArrayLike, size: int
) -> Any:
    """Answer for few batch sizes at a time; the last axis becomes the shape of what is asked."""
    batch = np.asarray(as_positive(batch_size, "batch_size"))
    flat = batch.ravel()
    parts = [function(flat[i : i + size]) for i in range(0, max(flat.size, 1), size)]
    whole = np.concatenate(parts, axis=-1)
    return whole.reshape((*whole.shape[:-1], *batch.shape))[()]
