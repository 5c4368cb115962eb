"""Part A, second half: SignSGD, its mean field, and the surge at epsilon = 0 (T-A5 to T-A9)."""

import sympy

from scaling.symbolic.functions import isru, normal_density
from scaling.symbolic.notation import (
    N1,
    B,
    B_crit,
    B_noise,
    B_peak,
    R,
    T,
    a,
    beta,
    beta_n,
    decrease,
    g,
    k,
    kappa,
    lr_max,
    lr_star,
    max_decrease,
    mu,
    s,
    sigma,
    x,
)
from scaling.symbolic.parts.a_descent import (
    COORDINATES,
    best_decrease,
    best_learning_rate,
    sgd_learning_rate,
    with_moments,
)
from scaling.symbolic.proofs.accuracy import ApproximationError, measured_maximum
from scaling.symbolic.proofs.proof import both_sides, coordinates, proved_equal, right_hand_side
from scaling.symbolic.proofs.sums import at_sizes, entry, hessian_trace, index, indexed
from scaling.symbolic.step import Step, equation


def gaussian_sign(power: int) -> sympy.Expr:
    """Integrate sign(x)^power against the density of N(a, 1)."""
    y = sympy.Symbol("y", real=True)
    right = sympy.integrate(normal_density(y), (y, -a, sympy.oo))
    left = sympy.integrate(normal_density(y), (y, -sympy.oo, -a))
    return sympy.simplify((right + (-1) ** power * left).rewrite(sympy.erf))


def sign_second_moment() -> sympy.Expr:
    """Return T-A5's second moment of the sign."""
    return sympy.Integer(1)


def _a5() -> tuple[Step, ...]:
    gaussian = ("the batch gradient is g + (sigma/sqrt B) N(0, 1), independent per coordinate",)
    return (
        Step(
            "A5",
            "SignSGD: the mean of the update",
            equation(mu, sympy.erf(a / sympy.sqrt(2))),
            lambda: gaussian_sign(1),
            "integration of sign(x) against the Gaussian",
            assumptions=(*gaussian, "a = g sqrt(B)/sigma"),
            quantity=mu,
        ),
        Step(
            "A5.second",
            "SignSGD: the second moment of the update",
            equation(s, sign_second_moment()),
            lambda: gaussian_sign(2),
            "integration of sign(x)^2 against the Gaussian",
            assumptions=gaussian,
            quantity=s,
        ),
    )


def signal() -> sympy.Eq:
    """Return the definition of the signal a = g sqrt(B)/sigma."""
    return equation(a, g * sympy.sqrt(B) / sigma)


def slope_at_zero(function: sympy.Expr, variable: sympy.Symbol) -> sympy.Expr:
    """Differentiate at 0."""
    return sympy.simplify(sympy.diff(function, variable).subs(variable, 0))


def erf_stand_in(x: sympy.Expr) -> sympy.Expr:
    """Return the ISRU with the slope of erf at 0 (T-A6)."""
    t = sympy.Dummy(real=True)
    return isru(x, slope_at_zero(sympy.erf(t), t))


def sign_mean() -> sympy.Expr:
    """Return T-A6, the mean of the sign in the stand-in."""
    return a / sympy.sqrt(a**2 + sympy.pi / 2)


def _for_both_signs(derived: sympy.Expr, statement: sympy.Eq) -> bool:
    size = sympy.Symbol("m", positive=True)
    return all(
        sympy.simplify((derived - statement.rhs).subs(g, sign * size)) == 0 for sign in (1, -1)
    )


def _a6() -> tuple[Step, ...]:
    half = sympy.Rational(1, 2)
    return (
        Step(
            "A6",
            "a smooth stand-in of erf with the same slope at 0",
            equation(sympy.erf(x), x / sympy.sqrt(x**2 + sympy.pi / 4)),
            lambda: erf_stand_in(x),
            "differentiation of erf at 0; B2",
            error=lambda: measured_maximum(
                erf_stand_in(k),
                sympy.erf(k),
                (k,),
                "stand-in against erf (argument k > 0; both are odd)",
            ),
            quantity=sympy.erf(x),
        ),
        Step(
            "A6.mean",
            "SignSGD: the mean of the update in the stand-in",
            equation(mu, sign_mean()),
            lambda: erf_stand_in(a / sympy.sqrt(2)),
            "substitution of A6 into A5",
            uses=("A5", "A6"),
            error=lambda: measured_maximum(
                sign_mean(), gaussian_sign(1), (a,), "A6 against A5, a > 0 (both are odd)"
            ),
            quantity=mu,
        ),
        Step(
            "A6.batch",
            "the same as a function of the batch size",
            equation(
                mu,
                sympy.sign(g) * (1 + sympy.pi * sigma**2 / (2 * g**2 * B)) ** -half,
            ),
            lambda: sign_mean().subs(a, signal().rhs),
            "substitution of a = g sqrt(B)/sigma into A6",
            compare=_for_both_signs,
            uses=("A6.mean",),
            quantity=mu,
        ),
    )


