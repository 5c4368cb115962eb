"""Part B, first half: one coordinate with nonzero epsilon (T-B3 to T-B7)."""

from dataclasses import replace

import sympy

from scaling.symbolic.exact.softsign import GAUSSIAN, exact_mean, exact_second_moment
from scaling.symbolic.functions import isru, normal_density
from scaling.symbolic.notation import a, b, mu, s
from scaling.symbolic.parts.a_sign import erf_stand_in, slope_at_zero
from scaling.symbolic.parts.b_stand_ins import clip_error
from scaling.symbolic.proofs.accuracy import ApproximationError, measured_maximum
from scaling.symbolic.proofs.proof import both_sides, integrand, proved_equal
from scaling.symbolic.step import Step, equation


def edges() -> tuple[sympy.Eq, sympy.Eq]:
    """Return the definitions p = (a + b)/sqrt 2 and q = (a - b)/sqrt 2."""
    p, q = sympy.symbols("p q", real=True)
    return equation(p, (a + b) / sympy.sqrt(2)), equation(q, (a - b) / sympy.sqrt(2))


def clip_moment(power: int) -> sympy.Expr:
    """Integrate clip(x/b, -1, 1)^power against the density of N(a, 1).

    Parameters
    ----------
    power : int
    """
    y = sympy.Symbol("y", real=True)  # x = a + y
    line = ((a + y) / b) ** power * normal_density(y)
    above = sympy.integrate(normal_density(y), (y, b - a, sympy.oo))
    below = sympy.integrate(normal_density(y), (y, -sympy.oo, -b - a))
    return sympy.integrate(line, (y, -b - a, b - a)) + above + (-1) ** power * below


def clip_mean() -> sympy.Expr:
    """Return T-B3 in p and q."""
    p, q = (definition.lhs for definition in edges())
    middle = a / (2 * b) * (sympy.erf(p) - sympy.erf(q))
    ends = (sympy.exp(-(p**2)) - sympy.exp(-(q**2))) / (b * sympy.sqrt(2 * sympy.pi))
    return (sympy.erf(p) + sympy.erf(q)) / 2 + middle + ends


def clip_mean_of_signal() -> sympy.Expr:
    """Return T-B3 as a function of a and b."""
    return clip_mean().subs([(definition.lhs, definition.rhs) for definition in edges()])


def measured(approximation: sympy.Expr, power: int, name: str) -> ApproximationError:
    """Measure a moment against T-F1 (power 1) or T-F2 (power 2) over a, b > 0."""
    exact = exact_mean() if power == 1 else exact_second_moment()
    return measured_maximum(approximation, exact, (a, b), f"{name} against F{power}")


def _measured_clip(approximation: sympy.Expr, power: int, name: str) -> ApproximationError:
    return replace(measured(approximation, power, name), bound=clip_error(power).value)


def _b3() -> tuple[Step, ...]:
    return (
        Step(
            "B3",
            "mean of the update, softsign replaced by the clipped line",
            equation(mu, clip_mean()),
            lambda: clip_moment(1),
            "integration of the clipped line against the Gaussian",
            where=edges(),
            uses=("B2.clip",),
            assumptions=GAUSSIAN,
            error=lambda: _measured_clip(clip_mean_of_signal(), 1, "B3"),
            quantity=mu,
        ),
    )


def clip_slope() -> sympy.Expr:
    """Return T-B4, the slope of B3 at a = 0."""
    return sympy.erf(b / sympy.sqrt(2)) / b


def _is_positive_integral(derived: dict[sympy.Expr, sympy.Expr], statement: sympy.Eq) -> bool:
    parts = integrand(statement.rhs)
    if parts is None:
        return False
    density, (_, start, end) = parts
    return bool(density.is_positive and (end - start).is_positive) and both_sides(
        derived, equation(statement.lhs, statement.rhs.doit())
    )


def _b4() -> tuple[Step, ...]:
    update = sympy.Function("mu")
    p, q = (definition.lhs for definition in edges())
    return (
        Step(
            "B4",
            "slope of B3 at a = 0",
            equation(sympy.Subs(sympy.Derivative(update(a), a), a, 0), clip_slope()),
            lambda: {update(a): clip_mean_of_signal()},
            "differentiation of B3",
            compare=both_sides,
            uses=("B3",),
        ),
        Step(
            "B4.odd",
            "B3 is odd in a",
            equation(update(-a), -update(a)),
            lambda: {update(a): clip_mean_of_signal()},
            "the difference simplifies to 0",
            compare=both_sides,
            uses=("B3",),
        ),
        Step(
            "B4.slope",
            "slope of B3 everywhere",
            equation(
                sympy.Derivative(update(a), a),
                (sympy.erf(p) - sympy.erf(q)) / (2 * b),
            ),
            lambda: {update(a): clip_mean_of_signal()},
            "differentiation of B3",
            compare=both_sides,
            where=edges(),
            uses=("B3",),
        ),
    )


def _b4_bounds() -> tuple[Step, ...]:
    update, y = sympy.Function("mu"), sympy.Symbol("y", real=True)
    return (
        Step(
            "B4.rises",
            "the slope of B3 is positive everywhere, an integral of the Gaussian",
            equation(
                sympy.Derivative(update(a), a),
                sympy.Integral(normal_density(y), (y, -b - a, b - a)) / b,
            ),
            lambda: {update(a): clip_mean_of_signal()},
            "differentiation of B3, integration; the integrand is positive",
            compare=_is_positive_integral,
            uses=("B3",),
        ),
        Step(
            "B4.bound",
            "B3 rises to 1, so that it stays within (-1, 1)",
            equation(sympy.Limit(update(a), a, sympy.oo), sympy.Integer(1)),
            lambda: {update(a): clip_mean_of_signal()},
            "limit of B3",
            compare=both_sides,
            uses=("B3", "B4.odd", "B4.rises"),
        ),
    )


