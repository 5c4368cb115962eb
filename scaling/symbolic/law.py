"""Part B, second half: the law with nonzero epsilon, the surge, and its limits (T-B8 to T-B11)."""

import sympy

from .descent import COORDINATES, best_learning_rate, with_moments
from .epsilon import working_mean, working_second_moment
from .functions import softsign
from .proof import coordinates, proved_equal
from .sign import signal
from .step import Step, equation
from .sums import dot, entry, explicit, hessian_trace, index, indexed, quadratic, replaced
from .surge import mean_field_error, peak
from .symbols import symbol, symbols


def damping() -> sympy.Eq:
    """Return the definition of b = eps sqrt(B)/sigma.

    Examples
    --------
    >>> damping()
    Eq(b, sqrt(B)*eps/sigma)
    """
    b, eps, sigma, B = symbols("damping eps sigma batch_size")
    return equation(b, eps * sympy.sqrt(B) / sigma)


def beta_definition(scale: sympy.Expr | None = None) -> sympy.Eq:
    """Return beta = (1 + lambda kappa^2/B)^(-1/2).

    Parameters
    ----------
    scale : sympy.Expr, optional
        The value of lambda; the symbol, if none is given.

    Returns
    -------
    sympy.Eq

    Examples
    --------
    >>> beta_definition().rhs
    1/sqrt(1 + kappa**2*lamda/B)
    """
    beta, kappa, lamda, B = symbols("beta kappa lamda batch_size")
    factor = lamda if scale is None else scale
    return equation(beta, (1 + factor * kappa**2 / B) ** sympy.Rational(-1, 2))


def one_coordinate(scale: sympy.Expr | None = None) -> tuple[sympy.Eq, ...]:
    """Return the definitions of nu, beta and kappa^2 for one coordinate.

    Examples
    --------
    >>> [str(definition.lhs) for definition in one_coordinate()]
    ['nu', 'beta', 'kappa']
    """
    g, sigma, eps = symbols("gradient sigma eps")
    nu, kappa = symbols("softened kappa")
    return (
        equation(nu, softsign(g, eps)),
        beta_definition(scale),
        equation(kappa, sigma / sympy.sqrt(g**2 + eps**2)),
    )


def of_gradient(moment: sympy.Expr) -> sympy.Expr:
    """Put a = g sqrt(B)/sigma and b = eps sqrt(B)/sigma into a moment.

    Examples
    --------
    >>> of_gradient(symbol("damping"))
    sqrt(B)*eps/sigma
    """
    return moment.subs([(signal().lhs, signal().rhs), (damping().lhs, damping().rhs)])


def soft_step(formula: sympy.Expr, shrink: sympy.Expr | int = 1) -> sympy.Expr:
    """Put the mean-field moments with epsilon into a formula: nu_i beta, and T-B8's matrix.

    Parameters
    ----------
    formula : sympy.Expr
        A sum over coordinates of ``mu``, ``M``, ``g``, ``H``.
    shrink : sympy.Expr, optional
        c, the factor of momentum on the variance (T-E1).

    Returns
    -------
    sympy.Expr

    Examples
    --------
    >>> soft_step(dot("mu", "g")).has(symbol("beta"))
    True
    """
    beta = symbol("beta")

    def moment(i: int, j: int) -> sympy.Expr:
        i_, j_, _ = index()
        return (
            matrix(shrink)
            .subs({i_: i, j_: j})
            .xreplace({indexed("nu")[k]: entry("nu", k) for k in (i, j)})
        )

    return with_moments(formula, lambda i: entry("nu", i) * beta, moment, COORDINATES)


def matrix(shrink: sympy.Expr | int = 1) -> sympy.Expr:
    """Return T-B8, E[phi_i phi_j] in the mean field.

    Examples
    --------
    >>> matrix().has(sympy.KroneckerDelta)
    True
    """
    i, j, _ = index()
    nu, beta = indexed("nu"), symbol("beta")
    return nu[i] * nu[j] * beta**2 + sympy.KroneckerDelta(i, j) * shrink * (1 - beta**2)


def law_sums() -> tuple[sympy.Eq, ...]:
    """Return the definitions of G, Q and T as sums.

    Examples
    --------
    >>> law_sums()[0]
    Eq(G, Sum(g[i]*nu[i], (i, 1, n)))
    """
    G, Q, T = symbols("alignment curvature trace")
    return equation(G, dot("nu", "g")), equation(Q, quadratic("nu")), equation(T, hessian_trace())


