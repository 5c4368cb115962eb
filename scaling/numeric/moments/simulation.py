"""Simulations of Adam, against which the moment models are tested."""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError
from scaling.numeric.inputs.arrays import (
    FloatArray,
    Real,
    as_array,
    as_non_negative,
    decay_rate,
    step_number,
)
from scaling.numeric.inputs.display import one_line

#: At most so many numbers of noise are held at a time, of so many coordinates.
_CHUNK, _COLUMNS = 2**20, 4096


class SimulatedMoments(NamedTuple):
    """Moments of the update over simulated coordinates, with their standard errors.

    Attributes
    ----------
    mean, second_moment : numpy.float64 or ndarray
        Averages of phi and phi^2 over the coordinates.
    mean_error, second_moment_error : numpy.float64 or ndarray
        Their standard errors.
    """

    mean: Real
    second_moment: Real
    mean_error: Real
    second_moment_error: Real

    def __repr__(self) -> str:
        return one_line(self)


def simulate_moments(
    signal: npt.ArrayLike,
    damping: npt.ArrayLike = 0.0,
    beta1: npt.ArrayLike = 0.9,
    *,
    beta2: npt.ArrayLike = 0.999,
    step: int = 5000,
    eps: Literal["outside", "inside"] = "outside",
    coordinates: int = 4000,
    seed: int = 0,
) -> SimulatedMoments:
    """Run Adam on Gaussian gradients and average its update, without any theory.

    Parameters
    ----------
    signal, damping, beta1, beta2 : array_like
        As in `scaling.update_moments`; here all are broadcast against one another.
    step : int, default 5000
        The step at which the update is looked at; every earlier one is simulated. Averages are
        stationary when it is many times 1/(1 - beta2).
    eps : {"outside", "inside"}
        Where epsilon stands: m/(sqrt(v) + eps) as in PyTorch, or m/sqrt(v + eps^2).
    coordinates : int, default 4000
        Number of independent coordinates; the standard errors fall as its square root.
    seed : int, default 0
        All settings see the same noise.

    Returns
    -------
    SimulatedMoments
        Of the broadcast shape; NaN where the signal is NaN or the damping negative.

    Raises
    ------
    InputError
        If another argument is out of its range.

    Examples
    --------
    >>> from scaling import update_moments
    >>> simulated = simulate_moments(1.0, 0.5, 0.9, beta2=0.95, step=200)
    >>> exact = update_moments(1.0, 0.5, 0.9, beta2=0.95, step=200, moments="exact-adam")
    >>> bool(abs(simulated.mean - exact.mean) < 4 * simulated.mean_error)
    True
    """
    rates = {}
    for name, given in (("beta1", beta1), ("beta2", beta2)):
        rates[name] = as_array(given, name)
        for rate in rates[name].flat:
            decay_rate(float(rate), name)
    if not step_number(step, "step") < np.inf:
        raise InputError("must be finite: every step is simulated", "step")
    if not coordinates >= 2:
        raise InputError(f"must be at least 2, got {coordinates}", "coordinates")
    if eps not in ("inside", "outside"):
        raise InputError(f"must be 'inside' or 'outside', got {eps!r}", "eps")
    given = as_array(signal, "signal"), as_non_negative(damping, "damping"), *rates.values()
    try:
        a, b, first, second = np.broadcast_arrays(*given)
    except ValueError as error:
        raise InputError(f"do not fit together: {error}", "signal, damping, beta1, beta2") from None
    result = np.empty((4, *a.shape))
    averages = _noise_averages(np.unique(first), np.unique(second), step, coordinates, seed)
    for index in np.ndindex(a.shape):
        m1, _ = averages[float(first[index])]
        m2, square = averages[float(second[index])]
        # Running averages of g = a + noise and of g^2, bias corrected.
        velocity = np.maximum(a[index] ** 2 + 2 * a[index] * m2 + square, 0.0)
        root = (
            np.sqrt(velocity) + b[index] if eps == "outside" else np.sqrt(velocity + b[index] ** 2)
        )
        update = (a[index] + m1) / root
        for part, values in ((0, update), (1, update**2)):
            result[(part, *index)] = values.mean()
            result[(part + 2, *index)] = values.std(ddof=1) / np.sqrt(coordinates)
    return SimulatedMoments(*(part[()] for part in result))


def _noise_averages(
    first: FloatArray, second: FloatArray, step: int, coordinates: int, seed: int
) -> dict[float, tuple[FloatArray, FloatArray]]:
    """Bias-corrected running averages of the noise and of its square, by decay rate."""
    generator = np.random.default_rng(seed)
    rates = np.union1d(first, second)[:, None]
    totals = np.zeros((2, rates.size, coordinates))
    rows = max(1, _CHUNK // min(coordinates, _COLUMNS))
    for left in range(0, coordinates, _COLUMNS):
        part = totals[:, :, left : left + _COLUMNS]
        for start in range(0, step, rows):
            noise = generator.standard_normal((min(rows, step - start), part.shape[2]))
            lag = step - 1 - np.arange(start, start + len(noise))
            # 0**0 is 1: with rate 0 only the last gradient counts.
            weights = (1 - rates) * rates**lag / (1 - rates**step)
            part[0] += weights @ noise
            part[1] += weights @ noise**2
    return {float(rate): (totals[0, i], totals[1, i]) for i, rate in enumerate(rates[:, 0])}
