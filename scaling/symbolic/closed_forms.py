r"""The law with a given Hessian, gradient and variances put in: closed forms to play with.

Two coordinates with an off-diagonal h serve as the example; a uniform population
(equal \\|g_i\\| and variances, any H) lets the end of the surge be solved for epsilon.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import mpmath
import sympy

from scaling.errors import InputError
from scaling.symbolic.functions import softsign
from scaling.symbolic.notation import (
    R0,
    B,
    B_n,
    B_peak,
    G,
    Q,
    T,
    beta,
    c,
    eps,
    gamma,
    kappa,
    lamda,
    lr_star,
    rho,
    sigma,
)
from scaling.symbolic.parts.b_law import beta_definition, law
from scaling.symbolic.parts.e_joint import by_ratio, law_parameters, plain_law, solved_peak
from scaling.symbolic.proofs.proof import proved_equal, right_hand_side
from scaling.symbolic.step import Step, equation

DECADES = 12
POINTS = 400


def example() -> tuple[sympy.Matrix, tuple[sympy.Symbol, ...], tuple[sympy.Symbol, ...]]:
    """Return a symbolic 2 x 2 Hessian with off-diagonal h, a gradient, and variances.

    Returns
    -------
    tuple
        Hessian, gradient, per-example gradient variances.

    Examples
    --------
    >>> example()[0]
    Matrix([
    [H1,  h],
    [ h, H2]])
    """
    first, second = sympy.symbols("H1 H2", positive=True)
    coupling = sympy.Symbol("h", real=True)
    return (
        sympy.Matrix([[first, coupling], [coupling, second]]),
        sympy.symbols("g1 g2", real=True),
        sympy.symbols("V1 V2", positive=True),
    )


def sums(
    hessian: sympy.Matrix, gradient: Sequence[sympy.Expr], variance: Sequence[sympy.Expr]
) -> dict[sympy.Symbol, sympy.Expr]:
    """Return G, Q, T and kappa for given numbers or symbols.

    Parameters
    ----------
    hessian : sympy.Matrix
        Square and symmetric.
    gradient, variance : sequence of sympy.Expr
        One entry per coordinate.

    Returns
    -------
    dict
        kappa^2 is the mean of variance/(gradient^2 + eps^2).

    Raises
    ------
    InputError
        If the sizes do not match or the Hessian is not symmetric.

    Examples
    --------
    >>> sums(sympy.Matrix([[2]]), [3], [1])[T]
    2
    """
    count = len(gradient)
    if hessian.shape != (count, count) or len(variance) != count or count == 0:
        raise InputError("the sizes of Hessian, gradient and variance do not match", "hessian")
    if hessian != hessian.T:
        raise InputError("it must be symmetric", "hessian")
    softened = sympy.Matrix([softsign(g, eps) for g in gradient])
    ratios = [v / (g**2 + eps**2) for v, g in zip(variance, gradient, strict=True)]
    return {
        G: sum(nu * g for nu, g in zip(softened, gradient, strict=True)),
        Q: (softened.T * hessian * softened)[0, 0],
        T: hessian.trace(),
        kappa: sympy.sqrt(sum(ratios) / count),
    }


def learning_rate(
    hessian: sympy.Matrix,
    gradient: Sequence[sympy.Expr],
    variance: Sequence[sympy.Expr],
    noise_damping: sympy.Expr | int = 1,
) -> sympy.Expr:
    """Return lr*(B, eps) of T-B9 for a given loss and noise, with lambda = pi/2.

    Parameters
    ----------
    hessian : sympy.Matrix
    gradient, variance : sequence of sympy.Expr
    noise_damping : sympy.Expr, optional
        c of T-E1; 1 without momentum.

    Returns
    -------
    sympy.Expr
        In B, eps and whatever the arguments contain.

    Raises
    ------
    InputError
        If the sizes do not match or the Hessian is not symmetric.

    Examples
    --------
    >>> rate = learning_rate(*example())
    >>> sorted(str(v) for v in rate.free_symbols)
    ['B', 'H1', 'H2', 'V1', 'V2', 'eps', 'g1', 'g2', 'h']
    """
    values = sums(hessian, gradient, variance)
    shrink = beta_definition(sympy.pi / 2).rhs
    return law(noise_damping).subs(beta, shrink).subs(values)


def peak_batch_size(
    hessian: sympy.Matrix,
    gradient: Sequence[sympy.Expr],
    variance: Sequence[sympy.Expr],
    noise_damping: sympy.Expr | int = 1,
) -> sympy.Expr:
    """Return B_peak(eps) of T-E3; negative where there is no surge.

    Parameters
    ----------
    hessian : sympy.Matrix
    gradient, variance : sequence of sympy.Expr
    noise_damping : sympy.Expr, optional

    Returns
    -------
    sympy.Expr
        ``sympy.diff`` with respect to eps tells how epsilon moves the peak.

    Raises
    ------
    InputError
        If the sizes do not match or the Hessian is not symmetric.

    Examples
    --------
    >>> hessian = sympy.Matrix([[1, 0.9], [0.9, 1]])
    >>> found = peak_batch_size(hessian, [2, 2], [1, 1], noise_damping=sympy.Rational(1, 19))
    >>> round(float(found.subs(eps, 0)), 6)
    0.011516
    """
    level = beta_definition(sympy.pi / 2).rhs ** -2  # 1 + B_n/B
    noise = sympy.simplify(B * (level - 1))
    peak = by_ratio(solved_peak()).subs({B_n: noise, rho: Q / (noise_damping * T)})
    return peak.subs(sums(hessian, gradient, variance))


def uniform_peak() -> sympy.Expr:
    r"""Derive B_peak(eps) of a uniform population from T-E2.

    \\|g_i\\| = gamma, variance sigma^2, and sign(g)^T H sign(g) = R0 tr H.

    Examples
    --------
    >>> uniform_peak().subs({eps: 0, gamma: 1, R0: 4, c: 1, lamda: 1, sigma: 1})
    1/2
    """
    definition = law_parameters()[1]
    formula = plain_law().subs(definition.lhs, definition.rhs)
    slope = sympy.numer(sympy.together(sympy.diff(sympy.log(formula), B)))
    (size,) = sympy.solve(slope, B)
    ratio = R0 * softsign(gamma, eps) ** 2 / c
    return sympy.simplify(size.subs({B_n: lamda * sigma**2 / (gamma**2 + eps**2), rho: ratio}))


def uniform_end() -> sympy.Expr:
    """Solve for the epsilon at which the peak of a uniform population reaches B = infinity.

    Examples
    --------
    >>> uniform_end().subs({gamma: 1, R0: 4, c: 1})
    1
    """
    (end,) = sympy.solve(sympy.denom(sympy.together(uniform_peak())), eps)
    return end


def surge_ends(
    hessian: Sequence[Sequence[float]], gradient: Sequence[float], noise_damping: float = 1.0
) -> list[float]:
    """Find the values of eps at which a surge appears or disappears: Q(eps) = 2 c T.

    In general Q need not fall in epsilon, so that there can be several; beyond the
    last one there is no surge.

    Parameters
    ----------
    hessian : sequence of sequence of float
    gradient : sequence of float
    noise_damping : float, optional

    Returns
    -------
    list of float
        Ascending, in the units of the gradient; empty if there is none.

    Raises
    ------
    InputError
        If the sizes do not match, the Hessian is not symmetric, the gradient is 0, or a
        number is not finite or out of its range.

    Examples
    --------
    >>> [round(end, 6) for end in surge_ends([[1, 0.9], [0.9, 1]], [2.0, 2.0], 1 / 19)]
    [8.258329]
    """
    if not all(map(math.isfinite, itertools.chain(gradient, *hessian))):
        raise InputError("every number must be finite", "hessian, gradient")
    if not any(gradient):
        raise InputError("it must not be 0", "gradient")
    if not 0 < noise_damping <= 1:
        raise InputError(f"it must be in (0, 1], got {noise_damping!r}", "noise_damping")
    if any(len(row) != len(gradient) for row in hessian):
        raise InputError("it must be square, with a row for each gradient", "hessian")
    values = sums(sympy.Matrix(hessian), [sympy.Float(g) for g in gradient], [1] * len(gradient))
    excess = sympy.lambdify(eps, values[Q] - 2 * noise_damping * values[T], "mpmath")
    size = mpmath.mpf(max(map(abs, gradient)))
    grid = [size * mpmath.mpf(10) ** (DECADES * (2 * k / POINTS - 1)) for k in range(POINTS + 1)]
    return [
        float(mpmath.findroot(excess, ends, solver="anderson", verify=False))
        for ends in _sign_changes(excess, grid)
    ]


def _sign_changes(function: Callable[[Any], Any], grid: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield the ends of the steps of a grid over which a function changes its sign."""
    # A root may lie on the grid: what counts is the sign on either side of it.
    signed = [(point, value) for point in grid if (value := function(point)) != 0]
    for (low, before), (high, after) in itertools.pairwise(signed):
        if before * after < 0:
            yield low, high