def law(shrink: sympy.Expr | int = 1) -> sympy.Expr:
    """Return T-B9, lr* = beta G/(beta^2 Q + (1 - beta^2) T); T-E1 with c in front of T's term.

    Examples
    --------
    >>> law()
    G*beta/(Q*beta**2 + T*(1 - beta**2))
    """
    beta, G, Q, T = symbols("beta alignment curvature trace")
    return beta * G / (beta**2 * Q + shrink * (1 - beta**2) * T)


def curvature_slope() -> sympy.Expr:
    """Differentiate Q = nu^T H nu in epsilon, for three coordinates (T-B10).

    Examples
    --------
    >>> curvature_slope().has(symbol("eps"))
    True
    """
    eps = symbol("eps")
    return sympy.diff(explicit_curvature(), eps)


def explicit_curvature() -> sympy.Expr:
    """Return Q for three coordinates, with nu_i = softsign(g_i, eps) put in.

    Examples
    --------
    >>> explicit_curvature().has(symbol("eps"))
    True
    """
    return _softened(explicit(quadratic("nu"), COORDINATES))


def large_epsilon() -> dict[str, sympy.Expr]:
    """Take the limits of T-B11, with eps = 1/delta and two coordinates.

    Returns
    -------
    dict from str to sympy.Expr
        ``"beta"``, ``"gradient"``, ``"noise"``, ``"law"``.

    Examples
    --------
    >>> large_epsilon()["beta"]
    1
    """
    eps, kappa, beta = symbols("eps kappa beta")
    small = sympy.Symbol("delta", positive=True)
    numbers = (1, 2)
    gradient = [entry("g", i) for i in numbers]
    variance = [sympy.Symbol(f"V{i}", positive=True) for i in numbers]
    nu = [softsign(g, eps) for g in gradient]
    ratio = sum(v / (g**2 + eps**2) for g, v in zip(gradient, variance, strict=True)) / 2
    shrink = beta_definition(sympy.pi / 2).rhs.subs(kappa, sympy.sqrt(ratio))

    def limit(expression: sympy.Expr) -> sympy.Expr:
        return sympy.limit(sympy.simplify(expression.subs(eps, 1 / small)), small, 0)

    sums = {
        definition.lhs: replaced(explicit(definition.rhs, 2), "nu", 2, lambda i: nu[i - 1])
        for definition in law_sums()
    }
    return {
        "beta": limit(shrink),
        "gradient": limit(eps * nu[0]),
        "noise": limit(eps**2 * (1 - shrink**2)),
        "law": limit((law() / eps).subs(sums).subs(beta, shrink)),
    }