def working_mean() -> sympy.Expr:
    """Return T-B5, the article's mean."""
    return a / sympy.sqrt(a**2 + b**2 + sympy.pi / 2)


def inverse_square_slope() -> sympy.Expr:
    """Put the stand-in of erf (T-A6) into b^2/erf(b/sqrt 2)^2."""
    return sympy.expand(sympy.simplify(b**2 / erf_stand_in(b / sympy.sqrt(2)) ** 2))


def _b5() -> tuple[Step, ...]:
    root = sympy.sqrt(a**2 + b**2 / sympy.erf(b / sympy.sqrt(2)) ** 2)
    return (
        Step(
            "B5.clip",
            "smooth stand-in of B3, by its slope",
            equation(mu, a / root),
            lambda: isru(a, slope_at_zero(clip_mean_of_signal(), a)),
            "substitution of B4's slope into B2",
            uses=("B2", "B4"),
            error=lambda: measured(a / root, 1, "B5.clip"),
            quantity=mu,
        ),
        Step(
            "B5",
            "mean of the update, the article's form",
            equation(mu, working_mean()),
            lambda: a / sympy.sqrt(a**2 + inverse_square_slope()),
            "substitution of A6 for erf into B5.clip",
            uses=("A6", "B5.clip"),
            error=lambda: measured(working_mean(), 1, "B5"),
            quantity=mu,
        ),
    )


def clip_inside() -> tuple[sympy.Eq, ...]:
    """Return the definitions in T-B6: D, the weight of the line's slope, and the densities."""
    p, q = (definition.lhs for definition in edges())
    inside, lower, upper = sympy.symbols("D n_- n_+", positive=True)
    return (
        equation(inside, (sympy.erf(p) - sympy.erf(q)) / 2),
        equation(lower, normal_density(b - a)),
        equation(upper, normal_density(b + a)),
        *edges(),
    )


def clip_second_moment() -> sympy.Expr:
    """Return T-B6 in the abbreviations of :func:`clip_inside`."""
    inside, lower, upper = (definition.lhs for definition in clip_inside()[:3])
    return 1 - inside + ((a**2 + 1) * inside - (b + a) * lower - (b - a) * upper) / b**2


def clip_second_moment_of_signal() -> sympy.Expr:
    """Return T-B6 as a function of a and b."""
    definitions = [(definition.lhs, definition.rhs) for definition in clip_inside()]
    return clip_second_moment().subs(definitions)


def _b6() -> tuple[Step, ...]:
    return (
        Step(
            "B6",
            "second moment of the update, softsign replaced by the clipped line",
            equation(s, clip_second_moment()),
            lambda: clip_moment(2),
            "integration of the clipped line's square against the Gaussian",
            where=clip_inside(),
            uses=("B2.clip",),
            assumptions=GAUSSIAN,
            error=lambda: _measured_clip(clip_second_moment_of_signal(), 2, "B6"),
            quantity=s,
        ),
    )


def working_second_moment() -> sympy.Expr:
    """Return T-B7, the article's second moment."""
    return 1 - b**2 / (a**2 + b**2 + sympy.pi / 2)


def damped_square() -> sympy.Expr:
    """Read off T-B5 what stands for x^2 + b^2, and put it into E[1 - b^2/(x^2 + b^2)]."""
    radicand = sympy.Symbol("D", positive=True)
    (solution,) = sympy.solve(sympy.Eq(mu**2, a**2 / radicand), radicand)
    return 1 - b**2 / sympy.simplify(solution.subs(mu, working_mean()))


def is_working_form(derived: sympy.Expr, statement: sympy.Eq) -> bool:
    """Check T-B7 and its properties: even in a, 1 at b = 0, to 0 as b -> infinity."""
    form = statement.rhs
    return (
        proved_equal(derived, form)
        and proved_equal(form, form.subs(a, -a))
        and proved_equal(form.subs(b, 0), sympy.Integer(1))
        and proved_equal(sympy.limit(form, b, sympy.oo), sympy.Integer(0))
        and bool((1 - form).simplify().is_positive)
    )


def _b7() -> tuple[Step, ...]:
    return (
        Step(
            "B7",
            "second moment of the update, the article's working form",
            equation(s, working_second_moment()),
            damped_square,
            "solving B5 for what stands for x^2 + b^2, substitution into 1 - b^2/(x^2 + b^2)",
            compare=is_working_form,
            uses=("B5",),
            error=lambda: measured(working_second_moment(), 2, "B7"),
            quantity=s,
        ),
        Step(
            "B7.clip",
            "the same as a stand-in of the clipped line's second moment",
            equation(s, working_second_moment()),
            damped_square,
            "as B7; its error against B6 is larger",
            compare=is_working_form,
            uses=("B6", "B7"),
            error=lambda: measured_maximum(
                working_second_moment(), clip_second_moment_of_signal(), (a, b), "B7 against B6"
            ),
            quantity=s,
        ),
    )


def steps() -> tuple[Step, ...]:
    """Return the steps of T-B3 to T-B7."""
    return (
        *_b3(),
        *_b4(),
        *_b4_bounds(),
        *_b5(),
        *_b6(),
        *_b7(),
    )
