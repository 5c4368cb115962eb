"""The epsilon beyond which the optimal learning rate no longer falls as the batch grows.

A larger epsilon makes the surge rarer (T-B10). The optimum f(B) of T-E6 surges if somewhere it
exceeds its limit f(infinity): in between, or on the way there, where f/f(infinity) - 1 tends to
kappa/a^2. Both are looked at, the latter by extrapolation.
"""

import numpy as np

from scaling.numeric.laws._roots import bisect
from scaling.numeric.population.averages import Average

#: eps/gamma between which the end is looked for, and at how many values first.
_RANGE = (1e-6, 1e6)
_STEPS = 25
#: Accuracy of sums that are known to rounding.
_ROUNDING = 1e-10
#: Signals at which f is compared with its limit.
_SIGNALS = np.geomspace(0.1, 1e2, 25)
#: Signals at which kappa is read off; at larger ones it loses digits.
_FAR = np.array([1e3, 2e3])
#: Of a sketch, whose coordinates may differ by many orders of magnitude.
_WIDE_SIGNALS = np.geomspace(0.1, 1e8, 73)


def surge_end(average: Average) -> float:
    """Return eps/gamma beyond which there is no surge.

    Parameters
    ----------
    average : Average
        Of an update over a population. Where its sums are known to rounding, the end is found to
        1e-8; otherwise the surge ends where it is no longer larger than their error.

    Returns
    -------
    float
        0 if there is none at any eps from 1e-6 gamma, infinity if there still is one at 1e6 gamma.
    """
    exact = average.accuracy < _ROUNDING
    signals = np.concatenate([_SIGNALS, _FAR]) if exact else _WIDE_SIGNALS

    def excess(log_ratio: float) -> float:
        ratio = float(np.exp(log_ratio))
        alignment, relative_curvature = average.noiseless(ratio)
        top, bottom = average.sums(signals, signals * ratio)
        over = top / bottom * (alignment * relative_curvature) - 1
        if not exact:
            return float(over.max()) - average.accuracy
        scaled = over * signals**2  # kappa + O(1/a^2) at the far end
        kappa = scaled[-1] + (scaled[-1] - scaled[-2]) / 3
        return float(max(scaled[:-2].max(), kappa))

    low, high = (float(np.log(end)) for end in _RANGE)
    grid = np.linspace(low, high, _STEPS)
    surging = [i for i, x in enumerate(grid) if excess(x) > 0]
    if not surging:
        return 0.0
    last = surging[-1]
    if last == _STEPS - 1:
        return np.inf
    width = 1e-12 if exact else 1e-4
    return float(np.exp(bisect(excess, grid[last], grid[last + 1], width)))
