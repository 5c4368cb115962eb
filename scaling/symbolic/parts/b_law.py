"""Part B, second half: the law with nonzero epsilon, the surge, and its limits (T-B8 to T-B11)."""

from functools import partial

import sympy

from scaling.symbolic.functions import softsign
from scaling.symbolic.notation import (
    B,
    G,
    Q,
    T,
    b,
    beta,
    beta_n,
    eps,
    g,
    kappa,
    lamda,
    lr_star,
    mu,
    nu,
    s,
    sigma,
)
from scaling.symbolic.parts.a_descent import (
    COORDINATES,
    best_learning_rate,
    sgd_learning_rate,
    sgd_max_learning_rate,
    sgd_noise_scale,
    with_moments,
)
from scaling.symbolic.parts.a_sign import mean_field_error, peak, signal
from scaling.symbolic.parts.b_epsilon import working_mean, working_second_moment
from scaling.symbolic.proofs.proof import (
    around,
    both_signs,
    coordinates,
    coordinates_of_both_sides,
    in_every_case,
    proved_equal,
)
from scaling.symbolic.proofs.sums import (
    at_sizes,
    dot,
    entry,
    explicit,
    hessian_trace,
    index,
    indexed,
    quadratic,
    replaced,
)
from scaling.symbolic.step import Step, equation

LIMIT_SIZES = (1, 2)


def damping() -> sympy.Eq:
    """Return the definition of b = eps sqrt(B)/sigma."""
    return equation(b, eps * sympy.sqrt(B) / sigma)


def beta_definition(scale: sympy.Expr | None = None) -> sympy.Eq:
    """Return beta = (1 + lambda kappa^2/B)^(-1/2).

    Parameters
    ----------
    scale : sympy.Expr, optional
        The value of lambda; the symbol, if none is given.
    """
    factor = lamda if scale is None else scale
    return equation(beta, (1 + factor * kappa**2 / B) ** sympy.Rational(-1, 2))


def one_coordinate(scale: sympy.Expr | None = None) -> tuple[sympy.Eq, ...]:
    """Return the definitions of nu, beta and kappa^2 for one coordinate."""
    return (
        equation(nu, softsign(g, eps)),
        beta_definition(scale),
        equation(kappa, sigma / sympy.sqrt(g**2 + eps**2)),
    )


def of_gradient(moment: sympy.Expr) -> sympy.Expr:
    """Put a = g sqrt(B)/sigma and b = eps sqrt(B)/sigma into a moment."""
    return moment.subs([(signal().lhs, signal().rhs), (damping().lhs, damping().rhs)])


def soft_mean(nu: sympy.Expr) -> sympy.Expr:
    """Return T-B8's mean of a coordinate with softened gradient nu."""
    return nu * beta


def soft_second_moment(nu: sympy.Expr, shrink: sympy.Expr | int = 1) -> sympy.Expr:
    """Return T-B8's second moment of a coordinate, T-E1's with c in front of the variance."""
    return nu**2 * beta**2 + shrink * (1 - beta**2)


def matrix(shrink: sympy.Expr | int = 1) -> sympy.Expr:
    """Return T-B8, E[phi_i phi_j] in the mean field."""
    i, j, _ = index()
    nu = indexed("nu")
    return nu[i] * nu[j] * beta**2 + sympy.KroneckerDelta(i, j) * shrink * (1 - beta**2)


def independent_moments(shrink: sympy.Expr | int = 1) -> dict[int, sympy.Expr]:
    """Return E[phi_1 phi_j] for j = 1, 2 from the means and the second moment of one coordinate."""
    nu = indexed("nu")
    return {1: soft_second_moment(nu[1], shrink), 2: soft_mean(nu[1]) * soft_mean(nu[2])}


def same_matrix(derived: dict[int, sympy.Expr], statement: sympy.Eq) -> bool:
    """Compare a formula for E[phi_i phi_j] with the moments on and off the diagonal."""
    i, j, _ = index()
    names = {indexed("nu")[k]: entry("nu", k) for k in (1, 2)}
    return all(
        proved_equal(
            derived[column].xreplace(names),
            statement.rhs.subs({i: 1, j: column}).xreplace(names),
        )
        for column in (1, 2)
    )


