"""Part J: what epsilon does, from Adam's second-moment estimate alone (T-J1 to T-J3)."""

from collections.abc import Callable

import sympy

from scaling.symbolic.notation import B, B_n, B_ref, chi, eps, eps_ref, g, h, sigma
from scaling.symbolic.parts.a_descent import best_learning_rate, with_moments
from scaling.symbolic.proofs.proof import (
    both_sides,
    coordinates,
    coordinates_of_both_sides,
)
from scaling.symbolic.proofs.sums import at_sizes, explicit, index, replaced
from scaling.symbolic.step import Step, equation

SIZES = (1, 2)
GIVEN = (
    "t_i^2 = v_i is the second moment of the batch gradient",
    "g_i/t_i and H_ii/t_i are alike for all coordinates",
    "H diagonal",
)


def root(i: sympy.Expr) -> sympy.Indexed:
    """Return t_i, the root of the second moment in coordinate i."""
    return sympy.IndexedBase("t", positive=True)[i]


def total(term: Callable[[sympy.Expr], sympy.Expr]) -> sympy.Sum:
    """Sum a function of t_i over all coordinates."""
    i, _, n = index()
    return sympy.Sum(term(root(i)), (i, 1, n))


def outside(t: sympy.Expr) -> sympy.Expr:
    """Return Adam's denominator, epsilon outside the root."""
    return t + eps


def inside(t: sympy.Expr) -> sympy.Expr:
    """Return the denominator with epsilon inside the root."""
    return sympy.sqrt(t**2 + eps**2)


def factor_of_eps(denominator: Callable[[sympy.Expr], sympy.Expr] = outside) -> sympy.Expr:
    """Return T-J1, lr*(eps)/lr*(0)."""
    return total(lambda t: t**2 / denominator(t)) / total(lambda t: t**3 / denominator(t) ** 2)


def best_rate(
    count: int,
    denominator: Callable[[sympy.Expr], sympy.Expr] = outside,
    scale: sympy.Expr | int = 1,
    share: sympy.Expr | None = None,
) -> sympy.Expr:
    """Put the moments of gradient/denominator into A1, for a few coordinates.

    Parameters
    ----------
    count : int
    denominator : callable, optional
    scale : sympy.Expr, optional
        All roots are t_i times this; H_ii = h t_i is not scaled.
    share : sympy.Expr, optional
        g_i over the scaled root, alike for all coordinates.
    """
    ratio = sympy.Symbol("r", positive=True) if share is None else share

    def t(i: int) -> sympy.Symbol:
        return scale * explicit(root(sympy.Integer(i)))

    def mean(i: int) -> sympy.Expr:
        return ratio * t(i) / denominator(t(i))

    formula = with_moments(
        best_learning_rate(),
        mean,
        lambda i, j: (t(i) / denominator(t(i))) ** 2 if i == j else mean(i) * mean(j),
        count,
    )
    formula = replaced(formula, "g", count, lambda i: ratio * t(i))
    return replaced(formula, "H", count, lambda i, j: h * t(i) / scale if i == j else 0)


def relative_rate(
    count: int, denominator: Callable[[sympy.Expr], sympy.Expr] = outside
) -> sympy.Expr:
    """Derive lr*(eps)/lr*(0) for a few coordinates."""
    rate = best_rate(count, denominator)
    return rate / rate.subs(eps, 0)


def in_coordinates(
    name: sympy.Expr, formula: sympy.Expr, sizes: tuple[int, ...] = SIZES
) -> dict[int, dict[sympy.Expr, sympy.Expr]]:
    """Return a formula for several numbers of coordinates, under its name."""
    return at_sizes(lambda count: {name: explicit(formula, count)}, sizes)


def weight(t: sympy.Expr) -> sympy.Expr:
    """Return w = t/(t + eps), by which epsilon shrinks a coordinate's update."""
    return t / (t + eps)


def _j1() -> tuple[Step, ...]:
    return (
        Step(
            "J1",
            "what epsilon does to the best learning rate, outside the root",
            equation(chi, factor_of_eps()),
            lambda: at_sizes(relative_rate),
            "substitution of the moments into A1, over the same at eps = 0",
            compare=coordinates,
            uses=("A1.minimum", "A2", "I2.run"),
            assumptions=GIVEN,
            quantity=chi,
        ),
        Step(
            "J1.mean",
            "it is 1 + eps over a mean of t, so that it is above 1 at every epsilon",
            equation(
                chi,
                1 + eps * total(lambda t: weight(t) ** 2) / total(lambda t: t * weight(t) ** 2),
            ),
            lambda: at_sizes(lambda count: explicit(factor_of_eps(), count)),
            "the difference simplifies to 0",
            compare=coordinates,
            uses=("J1",),
            quantity=chi,
        ),
    )


