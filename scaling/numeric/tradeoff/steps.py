"""The cost law S = S_min (1 + B_crit/B), fitted to steps to a given loss (T-A4)."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from scaling.numeric.facts import Fact, extrapolation
from scaling.numeric.inputs.arrays import Real, as_positive, positive, read_table
from scaling.numeric.inputs.display import Shown
from scaling.numeric.laws.batch_size_law import shift_weights
from scaling.numeric.laws.law import check_level
from scaling.numeric.tradeoff._shift import PARAMETERS, ShiftFit, fit_shift


@dataclass(frozen=True, eq=False, repr=False)
class StepsLaw(Shown):
    """Steps to a given loss, S = S_min (1 + B_crit/B) (T-A4); made by `fit_steps`.

    Attributes
    ----------
    steps_min : float
        S_min, steps at an infinite batch size.
    examples_min : float
        E_min, examples at a vanishing batch size, in the unit of the batch size.
    critical_batch_size : float
        B_crit = E_min/S_min, where steps are twice S_min and examples twice E_min; 0 or infinite
        if the table shows only one of the two.
    error : float
        Standard deviation of one log(steps) about the fit; NaN if there are no more points than
        parameters.
    reference : float
        A batch size inside the table, to which the fit refers.
    fit : ShiftFit
        The fit, from which intervals are made.
    """

    steps_min: float
    examples_min: float
    critical_batch_size: float
    error: float
    reference: float = field(repr=False)
    fit: ShiftFit = field(repr=False)

    @property
    def batch_size_range(self) -> tuple[float, float]:
        """Smallest and largest batch size that the law was fitted on."""
        batch_size = self.fit.x * self.reference
        return float(batch_size.min()), float(batch_size.max())

    @property
    def unit_variances(self) -> dict[str, float]:
        """Variances of the logarithms of the parameters if the error were 1.

        Keys as in `parameter_intervals`; of a parameter that ended at 0 or infinity it is 0.
        """
        covariance = self.fit.unit_covariance
        share = float(shift_weights(self.fit.shift)[1])
        gradients = {
            "steps_min": [1.0, share - 1],
            "examples_min": [1.0, share],
            "critical_batch_size": [0.0, 1.0],
        }
        return {
            name: float(np.array(gradient) @ covariance @ gradient)
            for name, gradient in gradients.items()
        }

    def steps(self, batch_size: npt.ArrayLike) -> Real:
        """Steps to the loss at ``batch_size``."""
        return self.steps_min + self.examples_min / as_positive(batch_size, "batch_size")

    def examples(self, batch_size: npt.ArrayLike) -> Real:
        """Examples to the loss at ``batch_size``."""
        return self.examples_min + self.steps_min * as_positive(batch_size, "batch_size")

    def steps_interval(
        self, batch_size: npt.ArrayLike, level: float = 0.95
    ) -> tuple[Real, Real] | None:
        """Confidence interval of the steps to the loss.

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
        """
        check_level(level)
        x = as_positive(batch_size, "batch_size") / self.reference
        if not self.fit.has_error:
            return None
        lower, upper = self.fit.interval(x, level)
        return np.exp(lower)[()], np.exp(upper)[()]

    def parameter_intervals(self, level: float = 0.95) -> dict[str, tuple[float, float]] | None:
        """Confidence intervals of S_min, E_min and B_crit, by profile likelihood.

        Returns
        -------
        dict or None
            Keys ``steps_min``, ``examples_min``, ``critical_batch_size``; bounds may be 0, and
            that of B_crit infinite. None if there is no scatter to tell it from.

        Notes
        -----
        In 600 simulated tables of each of 7 kinds (4 to 27 points, errors of 5 to 20 %, B_crit
        inside the table and far outside), intervals of level 90 % held the truth in 88 to 92 %.
        """
        check_level(level)
        if not self.fit.has_error:
            return None
        shift, lower, upper = self.fit.region(level)
        _, share = shift_weights(shift)
        critical = shift * self.reference
        low, high = np.exp(lower), np.exp(upper)
        columns = {
            "steps_min": (low * share, high * share),
            "examples_min": (
                low * (1 - share) * self.reference,
                high * (1 - share) * self.reference,
            ),
            "critical_batch_size": (critical, critical),
        }
        return {name: (float(a.min()), float(b.max())) for name, (a, b) in columns.items()}

    def warnings(self, batch_size: float) -> tuple[Fact, ...]:
        """State why the answer at this batch size should not be trusted, if so."""
        batch = positive(batch_size, "batch_size")
        return extrapolation("batch_size", batch, self.batch_size_range)


def fit_steps(batch_size: npt.ArrayLike, steps: npt.ArrayLike) -> StepsLaw:
    """Fit T-A4 to the steps that runs at several batch sizes took to one and the same loss.

    Parameters
    ----------
    batch_size, steps : array_like, shape (points,)
        At least two points at different batch sizes.

    Returns
    -------
    StepsLaw

    Raises
    ------
    DataError
        If there are too few points, too few different batch sizes, or a bad value.
    InputError
        If the arguments are not vectors of one length.

    Notes
    -----
    theory.md T-A4; McCandlish et al. 2018, equation 2.11. Robust least squares in log space.

    Examples
    --------
    >>> law = fit_steps([64, 256, 1024, 4096], [17000, 5000, 2000, 1250])
    >>> print(f"{law.critical_batch_size:.0f} {law.steps_min:.0f} {law.examples_min:.2g}")
    1024 1000 1e+06
    """
    x, y = read_table(batch_size, steps, ("batch_size", "steps"), PARAMETERS)
    reference = float(np.sort(x)[(x.size - 1) // 2])
    fit = fit_shift(x / reference, np.log(y))
    at_reference, share = float(np.exp(fit.constant)), float(shift_weights(fit.shift)[1])
    return StepsLaw(
        at_reference * share,
        at_reference * (1 - share) * reference,
        fit.shift * reference,
        fit.error,
        reference,
        fit,
    )
