"""Sums over the lags of Adam's two averages, for `scaling.numeric.moments.exact_adam` (T-F4).

After t steps Adam's first average weighs the gradient of k steps ago with
c_k = (1-beta1) beta1^k/(1-beta1^t), its second average the square with w_k, likewise of beta2.
Both have 4e5 lags that count at beta = 0.9999, so the sums over lags are taken in two parts: the
first lags one by one until 2 tau w_k < 1/4, the others as power series in 2 tau w_k, each power of
which is a geometric sum.
"""

from typing import NamedTuple

import numpy as np

from scaling.numeric.inputs.arrays import FloatArray

#: Where the power series take over, and their number of terms: the first neglected one is below
#: 4^-28 = 1e-17 of the first.
_SMALL = 0.25
_TERMS = 28


class LagSums(NamedTuple):
    """The sums of T-F4 at the nodes tau, with d_k = 1 + 2 tau w_k; each of the shape of tau.

    Attributes
    ----------
    log_damping : ndarray
        L = 1/2 sum log d_k, so that E[exp(-tau v)] at a = 0 is exp(-L).
    signal_damping : ndarray
        P = sum tau w_k/d_k, so that a signal a adds a factor exp(-a^2 P).
    mean_weight : ndarray
        C = sum c_k/d_k.
    square_weight : ndarray
        D = sum c_k^2/d_k.
    """

    log_damping: FloatArray
    signal_damping: FloatArray
    mean_weight: FloatArray
    square_weight: FloatArray


def first_weight(beta: float, steps: float) -> float:
    """c_0 or w_0: (1-beta)/(1-beta^t)."""
    return (1 - beta) / float(_one_minus_power(beta, steps))


def lag_sums(tau: FloatArray, beta1: float, beta2: float, steps: float) -> LagSums:
    """Sum over the lags 0 .. t-1 at each node.

    Parameters
    ----------
    tau : ndarray, shape (nodes,)
        Nodes of the Laplace integral, dimensionless, at least 0.
    beta1, beta2 : float
        Decay rates in [0, 1).
    steps : float
        t, a whole number from 1, or infinity.
    """
    c0, w0 = first_weight(beta1, steps), first_weight(beta2, steps)
    x0 = 2 * w0 * tau
    count = _lags_one_by_one(float(x0.max(initial=0.0)), beta2, steps)
    log_damping, signal_damping, mean_weight, square_weight = np.zeros((4, tau.size))
    for k in range(count):
        x, c = x0 * beta2**k, c0 * beta1**k
        log_damping += np.log1p(x) / 2
        signal_damping += x / (1 + x) / 2
        mean_weight += c / (1 + x)
        square_weight += c**2 / (1 + x)
    # Lags from count on: log(1+x) and 1/(1+x) as power series in x = x_count beta2^j.
    left, x, c = steps - count, x0 * beta2**count, c0 * beta1**count
    if left > 0:
        for m in range(_TERMS):
            power = (-x) ** m
            mean_weight += c * power * _geometric_sum(beta1, beta2, 1, m, left)
            square_weight += c**2 * power * _geometric_sum(beta1, beta2, 2, m, left)
            if m:
                total = power * _geometric_sum(beta1, beta2, 0, m, left)
                log_damping -= total / (2 * m)
                signal_damping -= total / 2
    return LagSums(log_damping, signal_damping, mean_weight, square_weight)


def lag_products(beta1: float, beta2: float, steps: float) -> tuple[float, float, float]:
    """Sums of c_k^2, c_k w_k and w_k^2 over the lags."""
    c0, w0 = first_weight(beta1, steps), first_weight(beta2, steps)
    return (
        c0**2 * _geometric_sum(beta1, beta2, 2, 0, steps),
        c0 * w0 * _geometric_sum(beta1, beta2, 1, 1, steps),
        w0**2 * _geometric_sum(beta1, beta2, 0, 2, steps),
    )


def _lags_one_by_one(largest: float, beta2: float, steps: float) -> int:
    """Number of lags until 2 tau w_k < 1/4 at every node."""
    if largest < _SMALL:
        return 0
    needed = 1 if beta2 == 0 else int(np.log(largest / _SMALL) / -np.log(beta2)) + 1
    return int(min(needed, steps))


def _geometric_sum(beta1: float, beta2: float, p: int, m: int, count: float) -> float:
    """Sum of (beta1^p beta2^m)^j over j = 0 .. count-1; some power must be positive."""
    return float(_one_minus_product(beta1, p, beta2, m, count)) / float(
        _one_minus_product(beta1, p, beta2, m, 1)
    )


def _one_minus_power(beta: float, power: float) -> float:
    """1 - beta^power, without cancellation."""
    return _one_minus_product(beta, power, 0.0, 0, 1)


def _one_minus_product(x: float, p: float, y: float, q: float, power: float) -> float:
    """1 - (x^p y^q)^power, without cancellation."""
    logarithm = sum(n * np.log(b) if b else -np.inf for b, n in ((x, p), (y, q)) if n)
    return float(-np.expm1(logarithm * power))