def sign_beta() -> sympy.Eq:
    """Return the definition of beta at epsilon = 0."""
    return equation(beta, (1 + sympy.pi * kappa**2 / (2 * B)) ** sympy.Rational(-1, 2))


def sign_update(coordinate: int) -> sympy.Expr:
    """Return the mean of one coordinate of the update, sign(g_i) beta."""
    return sympy.sign(entry("g", coordinate)) * beta


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
    """
    square = sign_second_moment() if second is None else second
    return with_moments(
        formula,
        sign_update,
        lambda i, j: square if i == j else sign_update(i) * sign_update(j),
        count,
    )


def sign_sums() -> tuple[sympy.Eq, ...]:
    """Return the definitions of |g|_1, T and R as sums."""
    i, j, n = index()
    g, H = indexed("g"), indexed("H")
    everything = sympy.Sum(sympy.sign(g[i]) * sympy.sign(g[j]) * H[i, j], (j, 1, n), (i, 1, n))
    diagonal = sympy.Sum(sympy.sign(g[i]) ** 2 * H[i, i], (i, 1, n))
    return (
        equation(N1, sympy.Sum(sympy.sign(g[i]) * g[i], (i, 1, n))),
        equation(T, hessian_trace()),
        equation(R, everything - diagonal),
    )


def sign_learning_rate() -> sympy.Expr:
    """Return T-A7, lr* = beta |g|_1 / (T + beta^2 R)."""
    return beta * N1 / (T + beta**2 * R)


def peak(formula: sympy.Expr, variable: sympy.Symbol) -> sympy.Expr:
    """Solve d formula / d variable = 0 for the positive root."""
    slope = sympy.numer(sympy.together(sympy.diff(formula, variable)))
    roots = sympy.solve(slope, variable)
    if len(roots) > 1:  # a root and its opposite
        roots = [root for root in roots if not root.could_extract_minus_sign()]
    (root,) = roots
    return sympy.simplify(root)


def sign_peak_batch_size() -> sympy.Expr:
    """Solve beta(B) = beta_n for B (T-A7)."""
    relation = sympy.Eq(sign_beta().rhs ** -2, beta_n**-2)
    (root,) = sympy.solve(relation, B)
    return root


def peak_beta() -> sympy.Expr:
    """Return the beta of the largest learning rate, from T-A7."""
    return peak(sign_learning_rate(), beta)


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
    """
    log_kappa = sympy.Symbol("y", real=True)
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


def _a7() -> tuple[Step, ...]:
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
            equation(lr_star, sign_learning_rate()),
            lambda: at_sizes(lambda count: sign_step(best_learning_rate(), count=count)),
            "substitution of the moments into A1",
            compare=coordinates,
            where=sign_sums(),
            uses=("A1.minimum", "A2", "A5.second", "A7.beta"),
            assumptions=("no g_i is 0",),
            quantity=lr_star,
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
            equation(lr_star, lr_max / ((beta_n / beta + beta / beta_n) / 2)),
            sign_learning_rate,
            "the difference simplifies to 0, with lr_max = lr*(beta_n)",
            where=(
                equation(lr_max, sign_learning_rate().subs(beta, beta_n)),
                equation(beta_n, sympy.sqrt(T / R)),
            ),
            uses=("A7", "A7.peak"),
            quantity=lr_star,
        ),
    )


def _a7_surge() -> tuple[Step, ...]:
    surge = sympy.pi * kappa**2 * beta_n**2 / (2 * (1 - beta_n**2))
    return (
        Step(
            "A7.small",
            "small batches: the square-root rule, lr*/sqrt(B) tends to a constant",
            equation(
                sympy.Limit(lr_star / sympy.sqrt(B), B, 0),
                N1 / T * sympy.sqrt(2 / (sympy.pi * kappa**2)),
            ),
            lambda: {lr_star: sign_learning_rate().subs(beta, sign_beta().rhs)},
            "limit for B -> 0",
            compare=both_sides,
            uses=("A7", "A7.beta"),
        ),
        Step(
            "A7.surge",
            "the surge: beyond this batch size the learning rate falls (if beta_n < 1)",
            equation(B_peak, surge),
            sign_peak_batch_size,
            "solving beta(B) = beta_n",
            uses=("A7.beta", "A7.peak"),
            quantity=B_peak,
        ),
    )


