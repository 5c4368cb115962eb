"""Exact moments of Adam's update under Gaussian gradient noise (T-F4; T-F1 and T-F2 at t = 1).

The update is phi = m/(sqrt(v) + b) or m/sqrt(v + b^2), with the averages m of x ~ N(a, 1) and v of
x^2. Both 1/(sqrt(v) + b)^j and (v + b^2)^(-j/2) are Laplace transforms, of a kernel K_j(tau):
E[phi^j] = Int K_j(tau) E[m^j exp(-tau v)] dtau, and the expectation under the integral is
Gaussian, hence elementary. At t = 1 the updates are x/(|x| + b) and softsign(x, b); with
u^2 = 2 tau/(1 + 2 tau) the mean of the latter is T-F1.

**Quadrature.** In y = log tau the integrands are analytic for |Im y| < pi/2 and decay exponentially
both ways, so the trapezoidal rule of step h converges as exp(-pi^2/h). On the lines |Im y| =
pi/2 - delta the integrand is at most of the order delta^(-3/2) times that on the real line, for
any a and b, since exp(-tau (a^2 + b^2)) still decays there, as exp(-|tau| (a^2 + b^2) sin delta);
with the best delta the relative error is about 500 exp(-pi^2/h), 4e-15 at h = 1/4. The integrands
are positive: nothing cancels, and the error is relative.

**Ends.** For tau -> 0 the integrands tend to pure powers of tau, so what lies below the first node
is a geometric series, which the first node's weight includes; the first node is chosen for the
largest a and b at hand so that the deviation from the power does not count. What lies beyond
the last node is below 1e-17. No formula is switched on the way from b = 0 (sign) to b -> infinity
(eps phi -> gradient), so the moments are smooth.

**Cost.** A node contributes a factor of a times a factor of b, so the moments over a grid of a
times b are matrix products.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Literal, NamedTuple

import numpy as np

from scaling.errors import InputError
from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.moments._lag_sums import LagSums, lag_products, lag_sums
from scaling.numeric.moments.erfc_integrals import scaled_erfc_integrals

_STEP = 0.25
#: Nodes are added in blocks of so many.
_BLOCK = 32
#: exp(-_MARGIN) is the square of how far the integrand at the first node is from a power of tau.
_MARGIN = 34.0
#: Largest log tau that is ever needed: at t = 1 and b = 0 the integrand falls as tau^(-1/2).
_LAST = 80.0
_NEGLIGIBLE = 1e-17
#: exp(-_EXPONENT) is negligible too.
_EXPONENT = 40.0
#: Signal from which the variance is that of first order in the noise: its relative error is
#: 1/a^2, that of E[phi^2] - E[phi]^2 is rounding times a^2.
_STRONG = 1e4
#: Beyond this a or b, their squares leave the range of floating-point numbers.
_LARGEST = 1e140
#: Numbers held at a time in one factor: 16 MB.
_CHUNK = 2**21
#: The table of `read_off`: where it begins and ends, its nodes to an octave, and how many more
#: there are around it, because splines err at their ends.
_TABLE_A, _TABLE_B = (2.0**-24, 2.0**24), (2.0**-40, 2.0**64)
_PER_OCTAVE, _RIM = 4, 12


class _Nodes(NamedTuple):
    """Nodes tau, weights for first and second moments, sums over lags, and exp(-L)."""

    tau: FloatArray
    mean_weights: FloatArray
    square_weights: FloatArray
    sums: LagSums
    kept: FloatArray

    def shortened(self, count: int) -> "_Nodes":
        """Keep only so many nodes from the left."""
        sums = LagSums(*(column[:count] for column in self.sums))
        tau, mean_weights, square_weights, kept = (
            column[:count]
            for column in (self.tau, self.mean_weights, self.square_weights, self.kept)
        )
        return _Nodes(tau, mean_weights, square_weights, sums, kept)


@dataclass(frozen=True)
class ExactUpdate:
    """Moments of true Adam's update at one (beta1, beta2, step), exact to about 1e-14 (T-F4).

    Parameters
    ----------
    beta1, beta2 : float
        Adam's decay rates, in [0, 1).
    step : float
        t, the number of the step, from 1; infinity for stationary averages.
    eps : {"outside", "inside"}
        Where epsilon stands: m/(sqrt(v) + eps), after bias correction, or m/sqrt(v + eps^2).

    Raises
    ------
    InputError
        When called, if there is a beta1 but next to no beta2, and more than one step.

    Notes
    -----
    Tables over the nodes are made when they are first needed and kept in the object.

    Examples
    --------
    >>> update = ExactUpdate(0.9, 0.99, np.inf, "outside")
    >>> mean, second_moment, variance = update(np.array(0.5), np.array(0.5))
    >>> print(f"{mean:.4f} {second_moment:.4f}")
    0.3081 0.1141
    """

    beta1: float
    beta2: float
    step: float
    eps: Literal["outside", "inside"]
    _tables: dict[int, _Nodes] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __call__(self, a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean, second moment and variance at signal a and damping b; NaN beyond 1e140."""
        signal, b = _in_range(np.abs(a)), _in_range(b)
        nodes = self._nodes(signal, b)
        _, P, C, D = nodes.sums

        def of_signal(x: FloatArray) -> tuple[FloatArray, FloatArray]:
            x = x[..., None]
            kept = nodes.kept * np.exp(-(x**2) * P)
            return x * C * kept, ((x * C) ** 2 + D) * kept

        mean, second_moment = self._integrate(nodes, signal, b, of_signal, first_moments=1)
        variance = np.maximum(second_moment - mean**2, 0)
        strong = signal >= _STRONG
        if strong.any():
            first_order = self._first_order_variance(signal, b)
            variance = np.where(strong, first_order, variance)
        return np.copysign(mean, a), second_moment, variance

    def gaussian_average(
        self, a: FloatArray, b: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Averages over signals drawn from N(0, a^2), in closed form at each node (T-F5).

        Returns E[signal phi]/a, E|E[phi | signal]| and E[phi^2], NaN beyond 1e140.
        """
        a, b = _in_range(a), _in_range(b)
        nodes = self._nodes(a, b)
        _, P, C, D = nodes.sums

        def of_signal(x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
            x = x[..., None]
            spread = 1 + 2 * x**2 * P
            slope = nodes.kept * C * x * spread**-1.5
            size = nodes.kept * C * x * np.sqrt(2 / np.pi) / spread
            square = nodes.kept * ((C * x) ** 2 / spread + D) / np.sqrt(spread)
            return slope, size, square

        alignment, size, second_moment = self._integrate(nodes, a, b, of_signal, first_moments=2)
        return alignment, size, second_moment

    def read_off(self, a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and second moment at a, b >= 0, read off a table: fast at places on no grid.

        The table is of logarithms, on binary logarithms of a and b, with cubic splines between;
        relative error 2e-5.
        """
        from scipy.ndimage import map_coordinates

        # Beyond the table the moments are those of its edge but for a factor: without noise a
        # and b count by their ratio, without signal the mean rises with a, and both moments fall
        # with b where it is the largest.
        large = np.maximum(a / _TABLE_A[1], 1.0)
        a, b = a / large, b / large
        rises, falls = np.minimum(a / _TABLE_A[0], 1.0), _TABLE_B[1] / np.maximum(b, _TABLE_B[1])
        along = (
            (np.log2(np.clip(x, *ends)) - np.log2(ends[0])) * _PER_OCTAVE + _RIM
            for x, ends in ((a, _TABLE_A), (b, _TABLE_B))
        )
        places = np.stack(np.broadcast_arrays(*along))
        mean, second_moment = (
            np.exp2(map_coordinates(table, places, prefilter=False)) for table in self._table
        )
        return mean * rises * falls, second_moment * falls**2

    @cached_property
    def _table(self) -> list[FloatArray]:
        """Coefficients of splines of the logarithms of mean and second moment."""
        from scipy.ndimage import spline_filter

        rim = 2.0 ** (_RIM / _PER_OCTAVE)
        a, b = (
            np.exp2(np.arange(np.log2(low / rim), np.log2(high * rim) + 0.01, 1 / _PER_OCTAVE))
            for low, high in (_TABLE_A, _TABLE_B)
        )
        mean, second_moment, _ = self(a[:, None], b)
        return [spline_filter(np.log2(values)) for values in (mean, second_moment)]

    @cached_property
    def slope(self) -> float:
        """d E[phi]/da at a = b = 0."""
        nodes = self._nodes(np.zeros(1), np.zeros(1))
        return float(np.sum(nodes.mean_weights * nodes.kept * nodes.sums.mean_weight))

    @cached_property
    def pure_noise(self) -> float:
        """E[phi^2] at a = b = 0."""
        nodes = self._nodes(np.zeros(1), np.zeros(1))
        return float(np.sum(nodes.square_weights * nodes.kept * nodes.sums.square_weight))

    def _integrate(
        self,
        nodes: _Nodes,
        a: FloatArray,
        b: FloatArray,
        of_signal: Callable[[FloatArray], tuple[FloatArray, ...]],
        first_moments: int,
    ) -> list[FloatArray]:
        """Sum over the nodes; the last factor of the signal belongs to a second moment."""
        root = np.sqrt(nodes.tau)

        def of_damping(y: FloatArray) -> tuple[FloatArray, ...]:
            z = y[..., None] * root
            first, second = (
                scaled_erfc_integrals(z) if self.eps == "outside" else (np.exp(-(z**2)),) * 2
            )
            first = first * nodes.mean_weights
            return *[first] * first_moments, second * nodes.square_weights

        return _outer_sums(a, b, of_signal, of_damping, nodes.tau.size, first_moments + 1)

    def _nodes(self, a: FloatArray, b: FloatArray) -> _Nodes:
        """Nodes that serve all these a and b."""
        largest = max(1.0, *(float(np.nanmax(x, initial=0.0)) for x in (a, b)))
        first = int(-(2 * np.log(largest) + _MARGIN) / _STEP) // _BLOCK * _BLOCK
        if first not in self._tables:
            self._tables[first] = self._make_nodes(first)
        nodes = self._tables[first]
        if self.eps == "inside":
            # exp(-b^2 tau) leaves nothing of the last nodes.
            needed = _EXPONENT / max(float(np.nanmin(b, initial=_LARGEST)), 1 / _LARGEST) ** 2
            nodes = nodes.shortened(int(np.searchsorted(nodes.tau, needed)) + 1)
        return nodes

    def _make_nodes(self, first: int) -> _Nodes:
        """Nodes exp(h k) from k = first to where what is left is negligible."""
        taus, sums = [], []
        for start in range(first, int(_LAST / _STEP), _BLOCK):
            tau = np.exp(_STEP * np.arange(start, start + _BLOCK))
            L, P, C, D = block = lag_sums(tau, self.beta1, self.beta2, self.step)
            taus.append(tau)
            sums.append(block)
            # The largest over a of (a^2 C^2 + D) exp(-a^2 P) is at most C^2/(e P) + D.
            kept = np.exp(-L[-1])
            rest = np.sqrt(tau[-1]) * C[-1], tau[-1] * (C[-1] ** 2 / P[-1] + D[-1])
            if kept * max(rest) < _NEGLIGIBLE:
                break
        else:
            # Adam divides by little but the last gradient, which may be 0, and not so m.
            raise InputError(
                f"{self.beta2:g} is too small for beta1 = {self.beta1:g}: without eps the update "
                "has an infinite mean square, or nearly so",
                "beta2",
            )
        tau = np.concatenate(taus)
        together = LagSums(*(np.concatenate(columns) for columns in zip(*sums, strict=True)))
        ramp = np.full(tau.size, _STEP)
        return _Nodes(
            tau,
            # The first node stands for all below it: a geometric series of ratio tau^(1/2), tau.
            np.sqrt(tau / np.pi) * np.concatenate([[_STEP / -np.expm1(-_STEP / 2)], ramp[1:]]),
            tau * np.concatenate([[_STEP / -np.expm1(-_STEP)], ramp[1:]]),
            together,
            np.exp(-together.log_damping),
        )

    def _first_order_variance(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """Variance of the update linearised in the noise, sum_k (c_k - q w_k)^2 / size^2."""
        size = a + b if self.eps == "outside" else np.hypot(a, b)
        size = np.where(size == 0, np.nan, size)  # without signal it is not used
        damped = b / size if self.eps == "outside" else (b / size) ** 2  # 1 - q
        cc, cw, ww = lag_products(self.beta1, self.beta2, self.step)
        total = max(cc - 2 * cw + ww, 0.0) + 2 * damped * (cw - ww) + damped**2 * ww
        return np.maximum(total, 0) / size**2


def _in_range(x: FloatArray) -> FloatArray:
    """NaN where the square would overflow."""
    return np.where(x <= _LARGEST, x, np.nan)


def _outer_sums(
    a: FloatArray,
    b: FloatArray,
    left: Callable[[FloatArray], Sequence[FloatArray]],
    right: Callable[[FloatArray], Sequence[FloatArray]],
    nodes: int,
    count: int,
) -> list[FloatArray]:
    """Return sum_j left_i(a)_j right_i(b)_j for each pair i of factors, as matrix products.

    Parameters
    ----------
    a, b : ndarray
        Shapes that broadcast. Along axes where only one of them varies, the sums are matrix
        products; along axes that they share they are taken element by element.
    left, right : callable
        Return as many factors each, with one axis more than their argument: the nodes.
    nodes : int
        Length of that axis.
    count : int
        Number of pairs.
    """
    ndim = max(a.ndim, b.ndim)
    a, b = (x.reshape((1,) * (ndim - x.ndim) + x.shape) for x in (a, b))
    only_a = [i for i in range(ndim) if b.shape[i] == 1 != a.shape[i]]
    only_b = [i for i in range(ndim) if a.shape[i] == 1 != b.shape[i]]
    shared = [i for i in range(ndim) if i not in only_a + only_b]
    order = [*shared, *only_a, *only_b]
    shape = np.broadcast_shapes(a.shape, b.shape)
    common, *own = (int(np.prod([shape[i] for i in axes])) for axes in (shared, only_a, only_b))
    a = a.transpose(order).reshape(common, own[0])
    b = b.transpose(order).reshape(common, own[1])
    rows = max(1, _CHUNK // nodes)
    steps = max(1, rows // min(rows, max(1, *own))), rows, rows
    results = [np.empty((common, *own)) for _ in range(count)]
    lengths = common, *own
    for s, i, j in product(*map(range, (0, 0, 0), lengths, steps)):
        at = slice(s, s + steps[0])
        of_a, of_b = slice(i, i + rows), slice(j, j + rows)
        for result, f, g in zip(results, left(a[at, of_a]), right(b[at, of_b]), strict=True):
            result[at, of_a, of_b] = np.matmul(f, g.swapaxes(1, 2))
    back = np.argsort(order)
    return [x.reshape([shape[i] for i in order]).transpose(back) for x in results]
