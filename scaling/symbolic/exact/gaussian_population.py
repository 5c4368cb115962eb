"""Part F: a Gaussian population of gradients (T-F3, T-F5)."""

from collections.abc import Callable
from functools import partial

import mpmath
import sympy

from scaling.symbolic.exact.kernels import mean_kernel, square_kernel
from scaling.symbolic.exact.quadrature import formula_average
from scaling.symbolic.exact.softsign import DIGITS, lorentz_average
from scaling.symbolic.exact.weights import (
    age,
    over_ages,
    sums_agree,
    tilted_sum,
    weight,
    widening,
)
from scaling.symbolic.functions import erfcx, kve, normal_density, softsign
from scaling.symbolic.notation import B, a, a_rms, b, gamma, lr_star, node, r, s, sigma, tau
from scaling.symbolic.proofs.proof import mpmath_functions, proved_equal
from scaling.symbolic.proofs.sums import at_sizes
from scaling.symbolic.step import Step, equation


def population_moments() -> dict[str, sympy.Expr]:
    """Derive the two expectations of T-F3 as Gaussian integrals over y = x/tau.

    E[g | x] comes out of the joint Gaussian of g ~ N(0, gamma^2) and x - g ~ N(0, sigma^2/B).
    """
    g, x = sympy.symbols("g x", real=True)
    noise = sympy.Symbol("w", positive=True)
    tilt = 1 / gamma**2 + 1 / noise**2
    centre, width = x / noise**2 / tilt, 1 / sympy.sqrt(tilt)
    shape = -(g**2) / (2 * gamma**2) - (x - g) ** 2 / (2 * noise**2)
    rest = sympy.simplify(shape + (g - centre) ** 2 / (2 * width**2))
    if rest.has(g):
        return {}
    # The density of g given x is a Gaussian around ``centre``.
    regression = sympy.simplify(centre.subs(noise, sympy.sqrt(tau**2 - gamma**2)))
    y = sympy.Symbol("y", real=True)
    return {
        "regression": regression,
        "numerator": sympy.simplify(regression.subs(x, tau * y) * softsign(tau * y, tau * r)),
    }


def hyperbolic_substitution() -> sympy.Expr:
    """Change variables y = r sinh(theta/2) in E[y^2/sqrt(y^2 + r^2)].

    Returns
    -------
    sympy.Expr
        The integrand over theta in (0, inf).
    """
    theta = sympy.Symbol("theta", positive=True)
    y = r * sympy.sinh(theta / 2)
    root = r * sympy.cosh(theta / 2)
    return 2 * y**2 / root * normal_density(y) * sympy.diff(y, theta)


def bessel_integrand(formula: sympy.Expr) -> sympy.Expr:
    """Put K_n(z) = int_0^inf exp(-z cosh theta) cosh(n theta) dtheta into a formula."""
    theta = sympy.Symbol("theta", positive=True)
    return formula.rewrite(sympy.besselk).replace(
        sympy.besselk, lambda n, z: sympy.exp(-z * sympy.cosh(theta)) * sympy.cosh(n * theta)
    )


def bessel_agrees(derived: sympy.Expr, statement: sympy.Eq) -> bool:
    """Compare integrands over theta; both sides must be linear in the Bessel functions."""
    formula = statement.rhs.rewrite(sympy.besselk)
    bare = formula.replace(sympy.besselk, lambda *_: sympy.Integer(0))
    if bare != 0:
        return False
    difference = (derived - bessel_integrand(formula)).rewrite(sympy.exp)
    theta = sympy.Symbol("theta", positive=True)
    half = sympy.Symbol("e", positive=True)
    exponential = sympy.expand(difference.subs(theta, 2 * sympy.log(half)))
    return proved_equal(exponential + 1, sympy.Integer(1))


def bessel_moment() -> sympy.Expr:
    """Return h1 of T-F3, E[y^2/sqrt(y^2 + r^2)] for y ~ N(0, 1)."""
    z = r**2 / 4
    return sympy.sqrt(2 / sympy.pi) * z * (kve(1, z) - kve(0, z))


def tail_moment() -> sympy.Expr:
    """Return h2 of T-F3, E[y^2/(y^2 + r^2)] for y ~ N(0, 1)."""
    return 1 - sympy.sqrt(sympy.pi / 2) * r * erfcx(r / sympy.sqrt(2))


def _population_factor() -> sympy.Expr:
    """Return what multiplies y^2/sqrt(y^2 + r^2) in E[g phi]."""
    y = sympy.Symbol("y", real=True)
    return sympy.simplify(population_moments()["numerator"] / (y * softsign(y, r)))


