"""The cost law S = S_min (1 + B_crit/B), fitted to steps to a given loss (T-A4)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scaling.numeric._arrays import Real, as_positive, read_table
from scaling.numeric._shifted_powers import ShiftedPowers, fit_shifted_powers

#: T-A4: S ~ B^(-1) (B + B_crit).
_STEPS = ShiftedPowers(slope=-1.0, powers=(1.0,))


@dataclass(frozen=True)
class StepsLaw:
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
    critical_batch_size_interval : tuple of float or None
        Its 95 % profile-likelihood interval; None if there are no more points than parameters.
    error : float
        Standard deviation of one log(steps) about the fit.
    """

    steps_min: float
    examples_min: float
    critical_batch_size: float
    critical_batch_size_interval: tuple[float, float] | None
    error: float

    def steps(self, batch_size: npt.ArrayLike) -> Real:
        """Steps to the loss at ``batch_size``."""
        return self.steps_min + self.examples_min / as_positive(batch_size, "batch_size")

    def examples(self, batch_size: npt.ArrayLike) -> Real:
        """Examples to the loss at ``batch_size``."""
        return self.examples_min + self.steps_min * as_positive(batch_size, "batch_size")


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
    x, y = read_table(batch_size, steps, ("batch_size", "steps"), _STEPS.size)
    reference = float(np.sort(x)[(x.size - 1) // 2])
    fit = fit_shifted_powers(_STEPS, x / reference, np.log(y))
    critical = float(fit.shifts[0] * reference)
    bounds = None
    if fit.degrees_of_freedom:
        shifts, _, _ = fit.region(0.95)
        bounds = (float(shifts.min() * reference), float(shifts.max() * reference))
    # S at the reference is exp(constant); its two terms are as 1 to B_crit/reference.
    at_reference = float(np.exp(fit.constant))
    steps_share = 1 / (1 + float(fit.shifts[0]))
    return StepsLaw(
        at_reference * steps_share,
        at_reference * reference * (1 - steps_share),
        critical,
        bounds,
        fit.error,
    )
