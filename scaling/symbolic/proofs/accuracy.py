"""The error of an approximation: measured over a region, or bounded; always computed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import mpmath
import sympy

from scaling.symbolic.proofs.proof import integrand

DECADES = 2
POINTS = 21
REFINEMENTS = 6


@dataclass(frozen=True)
class ApproximationError:
    """How far an approximation is from what it stands in for.

    Parameters
    ----------
    sort : {"measured maximum", "bound", "sensitivity", "first neglected term"}
    of : str
        What is compared with what, and where.
    value : float or None
        The size; None where the error is an expression. A sensitivity is the error
        per unit of what is neglected.
    expression : sympy.Expr, optional
    at : tuple of (str, float), optional
        Where the maximum is reached.
    bound : float, optional
        A proved bound, where the maximum is only approached at the region's edge.

    Examples
    --------
    >>> print(ApproximationError("bound", "clip against softsign", 0.25))
    bound 0.25: clip against softsign
    """

    sort: Literal["measured maximum", "bound", "sensitivity", "first neglected term"]
    of: str
    value: float | None = None
    expression: sympy.Expr | None = None
    at: tuple[tuple[str, float], ...] = ()
    bound: float | None = None

    def __str__(self) -> str:
        size = f"{self.value:.4g}" if self.value is not None else _typed(self.expression)
        size += "" if self.bound is None else f" (bound {self.bound:.4g})"
        place = ", ".join(f"{name} = {value:.3g}" for name, value in self.at)
        return f"{self.sort} {size}: {self.of}" + (f"; reached at {place}" if place else "")


def _typed(expression: sympy.Expr) -> str:
    return str(expression).replace("**", "^")


def float_function(formula: sympy.Expr, variables: tuple[sympy.Symbol, ...]) -> Callable[..., Any]:
    """Return a fast float64 function of scalars; an integral becomes a quadrature.

    Parameters
    ----------
    formula : sympy.Expr
        Closed, or one integral times a factor.
    variables : tuple of sympy.Symbol

    Returns
    -------
    callable

    Examples
    --------
    >>> u, x = sympy.symbols("u x", positive=True)
    >>> round(float_function(sympy.Integral(x * u, (u, 0, 1)), (x,))(3.0), 12)
    1.5
    """
    parts = integrand(formula)
    if parts is None:
        return sympy.lambdify(variables, formula, "scipy")  # type: ignore[no-any-return]
    inner, (variable, start, end) = parts
    function = sympy.lambdify((variable, *variables), inner, "math")

    def integrated(*values: float) -> float:
        # The ends may be singular; the nodes of the tanh-sinh rule that round to them do not count.
        def at(node: float) -> float:
            try:
                return float(function(node, *values))
            except ZeroDivisionError:
                return 0.0

        return float(mpmath.fp.quad(at, [float(start), float(end)]))

    return integrated


def measured_maximum(
    approximation: sympy.Expr,
    exact: sympy.Expr | Callable[..., float],
    variables: tuple[sympy.Symbol, ...],
    of: str,
) -> ApproximationError:
    """Search the largest difference over 1/100..100 in each variable.

    A logarithmic grid finds the neighbourhood, ever finer grids around the best
    point so far find the maximum.

    Parameters
    ----------
    approximation : sympy.Expr
    exact : sympy.Expr or callable
        A callable takes the variables in their order.
    variables : tuple of sympy.Symbol
        Positive values suffice, where both expressions are odd or both are even.
    of : str
        Words for what is compared.

    Returns
    -------
    ApproximationError

    Examples
    --------
    >>> x = sympy.Symbol("x", positive=True)
    >>> error = measured_maximum(x * sympy.exp(-x), sympy.Integer(0), (x,), "an example")
    >>> round(error.value, 6)
    0.367879
    """
    rough = float_function(approximation, variables)
    reference = float_function(exact, variables) if isinstance(exact, sympy.Expr) else exact

    def difference(exponents: tuple[float, ...]) -> float:
        point = [10**exponent for exponent in exponents]
        return abs(float(rough(*point)) - float(reference(*point)))

    centre, value = largest(difference, (0.0,) * len(variables), DECADES, POINTS)
    spacing = 2 * DECADES / (POINTS - 1)
    for _ in range(REFINEMENTS):
        centre, value = largest(difference, centre, spacing, 5)
        spacing /= 2
    at = tuple((str(v), 10**exponent) for v, exponent in zip(variables, centre, strict=True))
    region = f"{of}, {', '.join(str(v) for v in variables)} from 0.01 to 100"
    return ApproximationError("measured maximum", region, value, at=at)


def largest(
    function: Callable[[tuple[float, ...]], float],
    centre: tuple[float, ...],
    reach: float,
    points: int,
) -> tuple[tuple[float, ...], float]:
    """Return the best point of a grid around a centre, and the value there.

    Examples
    --------
    >>> largest(lambda p: -abs(p[0] - 1), (0.0,), 2, 5)
    ((1.0,), -0.0)
    """
    offsets = [reach * (2 * number / (points - 1) - 1) for number in range(points)]
    grid: list[tuple[float, ...]] = [()]
    for middle in centre:
        grid = [
            (*point, max(-DECADES, min(DECADES, middle + offset)))
            for point in grid
            for offset in offsets
        ]
    best = max(grid, key=function)
    return best, function(best)