def _j1_limits() -> tuple[Step, ...]:
    _, _, n = index()
    function, times = sympy.Function("chi"), sympy.Symbol("m", positive=True)
    simple = n / total(lambda t: t)
    curvature = n**2 / total(lambda t: t) ** 2 - total(lambda t: 1 / t) / total(lambda t: t)
    return (
        Step(
            "J1.small",
            "epsilon begins to matter where it is comparable with the mean of t",
            equation(sympy.Limit((chi - 1) / eps, eps, 0), simple),
            lambda: in_coordinates(chi, factor_of_eps()),
            "limit for eps -> 0, for one and two coordinates",
            compare=coordinates_of_both_sides,
            uses=("J1",),
        ),
        Step(
            "J1.second",
            "the next order: 0 if all t are equal, else negative",
            equation(sympy.Limit((chi - 1 - eps * simple) / eps**2, eps, 0), 2 * curvature),
            lambda: in_coordinates(chi, factor_of_eps()),
            "limit for eps -> 0, for one and two coordinates",
            compare=coordinates_of_both_sides,
            uses=("J1.small",),
        ),
        Step(
            "J1.large",
            "large epsilon: the update is the gradient over epsilon, lr*/eps that of SGD",
            equation(
                sympy.Limit(chi / eps, eps, sympy.oo),
                total(lambda t: t**2) / total(lambda t: t**3),
            ),
            lambda: in_coordinates(chi, factor_of_eps()),
            "limit for eps -> infinity, for one and two coordinates",
            compare=coordinates_of_both_sides,
            uses=("J1",),
        ),
        Step(
            "J1.scale",
            "only epsilon over t counts: m eps and m t change nothing",
            equation(sympy.Derivative(function(times), times), sympy.Integer(0)),
            lambda: at_sizes(lambda count: {function(times): _scaled(count, times)}),
            "differentiation in m",
            compare=coordinates_of_both_sides,
            uses=("J1",),
        ),
    )


def _j1_inside() -> tuple[Step, ...]:
    return (
        Step(
            "J1.inside",
            "what epsilon does inside the root",
            equation(chi, factor_of_eps(inside)),
            lambda: at_sizes(lambda count: relative_rate(count, inside)),
            "substitution of the moments into A1, over the same at eps = 0",
            compare=coordinates,
            uses=("A1.minimum", "A2", "I2.run"),
            assumptions=GIVEN,
            quantity=chi,
        ),
        Step(
            "J1.inside_small",
            "inside the root epsilon begins to matter by its square",
            equation(
                sympy.Limit((chi - 1) / eps**2, eps, 0),
                total(lambda t: 1 / t) / (2 * total(lambda t: t)),
            ),
            lambda: in_coordinates(chi, factor_of_eps(inside)),
            "limit for eps -> 0, for one and two coordinates",
            compare=coordinates_of_both_sides,
            uses=("J1.inside",),
        ),
    )


def _scaled(count: int, times: sympy.Symbol) -> sympy.Expr:
    formula = explicit(factor_of_eps(), count)
    roots = {name: times * name for name in formula.free_symbols - {eps}}
    return formula.subs(roots | {eps: times * eps}, simultaneous=True)


def two_groups(
    small: sympy.Expr, spread: sympy.Expr, number: sympy.Expr
) -> Callable[[Callable[[sympy.Expr], sympy.Expr]], sympy.Expr]:
    """Return the sum of a function of t over one root ``spread * small`` and many small ones."""
    return lambda term: term(spread * small) + number * term(small)


def slope_form(
    weights: sympy.Expr, cubes: sympy.Expr, first: sympy.Expr, second: sympy.Expr
) -> sympy.Expr:
    """Return 2 sum w^3 sum t w - sum w^2 sum t w^2, which has the sign of d chi/d eps."""
    return 2 * cubes * first - weights * second


