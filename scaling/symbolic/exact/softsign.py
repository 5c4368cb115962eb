"""Part F, first half: exact expectations over Gaussian gradient noise (T-F1, T-F2)."""

from collections.abc import Callable
from functools import partial

import mpmath
import sympy

from scaling.symbolic.functions import erfcx, normal_density, softsign
from scaling.symbolic.notation import a, b, mu, s, x
from scaling.symbolic.proofs.proof import (
    both_sides,
    integrand,
    mpmath_functions,
    proved_equal,
    same_integral,
)
from scaling.symbolic.step import Step, equation

GAUSSIAN = (
    "x ~ N(a, 1): the batch gradient in units of sigma/sqrt(B); b is epsilon in these units",
)
POINTS = ((0.1, 0.01), (1, 1), (0.5, 3), (3, 0.3), (-0.7, 0.2))
DIGITS = 25


def laplace_variable() -> sympy.Symbol:
    """Return the variable of the integral representation of a negative power."""
    return sympy.Symbol("l", positive=True)


def negative_power(power: sympy.Expr) -> sympy.Expr:
    """Return the weight w(l) with v^(-power) = int_0^inf w(l) exp(-l v) dl.

    SymPy integrates ``l**(power - 1) exp(-l v)`` to fix the normalization.
    """
    rate = laplace_variable()
    v = sympy.Symbol("v", positive=True)
    bare = rate ** (power - 1)
    integral = sympy.integrate(bare * sympy.exp(-rate * v), (rate, 0, sympy.oo))
    return bare / sympy.simplify(integral * v**power)


def tilted_moment(order: int) -> sympy.Expr:
    """Integrate E[x^order exp(-l x^2)] for x ~ N(a, 1)."""
    rate = laplace_variable()
    x = sympy.Symbol("x", real=True)
    # Completing the square by hand spares SymPy the general case.
    centre, width = a / (1 + 2 * rate), 1 / sympy.sqrt(1 + 2 * rate)
    exponent = -rate * x**2 - (x - a) ** 2 / 2 + (x - centre) ** 2 / (2 * width**2)
    y = sympy.Symbol("y", real=True)
    constant = sympy.exp(sympy.factor(sympy.simplify(exponent)))
    polynomial = sympy.Poly((centre + width * y) ** order, y)
    moment = sum(
        coefficient * sympy.integrate(y**power * normal_density(y), (y, -sympy.oo, sympy.oo))
        for (power,), coefficient in polynomial.terms()
    )
    return constant * width * moment


def on_unit_interval(function: sympy.Expr) -> sympy.Expr:
    """Change variables from l in (0, inf) to u in (0, 1), u^2 = 2 l/(1 + 2 l)."""
    u, m = sympy.symbols("u m", positive=True)
    # By way of m = 1/u^2 - 1 > 0, so that SymPy knows every root's sign; l = 1/(2 m).
    rate = 1 / (2 * m)
    inside = function.subs(laplace_variable(), rate) * sympy.diff(rate, m)
    inside = sympy.simplify(inside)
    back = 1 / u**2 - 1
    return sympy.Integral(sympy.simplify(inside.subs(m, back) * sympy.diff(back, u)), (u, 0, 1))


def derived_mean() -> sympy.Expr:
    """Derive T-F1: 1/sqrt(v) as a Laplace integral, the Gaussian first, then u."""
    rate = laplace_variable()
    weight = negative_power(sympy.Rational(1, 2)) * sympy.exp(-rate * b**2)
    return on_unit_interval(weight * tilted_moment(1))


def exact_mean() -> sympy.Expr:
    """Return T-F1, E[softsign]."""
    u = sympy.Symbol("u", positive=True)
    inside = sympy.exp(-(a**2 * u**2 + b**2 * u**2 / (1 - u**2)) / 2)
    return a * sympy.sqrt(2 / sympy.pi) * sympy.Integral(inside, (u, 0, 1))


def quadrature(power: int) -> Callable[[float, float], mpmath.mpf]:
    """Return E[softsign^power] by quadrature of the definition with mpmath."""
    update = sympy.lambdify((x, b), softsign(x, b) ** power, "mpmath")

    def expectation(a: float, damping: float) -> mpmath.mpf:
        a, damping = mpmath.mpf(a), mpmath.mpf(damping)
        cuts = sorted({a - 12, -damping, mpmath.mpf(0), damping, a, a + 12})
        return mpmath.quad(lambda t: update(t, damping) * mpmath.npdf(t, a, 1), cuts)

    return expectation


