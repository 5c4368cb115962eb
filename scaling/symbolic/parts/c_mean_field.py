"""Part C: the mean field without Gaussians (T-C1 to T-C5)."""

from collections.abc import Callable

import sympy

from scaling.symbolic.exact.softsign import GAUSSIAN
from scaling.symbolic.functions import normal_density
from scaling.symbolic.notation import (
    B,
    B_crit,
    a,
    b,
    beta,
    decrease,
    eps,
    g,
    kappa,
    lr_max,
    lr_star,
    max_decrease,
    mu,
    r,
    s,
    sigma,
)
from scaling.symbolic.parts.a_descent import (
    COORDINATES,
    best_decrease,
    best_learning_rate,
    with_moments,
)
from scaling.symbolic.parts.a_sign import peak, sign_step
from scaling.symbolic.parts.b_epsilon import measured, working_mean, working_second_moment
from scaling.symbolic.proofs.accuracy import ApproximationError
from scaling.symbolic.proofs.proof import coordinates, coordinates_of_both_sides, proved_equal
from scaling.symbolic.proofs.sums import at_sizes, entry, explicit, index, indexed, replaced
from scaling.symbolic.step import Step, equation


def noise_moment(order: int, scale: sympy.Expr | int = 1) -> sympy.Expr:
    """Integrate E[x^order] for x ~ N(m, scale^2), m the signal a."""
    y = sympy.Symbol("y", real=True)
    polynomial = sympy.Poly((a + scale * y) ** order, y)
    return sympy.expand(
        sum(
            coefficient * sympy.integrate(y**power * normal_density(y), (y, -sympy.oo, sympy.oo))
            for (power,), coefficient in polynomial.terms()
        )
    )


def field_mean() -> sympy.Expr:
    """Return T-C1's mean, a/sqrt(a^2 + 1 + b^2)."""
    return a / sympy.sqrt(a**2 + 1 + b**2)


def field_second_moment() -> sympy.Expr:
    """Return T-C1's second moment, (a^2 + 1)/(a^2 + 1 + b^2)."""
    return (a**2 + 1) / (a**2 + 1 + b**2)


def averaged_inside(power: int, first: sympy.Expr, square: sympy.Expr) -> sympy.Expr:
    """Put averages of the numerator and of x^2 into (update)^power: the mean field.

    Parameters
    ----------
    power : int
    first : sympy.Expr
        Average of the numerator.
    square : sympy.Expr
        Average of x^2 in the denominator.
    """
    return first / sympy.sqrt(square + b**2) ** power


def same_as_working(article: sympy.Expr) -> Callable[[sympy.Expr, sympy.Eq], bool]:
    """Return a comparison that also holds the statement against B5 or B7 with 1 for pi/2."""

    def compare(derived: sympy.Expr, statement: sympy.Eq) -> bool:
        with_one = article.subs(sympy.pi, 2)
        return proved_equal(derived, statement.rhs) and proved_equal(with_one, statement.rhs)

    return compare


def _c1() -> tuple[Step, ...]:
    return (
        Step(
            "C1",
            "mean field: averages inside the root, mean of the update",
            equation(mu, field_mean()),
            lambda: averaged_inside(1, noise_moment(1), noise_moment(2)),
            "Gaussian moments put inside; compared with B5",
            compare=same_as_working(working_mean()),
            assumptions=GAUSSIAN,
            uses=("B5",),
            error=lambda: measured(field_mean(), 1, "C1"),
            quantity=mu,
        ),
        Step(
            "C1.second",
            "mean field: averages inside the root, second moment",
            equation(s, field_second_moment()),
            lambda: averaged_inside(2, noise_moment(2), noise_moment(2)),
            "Gaussian moments put inside; compared with B7",
            compare=same_as_working(working_second_moment()),
            assumptions=GAUSSIAN,
            uses=("B7",),
            error=lambda: measured(field_second_moment(), 2, "C1.second"),
            quantity=s,
        ),
    )


