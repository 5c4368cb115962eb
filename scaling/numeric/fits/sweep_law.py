"""The law that a sweep gives: for any setting of its covariates and eps, with intervals."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self, get_args

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError
from scaling.numeric.fits.forms import Adam, Design, EpsForm, eps_gain
from scaling.numeric.inputs.arrays import FloatArray, Real, as_positive, non_negative, positive
from scaling.numeric.laws.batch_size_law import BatchSizeLaw, peak_batch_size
from scaling.numeric.laws.facts import Fact, extrapolation, fact
from scaling.numeric.laws.law import OPTIMIZER, Law, Point, Provenance, check_level

#: Shifts beyond exp of this, relative to the reference, are 0 or infinite.
_CORNER = 20.0
#: Replicates below this number give no interval.
FEWEST_REPLICATES = 20
#: Upper quantiles (k + 1/2)/25 of Student's t with 5 degrees of freedom; written out, since a saved
#: law is to answer without SciPy.
_UPPER = (
    0.10561, 0.21265, 0.32267, 0.4375, 0.55943, 0.69157,
    0.83847, 1.00735, 1.21102, 1.47588, 1.87268, 2.75651,
)  # fmt: skip
#: What the model of a valley may be off by in all cells alike, in log lr: 0.01 octave.
_VALLEY_ERROR = 0.01 * float(np.log(2)) * np.array([*(-x for x in reversed(_UPPER)), 0.0, *_UPPER])


@dataclass(frozen=True)
class Covariate:
    """A number that was varied besides batch size and learning rate.

    Attributes
    ----------
    name : str
    middle : float
        Geometric mean over the cells, to which the parameters refer.
    low, high : float
        What was tried.
    """

    name: str
    middle: float
    low: float
    high: float

    def __post_init__(self) -> None:
        for value in (self.middle, self.low, self.high):
            positive(value, "covariates")
        if not self.low <= self.middle <= self.high:
            raise InputError("the middle must lie between low and high", "covariates")


@dataclass(frozen=True, repr=False)
class SweepLaw(Law):
    """T-E2 with log-linear covariates, and eps where it was varied; made by `fit_sweep`.

    Where the sweep had covariates or values of eps, `at` says for which the law is to answer.

    Attributes
    ----------
    eps_form : {"outside", "inside", "gaussian"} or None
        How eps enters: T-E7, T-E1, T-F3; None if it was not varied.
    covariates : tuple of Covariate
    eps_range : tuple of float, optional
        Smallest and largest eps tried.
    reference_batch_size : float
        To which the parameters refer.
    parameters : tuple of (str, float)
        By name: ``log_scale``, ``log_critical`` and ``log_ratio`` are lr, B_crit (relative to
        the reference) and B_n/B_crit at the covariates' middles, ``critical:N`` is B_crit's
        exponent in the covariate N.
    replicates : tuple of tuple of float
        Parameters of laws that the bootstrap made, for the intervals.
    error : float, optional
        Cross-validated error in octaves.
    provenance : Provenance
    setting : tuple of (str, float)
        Covariates, and ``eps``, for which the law answers.

    Examples
    --------
    >>> from scaling.numeric.fits import SweepLaw
    >>> law = SweepLaw.of(
    ...     learning_rate=1e-3, reference_batch_size=256, noise_batch_size=4000,
    ...     critical_batch_size=400, covariates={"N": 1e9},
    ...     learning_rate_exponents={"N": -0.3}, critical_exponents={"N": 0.1},
    ... )
    >>> print(f"{law.at(N=1e9).learning_rate(256):.1e} {law.at(N=4e9).learning_rate(256):.1e}")
    1.0e-03 6.5e-04
    """

    eps_form: EpsForm | None
    covariates: tuple[Covariate, ...]
    eps_range: tuple[float, float] | None
    reference_batch_size: float
    parameters: tuple[tuple[str, float], ...]
    replicates: tuple[tuple[float, ...], ...]
    error: float | None
    provenance: Provenance
    setting: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        self._check_eps()
        positive(self.reference_batch_size, "reference_batch_size")
        names = tuple(name for name, _ in self.parameters)
        if names != self._form.names([c.name for c in self.covariates]):
            raise InputError("are not those of such a law", "parameters")
        if any(len(replicate) != len(names) for replicate in self.replicates):
            raise InputError(f"must have {len(names)} parameters each", "replicates")
        if self.error is not None:
            non_negative(self.error, "error")
        if self.setting and tuple(name for name, _ in self.setting) != self.needs:
            raise InputError(f"must give {', '.join(self.needs)}", "setting")
        for name, value in self.setting:
            (non_negative if name == "eps" and self.eps_form else positive)(value, name)

    def _check_eps(self) -> None:
        if self.eps_form is not None and self.eps_form not in get_args(EpsForm):
            raise InputError(
                f"must be one of {get_args(EpsForm)}, got {self.eps_form!r}", "eps_form"
            )
        if (self.eps_form is None) != (self.eps_range is None):
            raise InputError("there is one exactly if eps was varied", "eps_range")
        if self.eps_range is not None:
            low, high = (non_negative(x, "eps_range") for x in self.eps_range)
            if not low < high:
                raise InputError("must be two numbers in order", "eps_range")

    @classmethod
    def of(
        cls,
        *,
        learning_rate: float,
        reference_batch_size: float,
        noise_batch_size: float,
        critical_batch_size: float,
        covariates: dict[str, float] | None = None,
        learning_rate_exponents: dict[str, float] | None = None,
        critical_exponents: dict[str, float] | None = None,
    ) -> Self:
        """Make a law with known parameters, such as the truth of a simulated sweep.

        Parameters
        ----------
        learning_rate : float
            Optimum at the reference batch size and the covariates given.
        reference_batch_size, noise_batch_size, critical_batch_size : float
            All positive and finite; the latter two at the covariates given.
        covariates : dict, optional
            Values to which the other arguments refer.
        learning_rate_exponents, critical_exponents : dict, optional
            Exponents of lr_inf and of B_crit and B_n in the covariates; 0 where left out.
        """
        middles = covariates or {}
        for exponents in (learning_rate_exponents, critical_exponents):
            for name in exponents or {}:
                if name not in middles:
                    raise InputError(f"there is no covariate {name!r}", "covariates")
        critical = positive(critical_batch_size, "critical_batch_size")
        noise = positive(noise_batch_size, "noise_batch_size")
        reference = positive(reference_batch_size, "reference_batch_size")
        parameters = [("log_scale", float(np.log(positive(learning_rate, "learning_rate"))))]
        parameters += [
            (f"scale:{name}", (learning_rate_exponents or {}).get(name, 0.0)) for name in middles
        ]
        parameters.append(("log_critical", float(np.log(critical / reference))))
        parameters += [
            (f"critical:{name}", (critical_exponents or {}).get(name, 0.0)) for name in middles
        ]
        parameters.append(("log_ratio", float(np.log(noise / critical))))
        return cls(
            None,
            tuple(Covariate(name, value, value, value) for name, value in middles.items()),
            None,
            reference,
            tuple(parameters),
            (),
            None,
            Provenance("assumed", "parameters as given"),
        )

    @property
    def theory(self) -> tuple[str, ...]:
        """Ids of the formula, which depends on how eps enters."""
        return {"outside": ("T-E7",), "gaussian": ("T-F3",)}.get(self.eps_form or "", ("T-E2",))

    @property
    def needs(self) -> tuple[str, ...]:
        """Every covariate, and eps if that was varied."""
        return (*(c.name for c in self.covariates), *(("eps",) if self.eps_form else ()))

    @property
    def effective_eps(self) -> float | None:
        """The eps of the setting, if it was varied."""
        return dict(self.setting).get("eps") if self.eps_form else None

    def at(self, **setting: float) -> Self:
        """Return the law for given covariates, and eps if that was varied: all that it `needs`."""
        for name in setting:
            if name not in self.needs:
                if name in OPTIMIZER:
                    raise InputError(
                        "cannot be changed: it was the same in all runs that the law was fitted "
                        "to; leave it out",
                        name,
                    )
                known = ", ".join(self.needs) or "none"
                raise InputError(f"the law has no {name!r}; it has {known}", "covariate")
        missing = [name for name in self.needs if name not in setting]
        if missing:
            raise InputError(
                f"the law needs {', '.join(missing)} too; it was fitted to sweeps at several",
                "eps" if missing == ["eps"] else "covariate",
            )
        values = tuple((name, float(setting[name])) for name in self.needs)
        for name, value in values:
            check = non_negative if name == "eps" and self.eps_form else positive
            try:
                check(value, name)
            except InputError as error:
                raise InputError(
                    f"{name}: {error.message}", "eps" if name == "eps" else "covariate"
                ) from None
        return replace(self, setting=values)

    @property
    def reference(self) -> Point:
        """The law at its reference batch size."""
        batch = self.reference_batch_size
        return Point(batch, float(self.learning_rate(batch)))

    @property
    def noise_batch_size(self) -> float:  # type: ignore[override]
        """B_n at the setting."""
        return float(self._shifts(self._theta)[0, 0])

    @property
    def critical_batch_size(self) -> float:  # type: ignore[override]
        """B_crit at the setting."""
        return float(self._shifts(self._theta)[0, 1])

    @property
    def learning_rate_limit(self) -> float:
        """lr_inf, the optimum for B -> infinity."""
        if self._plain is not None:
            return self._plain.learning_rate_limit
        if self.critical_batch_size == np.inf:
            return np.inf
        return float(np.exp(self._log_rates(self._theta, np.array([600.0]))[0, 0]))

    def learning_rate(self, batch_size: npt.ArrayLike) -> Real:
        """Optimal learning rate at ``batch_size``."""
        batch = as_positive(batch_size, "batch_size")
        return np.exp(self._at_batch(self._theta, batch)[0].reshape(batch.shape))[()]

    def steps_factor(self, batch_size: npt.ArrayLike) -> Real:
        """S/S_min = 1 + B_crit/B (T-E4)."""
        return 1 + self.critical_batch_size / as_positive(batch_size, "batch_size")

    def interval(self, batch_size: npt.ArrayLike, level: float = 0.95) -> tuple[Real, Real] | None:
        """Confidence interval of the optimal learning rate.

        Parameters
        ----------
        batch_size : array_like
            In the unit of the sweep.
        level : float, default 0.95
            Between 0 and 1.

        Returns
        -------
        (lower, upper) or None
            Arrays of the shape of ``batch_size``, from the bootstrap's replicates: of the law,
            about which the optimum of a single setting scatters besides. None with fewer than
            20 replicates.

        Notes
        -----
        In simulated sweeps (tests/benchmarks/sweep_coverage.py) intervals of level 90 % held the
        truth in 94 % of 200 sweeps of one group, in 94 % of 100 noisy ones with three seeds, and
        in 98 % of 40 sweeps of nine groups, where they are somewhat wide.
        """
        check_level(level)
        batch = as_positive(batch_size, "batch_size")
        if len(self.replicates) < FEWEST_REPLICATES:
            return None
        theta = np.array(self.replicates)
        tail = (1 - level) / 2
        bounds = []
        for column in self._at_batch(theta, batch).T:
            values = column[:, None] + _VALLEY_ERROR
            known = np.isfinite(values).all()
            bounds.append(np.quantile(values, [tail, 1 - tail]) if known else [np.nan, np.nan])
        lower, upper = np.exp(np.array(bounds).reshape(-1, 2)).T
        return lower.reshape(batch.shape)[()], upper.reshape(batch.shape)[()]

    def parameter_intervals(self, level: float = 0.95) -> dict[str, tuple[float, float]] | None:
        """Bootstrap intervals of B_n, B_crit and the peak's batch size at the setting.

        Returns
        -------
        dict or None
            Keys ``noise_batch_size``, ``critical_batch_size``, ``peak_batch_size``; bounds may
            be 0 or infinite (for the peak: laws without any are not excluded). None with fewer
            than 20 replicates.
        """
        check_level(level)
        if len(self.replicates) < FEWEST_REPLICATES:
            return None
        theta = np.array(self.replicates)
        shifts = self._shifts(theta)
        noise, critical = shifts.T
        tail = (1 - level) / 2

        def bounds(values: FloatArray) -> tuple[float, float]:
            # No interpolation: between a number and infinity there is nothing.
            ordered = np.sort(values)
            last = ordered.size - 1
            return float(ordered[int(tail * last)]), float(ordered[-1 - int(tail * last)])

        columns = {"noise_batch_size": noise, "critical_batch_size": critical}
        if self._plain is not None:
            columns["peak_batch_size"] = peak_batch_size(noise, critical)
        return {name: bounds(values) for name, values in columns.items()}

    def assumptions(self) -> tuple[Fact, ...]:
        """State what the answer takes for granted, and how well the law fits."""
        facts = [fact("as in the fitted runs")]
        if self.setting:
            facts.append(fact("setting", **dict(self.setting)))
        if self.error is not None:
            facts.append(fact("cross-validated error", octaves=self.error))
        if self.replicates:
            facts.append(fact("bootstrap", replicates=len(self.replicates)))
        return tuple(facts)

    def warnings(self, batch_size: float) -> tuple[Fact, ...]:
        """State why the answer at this batch size should not be trusted, if so."""
        facts = list(super().warnings(batch_size))
        ranges = {c.name: (c.low, c.high) for c in self.covariates if c.low < c.high}
        if self.eps_range is not None:
            ranges["eps"] = self.eps_range
        for name, value in self.setting:
            if name in ranges and value:
                facts += extrapolation(name, value, ranges[name])
        return tuple(facts)

    def to_dict(self) -> dict[str, Any]:
        """Return what defines the law, as JSON values."""
        return {
            "kind": "sweep",
            "eps_form": self.eps_form,
            "covariates": [
                {"name": c.name, "middle": c.middle, "low": c.low, "high": c.high}
                for c in self.covariates
            ],
            "eps_range": None if self.eps_range is None else list(self.eps_range),
            "reference_batch_size": self.reference_batch_size,
            "parameters": [{"name": name, "value": value} for name, value in self.parameters],
            "replicates": [{"parameters": list(theta)} for theta in self.replicates],
            "error": self.error,
            "setting": [{"name": name, "value": value} for name, value in self.setting],
        }

    @cached_property
    def _form(self) -> Adam:
        kinds = {name.partition(":")[0] for name, _ in self.parameters}
        varying = 2 if "ratio" in kinds else 1 if "critical" in kinds else 0
        if not self.covariates:
            varying = 0
        return Adam("law", varying, eps=self.eps_form)

    @property
    def _theta(self) -> FloatArray:
        return np.array([[value for _, value in self.parameters]])

    def _design(self, log_x: FloatArray) -> Design:
        """Design at given batch sizes and the setting."""
        if self.needs and not self.setting:
            needed = ", ".join(f"{name}=..." for name in self.needs)
            raise InputError(f"say for which: law.at({needed})", "covariate")
        values = dict(self.setting)
        z = [np.log(values[c.name] / c.middle) for c in self.covariates]
        eps = values.get("eps", 0.0) if self.eps_form else 0.0
        return Design(
            log_x,
            np.broadcast_to(np.array(z), (log_x.size, len(z))),
            np.full(log_x.size, np.log(eps) if eps else -np.inf),
        )

    def _log_rates(self, theta: FloatArray, log_x: FloatArray) -> FloatArray:
        return self._form.evaluate(theta, self._design(log_x))[0]

    def _at_batch(self, theta: FloatArray, batch: FloatArray) -> FloatArray:
        """log lr of each row of parameters at each batch size, NaN where it is malformed."""
        log_x = np.log(batch.reshape(-1) / self.reference_batch_size)
        safe = np.where(np.isnan(log_x), 0.0, log_x)
        return np.where(np.isnan(log_x), np.nan, self._log_rates(theta, safe))

    def _shifts(self, theta: FloatArray) -> FloatArray:
        """B_n and B_crit at the setting, shape (R, 2); beyond all bounds they are 0 or infinite."""
        logs, normal = self._form.shifts(theta, self._design(np.zeros(1)))
        result = self.reference_batch_size * np.exp(np.clip(logs, -_CORNER, _CORNER))
        result = np.where(logs > _CORNER, np.inf, np.where(logs < -_CORNER, 0.0, result))
        if self.eps_form is not None:
            # With eps the noiseless update, and with it B_n, is smaller (T-B8).
            log_eps = self._design(np.zeros(1)).log_eps
            log_r = log_eps - theta[:, -1] + normal / 2
            gain, _ = eps_gain(self.eps_form, log_r)
            result[:, 0] *= np.exp(-2 * gain)
        return result

    @cached_property
    def _plain(self) -> BatchSizeLaw | None:
        """T-E2 itself, where it is all of this law."""
        if self.eps_form not in (None, "inside") and dict(self.setting).get("eps"):
            return None
        log_rate = self._log_rates(self._theta, np.zeros(1))
        noise, critical = self._shifts(self._theta)[0]
        return BatchSizeLaw(
            self.reference_batch_size, float(np.exp(log_rate[0, 0])), float(noise), float(critical)
        )