def steps() -> tuple[Step, ...]:
    """Return the steps T-B8 to T-B11.

    Returns
    -------
    tuple of Step

    Examples
    --------
    >>> [step.id for step in steps()][:3]
    ['B8', 'B8.second', 'B8.matrix']
    """
    mu, s, nu, beta, eps, B = symbols("mean second_moment softened beta eps batch_size")
    star, Q, T, beta_n, g = symbols("optimal_learning_rate curvature trace beta_peak gradient")
    i, j, n = index()
    vector, H = indexed("g"), indexed("H")
    variance = sympy.Sum(indexed("V")[i], (i, 1, n)) / n
    cross = (
        vector[i] * vector[j] / sympy.sqrt((vector[i] ** 2 + eps**2) * (vector[j] ** 2 + eps**2))
    )
    fall = -2 * eps * sympy.Sum(cross * H[i, j] / (vector[i] ** 2 + eps**2), (j, 1, n), (i, 1, n))
    gaussian = one_coordinate(sympy.pi / 2)
    limits = ("kappa^2 is the mean of sigma_i^2/(g_i^2 + eps^2)", "V_i = sigma_i^2")
    return (
        Step(
            "B8",
            "mean of the update: softened gradient times beta",
            equation(mu, nu * beta),
            lambda: of_gradient(working_mean()),
            "simplify(lhs - rhs) against B5",
            where=gaussian,
            uses=("B5",),
            assumptions=("kappa^2 of one coordinate; the mean field puts its average for all",),
            error=lambda: mean_field_error(sympy.pi / 2),
        ),
        Step(
            "B8.second",
            "second moment of the update by the same beta",
            equation(s, nu**2 * beta**2 + 1 - beta**2),
            lambda: of_gradient(working_second_moment()),
            "simplify(lhs - rhs) against B7",
            where=gaussian,
            uses=("B7", "B8"),
            error=lambda: mean_field_error(sympy.pi / 2, 2),
        ),
        Step(
            "B8.matrix",
            "second-moment matrix of the update",
            equation(indexed("M")[i, j], matrix()),
            independent_moments,
            "independence for i != j, B8.second for i = j",
            compare=same_matrix,
            uses=("A2", "B8", "B8.second"),
        ),
        Step(
            "B9",
            "the law: the optimal learning rate at batch size B and epsilon",
            equation(star, law()),
            lambda: soft_step(best_learning_rate()),
            "substitution of the moments into A1",
            compare=coordinates(COORDINATES),
            where=law_sums(),
            uses=("A1.minimum", "B8", "B8.matrix"),
        ),
        Step(
            "B10",
            "beta of the largest learning rate: real only if Q > T, below 1 only if Q > 2 T",
            equation(beta_n, sympy.sqrt(T / (Q - T))),
            lambda: peak(law(), beta),
            "solving d lr*/d beta = 0",
            uses=("B9",),
        ),
        Step(
            "B10.slope",
            "Q falls in epsilon wherever all sign(g_i g_j) H_ij >= 0, as in a uniform population",
            equation(sympy.Derivative(sympy.Function("Q")(eps), eps), fall),
            curvature_slope,
            "differentiation of Q = nu^T H nu",
            compare=coordinates(COORDINATES),
            uses=("B9",),
        ),
        Step(
            "B10.limit",
            "as epsilon grows Q vanishes, so that the surge must end",
            equation(sympy.Limit(sympy.Function("Q")(eps), eps, sympy.oo), sympy.Integer(0)),
            lambda: sum(
                sympy.limit(term, eps, sympy.oo) for term in explicit_curvature().expand().args
            ),
            "limit of every term of Q",
            uses=("B10",),
            assumptions=("T > 0",),
        ),
        Step(
            "B11.beta",
            "large epsilon: beta tends to 1",
            equation(sympy.Limit(beta, eps, sympy.oo), sympy.Integer(1)),
            lambda: large_epsilon()["beta"],
            "limit for two coordinates",
            uses=("B8",),
            assumptions=limits,
        ),
        Step(
            "B11.gradient",
            "large epsilon: the update is the gradient over epsilon",
            equation(sympy.Limit(eps * softsign(g, eps), eps, sympy.oo), g),
            lambda: large_epsilon()["gradient"].subs(entry("g", 1), g),
            "limit",
            uses=("B1.large",),
        ),
        Step(
            "B11.noise",
            "large epsilon: what is left of the noise",
            equation(
                sympy.Limit(eps**2 * (1 - beta**2), eps, sympy.oo), sympy.pi * variance / (2 * B)
            ),
            lambda: large_epsilon()["noise"],
            "limit for two coordinates",
            compare=_with_variances,
            uses=("B8",),
            assumptions=limits,
        ),
        Step(
            "B11",
            "large epsilon: SGD's law with covariance (pi sigma^2/2) I",
            equation(
                sympy.Limit(star / eps, eps, sympy.oo),
                dot("g", "g") / (quadratic("g") + sympy.pi * variance * hessian_trace() / (2 * B)),
            ),
            lambda: large_epsilon()["law"],
            "limit for two coordinates",
            compare=_with_variances,
            uses=("A3", "B9", "B11.beta", "B11.gradient", "B11.noise"),
            assumptions=limits,
        ),
    )


def _softened(written: sympy.Expr) -> sympy.Expr:
    eps = symbol("eps")
    return replaced(written, "nu", COORDINATES, lambda i: softsign(entry("g", i), eps))


def independent_moments(shrink: sympy.Expr | int = 1) -> dict[int, sympy.Expr]:
    """Return E[phi_1 phi_j] for j = 1, 2 from the means and the second moment of one coordinate.

    Examples
    --------
    >>> sorted(independent_moments())
    [1, 2]
    """
    beta, nu = symbol("beta"), indexed("nu")
    second = nu[1] ** 2 * beta**2 + shrink * (1 - beta**2)
    return {1: second, 2: (nu[1] * beta) * (nu[2] * beta)}


def same_matrix(derived: dict[int, sympy.Expr], statement: sympy.Eq) -> bool:
    """Compare a formula for E[phi_i phi_j] with the moments on and off the diagonal.

    Examples
    --------
    >>> same_matrix(independent_moments(), equation(symbol("mean"), matrix()))
    True
    """
    i, j, _ = index()
    names = {indexed("nu")[k]: entry("nu", k) for k in (1, 2)}
    return all(
        proved_equal(
            derived[column].xreplace(names),
            statement.rhs.subs({i: 1, j: column}).xreplace(names),
        )
        for column in (1, 2)
    )


def _with_variances(derived: sympy.Expr, statement: sympy.Eq) -> bool:
    written = replaced(
        explicit(statement.rhs, 2), "V", 2, lambda i: sympy.Symbol(f"V{i}", positive=True)
    )
    return proved_equal(derived, written)