def population_ratio() -> sympy.Expr:
    """Average numerators and denominators of beta^-2 apart, and solve for kappa^2 (T-C2)."""
    i, _, n = index()
    g, V = indexed("g"), indexed("V")
    # Of C1: mu_i = g_i/sqrt(g_i^2 + eps^2 + V_i/B) = nu_i beta_i; hence
    damped = sympy.Sum(g[i] ** 2 + eps**2, (i, 1, n))
    noisy = damped + sympy.Sum(V[i], (i, 1, n)) / B
    unknown = sympy.Symbol("K", positive=True)
    (solution,) = sympy.solve(sympy.Eq(1 + unknown / B, noisy / damped), unknown)
    return solution


def population_ratio_error() -> ApproximationError:
    """Subtract T-C2's ratio of sums from the average of ratios, for two coordinates."""
    i, _, n = index()
    ratio = indexed("V")[i] / (indexed("g")[i] ** 2 + eps**2)
    average = sympy.Sum(ratio, (i, 1, n)) / n
    return ApproximationError(
        "first neglected term",
        "average of V_i/(g_i^2 + eps^2) minus the ratio of sums (two coordinates, nothing else is "
        "neglected; 0 if V_i/(g_i^2 + eps^2) or g_i^2 + eps^2 is the same for all)",
        expression=sympy.factor(explicit(average - population_ratio(), 2)),
    )


def _c2() -> tuple[Step, ...]:
    i, _, n = index()
    vector, V = indexed("g"), indexed("V")
    return (
        Step(
            "C2",
            "the noise scale with epsilon: a ratio of sums instead of an average of ratios",
            equation(
                kappa**2,
                sympy.Sum(V[i], (i, 1, n)) / (sympy.Sum(vector[i] ** 2, (i, 1, n)) + n * eps**2),
            ),
            lambda: at_sizes(
                lambda count: {kappa: sympy.sqrt(explicit(population_ratio(), count))}
            ),
            "solving beta^-2 = 1 + kappa^2/B for kappa^2",
            compare=coordinates_of_both_sides,
            uses=("C1",),
            assumptions=("V_i = sigma_i^2", "n parameters"),
            error=population_ratio_error,
        ),
    )


def second_order_terms() -> dict[str, sympy.Expr]:
    """Expand x/sqrt(y) around the averages of x and y = x^2, to second order (T-C3).

    x has mean g and Gaussian noise of variance sigma^2.

    Returns
    -------
    dict from str to sympy.Expr
        The terms in cov(x, y) and in var(y); the first-order ones average to 0,
        and the one in var(x) vanishes.
    """
    x, y = sympy.symbols("x y", positive=True)
    t = sympy.Symbol("t")
    moves = sympy.symbols("dx dy")
    along = (x + t * moves[0]) / sympy.sqrt(y + t * moves[1])
    expansion = sympy.Poly(sympy.series(along, t, 0, 3).removeO().coeff(t, 2).expand(), *moves)
    moment = [noise_moment(order, sigma).subs(a, g) for order in range(5)]
    covariance = {
        "first": (2, 0, moment[2] - moment[1] ** 2),
        "cross": (1, 1, moment[3] - moment[1] * moment[2]),
        "square": (0, 2, moment[4] - moment[2] ** 2),
    }
    point = {x: moment[1], y: moment[2]}
    return {
        name: sympy.factor(
            (expansion.coeff_monomial(moves[0] ** i * moves[1] ** j) * average).subs(point)
        )
        for name, (i, j, average) in covariance.items()
    }


def largest_cross_term() -> dict[str, sympy.Expr]:
    """Maximize C3's term over r = sigma^2/g^2."""
    size = sympy.Symbol("m", positive=True)
    term = -second_order_terms()["cross"].subs({g: size, sigma: size * sympy.sqrt(r)})
    term = sympy.simplify(term)
    best = peak(term, r)
    return {"at": best, "value": term.subs(r, best)}


def _c3() -> tuple[Step, ...]:
    total = g**2 + sigma**2
    return (
        Step(
            "C3",
            "size of the first term that the mean field of the sign neglects",
            equation(
                sympy.Symbol("delta_1", real=True), g * sigma**2 / total ** sympy.Rational(3, 2)
            ),
            lambda: -second_order_terms()["cross"],
            "series of x/sqrt(y) around the averages of x and y = x^2: the term in cov(x, y)",
            assumptions=("x = g + noise of variance sigma^2, symmetric",),
            quantity=sympy.Symbol("delta_1", real=True),
        ),
    )