def _moment_agrees(formula: sympy.Expr, power: int) -> bool:
    value = sympy.lambdify(r, formula, [mpmath_functions(), "mpmath"])
    with mpmath.workdps(DIGITS):
        for point in (mpmath.mpf("0.05"), mpmath.mpf(1), mpmath.mpf(4)):
            definition = 2 * mpmath.quad(
                lambda t, p=point: t**2 / (t**2 + p**2) ** (mpmath.mpf(power) / 2) * mpmath.npdf(t),
                [0, point, 1, 12],
            )
            if not mpmath.almosteq(value(point), definition, mpmath.mpf(10) ** -15):
                return False
    return True


def _f3() -> tuple[Step, ...]:
    h1, h2, y = sympy.symbols("h1 h2 y", real=True)
    numerator = sympy.Symbol("N", real=True)
    population = ("g ~ N(0, gamma^2)", "x = g + noise, noise ~ N(0, sigma^2/B)", "H diagonal")
    return (
        Step(
            "F3.regression",
            "Gaussian population: E[g phi] with E[g | x] = gamma^2 x/tau^2 put in",
            equation(numerator, gamma**2 / tau * y**2 / sympy.sqrt(y**2 + r**2)),
            lambda: population_moments().get("numerator", sympy.nan),
            "completing the square in the joint Gaussian of g and x",
            assumptions=(*population, "y = x/tau ~ N(0, 1), tau^2 = gamma^2 + sigma^2/B"),
            quantity=numerator,
        ),
        Step(
            "F3.numerator",
            "Gaussian population: E[y^2/sqrt(y^2 + r^2)]",
            equation(h1, bessel_moment()),
            hyperbolic_substitution,
            "change of variables y = r sinh(theta/2), integral representation of K_n",
            compare=lambda derived, statement: (
                bessel_agrees(derived, statement) and _moment_agrees(statement.rhs, 1)
            ),
            route="verified",
            why="SymPy returns a Meijer G-function that it does not reduce to Bessel functions",
            uses=("F3.regression",),
            quantity=h1,
        ),
        Step(
            "F3.denominator",
            "Gaussian population: E[y^2/(y^2 + r^2)]",
            equation(h2, tail_moment()),
            lambda: 1 - lorentz_average().subs({a: 0, b: r}),
            "F2 at a = 0",
            compare=lambda derived, statement: (
                proved_equal(derived, statement.rhs.rewrite(sympy.erfc).rewrite(sympy.erf))
                and _moment_agrees(statement.rhs, 2)
            ),
            uses=("F2",),
            quantity=h2,
        ),
    )


def _f3_law() -> tuple[Step, ...]:
    y = sympy.Symbol("y", real=True)
    population = ("g ~ N(0, gamma^2)", "x = g + noise, noise ~ N(0, sigma^2/B)", "H diagonal")
    return (
        Step(
            "F3",
            "Gaussian population: the law, per unit of the mean of H_ii",
            equation(lr_star, gamma**2 / tau * bessel_moment() / tail_moment()),
            lambda: _population_factor() * bessel_moment() / tail_moment(),
            "substitution of the two moments into A1",
            uses=("A1.minimum", "F3.regression", "F3.numerator", "F3.denominator"),
            assumptions=population,
            quantity=lr_star,
        ),
        Step(
            "F3.sign",
            "at epsilon = 0 it is the mean-field law with lambda = 1 and kappa = sigma/gamma",
            equation(
                lr_star,
                sympy.sqrt(2 / sympy.pi) * gamma / sympy.sqrt(1 + sigma**2 / gamma**2 / B),
            ),
            lambda: (
                _population_factor()
                * (2 * sympy.integrate(y * normal_density(y), (y, 0, sympy.oo)))
                / sympy.integrate(normal_density(y), (y, -sympy.oo, sympy.oo))
            ).subs(tau, sympy.sqrt(gamma**2 + sigma**2 / B)),
            "integration of both moments at r = 0",
            uses=("F3",),
            quantity=lr_star,
        ),
    )


SIZES = (1, 2)  # A, s1 and s2 are proved for three steps


def tilted_average(power: int) -> sympy.Expr:
    """Integrate a^power exp(-a^2 P) over a ~ N(0, a_rms^2)."""
    signal, tilt = sympy.Symbol("y", real=True), sympy.Symbol("P", positive=True)
    density = normal_density(signal, a_rms)
    function = signal**power * sympy.exp(-(signal**2) * tilt) * density
    return sympy.simplify(sympy.integrate(function, (signal, -sympy.oo, sympy.oo)))


def over_population(expression: sympy.Expr, count: int) -> sympy.Expr:
    """Average T-F4's integrand, a polynomial in a times exp(-a^2 P), over a ~ N(0, a_rms^2)."""
    bell = tilted_sum(0, count)
    tilt = sympy.simplify(-sympy.diff(sympy.log(bell), a) / (2 * a))
    polynomial = sympy.Poly(sympy.cancel(expression / bell), a)
    return bell.subs(a, 0) * sum(
        coefficient * tilted_average(order).subs(sympy.Symbol("P", positive=True), tilt)
        for (order,), coefficient in polynomial.terms()
    )


