"""The epsilon beyond which the optimal learning rate no longer falls as the batch grows.

A larger epsilon makes the surge rarer (T-B10). The optimum f(B) of T-E6 surges if somewhere it
exceeds its limit f(infinity): in between, or on the way there, where f/f(infinity) - 1 tends to
kappa/a^2. Both are looked at, the latter by extrapolation.
"""

from typing import Protocol

import numpy as np

from scaling.numeric._arrays import FloatArray, Real
from scaling.numeric._roots import bisect

#: eps/gamma between which the end is looked for.
_RANGE = (1e-6, 1e6)
_STEPS = 49
#: Signals at which f is compared with its limit; the last two give kappa.
_SIGNALS = np.concatenate([np.geomspace(0.1, 1e2, 25), [1e3, 2e3]])


class Average(Protocol):
    """Alignment and curvature of an update in a population; see `scaling.numeric._averages`."""

    def sums(self, a: FloatArray, b: FloatArray, /) -> tuple[Real, Real]:
        """Alignment and curvature at signals and dampings."""

    def noiseless(self, eps_ratio: float, /) -> tuple[float, float]:
        """Alignment G and curvature over G^2 for a huge batch."""


def surge_end(average: Average) -> float:
    """Return eps/gamma beyond which there is no surge.

    Returns
    -------
    float
        0 if there is none at any eps from 1e-6 gamma, infinity if there still is one at 1e6 gamma.
    """

    def excess(log_ratio: float) -> float:
        ratio = float(np.exp(log_ratio))
        alignment, relative_curvature = average.noiseless(ratio)
        top, bottom = average.sums(_SIGNALS, _SIGNALS * ratio)
        # kappa/a^2 + O(1/a^4) at all signals; the larger ones lose digits, hence not beyond 2e3.
        over = (top / bottom * (alignment * relative_curvature) - 1) * _SIGNALS**2
        limit = over[-1] + (over[-1] - over[-2]) / 3
        return float(max(over[:-2].max(), limit))

    low, high = (float(np.log(end)) for end in _RANGE)
    grid = np.linspace(low, high, _STEPS)
    surging = [i for i, x in enumerate(grid) if excess(x) > 0]
    if not surging:
        return 0.0
    last = surging[-1]
    if last == _STEPS - 1:
        return np.inf
    return float(np.exp(bisect(excess, grid[last], grid[last + 1])))