def _b9() -> tuple[Step, ...]:
    hessian, (g1, g2), (V1, V2) = example()
    first, second = sympy.symbols("nu1 nu2", real=True)
    noise = sympy.Symbol("Lambda", positive=True)
    aligned = g1 * first + g2 * second
    curved = hessian[0, 0] * first**2 + 2 * hessian[0, 1] * first * second
    curved += hessian[1, 1] * second**2
    return (
        Step(
            "B9.two",
            "the law for two coordinates, with an off-diagonal h",
            equation(
                lr_star,
                aligned * sympy.sqrt(B * (B + noise)) / (B * curved + noise * hessian.trace()),
            ),
            lambda: learning_rate(*example()),
            "substitution of H, g and the variances into B9",
            compare=_by_noise_level,
            where=(
                equation(first, softsign(g1, eps)),
                equation(second, softsign(g2, eps)),
                equation(noise, sympy.pi / 4 * (V1 / (g1**2 + eps**2) + V2 / (g2**2 + eps**2))),
            ),
            quantity=lr_star,
            uses=("B9",),
            assumptions=("V_i = sigma_i^2", "kappa^2 is the mean of V_i/(g_i^2 + eps^2)"),
        ),
    )


def _e3() -> tuple[Step, ...]:
    moved = sympy.Derivative(sympy.Function("B_peak")(eps), eps)
    size = lamda * sigma**2 * c / (R0 * gamma**2 - 2 * c * (gamma**2 + eps**2))
    uniform = ("uniform population: |g_i| = gamma, sigma_i = sigma", "R_0 = sign(g).H sign(g)/tr H")
    return (
        Step(
            "E3.uniform",
            "uniform population: the batch size of the peak as a function of epsilon",
            equation(B_peak, size),
            uniform_peak,
            "solving d log lr*/d B = 0",
            quantity=B_peak,
            uses=("E3",),
            assumptions=uniform,
        ),
        Step(
            "E3.slope",
            "uniform population: a larger epsilon moves the peak to larger batches",
            equation(
                moved,
                4
                * c**2
                * eps
                * lamda
                * sigma**2
                / (R0 * gamma**2 - 2 * c * (gamma**2 + eps**2)) ** 2,
            ),
            lambda: sympy.diff(uniform_peak(), eps),
            "differentiation of B_peak in epsilon",
            quantity=moved,
            uses=("E3.uniform",),
            assumptions=uniform,
        ),
        Step(
            "E3.end",
            "uniform population: the epsilon beyond which there is no surge",
            equation(eps, gamma * sympy.sqrt(R0 / (2 * c) - 1)),
            uniform_end,
            "solving for the pole of B_peak",
            compare=_for_a_surge,
            quantity=eps,
            uses=("E3.uniform",),
            assumptions=(*uniform, "R_0 > 2 c; otherwise there is no surge at any epsilon"),
        ),
    )


def _for_a_surge(derived: sympy.Expr, statement: sympy.Eq) -> bool:
    excess = sympy.Symbol("y", positive=True)
    return proved_equal(derived.subs(R0, 2 * c + excess), statement.rhs.subs(R0, 2 * c + excess))


def _by_noise_level(derived: sympy.Expr, statement: sympy.Eq) -> bool:
    """Compare with V2 expressed by the noise level m = lambda kappa^2, which simplifies."""
    level = sympy.Symbol("m", positive=True)
    _, (g1, g2), (V1, V2) = example()
    variance = (4 * level / sympy.pi - V1 / (g1**2 + eps**2)) * (g2**2 + eps**2)
    return right_hand_side(sympy.simplify(derived.subs(V2, variance)), statement.subs(V2, variance))


def steps() -> tuple[Step, ...]:
    """Return the steps on the law with numbers put in."""
    return (*_b9(), *_e3())