def _b8() -> tuple[Step, ...]:
    i, j, _ = index()
    gaussian = one_coordinate(sympy.pi / 2)
    return (
        Step(
            "B8",
            "mean of the update: softened gradient times beta",
            equation(mu, soft_mean(nu)),
            lambda: of_gradient(working_mean()),
            "the difference simplifies to 0, against B5",
            where=gaussian,
            uses=("B5",),
            assumptions=("kappa^2 of one coordinate; the mean field puts its average for all",),
            error=lambda: mean_field_error(sympy.pi / 2),
            quantity=mu,
        ),
        Step(
            "B8.second",
            "second moment of the update by the same beta",
            equation(s, soft_second_moment(nu)),
            lambda: of_gradient(working_second_moment()),
            "the difference simplifies to 0, against B7",
            where=gaussian,
            uses=("B7", "B8"),
            error=lambda: mean_field_error(sympy.pi / 2, 2),
            quantity=s,
        ),
        Step(
            "B8.matrix",
            "second-moment matrix of the update",
            equation(indexed("M")[i, j], matrix()),
            independent_moments,
            "independence for i != j, B8.second for i = j",
            compare=same_matrix,
            uses=("A2", "B8", "B8.second"),
            quantity=indexed("M")[i, j],
        ),
    )


def soft_step(
    formula: sympy.Expr, shrink: sympy.Expr | int = 1, count: int = COORDINATES
) -> sympy.Expr:
    """Put the mean-field moments with epsilon into a formula: nu_i beta, and T-B8's matrix.

    Parameters
    ----------
    formula : sympy.Expr
        A sum over coordinates of ``mu``, ``M``, ``g``, ``H``.
    shrink : sympy.Expr, optional
        c, the factor of momentum on the variance (T-E1).
    count : int, optional
        Number of coordinates.
    """

    def moment(i: int, j: int) -> sympy.Expr:
        i_, j_, _ = index()
        return (
            matrix(shrink)
            .subs({i_: i, j_: j})
            .xreplace({indexed("nu")[k]: entry("nu", k) for k in (i, j)})
        )

    return with_moments(formula, lambda i: soft_mean(entry("nu", i)), moment, count)


def law_sums() -> tuple[sympy.Eq, ...]:
    """Return the definitions of G, Q and T as sums."""
    return equation(G, dot("nu", "g")), equation(Q, quadratic("nu")), equation(T, hessian_trace())


def law(shrink: sympy.Expr | int = 1) -> sympy.Expr:
    """Return T-B9, lr* = beta G/(beta^2 Q + (1 - beta^2) T); T-E1 with c in front of T's term."""
    return beta * G / (beta**2 * Q + shrink * (1 - beta**2) * T)


def _b9() -> tuple[Step, ...]:
    return (
        Step(
            "B9",
            "the law: the optimal learning rate at batch size B and epsilon",
            equation(lr_star, law()),
            lambda: at_sizes(lambda count: soft_step(best_learning_rate(), count=count)),
            "substitution of the moments into A1",
            compare=coordinates,
            where=law_sums(),
            uses=("A1.minimum", "B8", "B8.matrix"),
            quantity=lr_star,
        ),
    )


def explicit_curvature(count: int = COORDINATES) -> sympy.Expr:
    """Return Q for a few coordinates, with nu_i = softsign(g_i, eps) put in."""
    return _softened(explicit(quadratic("nu"), count), count)


def rising_law() -> dict[sympy.Expr, sympy.Expr]:
    """Return lr*(beta) for Q <= 2 T and beta < 1."""
    x, y = sympy.Symbol("x", positive=True), sympy.Symbol("y", nonnegative=True)
    return {sympy.Function("lr_star")(beta): law(), T: Q / 2 + y, beta: 1 / sympy.sqrt(1 + x)}


