"""The root mean square of Adam's update, and what it tells of the noise (T-D4)."""

import numpy as np
import numpy.typing as npt

from scaling.numeric.inputs.arrays import Real, as_array, as_non_negative, decay_rate
from scaling.numeric.moments.many_steps import displacement_damping


def update_rms(ratio: npt.ArrayLike, beta1: npt.ArrayLike = 0.9) -> Real:
    """Root mean square of the update's entries, eps = 0, in mean field.

    Parameters
    ----------
    ratio : array_like
        Signal-to-noise ratio ||g||^2 B/tr(Sigma) = B/B_simple, at least 0, dimensionless.
    beta1 : array_like, default 0.9
        Adam's first decay rate, in [0, 1), broadcast against ``ratio``.

    Returns
    -------
    numpy.float64 or ndarray
        sqrt((r + c)/(r + 1)) with c = (1-beta1)/(1+beta1), of the broadcast shape: sqrt(c) for
        pure noise, 1 without noise. NaN at malformed elements.

    Raises
    ------
    InputError
        If an argument is not made of numbers.

    Notes
    -----
    T-D4 (kexue.fm 11267). True Adam's is the square root of the second moment of
    ``update_moments(sqrt(ratio), 0, beta1, beta2=..., moments="exact-adam")``.

    Examples
    --------
    >>> print(f"{update_rms(0.0):.4f} {update_rms(1.0):.4f}")
    0.2294 0.7255
    """
    r, c = as_non_negative(ratio, "ratio"), displacement_damping(beta1, 1)
    return np.sqrt((r + c) / (r + 1))[()]


def ratio_from_update_rms(rms: npt.ArrayLike, beta1: float = 0.9) -> Real:
    """Signal-to-noise ratio B/B_simple at which the update has this root mean square.

    Parameters
    ----------
    rms : array_like
        From sqrt(c), pure noise, to below 1, no noise, with c = (1-beta1)/(1+beta1).
    beta1 : float, default 0.9
        Adam's first decay rate.

    Returns
    -------
    numpy.float64 or ndarray
        (U^2 - c)/(1 - U^2), NaN where the mean field has no such U. Near sqrt(c), where a noisy
        run lies, a small error of U is a large one of the ratio.

    Raises
    ------
    InputError
        If beta1 is not in [0, 1).

    Notes
    -----
    T-D4, inverted.

    Examples
    --------
    >>> ratio_from_update_rms([0.1, 0.25, 0.9]).round(4).tolist()
    [nan, 0.0105, 3.9861]
    """
    c = float(displacement_damping(decay_rate(beta1, "beta1"), 1))
    square = as_array(rms, "rms") ** 2
    possible = (as_array(rms, "rms") > 0) & (square >= c) & (square < 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(possible, (square - c) / (1 - square), np.nan)[()]
