"""Part B, beginning: softsign between sign and gradient, and its stand-ins (T-B1, T-B2)."""

import sympy

from scaling.symbolic.functions import isru, softsign
from scaling.symbolic.notation import eps, k, x
from scaling.symbolic.parts.a_sign import slope_at_zero
from scaling.symbolic.proofs.accuracy import ApproximationError, measured_maximum
from scaling.symbolic.proofs.proof import both_signs, in_every_case
from scaling.symbolic.step import Step, equation


def _b1() -> tuple[Step, ...]:
    return (
        Step(
            "B1",
            "softsign tends to the sign as epsilon vanishes",
            equation(sympy.Limit(softsign(x, eps), eps, 0), sympy.sign(x)),
            lambda: both_signs(x),
            "limit, for x > 0 and x < 0",
            compare=in_every_case,
            assumptions=("x is not 0",),
        ),
        Step(
            "B1.large",
            "softsign tends to the gradient over epsilon as epsilon grows",
            equation(sympy.Limit(eps * softsign(x, eps), eps, sympy.oo), x),
            lambda: both_signs(x),
            "limit, for x > 0 and x < 0",
            compare=in_every_case,
        ),
    )


def clip_distance(curve: sympy.Expr, power: int, words: str) -> ApproximationError:
    """Return the largest distance of clip(x, -1, 1)^power from a curve.

    Parameters
    ----------
    curve : sympy.Expr
        Function of the slope's symbol k > 0, which stands for x.
    power : int
    words : str
        What is compared.
    """
    inside, outside = k**power - curve, 1 - curve
    # The distance is largest where the pieces meet, or where the slope of one of them is 0.
    values = [inside.subs(k, 1), outside.subs(k, 1)]
    values += [inside.subs(k, root) for root in sympy.solve(sympy.diff(inside, k), k)]
    values += [outside.subs(k, root) for root in sympy.solve(sympy.diff(outside, k), k)]
    return ApproximationError("bound", words, max(abs(float(value)) for value in values))


def clip_error(power: int = 1) -> ApproximationError:
    """Return the largest distance of clip(x, -1, 1)^power from softsign(x, 1)^power.

    It bounds the error of every expectation of the clipped line.
    """
    curve = softsign(k, sympy.Integer(1)) ** power
    return clip_distance(curve, power, "clip(x/eps, -1, 1) against softsign(x, eps)")


def solved_stand_in() -> sympy.Expr:
    """Find the member of x/sqrt(x^2 + C) with slope k at 0 (T-B2)."""
    constant = sympy.Symbol("C", positive=True)
    family = x / sympy.sqrt(x**2 + constant)
    (solution,) = sympy.solve(slope_at_zero(family, x) - k, constant)
    return family.subs(constant, solution)


def solved_clip() -> sympy.Expr:
    """Find the line with slope k at 0, and cut it off at -1 and 1 (T-B2)."""
    slope = sympy.Symbol("m", positive=True)
    (solution,) = sympy.solve(slope_at_zero(slope * x, x) - k, slope)
    return sympy.Max(-1, sympy.Min(1, solution * x))


def clipped(line: sympy.Expr) -> sympy.Expr:
    """Return a line cut off at -1 and 1, by cases."""
    return sympy.Piecewise((-1, line <= -1), (1, line >= 1), (line, True))


def pieces(function: sympy.Expr) -> dict[sympy.Set, sympy.Expr]:
    """Return the intervals of u, ends included, and what a continuous function is there.

    u is k x, or x where there is no k.
    """
    u = sympy.Symbol("u", real=True)
    scaled = function.subs(x, u / k if function.has(k) else u)
    branches = sympy.piecewise_fold(scaled.rewrite(sympy.Piecewise))
    return {interval.closure: branch for branch, interval in branches.as_expr_set_pairs()}


def same_clip(derived: sympy.Expr, statement: sympy.Eq) -> bool:
    """Compare two clipped lines, interval by interval."""
    return pieces(derived) == pieces(statement.rhs)


def _b2() -> tuple[Step, ...]:
    curve = sympy.Function("S")(x)
    return (
        Step(
            "B2",
            "smooth stand-in (ISRU) of an odd S-curve with slope k at 0",
            equation(curve, isru(x, k)),
            solved_stand_in,
            "solving for the member of x/sqrt(x^2 + C) with slope k",
            assumptions=(
                "S is odd and rises from -1 to 1",
                "S is softsign where no other is named",
            ),
            error=lambda: measured_maximum(
                isru(k, sympy.Integer(1)),
                softsign(k, sympy.Integer(1)),
                (k,),
                "ISRU against softsign (it is one; for erf see A6)",
            ),
            quantity=curve,
        ),
        Step(
            "B2.clip",
            "clipped line as stand-in of the same S-curve",
            equation(curve, clipped(k * x)),
            solved_clip,
            "solving for the slope, cutting off at -1 and 1",
            compare=same_clip,
            assumptions=(
                "S is odd and rises from -1 to 1",
                "S is softsign where no other is named",
            ),
            error=clip_error,
            quantity=curve,
        ),
        Step(
            "B2.erf",
            "clipped line as stand-in of erf",
            equation(sympy.erf(x), clipped(2 / sympy.sqrt(sympy.pi) * x)),
            lambda: solved_clip().subs(k, slope_at_zero(sympy.erf(x), x)),
            "differentiation of erf at 0, substitution into B2.clip",
            compare=same_clip,
            uses=("B2.clip",),
            error=lambda: clip_distance(
                sympy.erf(k / slope_at_zero(sympy.erf(k), k)), 1, "clipped line against erf"
            ),
            quantity=sympy.erf(x),
        ),
    )


def steps() -> tuple[Step, ...]:
    """Return the steps of T-B1 to T-B2."""
    return (
        *_b1(),
        *_b2(),
    )
