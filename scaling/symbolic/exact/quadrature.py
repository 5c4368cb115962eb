"""Adam's moments by quadrature: of the definition, of the formula, and fast (T-F4)."""

from collections.abc import Callable
from math import log

import mpmath
import sympy

from scaling.symbolic.exact.kernels import inside_kernels, mean_kernel, square_kernel
from scaling.symbolic.exact.weights import sums_agree, written_out
from scaling.symbolic.notation import a, b, node
from scaling.symbolic.proofs.proof import mpmath_functions
from scaling.symbolic.step import equation

DIGITS = 20


def definition_average(
    power: int, a: float, b: float, decays: tuple[float, float], count: int
) -> mpmath.mpf:
    """Return E[phi^power] of Adam at step 1 or 2 by quadrature of the definition.

    phi = m/(sqrt(v) + b). At step 2 the plane of the two batch gradients is taken in
    polar coordinates in which v is the squared radius, so that everything is smooth.

    Parameters
    ----------
    power : int
    a, b : float
    decays : tuple of float
        beta1 and beta2.
    count : {1, 2}
        Step number.
    """
    a, b = mpmath.mpf(a), mpmath.mpf(b)
    if count == 1:
        return mpmath.quad(
            lambda x: (x / (abs(x) + b)) ** power * mpmath.npdf(x, a, 1),
            [a - 12, min(0, a), max(0, a), a + 12],
        )
    first, second = ([1 / (1 + mpmath.mpf(d)), d / (1 + mpmath.mpf(d))] for d in decays)
    scale = [1 / mpmath.sqrt(w) for w in second]

    def ring(angle: mpmath.mpf) -> mpmath.mpf:
        ray = [scale[0] * mpmath.cos(angle), scale[1] * mpmath.sin(angle)]
        slope = first[0] * ray[0] + first[1] * ray[1]

        def along(radius: mpmath.mpf) -> mpmath.mpf:
            density = mpmath.npdf(radius * ray[0], a, 1) * mpmath.npdf(radius * ray[1], a, 1)
            return radius * (radius * slope / (radius + b)) ** power * density

        return mpmath.quad(along, [0, 1, 3, 9]) * scale[0] * scale[1]

    # The trapezoidal rule converges geometrically for a smooth periodic function.
    number = 64
    return (
        mpmath.fsum(ring(2 * mpmath.pi * k / number) for k in range(number))
        * 2 * mpmath.pi / number
    )  # fmt: skip


def formula_average(
    inside: sympy.Expr, signal: float, damping: float, decays: tuple[float, float], count: int
) -> mpmath.mpf:
    """Integrate an integrand in t' with the weights of step t put in.

    Parameters
    ----------
    inside : sympy.Expr
        In t', a, b, c_k, w_k and t.
    signal, damping : float
    decays : tuple of float
        beta1 and beta2.
    count : int
        Step number.
    """
    written = written_out(inside, count)
    values: dict[sympy.Symbol, sympy.Expr] = {}
    for name, decay in zip("cw", decays, strict=True):
        rate = sympy.Rational(str(decay))
        values |= {
            sympy.Symbol(f"{name}{k}", positive=True): (1 - rate) * rate**k / (1 - rate**count)
            for k in range(count)
        }
    function = sympy.lambdify((node, a, b), written.subs(values), [mpmath_functions(), "mpmath"])
    point = mpmath.mpf(signal), mpmath.mpf(damping)

    def inner(y: mpmath.mpf) -> mpmath.mpf:  # t' = exp(y) spreads the decades out
        with mpmath.workdps(3 * DIGITS):  # the kernels cancel at large t'
            return mpmath.exp(y) * function(mpmath.exp(y), *point)

    return mpmath.quad(inner, [-90, -30, -10, 0, 10, 36])


def average_agrees(power: int) -> Callable[[sympy.Expr, sympy.Eq], bool]:
    """Return the check of T-F4: the integrand for 1 to 3 steps, quadrature for 1 and 2."""

    def compare(derived: dict[int, sympy.Expr], statement: sympy.Eq) -> bool:
        right = statement.rhs
        if not isinstance(right, sympy.Integral) or right.limits[0][1:] != (0, sympy.oo):
            return False
        if not sums_agree(derived, equation(statement.lhs, right.function)):
            return False
        decays = (0.5, 0.75)
        with mpmath.workdps(DIGITS):
            for count, a, b in ((1, 0.4, 0.3), (2, 0.8, 0.5)):
                one = formula_average(right.function, a, b, decays, count)
                other = definition_average(power, a, b, decays, count)
                if abs(one - other) > mpmath.mpf(10) ** -12:
                    return False
        return True

    return compare


def float_moments(
    beta1: float, beta2: float, spacing: float = 0.4, *, eps: str = "inside"
) -> Callable[[float, float, int], float]:
    """Tabulate T-F4 for t = infinity, in float64.

    Parameters
    ----------
    beta1, beta2 : float
    spacing : float, optional
        Spacing of the trapezoidal rule in log t'.
    eps : {"inside", "outside"}, optional
        Where epsilon stands.

    Returns
    -------
    callable
        Takes a, b and the power (1 or 2); returns E[phi^power].
    """
    import numpy as np

    count = 1 + int(max(40 / -log(beta) if beta > 0 else 0 for beta in (beta1, beta2)))
    ages = np.arange(count)
    first, second = ((1 - beta) * beta**ages for beta in (beta1, beta2))
    nodes = np.exp(-65 + spacing * np.arange(int(95 / spacing)))[:, np.newaxis]
    wide = 1 + 2 * nodes * second
    spread = np.log(wide).sum(axis=1) / 2
    pull = (nodes * second / wide).sum(axis=1)
    mean, square = (first / wide).sum(axis=1), (first**2 / wide).sum(axis=1)
    nodes = nodes[:, 0]
    kernels = [
        sympy.lambdify((node, b), kernel, "scipy")
        for kernel in ((mean_kernel(), square_kernel()) if eps == "outside" else inside_kernels())
    ]

    def moment(signal: float, damping: float, power: int) -> float:
        tilt = np.exp(-spread - signal**2 * pull) * nodes * kernels[power - 1](nodes, damping)
        sums = signal * mean if power == 1 else (signal * mean) ** 2 + square
        return float(spacing * (tilt * sums).sum())

    return moment
