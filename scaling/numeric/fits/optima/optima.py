"""The law T-E2 fitted to a table of optima: the best learning rates of a sweep."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError
from scaling.numeric.fits.optima.shifted_powers import (
    ShiftedPowers,
    ShiftedPowersFit,
    fit_shifted_powers,
)
from scaling.numeric.inputs.arrays import FloatArray, Real, as_positive, read_table
from scaling.numeric.laws.batch_size_law import BatchSizeLaw, peak_batch_size
from scaling.numeric.laws.facts import Fact, fact
from scaling.numeric.laws.law import Point, Provenance, check_level

#: T-E2: lr ~ sqrt(B) (B + B_n)^(1/2) (B + B_crit)^(-1).
_OPTIMA = ShiftedPowers(slope=0.5, powers=(0.5, -1.0))

#: An optimum that counts less than this in the robust fit is pointed out.
_DOWN_WEIGHTED = 0.7
#: In octaves: a law nearer than this to all optima passes through them.
_EXACT = 1e-3


@dataclass(frozen=True, repr=False)
class FittedLaw(BatchSizeLaw):
    """T-E2 fitted to a table of optima; made by `fit_optima`.

    To the face of `BatchSizeLaw` it adds what a fit knows of itself.

    Attributes
    ----------
    optima : tuple of Point
        The table.
    weights : tuple of float
        What each optimum counted in the robust fit, from 0 to 1.
    """

    optima: tuple[Point, ...] = ()
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        batch_sizes = [point.batch_size for point in self.optima]
        learning_rates = [point.learning_rate for point in self.optima]
        read_table(batch_sizes, learning_rates, ("batch_size", "learning_rate"), _OPTIMA.size)
        valid = [0 <= weight <= 1 for weight in self.weights]
        if len(valid) != len(self.optima) or not all(valid) or not any(self.weights):
            raise InputError("must be one for each optimum, from 0 to 1, not all 0", "weights")

    @property
    def residuals(self) -> FloatArray:
        """Measured minus fitted log learning rate (natural logarithm), shape (points,)."""
        return self._fit.residuals

    @property
    def error(self) -> float:
        """Standard deviation of one log learning rate; NaN with as many parameters as points."""
        return self._fit.error

    @property
    def covariance(self) -> FloatArray:
        """Covariance of (log lr at the reference, log B_n, log B_crit), shape (3, 3).

        NaN in the rows of a parameter that ended at 0 or infinity. `interval` and
        `parameter_intervals` do not rest on it; they follow the profile of the cost.
        """
        return self._fit.covariance

    def interval(self, batch_size: npt.ArrayLike, level: float = 0.95) -> tuple[Real, Real] | None:
        """Confidence interval of the optimal learning rate.

        Parameters
        ----------
        batch_size : array_like
            In the unit of the table.
        level : float, default 0.95
            Between 0 and 1.

        Returns
        -------
        (lower, upper) or None
            Arrays of the shape of ``batch_size``: the profile-likelihood interval of the law
            itself, not of a new run. None if there is no scatter to tell it from: no more points
            than parameters, or an exact table.

        Notes
        -----
        Somewhat narrow for few optima: in 790 simulated tables of 9 optima with Gaussian errors,
        intervals of level 90 % held the truth in 88 % (standard error 1 %).
        """
        check_level(level)
        x = as_positive(batch_size, "batch_size") / self.reference_batch_size
        if not self._fit.has_error:
            return None
        lower, upper = self._fit.interval(x, level)
        return np.exp(lower)[()], np.exp(upper)[()]

    def parameter_intervals(self, level: float = 0.95) -> dict[str, tuple[float, float]] | None:
        """Confidence intervals of B_n, B_crit and the peak's batch size.

        Returns
        -------
        dict or None
            Keys ``noise_batch_size``, ``critical_batch_size``, ``peak_batch_size``; bounds may
            be 0 or infinite (for the peak: laws without any are not excluded). None if there
            is no scatter to tell it from: no more points than parameters, or an exact table.
        """
        check_level(level)
        if not self._fit.has_error:
            return None
        shifts, _, _ = self._fit.region(level)
        noise, critical = shifts.T * self.reference_batch_size
        columns = {
            "noise_batch_size": noise,
            "critical_batch_size": critical,
            "peak_batch_size": peak_batch_size(noise, critical),
        }
        return {name: (float(v.min()), float(v.max())) for name, v in columns.items()}

    def undetermined(self, level: float = 0.95) -> tuple[Fact, ...]:
        """State which parameters the table leaves open, and the bounds that it gives."""
        intervals = self.parameter_intervals(level)
        facts = []
        for symbol, name in (("B_n", "noise_batch_size"), ("B_crit", "critical_batch_size")):
            value = getattr(self, name)
            if intervals is None:
                if not 0 < value < np.inf:
                    facts.append(fact("ran to the end", symbol=symbol, end=value))
                continue
            low, high = intervals[name]
            if low == 0 and high == np.inf:
                facts.append(fact("not determined", symbol=symbol))
            elif high == np.inf:
                facts.append(fact("bounded below", symbol=symbol, bound=low, level=level))
            elif low == 0:
                facts.append(fact("bounded above", symbol=symbol, bound=high, level=level))
        return tuple(facts)

    def assumptions(self) -> tuple[Fact, ...]:
        """State what the answer takes for granted, and how well the law fits."""
        facts = [fact("as in the fitted optima")]
        octaves = self.residuals / np.log(2)
        optima, misfit = len(self.optima), float(np.abs(octaves).max())
        if self._fit.has_error:
            facts.append(fact("robust fit", optima=optima, error=float(self.error / np.log(2))))
        elif misfit < _EXACT:
            facts.append(fact("no scatter", optima=optima))
        else:
            facts.append(fact("no error", optima=optima, misfit=misfit))
        facts.extend(
            fact("counts less", batch_size=point.batch_size, octaves=float(octave), weight=weight)
            for point, weight, octave in zip(self.optima, self.weights, octaves, strict=True)
            if weight < _DOWN_WEIGHTED
        )
        return (*facts, *self.undetermined())

    def to_dict(self) -> dict[str, Any]:
        """Return what defines the law, as JSON values; infinite numbers are None."""
        return super().to_dict() | {
            "kind": "fitted",
            "optima": [
                {**point._asdict(), "weight": weight}
                for point, weight in zip(self.optima, self.weights, strict=True)
            ],
        }

    @cached_property
    def _fit(self) -> ShiftedPowersFit:
        """The fit, from what defines the law."""
        table = np.array(self.optima)
        shifts = np.array([self.noise_batch_size, self.critical_batch_size])
        return ShiftedPowersFit(
            _OPTIMA,
            table[:, 0] / self.reference_batch_size,
            np.log(table[:, 1]),
            np.array(self.weights),
            float(np.log(self.reference_learning_rate)),
            shifts / self.reference_batch_size,
        )


def fit_optima(
    batch_size: npt.ArrayLike, learning_rate: npt.ArrayLike, *, name: str = "the table"
) -> FittedLaw:
    """Fit T-E2 to the best learning rates found at several batch sizes.

    Parameters
    ----------
    batch_size, learning_rate : array_like, shape (points,)
        At least three optima, at three or more different batch sizes; repeats (seeds) are fine.
    name : str, default "the table"
        What to call the table in the law's provenance.

    Returns
    -------
    FittedLaw
        Robust least squares in log space (Huber's weights) from several starts. Parameters that
        the table does not hold end at 0 or infinity, see `FittedLaw.undetermined`.

    Raises
    ------
    DataError
        If there are too few points, too few different batch sizes, or a bad value.
    InputError
        If the arguments are not vectors of one length.

    Notes
    -----
    theory.md T-E2. The law is held at the table's middle batch size.

    Examples
    --------
    >>> batch_size = [16, 64, 256, 1024, 4096]
    >>> law = fit_optima(batch_size, [0.5e-3, 0.9e-3, 1.4e-3, 1.1e-3, 0.6e-3])
    >>> 200 < law.peak.batch_size < 800
    True
    """
    x, y = read_table(batch_size, learning_rate, ("batch_size", "learning_rate"), _OPTIMA.size)
    reference = float(np.sort(x)[(x.size - 1) // 2])
    fit = fit_shifted_powers(_OPTIMA, x / reference, np.log(y))
    span = (float(x.min()), float(x.max()))
    return FittedLaw(
        reference,
        float(np.exp(fit.constant)),
        float(fit.shifts[0] * reference),
        float(fit.shifts[1] * reference),
        Provenance(
            "fitted",
            f"fitted to {x.size} optima at batch sizes {span[0]:.10g} to {span[1]:.10g} of "
            f"{name if name.isprintable() else ascii(name)}",
            span,
        ),
        tuple(Point(float(b), float(rate)) for b, rate in zip(x, y, strict=True)),
        tuple(float(weight) for weight in fit.weights),
    )