def two_group_form(p: sympy.Symbol, x: sympy.Symbol, y: sympy.Symbol) -> sympy.Expr:
    """Write the slope's form for two groups, t_1 = p^2 t_2, w_1 = x w_2, N_1 = y N_2."""
    return slope_form(y * x**2 + 1, y * x**3 + 1, y * p**2 * x + 1, y * p**2 * x**2 + 1)


def dip() -> tuple[sympy.Expr, sympy.Expr]:
    """Return chi and eps d chi/d eps at eps = sqrt(t_1 t_2), the small t p^3 times as frequent."""
    p, t = sympy.symbols("p t_2", positive=True)
    add = two_groups(t, p**2, p**3)
    factor = add(lambda t: t**2 / (t + eps)) / add(lambda t: t**3 / (t + eps) ** 2)
    return tuple(
        sympy.factor(sympy.simplify(formula.subs(eps, p * t)))
        for formula in (factor, eps * sympy.diff(factor, eps))
    )


def _slope() -> tuple[Step, ...]:
    p, x, y = sympy.symbols("p x y", positive=True)
    low, high, u = sympy.symbols("u_min u_max u", positive=True)
    gap, form = sympy.symbols("delta_u F")
    function = sympy.Function("chi")
    average, inverse = sympy.symbols("m_1 m_2", positive=True)
    squares = total(lambda t: weight(t) ** 2)
    groups = ("t_1 = p^2 t_2, N_1 = y N_2, w_1 = x w_2, w = t/(t + eps)",)
    return (
        Step(
            "J1.slope",
            "the factor rises at eps iff 1 + m_1 > 2 m_1 m_2, means of u = 1 + t/eps and 1/u",
            equation(
                sympy.Derivative(function(eps), eps),
                eps
                * (squares / total(lambda t: t * weight(t) ** 2)) ** 2
                * (1 + average - 2 * average * inverse),
            ),
            lambda: in_coordinates(function(eps), factor_of_eps()),
            "differentiation of J1, for one and two coordinates",
            compare=coordinates_of_both_sides,
            where=(
                equation(average, total(lambda t: weight(t) ** 2 * (1 + t / eps)) / squares),
                equation(inverse, total(lambda t: weight(t) ** 2 / (1 + t / eps)) / squares),
            ),
            uses=("J1",),
        ),
        Step(
            "J1.chord",
            "1/u is at most its chord: given m_1, two groups of t at the ends have the largest m_2",
            equation(gap, (u - low) * (high - u) / (low * high * u)),
            lambda: (low + high - u) / (low * high) - 1 / u,
            "chord minus curve between u_min and u_max",
            uses=("J1.slope",),
            quantity=gap,
        ),
        Step(
            "J1.two",
            "two groups: the slope's sign as a sum of squares and one term that can be negative",
            equation(
                form,
                (p * x**2 * y - 1) ** 2 + x * y * (2 * (x - p) ** 2 + x * (6 * p - 1 - p**2)),
            ),
            lambda: two_group_form(p, x, y),
            "F = (2 sum w^3 sum t w - sum w^2 sum t w^2)/(N_2^2 t_2 w_2^4), squares completed",
            uses=("J1.slope", "J1.chord"),
            assumptions=groups,
            quantity=form,
        ),
    )


def _dip() -> tuple[Step, ...]:
    p, spread = sympy.symbols("p t_1/t_2", positive=True)
    function, rational = sympy.Function("chi"), sympy.Rational
    add = two_groups(rational(1, 100), sympy.Integer(100), sympy.Integer(1000))
    return (
        Step(
            "J1.spread",
            "the factor rises at every epsilon if max t/min t is at most this (33.97); beyond it "
            "there are numbers N with which it dips",
            equation(spread, 17 + 12 * sympy.sqrt(2)),
            lambda: sympy.expand(max(sympy.solve(6 * p - 1 - p**2, p)) ** 2),
            "solving 6 p - 1 - p^2 = 0 for p^2 = t_1/t_2",
            uses=("J1.two",),
            quantity=spread,
        ),
        Step(
            "J1.dip",
            "where it dips: eps d chi/d eps at eps = sqrt(t_1 t_2)",
            equation(sympy.Symbol("chi'"), (6 * p - 1 - p**2) / (1 + p) ** 2),
            lambda: dip()[1],
            "differentiation of J1 for two groups",
            uses=("J1.spread",),
            assumptions=("t_1 = p^2 t_2, the small t_2 are p^3 times as frequent",),
            quantity=sympy.Symbol("chi'"),
        ),
        Step(
            "J1.height",
            "the factor there, on its way from 1 to its large values",
            equation(chi, sympy.Integer(2)),
            lambda: dip()[0],
            "substitution into J1 for two groups",
            uses=("J1",),
            assumptions=("t_1 = p^2 t_2, the small t_2 are p^3 times as frequent",),
            quantity=chi,
        ),
        Step(
            "J1.example",
            "t = 1 once and 1/100 a thousand times: it falls from 2.21 to 1.83",
            equation(function(rational(1, 20)) - function(rational(1, 5)), rational(168, 437)),
            lambda: {
                function(eps): add(lambda t: t**2 / (t + eps))
                / add(lambda t: t**3 / (t + eps) ** 2)
            },
            "evaluation in rational numbers",
            compare=both_sides,
            uses=("J1", "J1.spread"),
        ),
    )