def sign_critical_batch_size() -> sympy.Expr:
    """Derive B_crit from dL*(B): where dL* is half of its limit (T-A8)."""
    decrease = _sign_decrease().subs(beta, sign_beta().rhs)
    (half,) = sympy.solve(2 * decrease - sympy.limit(decrease, B, sympy.oo), B)
    return half


def sign_decrease() -> sympy.Expr:
    """Return T-A8 before beta(B) is put in."""
    return beta**2 * N1**2 / (2 * (T + beta**2 * R))


def _sign_decrease() -> sympy.Expr:
    (coupling,) = sympy.solve(beta_n**2 - peak_beta() ** 2, R)
    return sympy.simplify(sign_decrease().subs(R, coupling))


def _limit_decrease() -> sympy.Expr:
    return N1**2 / (2 * T * (1 + beta_n**-2))


def _a8() -> tuple[Step, ...]:
    crit = sympy.pi * kappa**2 * beta_n**2 / (2 * (1 + beta_n**2))
    return (
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
            equation(decrease, max_decrease / (1 + B_crit / B)),
            lambda: _sign_decrease().subs(beta, sign_beta().rhs),
            "substitution of R = T/beta_n^2 and of beta(B)",
            where=(
                equation(B_crit, crit),
                equation(max_decrease, _limit_decrease()),
            ),
            uses=("A8.moments", "A7.beta", "A7.peak"),
            quantity=decrease,
        ),
        Step(
            "A8.critical",
            "the critical batch size of SignSGD",
            equation(B_crit, crit),
            sign_critical_batch_size,
            "solving dL*(B) = dL_max/2",
            uses=("A8",),
            quantity=B_crit,
        ),
        Step(
            "A8.identity",
            "the two batch sizes of SignSGD are tied by the noise",
            equation(1 / B_crit - 1 / B_peak, 4 / (sympy.pi * kappa**2)),
            lambda: {B_crit: sign_critical_batch_size(), B_peak: sign_peak_batch_size()},
            "the difference simplifies to 0",
            compare=both_sides,
            uses=("A7.surge", "A8.critical"),
        ),
    )


def conjectured_law() -> sympy.Expr:
    """Return T-A9, lr_max/(1 + B_noise/B)^alpha, which is a conjecture."""
    return lr_max / (1 + B_noise / B) ** sympy.Symbol("alpha", positive=True)


def _a9() -> tuple[Step, ...]:
    alpha, slope = sympy.Symbol("alpha", positive=True), sympy.Function("p")(B)
    return (
        Step(
            "A9.gradient",
            "the conjecture at alpha = 1 is SGD's law",
            sgd_learning_rate(),
            lambda: conjectured_law().subs(alpha, 1),
            "substitution; A3",
            uses=("A3",),
            quantity=lr_star,
        ),
        Step(
            "A9.sign",
            "at alpha = 1/2 it is SignSGD's with a diagonal H, B_noise = pi kappa^2/2",
            equation(lr_star, lr_max * sign_beta().rhs),
            lambda: conjectured_law().subs(
                {alpha: sympy.Rational(1, 2), B_noise: sympy.pi * kappa**2 / 2}
            ),
            "substitution; compared with A7 at R = 0",
            compare=_is_diagonal_sign,
            uses=("A7", "A7.beta"),
            quantity=lr_star,
        ),
        Step(
            "A9.exponent",
            "its local exponent falls from alpha to 0: it has no surge",
            equation(slope, alpha * B_noise / (B + B_noise)),
            lambda: B * sympy.diff(sympy.log(conjectured_law()), B),
            "differentiation",
            quantity=slope,
        ),
        Step(
            "A9.limit",
            "large batches: lr_max",
            equation(sympy.Limit(lr_star, B, sympy.oo), lr_max),
            lambda: {lr_star: conjectured_law()},
            "limit for B -> infinity",
            compare=both_sides,
        ),
    )


def _is_diagonal_sign(derived: sympy.Expr, statement: sympy.Eq) -> bool:
    known = sign_learning_rate().subs({R: 0, beta: sign_beta().rhs}).subs(N1, lr_max * T)
    return right_hand_side(derived, statement) and proved_equal(known, statement.rhs)


def steps() -> tuple[Step, ...]:
    """Return the steps of T-A5 to T-A9."""
    return (*_a5(), *_a6(), *_a7(), *_a7_surge(), *_a8(), *_a9())
