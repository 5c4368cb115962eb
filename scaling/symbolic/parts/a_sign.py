"""Part A, second half: SignSGD with Gaussian noise (T-A5, T-A6)."""

import sympy

from scaling.symbolic.functions import isru, normal_density
from scaling.symbolic.notation import symbol, symbols
from scaling.symbolic.proofs.accuracy import measured_maximum
from scaling.symbolic.step import Step, equation


def signal() -> sympy.Eq:
    """Return the definition of the signal a = g sqrt(B)/sigma.

    Examples
    --------
    >>> signal()
    Eq(a, sqrt(B)*g/sigma)
    """
    a, g, sigma, B = symbols("signal gradient sigma batch_size")
    return equation(a, g * sympy.sqrt(B) / sigma)


def gaussian_sign(power: int) -> sympy.Expr:
    """Integrate sign(x)^power against the density of N(a, 1).

    Examples
    --------
    >>> gaussian_sign(2)
    1
    """
    a = symbol("signal")
    y = sympy.Symbol("y", real=True)
    right = sympy.integrate(normal_density(y), (y, -a, sympy.oo))
    left = sympy.integrate(normal_density(y), (y, -sympy.oo, -a))
    return sympy.simplify((right + (-1) ** power * left).rewrite(sympy.erf))


def slope_at_zero(function: sympy.Expr, variable: sympy.Symbol) -> sympy.Expr:
    """Differentiate at 0.

    Examples
    --------
    >>> x = symbol("argument")
    >>> slope_at_zero(sympy.sin(2 * x), x)
    2
    """
    return sympy.simplify(sympy.diff(function, variable).subs(variable, 0))


def erf_stand_in(x: sympy.Expr) -> sympy.Expr:
    """Return the ISRU with the slope of erf at 0 (T-A6).

    Examples
    --------
    >>> erf_stand_in(symbol("argument"))
    x/sqrt(x**2 + pi/4)
    """
    t = sympy.Dummy(real=True)
    return isru(x, slope_at_zero(sympy.erf(t), t))


def sign_second_moment() -> sympy.Expr:
    """Return T-A5's second moment of the sign.

    Examples
    --------
    >>> sign_second_moment()
    1
    """
    return sympy.Integer(1)


def sign_mean() -> sympy.Expr:
    """Return T-A6, the mean of the sign in the stand-in.

    Examples
    --------
    >>> sign_mean()
    a/sqrt(a**2 + pi/2)
    """
    a = symbol("signal")
    return a / sympy.sqrt(a**2 + sympy.pi / 2)


def steps() -> tuple[Step, ...]:
    """Return the steps T-A5 and T-A6.

    Returns
    -------
    tuple of Step

    Examples
    --------
    >>> [step.id for step in steps()][:3]
    ['A5', 'A5.second', 'A6']
    """
    x, a, g, sigma, B = symbols("argument signal gradient sigma batch_size")
    mu, s = symbols("mean second_moment")
    half = sympy.Rational(1, 2)
    gaussian = ("the batch gradient is g + (sigma/sqrt B) N(0, 1), independent per coordinate",)
    return (
        Step(
            "A5",
            "SignSGD: the mean of the update",
            equation(mu, sympy.erf(a / sympy.sqrt(2))),
            lambda: gaussian_sign(1),
            "integration of sign(x) against the Gaussian",
            assumptions=(*gaussian, "a = g sqrt(B)/sigma"),
            quantity=mu,
        ),
        Step(
            "A5.second",
            "SignSGD: the second moment of the update",
            equation(s, sign_second_moment()),
            lambda: gaussian_sign(2),
            "integration of sign(x)^2 against the Gaussian",
            assumptions=gaussian,
            quantity=s,
        ),
        Step(
            "A6",
            "a smooth stand-in of erf with the same slope at 0",
            equation(sympy.erf(x), x / sympy.sqrt(x**2 + sympy.pi / 4)),
            lambda: erf_stand_in(x),
            "differentiation of erf at 0; B2",
            error=lambda: measured_maximum(
                erf_stand_in(symbol("slope")),
                sympy.erf(symbol("slope")),
                (symbol("slope"),),
                "stand-in against erf (argument k > 0; both are odd)",
            ),
            quantity=sympy.erf(x),
        ),
        Step(
            "A6.mean",
            "SignSGD: the mean of the update in the stand-in",
            equation(mu, sign_mean()),
            lambda: erf_stand_in(a / sympy.sqrt(2)),
            "substitution of A6 into A5",
            uses=("A5", "A6"),
            error=lambda: measured_maximum(
                sign_mean(), gaussian_sign(1), (a,), "A6 against A5, a > 0 (both are odd)"
            ),
            quantity=mu,
        ),
        Step(
            "A6.batch",
            "the same as a function of the batch size",
            equation(
                mu,
                sympy.sign(g) * (1 + sympy.pi * sigma**2 / (2 * g**2 * B)) ** -half,
            ),
            lambda: sign_mean().subs(a, signal().rhs),
            "substitution of a = g sqrt(B)/sigma into A6",
            compare=_for_both_signs,
            uses=("A6.mean",),
            quantity=mu,
        ),
    )


def _for_both_signs(derived: sympy.Expr, statement: sympy.Eq) -> bool:
    g, size = symbol("gradient"), sympy.Symbol("m", positive=True)
    return all(
        sympy.simplify((derived - statement.rhs).subs(g, sign * size)) == 0 for sign in (1, -1)
    )