def _c3_size() -> tuple[Step, ...]:
    total = g**2 + sigma**2
    largest_term = 2 / 3 ** sympy.Rational(3, 2)
    return (
        Step(
            "C3.max",
            "the largest value of that term, at sigma^2 = 2 g^2",
            equation(sympy.Symbol("delta_max", real=True), largest_term),
            lambda: largest_cross_term()["value"],
            f"solving for the peak over sigma^2/g^2 ({largest_term.n(4)})",
            uses=("C3",),
            quantity=sympy.Symbol("delta_max", real=True),
        ),
        Step(
            "C3.at",
            "where it is reached",
            equation(r, sympy.Integer(2)),
            lambda: largest_cross_term()["at"],
            "solving for the peak over r = sigma^2/g^2",
            uses=("C3",),
            quantity=r,
        ),
        Step(
            "C3.square",
            "the other term of second order, in var(y); Gaussian noise",
            equation(
                sympy.Symbol("delta_2", real=True),
                sympy.Rational(3, 4)
                * g
                * sigma**2
                * (2 * g**2 + sigma**2)
                / total ** sympy.Rational(5, 2),
            ),
            lambda: second_order_terms()["square"],
            "series of x/sqrt(y) around the averages of x and y = x^2: the term in var(y)",
            uses=("C3",),
            assumptions=("Gaussian noise",),
            quantity=sympy.Symbol("delta_2", real=True),
        ),
    )


def preconditioned(formula: sympy.Expr, count: int = COORDINATES) -> sympy.Expr:
    """Put phi = A_B^-1 g_B with A_B = f(B) A into a formula of the moments (T-C4).

    u = A^-1 g and C = A^-1 Sigma A^-T; then E[phi] = u/f, cov = C/(B f^2).
    """
    f = sympy.Symbol("f", positive=True)
    return with_moments(
        formula,
        lambda i: entry("u", i) / f,
        lambda i, j: (entry("u", i) * entry("u", j) + entry("C", i, j) / B) / f**2,
        count,
    )


def _c4() -> tuple[Step, ...]:
    i, j, n = index()
    vector, u, C, H = (indexed(name) for name in ("g", "u", "C", "H"))
    curvature = sympy.Sum(u[i] * u[j] * H[i, j], (j, 1, n), (i, 1, n))
    return (
        Step(
            "C4",
            "any preconditioner that factors as f(B) A gives the same saturation",
            equation(decrease, max_decrease / (1 + B_crit / B)),
            lambda: at_sizes(lambda count: preconditioned(best_decrease(), count)),
            "substitution of the moments into A1",
            compare=coordinates,
            where=(
                equation(
                    max_decrease, sympy.Sum(u[i] * vector[i], (i, 1, n)) ** 2 / (2 * curvature)
                ),
                equation(B_crit, sympy.Sum(C[i, j] * H[i, j], (j, 1, n), (i, 1, n)) / curvature),
            ),
            uses=("A1.decrease",),
            assumptions=("u = A^-1 g", "C = A^-1 Sigma A^-T"),
            quantity=decrease,
        ),
    )


def _c5() -> tuple[Step, ...]:
    def magnitude(i: int) -> sympy.Expr:
        return sympy.sign(entry("g", i)) * entry("g", i)

    def curved(count: int) -> sympy.Expr:
        rate = sign_step(best_learning_rate(), count=count)
        return replaced(rate, "H", count, lambda i, j: magnitude(i) / lr_max if i == j else 0)

    return (
        Step(
            "C5",
            "curvature in proportion to the gradient, H = diag(|g|)/lr_max: no surge",
            equation(lr_star, lr_max * beta),
            lambda: at_sizes(curved),
            "substitution of H into A7",
            compare=coordinates,
            uses=("A7",),
            assumptions=("no g_i is 0", "Muon's msign has the same form"),
            quantity=lr_star,
        ),
    )


def steps() -> tuple[Step, ...]:
    """Return the steps of T-C1 to T-C5."""
    return (*_c1(), *_c2(), *_c3(), *_c3_size(), *_c4(), *_c5())
