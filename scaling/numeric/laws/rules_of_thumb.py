"""Rules of thumb, to compare a law with: linear, sqrt, OpenAI's alpha (T-A9), SGD's law (T-A3).

They are one formula, lr ~ (B/(B + B_noise))^alpha, through one known point.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError
from scaling.numeric.inputs.arrays import Real, as_positive, positive, shift
from scaling.numeric.laws.batch_size_law import shift_weights
from scaling.numeric.laws.law import Law, Point

#: In the middle of the range that T-A9 leaves open.
DEFAULT_ALPHA = 0.75


def power_rule(
    batch_size: npt.ArrayLike,
    reference: Point | tuple[float, float],
    *,
    alpha: float,
    noise_batch_size: float = np.inf,
) -> Real:
    """Learning rate by lr ~ (B/(B + B_noise))^alpha through one known point (T-A9).

    Parameters
    ----------
    batch_size : array_like
        Examples per step.
    reference : Point or (batch_size, learning_rate)
        The known point.
    alpha : float
        1/2 for the sqrt rule, 1 for the linear rule and for SGD (T-A3), between for OpenAI's
        conjecture on Adam.
    noise_batch_size : float, default infinity
        B_noise, where the rise ends; infinite in the sqrt and linear rules.

    Returns
    -------
    numpy.float64 or ndarray
        Of the shape of ``batch_size``; NaN where that is not positive and finite.

    Raises
    ------
    InputError
        If the reference, alpha or the noise batch size is out of its range.

    Examples
    --------
    >>> float(power_rule(1024, (256, 3e-4), alpha=0.5))
    0.0006
    """
    known_batch = positive(reference[0], "reference")
    known_rate = positive(reference[1], "reference")
    x = as_positive(batch_size, "batch_size") / known_batch
    constant, slope = shift_weights(shift(noise_batch_size, "noise_batch_size"), known_batch)
    return known_rate * (x / (constant + slope * x)) ** positive(alpha, "alpha")


def rules_of_thumb(
    law: Law, batch_size: npt.ArrayLike, *, alpha: float = DEFAULT_ALPHA
) -> dict[str, Any]:
    """What the rules of thumb say, given the law's reference point.

    Parameters
    ----------
    law : Law
        Gives the reference point, and B_noise, which for SGD is the critical batch size
        (T-A4; with momentum T-D1).
    batch_size : array_like
        Examples per step.
    alpha : float, default 0.75
        Exponent of OpenAI's conjecture, 1/2 < alpha < 1 (T-A9).

    Returns
    -------
    dict
        Learning rates by rule: ``sqrt``, ``linear``, ``openai``, ``sgd``.

    Raises
    ------
    InputError
        If alpha is out of its range.

    Examples
    --------
    >>> from scaling import BatchSizeLaw
    >>> law = BatchSizeLaw(256, 3e-4, noise_batch_size=4000, critical_batch_size=4000)
    >>> {name: f"{lr:.1e}" for name, lr in rules_of_thumb(law, 1024).items()}
    {'sqrt': '6.0e-04', 'linear': '1.2e-03', 'openai': '7.5e-04', 'sgd': '1.0e-03'}
    """
    if not 0.5 < alpha < 1:
        raise InputError(f"must be between 1/2 and 1, got {alpha!r}", "alpha")
    point, noise = law.reference, law.critical_batch_size
    return {
        "sqrt": power_rule(batch_size, point, alpha=0.5),
        "linear": power_rule(batch_size, point, alpha=1.0),
        "openai": power_rule(batch_size, point, alpha=alpha, noise_batch_size=noise),
        "sgd": power_rule(batch_size, point, alpha=1.0, noise_batch_size=noise),
    }
