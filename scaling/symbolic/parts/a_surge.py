"""Part A, end: SignSGD in the mean field, and the surge at epsilon = 0 (T-A7, T-A8)."""

import sympy

from scaling.symbolic.notation import symbol, symbols
from scaling.symbolic.parts.a_descent import (
    COORDINATES,
    best_decrease,
    best_learning_rate,
    with_moments,
)
from scaling.symbolic.parts.a_sign import sign_mean, sign_second_moment, signal
from scaling.symbolic.proofs.accuracy import ApproximationError
from scaling.symbolic.proofs.proof import both_sides, coordinates
from scaling.symbolic.proofs.sums import at_sizes, entry, hessian_trace, index, indexed
from scaling.symbolic.step import Step, equation


def sign_beta() -> sympy.Eq:
    """Return the definition of beta at epsilon = 0.

    Examples
    --------
    >>> sign_beta().lhs
    beta
    """
    beta, kappa, B = symbols("beta kappa batch_size")
    return equation(beta, (1 + sympy.pi * kappa**2 / (2 * B)) ** sympy.Rational(-1, 2))


def sign_update(coordinate: int) -> sympy.Expr:
    """Return the mean of one coordinate of the update, sign(g_i) beta.

    Examples
    --------
    >>> sign_update(2)
    beta*sign(g2)
    """
    return sympy.sign(entry("g", coordinate)) * symbol("beta")


def sign_step(
    formula: sympy.Expr, second: sympy.Expr | None = None, count: int = COORDINATES
) -> sympy.Expr:
    """Put the mean-field moments of the sign into a formula.

    Parameters
    ----------
    formula : sympy.Expr
        A sum over coordinates of ``mu``, ``M``, ``g``, ``H``.
    second : sympy.Expr, optional
        The second moment of every coordinate; that of T-A5, if none is given.
    count : int, optional
        Number of coordinates.

    Returns
    -------
    sympy.Expr

    Examples
    --------
    >>> from .sums import dot
    >>> sign_step(dot("mu", "g")).has(symbol("beta"))
    True
    """
    square = sign_second_moment() if second is None else second
    return with_moments(
        formula,
        sign_update,
        lambda i, j: square if i == j else sign_update(i) * sign_update(j),
        count,
    )


def sign_sums() -> tuple[sympy.Eq, ...]:
    """Return the definitions of |g|_1, T and R as sums.

    Examples
    --------
    >>> [str(definition.lhs) for definition in sign_sums()]
    ['N1', 'T', 'R']
    """
    i, j, n = index()
    g, H = indexed("g"), indexed("H")
    everything = sympy.Sum(sympy.sign(g[i]) * sympy.sign(g[j]) * H[i, j], (j, 1, n), (i, 1, n))
    diagonal = sympy.Sum(sympy.sign(g[i]) ** 2 * H[i, i], (i, 1, n))
    return (
        equation(symbol("gradient_l1"), sympy.Sum(sympy.sign(g[i]) * g[i], (i, 1, n))),
        equation(symbol("trace"), hessian_trace()),
        equation(symbol("coupling"), everything - diagonal),
    )


def sign_learning_rate() -> sympy.Expr:
    """Return T-A7, lr* = beta |g|_1 / (T + beta^2 R).

    Examples
    --------
    >>> sign_learning_rate()
    N1*beta/(R*beta**2 + T)
    """
    N1, T, R, beta = symbols("gradient_l1 trace coupling beta")
    return beta * N1 / (T + beta**2 * R)


def peak(formula: sympy.Expr, variable: sympy.Symbol) -> sympy.Expr:
    """Solve d formula / d variable = 0 for the positive root.

    Examples
    --------
    >>> x = sympy.Symbol("x", positive=True)
    >>> peak(x * (4 - x), x)
    2
    """
    slope = sympy.numer(sympy.together(sympy.diff(formula, variable)))
    roots = sympy.solve(slope, variable)
    if len(roots) > 1:  # a root and its opposite
        roots = [root for root in roots if not root.could_extract_minus_sign()]
    (root,) = roots
    return sympy.simplify(root)