def population_agrees(power: int) -> Callable[[dict[int, sympy.Expr], sympy.Eq], bool]:
    """Return the check of T-F5: the integrand for one and two steps, the definition for one."""

    def compare(derived: dict[int, sympy.Expr], statement: sympy.Eq) -> bool:
        right = statement.rhs
        if not isinstance(right, sympy.Integral) or right.limits[0][1:] != (0, sympy.oo):
            return False
        if not sums_agree(derived, equation(statement.lhs, right.function)):
            return False
        width, damping = mpmath.mpf("0.8"), mpmath.mpf("0.5")
        one = formula_average(right.function.subs(a_rms, width), 0.0, damping, (0.5, 0.75), 1)
        # At the first step m = x and v = x^2, x = a + noise; a is on average x a_rms^2/total.
        total = 1 + width**2
        other = 2 * mpmath.quad(
            lambda x: (
                (width**2 / total * x if power == 1 else x / (x + damping))
                * (x / (x + damping))
                * mpmath.npdf(x, 0, mpmath.sqrt(total))
            ),
            [0, 1, 4, 16],
        )
        return bool(abs(one - other) < mpmath.mpf(10) ** -12)

    return compare


def _f5() -> tuple[Step, ...]:
    P = sympy.Symbol("P", positive=True)
    s0, s2 = sympy.symbols("J_0 J_2", positive=True)
    flat, narrow = 1 / sympy.sqrt(1 + 2 * a_rms**2 * P), sympy.Rational(-3, 2)
    squared = a_rms**2 * (1 + 2 * a_rms**2 * P) ** narrow
    given = ("a ~ N(0, a_rms^2) over the coordinates, a_rms = gamma sqrt(B)/sigma",)
    return (
        *(
            Step(
                f"F5.{name}",
                title,
                equation(left, right),
                partial(tilted_average, power),
                "Gaussian integral",
                assumptions=given,
                quantity=left,
            )
            for name, title, left, right, power in (
                ("tilt", "population: average of exp(-a^2 P)", s0, flat, 0),
                ("square", "population: average of a^2 exp(-a^2 P)", s2, squared, 2),
            )
        ),
    )


def _f5_averages() -> tuple[Step, ...]:
    k, _ = age()
    P, A, M1, M2, K1, K2 = sympy.symbols("P A_0 M_1 M_2 K1 K2", positive=True)
    aligned = sympy.Symbol("G_a", positive=True)
    flat, narrow = 1 / sympy.sqrt(1 + 2 * a_rms**2 * P), sympy.Rational(-3, 2)
    squared = a_rms**2 * (1 + 2 * a_rms**2 * P) ** narrow
    shared = (
        equation(P, over_ages(node * weight("w", k) / widening(k))),
        equation(A, sympy.exp(-over_ages(sympy.log(widening(k))) / 2)),
        equation(M1, over_ages(weight("c", k) / widening(k))),
    )
    width = equation(M2, over_ages(weight("c", k) ** 2 / widening(k)))
    given = ("a ~ N(0, a_rms^2) over the coordinates, a_rms = gamma sqrt(B)/sigma",)
    return (
        Step(
            "F5",
            "Gaussian population, true Adam: the average of a phi",
            equation(aligned, sympy.Integral(K1 * A * M1 * squared, (node, 0, sympy.oo))),
            lambda: at_sizes(
                lambda count: mean_kernel() * over_population(a * tilted_sum(1, count), count),
                SIZES,
            ),
            "Gaussian average of F4's integrand; quadrature of the definition at t = 1",
            compare=population_agrees(1),
            where=(*shared, equation(K1, mean_kernel())),
            uses=("F4", "F5.square"),
            assumptions=given,
            quantity=aligned,
        ),
        Step(
            "F5.second",
            "Gaussian population, true Adam: the average of phi^2",
            equation(
                s,
                sympy.Integral(K2 * A * (M1**2 * squared + M2 * flat), (node, 0, sympy.oo)),
            ),
            lambda: at_sizes(
                lambda count: square_kernel() * over_population(tilted_sum(2, count), count), SIZES
            ),
            "Gaussian average of F4's integrand; quadrature of the definition at t = 1",
            compare=population_agrees(2),
            where=(*shared, width, equation(K2, square_kernel())),
            uses=("F4.square", "F5.tilt", "F5.square"),
            assumptions=given,
            quantity=s,
        ),
    )


def steps() -> tuple[Step, ...]:
    """Return the steps of T-F3 and T-F5."""
    return (*_f3(), *_f3_law(), *_f5(), *_f5_averages())
