"""What counts as a proof: an identity is first tested at random points, then simplified to 0."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mpmath
import sympy
from sympy.core.function import AppliedUndef

from scaling.symbolic.proofs.sums import SIZES, explicit

DIGITS = 40


def mpmath_functions() -> dict[str, Callable[..., Any]]:
    """Return the functions that mpmath lacks, by the name that ``lambdify`` prints.

    Examples
    --------
    >>> round(float(mpmath_functions()["erfcx"](2)), 6)
    0.255396
    """
    return {
        "erfcx": lambda z: mpmath.exp(z**2) * mpmath.erfc(z),
        "kve": lambda n, z: mpmath.exp(z) * mpmath.besselk(n, z),
    }


def random_point(variables: list[sympy.Symbol], seed: int) -> list[mpmath.mpf]:
    """Draw values that respect each symbol's sign; away from 0, 1 and each other.

    Examples
    --------
    >>> all(value > 0 for value in random_point([sympy.Symbol("x", positive=True)], 1))
    True
    """
    draw = random.Random(seed)  # noqa: S311 (reproducible points, not secrets)
    return [
        mpmath.mpf(draw.uniform(0.2, 2.5))
        * (1 if variable.is_positive or draw.random() < 0.5 else -1)
        for variable in variables
    ]


def refuted(left: sympy.Expr, right: sympy.Expr, points: int = 3) -> bool:
    """Tell whether two expressions differ at one of some random points, at 40 digits.

    Parameters
    ----------
    left, right : sympy.Expr
        Without integrals or unevaluated sums.
    points : int, optional

    Returns
    -------
    bool
        True is a disproof; False proves nothing.

    Examples
    --------
    >>> x = sympy.Symbol("x", real=True)
    >>> refuted(sympy.sin(x) ** 2, 1 - sympy.cos(x) ** 2), refuted(x, 2 * x)
    (False, True)
    """
    left, right = sympy.sympify(left), sympy.sympify(right)
    if {left, right} & {sympy.zoo, sympy.nan, sympy.oo, -sympy.oo}:
        return bool(left != right)
    variables = sorted(left.free_symbols | right.free_symbols, key=lambda v: v.name)
    modules = [mpmath_functions(), "mpmath"]
    dummies = {variable: sympy.Dummy() for variable in variables}
    values = sympy.lambdify(
        list(dummies.values()), [left.xreplace(dummies), right.xreplace(dummies)], modules
    )
    with mpmath.workdps(DIGITS):
        for seed in range(points):
            try:
                one, other = values(*random_point(variables, seed))
            except ZeroDivisionError:
                return True
            size = max(abs(mpmath.mpmathify(one)), abs(mpmath.mpmathify(other)))
            if abs(one - other) > size * mpmath.mpf(10) ** (-DIGITS // 2):
                return True
    return False


def proved_equal(left: sympy.Expr, right: sympy.Expr) -> bool:
    """Prove an identity: not refuted at random points, and SymPy reduces the difference to 0.

    Parameters
    ----------
    left, right : sympy.Expr

    Returns
    -------
    bool
        True only for a proof.

    Examples
    --------
    >>> x = sympy.Symbol("x", real=True)
    >>> proved_equal((x + 1) ** 2, x**2 + 2 * x + 1), proved_equal(x, 2 * x)
    (True, False)
    """
    left, right = sympy.sympify(left), sympy.sympify(right)
    if left == right or (right == 0 and sympy.simplify(left) == 0):
        return True
    if refuted(left, right):
        return False
    difference = left - right
    reductions: tuple[Callable[[sympy.Expr], sympy.Expr], ...] = (
        lambda e: sympy.expand(sympy.fraction(sympy.together(e))[0]),
        sympy.simplify,
        lambda e: sympy.simplify(sympy.powdenest(sympy.factor(e), force=False)),
        lambda e: sympy.simplify(e.rewrite(sympy.erf).expand()),
    )
    return any(reduce(difference) == 0 for reduce in reductions)


def same_integral(left: sympy.Expr, right: sympy.Expr) -> bool:
    """Prove that two expressions with one integral each are equal, integrand by integrand.

    Parameters
    ----------
    left, right : sympy.Expr
        A factor free of the integration variable times an ``Integral`` over an
        interval; the intervals must be the same.

    Returns
    -------
    bool

    Examples
    --------
    >>> x = sympy.Symbol("x", real=True)
    >>> one = sympy.Integral(2 * x, (x, 0, 1))
    >>> same_integral(one, 2 * sympy.Integral(x, (x, 0, 1)))
    True
    """
    parts = [integrand(side) for side in (left, right)]
    if None in parts:
        return False
    (one, interval), (other, other_interval) = parts  # type: ignore[misc]
    if interval[1:] != other_interval[1:]:
        return False
    variable = interval[0]
    inside: sympy.Expr = variable
    if interval[1:] == (0, 1):  # let SymPy know on which side of 1 the variable is
        inside = 1 / sympy.sqrt(1 + sympy.Symbol("m", positive=True))
    return proved_equal(one.subs(variable, inside), other.subs(other_interval[0], inside))


def integrand(expression: sympy.Expr) -> tuple[sympy.Expr, sympy.Tuple] | None:
    """Return the integrand, outer factors included, and its (variable, from, to).

    Returns
    -------
    tuple or None
        None unless the expression is one integral times a factor.

    Examples
    --------
    >>> x = sympy.Symbol("x", real=True)
    >>> integrand(3 * sympy.Integral(x, (x, 0, 1)))
    (3*x, (x, 0, 1))
    """
    integrals = list(expression.atoms(sympy.Integral))
    if len(integrals) != 1:
        return None
    inner = integrals[0]
    factor = expression.subs(inner, 1)
    if len(inner.limits) != 1 or expression.subs(inner, 0) != 0:
        return None
    if expression != factor * inner and sympy.simplify(expression - factor * inner) != 0:
        return None
    return factor * inner.function, inner.limits[0]


def right_hand_side(derived: sympy.Expr, statement: sympy.Eq) -> bool:
    """Hold the right-hand side of a statement against the derived expression.

    Parameters
    ----------
    derived : sympy.Expr
    statement : sympy.Eq

    Returns
    -------
    bool

    Examples
    --------
    >>> x, y = sympy.symbols("x y", positive=True)
    >>> right_hand_side(x**2 - 1, sympy.Eq(y, (x - 1) * (x + 1)))
    True
    """
    return proved_equal(derived, statement.rhs)


def taken_limit(
    expression: sympy.Expr, variable: sympy.Symbol, point: sympy.Expr, _: object = "+"
) -> sympy.Expr:
    """Take a limit; one at infinity as that of the inverse at 0.

    Examples
    --------
    >>> x = sympy.Symbol("x", positive=True)
    >>> taken_limit(x / sympy.sqrt(x**2 + 1), x, sympy.oo)
    1
    """
    if point == sympy.oo:
        inverse = sympy.Dummy(positive=True)
        expression = expression.subs(variable, 1 / inverse)
        variable, point = inverse, sympy.Integer(0)
    if expression.is_rational_function(variable):  # continuous, once common factors are out
        over, under = (
            part.subs(variable, point) for part in sympy.cancel(expression).as_numer_denom()
        )
        if sympy.expand(under) != 0:
            return over / under
    return sympy.limit(sympy.simplify(expression), variable, point)


def put_in(
    derived: Mapping[sympy.Expr, sympy.Expr],
    side: sympy.Expr,
    limit: Callable[..., sympy.Expr] = taken_limit,
) -> sympy.Expr:
    """Put derived expressions into one side of a statement, and take its limits and derivatives.

    Parameters
    ----------
    derived : mapping from sympy.Expr to sympy.Expr
        What the names stand for; ``f(x)`` stands for the function f.
    side : sympy.Expr
    limit : callable, optional
        Takes an expression, a variable and a point.

    Returns
    -------
    sympy.Expr

    Examples
    --------
    >>> x, f = sympy.Symbol("x"), sympy.Function("f")
    >>> put_in({f(x): x**2}, sympy.Derivative(f(x), x) + f(3))
    2*x + 9
    """
    for name, value in derived.items():
        if isinstance(name, AppliedUndef):
            side = side.replace(name.func, sympy.Lambda(name.args, value))
    side = side.subs({name: v for name, v in derived.items() if not isinstance(name, AppliedUndef)})
    side = side.replace(sympy.Limit, limit)
    for unevaluated in (sympy.Derivative, sympy.Subs):
        side = side.replace(unevaluated, lambda *args, kind=unevaluated: kind(*args).doit())
    return side.replace(sympy.sign, lambda inside: sympy.sign(sympy.factor(inside)))


def both_sides(
    derived: Mapping[sympy.Expr, sympy.Expr],
    statement: sympy.Eq,
    limit: Callable[..., sympy.Expr] = taken_limit,
) -> bool:
    """Put derived expressions into both sides of a statement, and prove them equal.

    Parameters
    ----------
    derived : mapping from sympy.Expr to sympy.Expr
        As for :func:`put_in`.
    statement : sympy.Eq
    limit : callable, optional
        As for :func:`put_in`.

    Returns
    -------
    bool

    Examples
    --------
    >>> x, y = sympy.symbols("x y", positive=True)
    >>> both_sides({y: 1 - x}, sympy.Eq(x + y, 1))
    True
    >>> both_sides({y: 1 + x}, sympy.Eq(sympy.Limit(y, x, 0), 1))
    True
    """
    return proved_equal(*(put_in(derived, side, limit) for side in statement.args))


def in_every_case(cases: Sequence[Mapping[sympy.Expr, sympy.Expr]], statement: sympy.Eq) -> bool:
    """Hold a statement against each of several cases.

    Examples
    --------
    >>> x = sympy.Symbol("x", real=True)
    >>> in_every_case(both_signs(x), sympy.Eq(x * sympy.sign(x), abs(x)))
    True
    """
    return all(both_sides(case, statement) for case in cases)


def both_signs(variable: sympy.Symbol) -> tuple[dict[sympy.Symbol, sympy.Expr], ...]:
    """Return the cases of a positive and of a negative variable.

    Examples
    --------
    >>> both_signs(sympy.Symbol("x", real=True))
    ({x: m}, {x: -m})
    """
    size = sympy.Symbol("m", positive=True)
    return {variable: size}, {variable: -size}


def around(variable: sympy.Symbol, point: sympy.Expr) -> tuple[dict[sympy.Symbol, sympy.Expr], ...]:
    """Return the cases of a positive variable below, at and above a point.

    Examples
    --------
    >>> x, y = sympy.symbols("x y", positive=True)
    >>> in_every_case(around(x, y), sympy.Eq(sympy.sign(x - y), sympy.sign(x**2 - y**2)))
    True
    """
    factor = 1 + sympy.Symbol("m", positive=True)
    return {variable: point / factor}, {variable: point}, {variable: point * factor}


def coordinates(derived: sympy.Expr | Mapping[int, sympy.Expr], statement: sympy.Eq) -> bool:
    """Compare a right-hand side, sums written out, for two numbers of coordinates at least.

    Parameters
    ----------
    derived : sympy.Expr or mapping from int to sympy.Expr
        With sums, or for each number of coordinates.
    statement : sympy.Eq

    Returns
    -------
    bool

    Examples
    --------
    >>> from scaling.symbolic.proofs.sums import entry, hessian_trace
    >>> T = sympy.Symbol("T", real=True)
    >>> sizes = {1: entry("H", 1, 1), 2: entry("H", 1, 1) + entry("H", 2, 2)}
    >>> coordinates(sizes, sympy.Eq(T, hessian_trace()))
    True
    """
    sizes = derived if isinstance(derived, Mapping) else dict.fromkeys(SIZES, derived)
    return len(sizes) > 1 and all(
        proved_equal(explicit(formula, count), explicit(statement.rhs, count))
        for count, formula in sizes.items()
    )


def coordinates_of_both_sides(
    derived: Mapping[int, Mapping[sympy.Expr, sympy.Expr]],
    statement: sympy.Eq,
    limit: Callable[..., sympy.Expr] = taken_limit,
) -> bool:
    """Compare both sides, sums written out, for two numbers of coordinates at least.

    Parameters
    ----------
    derived : mapping from int to mapping from sympy.Expr to sympy.Expr
        For each number of coordinates, what :func:`put_in` takes.
    statement : sympy.Eq
    limit : callable, optional
        As for :func:`put_in`.

    Returns
    -------
    bool

    Examples
    --------
    >>> from scaling.symbolic.proofs.sums import at_sizes, hessian_trace
    >>> T = sympy.Symbol("T", real=True)
    >>> sizes = at_sizes(lambda count: {T: explicit(hessian_trace(), count)})
    >>> coordinates_of_both_sides(sizes, sympy.Eq(2 * T, 2 * hessian_trace()))
    True
    """
    return len(derived) > 1 and all(
        both_sides(values, _written(statement, count), limit) for count, values in derived.items()
    )


def _written(statement: sympy.Eq, count: int) -> sympy.Eq:
    sides = (explicit(side, count) for side in statement.args)
    return sympy.Equality(*sides, evaluate=False)