def sign_peak_batch_size() -> sympy.Expr:
    """Solve beta(B) = beta_n for B (T-A7).

    Examples
    --------
    >>> sign_peak_batch_size().has(symbol("beta_peak"))
    True
    """
    B = symbol("batch_size")
    relation = sympy.Eq(sign_beta().rhs ** -2, symbol("beta_peak") ** -2)
    (root,) = sympy.solve(relation, B)
    return root


def sign_critical_batch_size() -> sympy.Expr:
    """Derive B_crit from dL*(B): where dL* is half of its limit (T-A8).

    Examples
    --------
    >>> sign_critical_batch_size().has(symbol("beta_peak"))
    True
    """
    B = symbol("batch_size")
    decrease = _sign_decrease().subs(symbol("beta"), sign_beta().rhs)
    (half,) = sympy.solve(2 * decrease - sympy.limit(decrease, B, sympy.oo), B)
    return half


def sign_decrease() -> sympy.Expr:
    """Return T-A8 before beta(B) is put in.

    Examples
    --------
    >>> sign_decrease()
    N1**2*beta**2/(2*R*beta**2 + 2*T)
    """
    N1, T, R, beta = symbols("gradient_l1 trace coupling beta")
    return beta**2 * N1**2 / (2 * (T + beta**2 * R))


def _sign_decrease() -> sympy.Expr:
    R = symbol("coupling")
    (coupling,) = sympy.solve(symbol("beta_peak") ** 2 - peak_beta() ** 2, R)
    return sympy.simplify(sign_decrease().subs(R, coupling))


def peak_beta() -> sympy.Expr:
    """Return the beta of the largest learning rate, from T-A7.

    Examples
    --------
    >>> peak_beta()
    sqrt(T)/sqrt(R)
    """
    return peak(sign_learning_rate(), symbol("beta"))


def mean_field_error(scale: sympy.Expr | int, power: int = 1) -> ApproximationError:
    """Return how sensitive beta, or its square, is to one kappa for all coordinates.

    Parameters
    ----------
    scale : sympy.Expr
        lambda, the factor of kappa^2/B in beta.
    power : {1, 2}, optional
        The mean is proportional to beta, the second moment is linear in its square.

    Returns
    -------
    ApproximationError
        The largest slope of beta^power in log kappa^2.

    Examples
    --------
    >>> round(mean_field_error(1).value, 4)
    0.1925
    """
    log_kappa = sympy.Symbol("y", real=True)
    kappa, B = symbols("kappa batch_size")
    t = sympy.Symbol("t", positive=True)
    beta = (1 + scale * kappa**2 / B) ** sympy.Rational(-power, 2)
    slope = -sympy.diff(beta.subs(kappa, sympy.exp(log_kappa / 2)), log_kappa)
    slope = sympy.simplify(slope.subs(log_kappa, sympy.log(t * B / scale)))
    value = slope.subs(t, peak(slope, t))
    shown = "beta" if power == 1 else "(beta^2)"
    return ApproximationError(
        "sensitivity",
        f"|{shown}_i - {shown}| per unit of |log(kappa_i^2/kappa^2)|, for every B "
        "(0 if all kappa_i agree)",
        float(value),
    )


def _limit_decrease() -> sympy.Expr:
    N1, T, beta_n = symbols("gradient_l1 trace beta_peak")
    return N1**2 / (2 * T * (1 + beta_n**-2))


