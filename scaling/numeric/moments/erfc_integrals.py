"""Scaled repeated integrals of erfc, without cancellation.

exp(z^2) i^n erfc(z) for n = 1 and 2 appear in T-F4 (eps outside the root) and T-F3. Written with
erfcx they are differences that keep no digit for large z; there the continued fraction of
their ratios takes over, r_n = i^n erfc/i^(n-1) erfc = 1/(2z + 2(n+1) r_(n+1)) (DLMF 7.18.7).
"""

import numpy as np

from scaling.numeric.inputs.arrays import FloatArray

#: From each z on, the depth at which the continued fraction is exact to rounding. Below the first,
#: the differences lose at most two digits.
_DEPTHS = ((2.0, 72), (4.0, 28), (8.0, 15), (32.0, 8))


def scaled_erfc_integrals(z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return sqrt(pi) exp(z^2) ierfc(z) = 1 - sqrt(pi) z erfcx(z), and 4 exp(z^2) i^2 erfc(z).

    Both are 1 at z = 0 and fall, as 1/(2 z^2) and 1/(sqrt(pi) z^3); z at least 0, NaN is kept.
    """
    from scipy.special import erfcx

    z = np.asarray(z)
    scaled = np.asarray(erfcx(z))
    first = np.asarray(1 - np.sqrt(np.pi) * z * scaled)
    second = np.asarray((1 + 2 * z**2) * scaled - 2 / np.sqrt(np.pi) * z)
    ends = *(start for start, _ in _DEPTHS[1:]), np.inf
    for (start, depth), end in zip(_DEPTHS, ends, strict=True):
        chosen = np.asarray((start <= z) & (z < end))
        if chosen.any():
            ratio, next_ratio = _ratios(z[chosen], depth)
            first[chosen] = np.sqrt(np.pi) * scaled[chosen] * ratio
            second[chosen] = 4 * scaled[chosen] * ratio * next_ratio
    return first, second


def _ratios(z: FloatArray, depth: int) -> tuple[FloatArray, FloatArray]:
    """r_1 and r_2, from r_(depth+1) = 0."""
    ratio = next_ratio = np.zeros_like(z)
    for n in range(depth, 0, -1):
        ratio, next_ratio = 1 / (2 * z + 2 * (n + 1) * ratio), ratio
    return ratio, next_ratio