def of_batch() -> sympy.Expr:
    """Return sqrt(1/B + 1/B_n), to which t is proportional (T-J2)."""
    return sympy.sqrt(1 / B + 1 / B_n)


def _j2() -> tuple[Step, ...]:
    t = sympy.Function("t")
    ratio = of_batch() / of_batch().subs(B, B_ref)
    return (
        Step(
            "J2",
            "the roots at another batch size",
            equation(t(B), t(B_ref) * ratio),
            lambda: {t(B): sympy.sqrt(g**2 + sigma**2 / B), sigma: sympy.sqrt(B_n * g**2)},
            "substitution of sigma^2 = B_n g^2 into v = g^2 + sigma^2/B",
            compare=both_sides,
            assumptions=("sigma_i^2/g_i^2 = B_n for all coordinates",),
        ),
    )


def rates(count: int, unit: sympy.Expr) -> dict[sympy.Expr, sympy.Expr]:
    """Return lr*(B, eps) and J1's factor at t(B), for a few coordinates.

    Parameters
    ----------
    count : int
    unit : sympy.Expr
        t_i(B) is t_i times this.
    """
    share = 1 / (unit * sympy.sqrt(B_n))  # g_i does not depend on B
    rate = best_rate(count, scale=unit, share=share)
    factor = relative_rate(count)
    roots = {name: unit * name for name in factor.free_symbols - {eps, h}}
    return {
        sympy.Function("lr_star")(B, eps): rate,
        sympy.Function("chi")(B, eps): factor.subs(roots, simultaneous=True),
    }


def _j3() -> tuple[Step, ...]:
    rate, factor = sympy.Function("lr_star"), sympy.Function("chi")
    times = sympy.Symbol("m", positive=True)
    share = sympy.sqrt(B / (B + B_n))
    transfer = share / share.subs(B, B_ref)
    return (
        Step(
            "J3",
            "the law from one tuned run, a noise scale and a checkpoint",
            equation(
                rate(B, eps),
                rate(B_ref, eps_ref) * transfer * factor(B, eps) / factor(B_ref, eps_ref),
            ),
            lambda: at_sizes(lambda count: rates(count, of_batch()), SIZES),
            "substitution of t(B) into A1 at both batch sizes, for one and two coordinates",
            compare=coordinates_of_both_sides,
            uses=("A1.minimum", "I2.root", "J1", "J2"),
            assumptions=GIVEN,
        ),
        Step(
            "J3.zero",
            "at epsilon = 0 it is I2's square root",
            equation(rate(B, 0), rate(B_ref, 0) * transfer),
            lambda: at_sizes(lambda count: rates(count, of_batch()), SIZES),
            "substitution of eps = 0",
            compare=coordinates_of_both_sides,
            uses=("I2.root", "J3"),
        ),
        Step(
            "J3.small",
            "far below the noise scale eps -> eps/sqrt(m) with B -> m B, as in I3.eps",
            equation(factor(times * B, eps / sympy.sqrt(times)), factor(B, eps)),
            lambda: at_sizes(lambda count: rates(count, 1 / sympy.sqrt(B)), SIZES),
            "substitution of t(B) = t/sqrt(B)",
            compare=coordinates_of_both_sides,
            uses=("I3.eps", "J1.scale", "J2"),
            assumptions=("B << B_n",),
        ),
    )


def steps() -> tuple[Step, ...]:
    """Return the steps of T-J1 to T-J3."""
    return (*_j1(), *_j1_limits(), *_j1_inside(), *_slope(), *_dip(), *_j2(), *_j3())