def steps() -> tuple[Step, ...]:
    """Return the steps T-A7 and T-A8.

    Returns
    -------
    tuple of Step

    Examples
    --------
    >>> [step.id for step in steps()][:2]
    ['A7.beta', 'A7']
    """
    a, g, sigma, B = symbols("signal gradient sigma batch_size")
    beta, beta_n, kappa = symbols("beta beta_peak kappa")
    star, most, T, R = symbols("optimal_learning_rate max_learning_rate trace coupling")
    peak_size, critical = symbols("peak_batch_size critical_batch_size")
    decrease, largest = symbols("decrease max_decrease")
    crit = sympy.pi * kappa**2 * beta_n**2 / (2 * (1 + beta_n**2))
    surge = sympy.pi * kappa**2 * beta_n**2 / (2 * (1 - beta_n**2))
    return (
        Step(
            "A7.beta",
            "mean field: one kappa for all coordinates, mu_i = sign(g_i) beta",
            sign_beta(),
            lambda: (
                sign_mean().subs(a, signal().rhs).subs(g, sympy.Symbol("m", positive=True))
            ).subs(sigma, kappa * sympy.Symbol("m", positive=True)),
            "substitution of sigma_i^2/g_i^2 -> kappa^2 into A6",
            uses=("A6.batch",),
            assumptions=("sigma_i^2/g_i^2 is replaced by its average kappa^2",),
            error=lambda: mean_field_error(sympy.pi / 2),
            quantity=beta,
        ),
        Step(
            "A7",
            "SignSGD: the optimal learning rate in the mean field",
            equation(star, sign_learning_rate()),
            lambda: at_sizes(lambda count: sign_step(best_learning_rate(), count=count)),
            "substitution of the moments into A1",
            compare=coordinates,
            where=sign_sums(),
            uses=("A1.minimum", "A2", "A5.second", "A7.beta"),
            assumptions=("no g_i is 0",),
            quantity=star,
        ),
        Step(
            "A7.peak",
            "beta of the largest learning rate",
            equation(beta_n, sympy.sqrt(T / R)),
            peak_beta,
            "solving d lr*/d beta = 0",
            uses=("A7",),
            assumptions=("R > 0",),
            quantity=beta_n,
        ),
        Step(
            "A7.shape",
            "the same law by its largest value and where it is reached",
            equation(star, most / ((beta_n / beta + beta / beta_n) / 2)),
            sign_learning_rate,
            "simplify(lhs - rhs) with lr_max = lr*(beta_n)",
            where=(
                equation(most, sign_learning_rate().subs(beta, beta_n)),
                equation(beta_n, sympy.sqrt(T / R)),
            ),
            uses=("A7", "A7.peak"),
            quantity=star,
        ),
        Step(
            "A7.small",
            "small batches: the square-root rule, lr*/sqrt(B) tends to a constant",
            equation(
                sympy.Limit(star / sympy.sqrt(B), B, 0),
                symbol("gradient_l1") / T * sympy.sqrt(2 / (sympy.pi * kappa**2)),
            ),
            lambda: {star: sign_learning_rate().subs(beta, sign_beta().rhs)},
            "limit for B -> 0",
            compare=both_sides,
            uses=("A7", "A7.beta"),
        ),
        Step(
            "A7.surge",
            "the surge: beyond this batch size the learning rate falls (if beta_n < 1)",
            equation(peak_size, surge),
            sign_peak_batch_size,
            "solving beta(B) = beta_n",
            uses=("A7.beta", "A7.peak"),
            quantity=peak_size,
        ),
        Step(
            "A8.moments",
            "SignSGD: the largest decrease in the mean field",
            equation(decrease, sign_decrease()),
            lambda: at_sizes(lambda count: sign_step(best_decrease(), count=count)),
            "substitution of the moments into A1",
            compare=coordinates,
            where=sign_sums(),
            uses=("A1.decrease", "A2", "A5.second", "A7.beta"),
            quantity=decrease,
        ),
        Step(
            "A8",
            "SignSGD: the largest decrease saturates at B_crit",
            equation(decrease, largest / (1 + critical / B)),
            lambda: _sign_decrease().subs(beta, sign_beta().rhs),
            "substitution of R = T/beta_n^2 and of beta(B)",
            where=(
                equation(critical, crit),
                equation(largest, _limit_decrease()),
            ),
            uses=("A8.moments", "A7.beta", "A7.peak"),
            quantity=decrease,
        ),
        Step(
            "A8.critical",
            "the critical batch size of SignSGD",
            equation(critical, crit),
            sign_critical_batch_size,
            "solving dL*(B) = dL_max/2",
            uses=("A8",),
            quantity=critical,
        ),
        Step(
            "A8.identity",
            "the two batch sizes of SignSGD are tied by the noise",
            equation(1 / critical - 1 / peak_size, 4 / (sympy.pi * kappa**2)),
            lambda: {critical: sign_critical_batch_size(), peak_size: sign_peak_batch_size()},
            "simplify(lhs - rhs)",
            compare=both_sides,
            uses=("A7.surge", "A8.critical"),
        ),
    )