def agrees_with_quadrature(formula: sympy.Expr, power: int) -> bool:
    """Hold a formula of (a, b) against quadrature of the definition, at 25 digits."""
    parts = integrand(formula)
    definition = quadrature(power)
    variables = (a, b)
    with mpmath.workdps(DIGITS):
        if parts is None:
            value = sympy.lambdify(variables, formula, [mpmath_functions(), "mpmath"])
        else:
            inner, (u, start, end) = parts
            under = sympy.lambdify((u, *variables), inner, "mpmath")

            def value(a: float, b: float) -> mpmath.mpf:
                return mpmath.quad(
                    lambda t: under(t, mpmath.mpf(a), mpmath.mpf(b)) if t < 1 else mpmath.mpf(0),
                    [start, sympy.Rational(1, 2), end],
                )

        return all(
            mpmath.almosteq(
                value(mpmath.mpf(a), mpmath.mpf(b)), definition(a, b), mpmath.mpf(10) ** -15
            )
            for a, b in POINTS
        )


def by_continuity(
    expression: sympy.Expr, variable: sympy.Symbol, point: sympy.Expr, _: object = "+"
) -> sympy.Expr:
    """Take the limit of an integral that is continuous there."""
    return sympy.simplify(expression.subs(variable, point).doit())


def _f1() -> tuple[Step, ...]:
    positive = sympy.Symbol("m", positive=True)
    return (
        Step(
            "F1",
            "exact mean of softsign under Gaussian noise",
            equation(mu, exact_mean()),
            derived_mean,
            "1/sqrt(v) as a Laplace integral, Gaussian integral, change of variables; "
            "and quadrature of the definition at 25 digits",
            compare=lambda derived, statement: (
                same_integral(derived, statement.rhs) and agrees_with_quadrature(statement.rhs, 1)
            ),
            assumptions=GAUSSIAN,
            quantity=mu,
        ),
        Step(
            "F1.sign",
            "its limit at epsilon = 0 is the mean of the sign",
            equation(sympy.Limit(mu, b, 0), sympy.erf(a / sympy.sqrt(2))),
            lambda: {mu: exact_mean().subs(a, positive), a: positive},
            "integration at b = 0, where the integral is continuous; a > 0 (both sides are odd)",
            compare=partial(both_sides, limit=by_continuity),
            uses=("F1", "A5"),
        ),
    )


def exact_second_moment() -> sympy.Expr:
    """Return T-F2, E[softsign^2] = 1 - pi b V(a; 1, b), V the Voigt profile."""
    voigt = sympy.re(erfcx((b - sympy.I * a) / sympy.sqrt(2))) / sympy.sqrt(2 * sympy.pi)
    return 1 - sympy.pi * b * voigt


def lorentz_average() -> sympy.Expr:
    """Derive E[b^2/(x^2 + b^2)]: a Fourier integral, the Gaussian first, then SymPy.

    Returns
    -------
    sympy.Expr
        Complex; the average is its real part.
    """
    k = sympy.Symbol("k", positive=True)
    x, y = sympy.symbols("x y", real=True)
    # b/(x^2 + b^2) = int_0^inf exp(-b k) cos(k x) dk, proved here:
    fourier = sympy.integrate(sympy.exp(-b * k) * sympy.cos(k * x), (k, 0, sympy.oo), conds="none")
    if not proved_equal(fourier, b / (x**2 + b**2)):
        return sympy.nan
    # E cos(k x) = Re exp(i k a) E cos(k y), since E sin(k y) = 0
    wave = sympy.integrate(sympy.cos(k * y) * normal_density(y), (y, -sympy.oo, sympy.oo))
    exponent = sympy.exp(-b * k) * wave * sympy.exp(sympy.I * k * a)
    return b * sympy.integrate(exponent, (k, 0, sympy.oo), conds="none")


def real_part_agrees(derived: sympy.Expr, statement: sympy.Eq) -> bool:
    """Compare 1 - Re(derived) with a statement of the form constant + factor Re(inner)."""
    parts = list(statement.rhs.atoms(sympy.re))
    if len(parts) != 1:
        return False
    part = sympy.Dummy()
    linear = sympy.Poly(statement.rhs.subs(parts[0], part), part)
    if linear.degree() != 1:
        return False
    factor, constant = linear.all_coeffs()
    inside = (factor * parts[0].args[0]).rewrite(sympy.erfc).rewrite(sympy.erf)
    return proved_equal(constant, sympy.Integer(1)) and proved_equal(derived, -inside)


def _f2() -> tuple[Step, ...]:
    return (
        Step(
            "F2",
            "exact second moment of softsign: the Voigt profile",
            equation(s, exact_second_moment()),
            lorentz_average,
            "Fourier integral of the Lorentzian, Gaussian integral, integration; "
            "and quadrature of the definition at 25 digits",
            compare=lambda derived, statement: (
                real_part_agrees(derived, statement) and agrees_with_quadrature(statement.rhs, 2)
            ),
            assumptions=GAUSSIAN,
            quantity=s,
        ),
    )


def steps() -> tuple[Step, ...]:
    """Return the steps of T-F1 to T-F2."""
    return (
        *_f1(),
        *_f2(),
    )