def law_around_peak() -> tuple[dict[sympy.Expr, sympy.Expr], ...]:
    """Return lr*(beta) for Q > T below, at and above its peak."""
    above = T + sympy.Symbol("y", positive=True)
    top = peak(law(), beta).subs(Q, above)
    curve = {sympy.Function("lr_star")(beta): law().subs(Q, above), beta_n: top}
    return tuple(curve | place for place in around(beta, top))


def limit_of_terms(
    expression: sympy.Expr, variable: sympy.Symbol, point: sympy.Expr, _: object = "+"
) -> sympy.Expr:
    """Take the limit of a sum term by term; every term must have a finite one."""
    terms = sympy.Add.make_args(expression.expand())
    limits = [sympy.limit(term, variable, point) for term in terms]
    return sum(limits) if all(limit.is_finite for limit in limits) else sympy.nan


def _softened(written: sympy.Expr, count: int) -> sympy.Expr:
    return replaced(written, "nu", count, lambda i: softsign(entry("g", i), eps))


def _b10() -> tuple[Step, ...]:
    rate = sympy.Function("lr_star")
    return (
        Step(
            "B10",
            "beta of the largest learning rate: real only if Q > T, below 1 only if Q > 2 T",
            equation(beta_n, sympy.sqrt(T / (Q - T))),
            lambda: peak(law(), beta),
            "solving d lr*/d beta = 0",
            uses=("B9",),
            quantity=beta_n,
        ),
        Step(
            "B10.rises",
            "without a surge: the learning rate rises with beta wherever Q <= 2 T",
            equation(sympy.sign(sympy.Derivative(rate(beta), beta)), sympy.Integer(1)),
            lambda: (rising_law(),),
            "sign of the derivative",
            compare=in_every_case,
            uses=("B9",),
            assumptions=("Q <= 2 T", "beta < 1"),
        ),
        Step(
            "B10.falls",
            "with Q > T it rises up to beta_n, and falls beyond it",
            equation(sympy.sign(sympy.Derivative(rate(beta), beta)), sympy.sign(beta_n - beta)),
            law_around_peak,
            "sign of the derivative below, at and above beta_n",
            compare=in_every_case,
            uses=("B10",),
            assumptions=("Q > T", "beta < 1"),
        ),
    )


def _b10_epsilon() -> tuple[Step, ...]:
    i, j, n = index()
    curved = sympy.Function("Q")
    vector, H = indexed("g"), indexed("H")
    cross = (
        vector[i] * vector[j] / sympy.sqrt((vector[i] ** 2 + eps**2) * (vector[j] ** 2 + eps**2))
    )
    fall = -2 * eps * sympy.Sum(cross * H[i, j] / (vector[i] ** 2 + eps**2), (j, 1, n), (i, 1, n))
    return (
        Step(
            "B10.slope",
            "Q falls in epsilon wherever all sign(g_i g_j) H_ij >= 0, as in a uniform population",
            equation(sympy.Derivative(curved(eps), eps), fall),
            lambda: at_sizes(lambda count: {curved(eps): explicit_curvature(count)}),
            "differentiation of Q = nu^T H nu",
            compare=coordinates_of_both_sides,
            uses=("B9",),
        ),
        Step(
            "B10.limit",
            "as epsilon grows Q vanishes, so that the surge must end",
            equation(sympy.Limit(curved(eps), eps, sympy.oo), sympy.Integer(0)),
            lambda: at_sizes(lambda count: {curved(eps): explicit_curvature(count)}),
            "limit of every term of Q",
            compare=partial(coordinates_of_both_sides, limit=limit_of_terms),
            uses=("B10",),
            assumptions=("T > 0",),
        ),
    )


def mean_variance() -> sympy.Expr:
    """Return the mean of V_i = sigma_i^2."""
    i, _, n = index()
    return sympy.Sum(indexed("V")[i], (i, 1, n)) / n


def large_epsilon_law() -> sympy.Expr:
    """Return T-B11, the limit of lr*/eps."""
    noise = sympy.pi * mean_variance() * hessian_trace() / (2 * B)
    return dot("g", "g") / (quadratic("g") + noise)


