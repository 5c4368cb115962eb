"""Scaled repeated integrals of erfc, without cancellation.

exp(z^2) i^n erfc(z) for n = 1 and 2 appear in T-F4 (eps outside the root) and T-F3. Written with
erfcx they are differences that keep no digit for large z; there the continued fraction of
their ratios takes over, r_n = i^n erfc/i^(n-1) erfc = 1/(2z + 2(n+1) r_(n+1)) (DLMF 7.18.7).
"""

import numpy as np

from scaling.numeric._arrays import FloatArray

#: From here on the continued fraction of this depth is exact to rounding; below it, the
#: differences lose at most two digits.
_LARGE = 2.0
_DEPTH = 70


def scaled_erfc_integrals(z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return sqrt(pi) exp(z^2) ierfc(z) = 1 - sqrt(pi) z erfcx(z), and 4 exp(z^2) i^2 erfc(z).

    Both are 1 at z = 0 and fall, as 1/(2 z^2) and 1/(sqrt(pi) z^3); z at least 0, NaN is kept.
    """
    from scipy.special import erfcx

    z = np.asarray(z)
    scaled = np.asarray(erfcx(z))
    first = np.asarray(1 - np.sqrt(np.pi) * z * scaled)
    second = np.asarray((1 + 2 * z**2) * scaled - 2 / np.sqrt(np.pi) * z)
    large = np.asarray(z >= _LARGE)
    if large.any():
        x = z[large]
        ratios = np.zeros((_DEPTH + 2, x.size))
        for n in range(_DEPTH, 0, -1):
            ratios[n] = 1 / (2 * x + 2 * (n + 1) * ratios[n + 1])
        first[large] = np.sqrt(np.pi) * scaled[large] * ratios[1]
        second[large] = 4 * scaled[large] * ratios[1] * ratios[2]
    return first, second
