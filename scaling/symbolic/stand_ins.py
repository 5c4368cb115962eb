"""Part B, beginning: softsign between sign and gradient, and its stand-ins (T-B1, T-B2)."""

from collections.abc import Callable

import sympy

from .accuracy import ApproximationError, measured_maximum
from .functions import isru, softsign
from .proof import proved_equal
from .sign import slope_at_zero
from .step import Step, equation
from .symbols import symbol, symbols


def clip_error(power: int = 1) -> ApproximationError:
    """Return the largest distance of clip(x, -1, 1)^power from softsign(x, 1)^power.

    It bounds the error of every expectation of the clipped line.

    Examples
    --------
    >>> round(clip_error().value, 4)
    0.2929
    """
    x = sympy.Symbol("x", positive=True)
    curve = softsign(x, sympy.Integer(1)) ** power
    inside, outside = x**power - curve, 1 - curve
    # The distance is largest where the pieces meet, or where the slope of one of them is 0.
    values = [inside.subs(x, 1), outside.subs(x, 1)]
    values += [inside.subs(x, root) for root in sympy.solve(sympy.diff(inside, x), x)]
    values += [outside.subs(x, root) for root in sympy.solve(sympy.diff(outside, x), x)]
    words = "clip(x/eps, -1, 1) against softsign(x, eps)"
    return ApproximationError("bound", words, max(abs(float(value)) for value in values))


def solved_stand_in() -> sympy.Expr:
    """Find the member of x/sqrt(x^2 + C) with slope k at 0 (T-B2).

    Examples
    --------
    >>> solved_stand_in()
    x/sqrt(x**2 + k**(-2))
    """
    x, k = symbols("argument slope")
    constant = sympy.Symbol("C", positive=True)
    family = x / sympy.sqrt(x**2 + constant)
    (solution,) = sympy.solve(slope_at_zero(family, x) - k, constant)
    return family.subs(constant, solution)


def solved_clip() -> sympy.Expr:
    """Find the clipped line with slope k at 0 (T-B2).

    Examples
    --------
    >>> solved_clip()
    Piecewise((-1, k*x <= -1), (1, k*x >= 1), (k*x, True))
    """
    x, k = symbols("argument slope")
    slope = sympy.Symbol("m", positive=True)
    (solution,) = sympy.solve(slope_at_zero(slope * x, x) - k, slope)
    line = solution * x
    return sympy.Piecewise((-1, line <= -1), (1, line >= 1), (line, True))


def same_clip(derived: sympy.Expr, statement: sympy.Eq) -> bool:
    """Compare two clipped lines on the line and on both sides of it.

    Examples
    --------
    >>> same_clip(solved_clip(), equation(symbol("mean"), solved_clip()))
    True
    """
    x, k = symbols("argument slope")
    values = [sympy.Rational(number, 7) / k for number in (-9, -8, -3, 0, 2, 6, 8, 15)]
    return all(
        sympy.simplify(derived.subs(x, value) - statement.rhs.subs(x, value)) == 0
        for value in values
    )


def softsign_limit() -> dict[str, sympy.Expr]:
    """Take the limits of T-B1 for x > 0 and x < 0.

    Examples
    --------
    >>> softsign_limit()["small, x > 0"]
    1
    """
    size, eps = sympy.Symbol("m", positive=True), symbol("eps")
    limits = {}
    for words, x in (("x > 0", size), ("x < 0", -size)):
        limits[f"small, {words}"] = sympy.limit(softsign(x, eps), eps, 0)
        limits[f"large, {words}"] = sympy.limit(eps * softsign(x, eps), eps, sympy.oo)
    return limits


def same_limit(end: str) -> Callable[[dict[str, sympy.Expr], sympy.Eq], bool]:
    """Return the comparison of a statement about x with the limits for both signs.

    Examples
    --------
    >>> callable(same_limit("small"))
    True
    """

    def compare(derived: dict[str, sympy.Expr], statement: sympy.Eq) -> bool:
        x, size = symbol("argument"), sympy.Symbol("m", positive=True)
        return all(
            proved_equal(derived[f"{end}, x {relation} 0"], statement.rhs.subs(x, sign * size))
            for relation, sign in ((">", 1), ("<", -1))
        )

    return compare


def steps() -> tuple[Step, ...]:
    """Return the steps T-B1 and T-B2.

    Returns
    -------
    tuple of Step

    Examples
    --------
    >>> [step.id for step in steps()][:3]
    ['B1', 'B1.large', 'B2']
    """
    x, k, eps = symbols("argument slope eps")
    curve = sympy.Function("S")(x)
    line = k * x
    return (
        Step(
            "B1",
            "softsign tends to the sign as epsilon vanishes",
            equation(sympy.Limit(softsign(x, eps), eps, 0), sympy.sign(x)),
            softsign_limit,
            "limit, for x > 0 and x < 0",
            compare=same_limit("small"),
            assumptions=("x is not 0",),
        ),
        Step(
            "B1.large",
            "softsign tends to the gradient over epsilon as epsilon grows",
            equation(sympy.Limit(eps * softsign(x, eps), eps, sympy.oo), x),
            softsign_limit,
            "limit, for x > 0 and x < 0",
            compare=same_limit("large"),
        ),
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
                isru(symbol("slope"), sympy.Integer(1)),
                softsign(symbol("slope"), sympy.Integer(1)),
                (symbol("slope"),),
                "ISRU against softsign (it is one; for erf see A6)",
            ),
        ),
        Step(
            "B2.clip",
            "clipped line as stand-in of the same S-curve",
            equation(curve, sympy.Piecewise((-1, line <= -1), (1, line >= 1), (line, True))),
            solved_clip,
            "solving for the slope",
            compare=same_clip,
            assumptions=(
                "S is odd and rises from -1 to 1",
                "S is softsign where no other is named",
            ),
            error=clip_error,
        ),
    )