def large_epsilon(count: int) -> dict[sympy.Expr, sympy.Expr]:
    """Return beta and lr* as functions of eps for a few coordinates (T-B11)."""
    numbers = range(1, count + 1)
    variances = {entry("V", i): sympy.Symbol(f"V{i}", positive=True) for i in numbers}
    ratio = sum(v / (entry("g", i) ** 2 + eps**2) for i, v in enumerate(variances.values(), 1))
    shrink = beta_definition(sympy.pi / 2).rhs.subs(kappa, sympy.sqrt(ratio / count))
    sums = {
        definition.lhs: _softened(explicit(definition.rhs, count), count)
        for definition in law_sums()
    }
    return {beta: shrink, lr_star: law().subs(sums).subs(beta, shrink), **variances}


def sgd_with_equal_noise(count: int) -> sympy.Expr:
    """Put Sigma = (pi sigma^2/2) I into T-A3, sigma^2 the mean variance."""
    definitions = (sgd_max_learning_rate(), sgd_noise_scale())
    formula = sgd_learning_rate().rhs.subs([(part.lhs, part.rhs) for part in definitions])
    noise = sympy.pi / 2 * explicit(mean_variance(), count)
    return replaced(explicit(formula, count), "Sigma", count, lambda i, j: noise * int(i == j))


def _b11() -> tuple[Step, ...]:
    variance = mean_variance()
    limits = ("kappa^2 is the mean of sigma_i^2/(g_i^2 + eps^2)", "V_i = sigma_i^2")
    return (
        Step(
            "B11.beta",
            "large epsilon: beta tends to 1",
            equation(sympy.Limit(beta, eps, sympy.oo), sympy.Integer(1)),
            lambda: at_sizes(large_epsilon, LIMIT_SIZES),
            "limit for one and two coordinates",
            compare=coordinates_of_both_sides,
            uses=("B8",),
            assumptions=limits,
        ),
        Step(
            "B11.gradient",
            "large epsilon: the update is the gradient over epsilon",
            equation(sympy.Limit(eps * softsign(g, eps), eps, sympy.oo), g),
            lambda: both_signs(g),
            "limit, for g > 0 and g < 0",
            compare=in_every_case,
            uses=("B1.large",),
        ),
        Step(
            "B11.noise",
            "large epsilon: what is left of the noise",
            equation(
                sympy.Limit(eps**2 * (1 - beta**2), eps, sympy.oo), sympy.pi * variance / (2 * B)
            ),
            lambda: at_sizes(large_epsilon, LIMIT_SIZES),
            "limit for one and two coordinates",
            compare=coordinates_of_both_sides,
            uses=("B8",),
            assumptions=limits,
        ),
    )


def _b11_law() -> tuple[Step, ...]:
    limits = ("kappa^2 is the mean of sigma_i^2/(g_i^2 + eps^2)", "V_i = sigma_i^2")
    return (
        Step(
            "B11",
            "large epsilon: SGD's law with covariance (pi sigma^2/2) I",
            equation(
                sympy.Limit(lr_star / eps, eps, sympy.oo),
                large_epsilon_law(),
            ),
            lambda: at_sizes(large_epsilon, LIMIT_SIZES),
            "limit for one and two coordinates",
            compare=coordinates_of_both_sides,
            uses=("B9", "B11.beta", "B11.gradient", "B11.noise"),
            assumptions=limits,
        ),
        Step(
            "B11.sgd",
            "the same is SGD's law at this covariance",
            equation(lr_star, large_epsilon_law()),
            lambda: at_sizes(sgd_with_equal_noise),
            "substitution of Sigma = (pi sigma^2/2) I into A3",
            compare=coordinates,
            uses=("A3", "B11"),
            assumptions=("V_i = sigma_i^2",),
            quantity=lr_star,
        ),
    )


def steps() -> tuple[Step, ...]:
    """Return the steps of T-B8 to T-B11."""
    return (
        *_b8(),
        *_b9(),
        *_b10(),
        *_b10_epsilon(),
        *_b11(),
        *_b11_law(),
    )
