"""Part E: one law of epsilon and momentum together (T-E1 to T-E7)."""

import sympy

from scaling.symbolic.notation import (
    N1,
    R0,
    B,
    B_crit,
    B_n,
    B_noise,
    B_peak,
    B_simple,
    E,
    E_min,
    G,
    Q,
    R,
    S,
    S_min,
    T,
    a,
    b,
    beta,
    beta_n,
    c,
    decrease,
    eps,
    g,
    gamma,
    kappa,
    lamda,
    lr_inf,
    lr_max,
    lr_peak,
    lr_star,
    max_decrease,
    mu,
    nu,
    rho,
    s,
    sigma,
)
from scaling.symbolic.parts.a_descent import (
    best_decrease,
    best_learning_rate,
    sgd_learning_rate,
    with_moments,
)
from scaling.symbolic.parts.a_sign import (
    mean_field_error,
    peak,
    sign_learning_rate,
    sign_sums,
    signal,
)
from scaling.symbolic.parts.b_law import (
    beta_definition,
    damping,
    independent_moments,
    law,
    law_sums,
    matrix,
    of_gradient,
    one_coordinate,
    same_matrix,
    soft_mean,
    soft_second_moment,
    soft_step,
)
from scaling.symbolic.parts.c_mean_field import averaged_inside, noise_moment
from scaling.symbolic.parts.d_momentum import against_adam, averaged_second_moment
from scaling.symbolic.proofs.proof import (
    around,
    both_sides,
    coordinates,
    in_every_case,
    proved_equal,
    right_hand_side,
)
from scaling.symbolic.proofs.sums import at_sizes, entry, index, indexed
from scaling.symbolic.step import Step, equation


def joint_second_moment() -> sympy.Expr:
    """Return T-E1's second moment, (a^2 + c)/(a^2 + 1 + b^2)."""
    return (a**2 + c) / (a**2 + 1 + b**2)


def _e1() -> tuple[Step, ...]:
    one = one_coordinate(sympy.Integer(1))
    return (
        Step(
            "E1",
            "mean field with epsilon and momentum: the second moment",
            equation(s, joint_second_moment()),
            lambda: averaged_inside(2, averaged_second_moment(), noise_moment(2)),
            "averages put inside: E[m^2] = a^2 + c, E[v] = a^2 + 1",
            uses=("C1.second", "D1.damping"),
            assumptions=("epsilon inside the root", "exact for beta2 -> 1"),
            error=lambda: against_adam(joint_second_moment(), 2, "E1", eps="inside"),
            quantity=s,
        ),
        Step(
            "E1.mean",
            "mean field with epsilon and momentum: the mean by nu and beta",
            equation(mu, soft_mean(nu)),
            lambda: of_gradient(averaged_inside(1, noise_moment(1), noise_moment(2))),
            "the difference simplifies to 0, against C1",
            where=one,
            uses=("C1",),
            assumptions=("lambda = 1",),
            error=lambda: against_adam(
                averaged_inside(1, noise_moment(1), noise_moment(2)), 1, "E1.mean", eps="inside"
            ),
            quantity=mu,
        ),
        Step(
            "E1.beta",
            "the second moment by nu and beta",
            equation(s, soft_second_moment(nu, c)),
            lambda: of_gradient(joint_second_moment()),
            "the difference simplifies to 0",
            where=one,
            uses=("E1",),
            assumptions=("lambda = 1; one kappa for all coordinates is the mean field",),
            error=lambda: mean_field_error(sympy.Integer(1), 2),
            quantity=s,
        ),
    )


def _e1_law() -> tuple[Step, ...]:
    i, j, _ = index()
    return (
        Step(
            "E1.matrix",
            "second-moment matrix of the update with epsilon and momentum",
            equation(indexed("M")[i, j], matrix(c)),
            lambda: independent_moments(c),
            "independence for i != j, E1.beta for i = j",
            compare=same_matrix,
            uses=("A2", "E1.mean", "E1.beta"),
            quantity=indexed("M")[i, j],
        ),
        Step(
            "E1.law",
            "the law of batch size, epsilon and momentum",
            equation(lr_star, law(c)),
            lambda: at_sizes(lambda count: soft_step(best_learning_rate(), c, count)),
            "substitution of the moments into A1",
            compare=coordinates,
            where=law_sums(),
            uses=("A1.minimum", "E1.mean", "E1.matrix"),
            quantity=lr_star,
        ),
    )


def beta_of_batch() -> sympy.Expr:
    """Return beta with B_n = lambda kappa^2 put in, from beta^-2 = 1 + B_n/B."""
    return beta_definition().rhs.subs(lamda, B_n / kappa**2)


def law_in_batch() -> sympy.Expr:
    """Put beta(B) and Q = rho c T into E1's law."""
    return sympy.simplify(law(c).subs({beta: beta_of_batch(), Q: rho * c * T}))


def plain_law() -> sympy.Expr:
    """Return T-E2, lr_inf sqrt(B (B + B_n))/(B + B_crit)."""
    return lr_inf * sympy.sqrt(B * (B + B_n)) / (B + B_crit)


def law_parameters() -> tuple[sympy.Eq, ...]:
    """Return lr_inf and B_crit in terms of G, Q = rho c T and B_n."""
    return equation(lr_inf, G / (rho * c * T)), equation(B_crit, B_n / rho)


def _is_gradient_descent(derived: dict[sympy.Expr, sympy.Expr], statement: sympy.Eq) -> bool:
    known = sgd_learning_rate().rhs.subs({lr_max: lr_inf, B_noise: B_crit})
    return both_sides(derived, statement) and proved_equal(statement.rhs, known)


def _is_sign_descent(derived: sympy.Expr, statement: sympy.Eq) -> bool:
    known = sign_learning_rate().subs({R: 0, beta: beta_of_batch()}).subs(N1, lr_inf * T)
    return right_hand_side(derived, statement) and proved_equal(statement.rhs, known)


def _e2() -> tuple[Step, ...]:
    return (
        Step(
            "E2",
            "the law in its plainest form",
            equation(lr_star, plain_law()),
            law_in_batch,
            "substitution of beta(B) into E1",
            where=law_parameters(),
            uses=("E1.law",),
            assumptions=("B_n = lambda kappa^2, rho = Q/(c T), B_crit = B_n/rho",),
            quantity=lr_star,
        ),
        Step(
            "E2.limit",
            "lr_inf is the limit of large batches",
            equation(sympy.Limit(lr_star, B, sympy.oo), G / Q),
            lambda: {lr_star: law_in_batch().subs(rho, Q / (c * T))},
            "limit for B -> infinity",
            compare=both_sides,
            uses=("E1.law",),
        ),
        Step(
            "E2.beta",
            "the same by beta",
            equation(lr_star, lr_inf * rho * beta / (1 + (rho - 1) * beta**2)),
            lambda: law(c).subs(Q, rho * c * T),
            "the difference simplifies to 0",
            where=law_parameters()[:1],
            uses=("E1.law",),
            quantity=lr_star,
        ),
    )


def _e2_corners() -> tuple[Step, ...]:
    scale = sympy.Symbol("C", positive=True)
    return (
        Step(
            "E2.sgd",
            "corner B_n -> 0: SGD's law",
            equation(sympy.Limit(lr_star, B_n, 0), lr_inf * B / (B + B_crit)),
            lambda: {lr_star: plain_law()},
            "limit; compared with A3",
            compare=_is_gradient_descent,
            uses=("E2", "A3"),
        ),
        Step(
            "E2.sign",
            "corner B_n = B_crit: SignSGD's law with a diagonal H",
            equation(lr_star, lr_inf * sympy.sqrt(B / (B + B_n))),
            lambda: plain_law().subs(B_crit, B_n),
            "substitution; compared with A7 at R = 0",
            compare=_is_sign_descent,
            uses=("E2", "A7"),
            quantity=lr_star,
        ),
        Step(
            "E2.surge",
            "corner B_n -> infinity at fixed C = lr_inf sqrt(B_n): the pure surge",
            equation(sympy.Limit(lr_star, B_n, sympy.oo), scale * sympy.sqrt(B) / (B + B_crit)),
            lambda: {lr_star: plain_law().subs(lr_inf, scale / sympy.sqrt(B_n))},
            "limit",
            compare=both_sides,
            uses=("E2",),
        ),
    )


def solved_peak() -> sympy.Expr:
    """Solve d lr*/d B = 0 for T-E2."""
    return peak(plain_law() ** 2, B)


def by_ratio(expression: sympy.Expr) -> sympy.Expr:
    """Put B_crit = B_n/rho in."""
    B_crit = law_parameters()[1]
    return expression.subs(B_crit.lhs, B_crit.rhs)


def _above_two(derived: sympy.Expr, statement: sympy.Eq) -> bool:
    excess = sympy.Symbol("y", positive=True)
    return proved_equal(derived.subs(rho, 2 + excess), statement.rhs.subs(rho, 2 + excess))


def _e3() -> tuple[Step, ...]:
    return (
        Step(
            "E3",
            "the surge: B_peak, which exists iff rho > 2 (E5.rises, E5.falls)",
            equation(B_peak, B_n / (rho - 2)),
            lambda: by_ratio(solved_peak()),
            "solving d lr*/d B = 0",
            uses=("E2",),
            quantity=B_peak,
        ),
        Step(
            "E3.sizes",
            "the same by the two batch sizes",
            equation(B_peak, B_n * B_crit / (B_n - 2 * B_crit)),
            solved_peak,
            "solving d lr*/d B = 0",
            uses=("E2",),
            quantity=B_peak,
        ),
        Step(
            "E3.beta",
            "beta^2 of the largest learning rate: below 1 iff rho > 2",
            equation(beta_n**2, 1 / (rho - 1)),
            lambda: {beta_n: peak(law(c).subs(Q, rho * c * T), beta)},
            "solving d lr*/d beta = 0",
            compare=both_sides,
            uses=("E2.beta",),
        ),
        Step(
            "E3.condition",
            "the value of rho at which the peak reaches infinite batch size",
            equation(rho, sympy.Integer(2)),
            lambda: sympy.solve(sympy.Eq(peak(law(c).subs(Q, rho * c * T), beta) ** 2, 1), rho)[0],
            "solving beta_n = 1",
            uses=("E3.beta",),
            quantity=rho,
        ),
        Step(
            "E3.value",
            "the largest learning rate",
            equation(lr_peak, lr_inf * rho / (2 * sympy.sqrt(rho - 1))),
            lambda: by_ratio(plain_law().subs(B, solved_peak())),
            "substitution of B_peak into E2",
            compare=_above_two,
            uses=("E3",),
            assumptions=("rho > 2",),
            quantity=lr_peak,
        ),
    )


def joint_decrease() -> sympy.Expr:
    """Return T-E4 before beta(B) is put in."""
    return beta**2 * G**2 / (2 * (beta**2 * Q + c * (1 - beta**2) * T))


def decrease_in_batch() -> sympy.Expr:
    """Put the law's moments and beta(B) into the decrease of the loss (T-E4)."""
    return joint_decrease().subs({Q: rho * c * T}).subs(beta, beta_of_batch())


def hyperbola() -> dict[sympy.Symbol, sympy.Expr]:
    """Eliminate B from S = S_min max_decrease/dL* and E = B S, with E4's dL*."""
    decrease = decrease_in_batch()
    steps_needed = sympy.simplify(S_min * sympy.limit(decrease, B, sympy.oo) / decrease)
    (size,) = sympy.solve(sympy.Eq(S, steps_needed), B)
    least = sympy.limit(sympy.expand(B * steps_needed), B, 0)
    return {E: size * S, E_min: least}


def _e4() -> tuple[Step, ...]:
    return (
        Step(
            "E4.moments",
            "the largest decrease of the loss under the joint law",
            equation(decrease, joint_decrease()),
            lambda: at_sizes(lambda count: soft_step(best_decrease(), c, count)),
            "substitution of the moments into A1",
            compare=coordinates,
            where=law_sums(),
            uses=("A1.decrease", "E1.mean", "E1.matrix"),
            quantity=decrease,
        ),
        Step(
            "E4",
            "it saturates at the law's own B_crit, for every rho",
            equation(decrease, max_decrease / (1 + B_crit / B)),
            decrease_in_batch,
            "substitution of beta(B)",
            where=(equation(max_decrease, G**2 / (2 * rho * c * T)), law_parameters()[1]),
            uses=("E2", "E4.moments"),
            quantity=decrease,
        ),
        Step(
            "E4.hyperbola",
            "steps against examples: A4's hyperbola again",
            equation((S / S_min - 1) * (E / E_min - 1), sympy.Integer(1)),
            hyperbola,
            "elimination of B from S(B) and E = B S",
            compare=both_sides,
            uses=("E4", "A4.hyperbola"),
        ),
    )


def exponent() -> sympy.Expr:
    """Return T-E5, d log lr*/d log B."""
    return sympy.Rational(1, 2) + B / (2 * (B + B_n)) - B / (B + B_crit)


def exponent_product() -> sympy.Expr:
    """Return T-E5 as one fraction, whose numerator changes its sign at B_peak."""
    return (B * (2 * B_crit - B_n) + B_n * B_crit) / (2 * (B + B_n) * (B + B_crit))


def exponent_around_peak() -> tuple[dict[sympy.Expr, sympy.Expr], ...]:
    """Return the exponent for B_n > 2 B_crit below, at and above B_peak."""
    noise = 2 * B_crit + sympy.Symbol("y", positive=True)
    top = sympy.simplify(solved_peak().subs(B_n, noise))
    curve = {sympy.Function("p")(B): exponent().subs(B_n, noise), B_peak: top}
    return tuple(curve | place for place in around(B, top))


def _e5() -> tuple[Step, ...]:
    slope = sympy.Function("p")(B)
    return (
        Step(
            "E5",
            "the local exponent d log lr*/d log B",
            equation(slope, exponent()),
            lambda: B * sympy.diff(sympy.log(plain_law()), B),
            "differentiation of E2",
            uses=("E2",),
            quantity=slope,
        ),
        Step(
            "E5.product",
            "the exponent by its zero",
            equation(slope, exponent_product()),
            exponent,
            "the difference simplifies to 0",
            uses=("E5",),
            quantity=slope,
        ),
        Step(
            "E5.rises",
            "no surge if rho <= 2: the learning rate rises at every batch size",
            equation(sympy.sign(slope), sympy.Integer(1)),
            lambda: ({slope: exponent(), B_crit: (B_n + sympy.Symbol("y", nonnegative=True)) / 2},),
            "sign of E5",
            compare=in_every_case,
            uses=("E5",),
            assumptions=("B_n <= 2 B_crit",),
        ),
        Step(
            "E5.falls",
            "a surge if rho > 2: the learning rate rises up to B_peak, and falls beyond it",
            equation(sympy.sign(slope), sympy.sign(B_peak - B)),
            exponent_around_peak,
            "sign of E5 below, at and above B_peak",
            compare=in_every_case,
            uses=("E3", "E5"),
            assumptions=("B_n > 2 B_crit",),
        ),
    )


def _e5_regimes() -> tuple[Step, ...]:
    slope = sympy.Function("p")(B)
    return (
        Step(
            "E5.small",
            "small batches: the square-root rule",
            equation(sympy.Limit(slope, B, 0), sympy.Rational(1, 2)),
            lambda: {slope: exponent()},
            "limit for B -> 0",
            compare=both_sides,
            uses=("E5",),
        ),
        Step(
            "E5.linear",
            "B_n << B << B_crit: the linear rule",
            equation(sympy.Limit(sympy.Limit(slope, B_n, 0), B_crit, sympy.oo), sympy.Integer(1)),
            lambda: {slope: exponent()},
            "limit for B_n -> 0, then B_crit -> infinity",
            compare=both_sides,
            uses=("E5",),
        ),
        Step(
            "E5.flat",
            "large batches: flat",
            equation(sympy.Limit(slope, B, sympy.oo), sympy.Integer(0)),
            lambda: {slope: exponent()},
            "limit for B -> infinity",
            compare=both_sides,
            uses=("E5",),
        ),
        Step(
            "E5.sign",
            "the exponent is 0 at E3's B_peak",
            equation(slope.subs(B, B_peak), sympy.Integer(0)),
            lambda: {slope: exponent(), B_peak: solved_peak()},
            "substitution of B_peak",
            compare=both_sides,
            uses=("E3", "E5"),
        ),
    )


def uniform_step(count: int) -> sympy.Expr:
    """Put a uniform population into A1: mean sign(g_i) mu, second moment s, for all alike."""

    def mean(i: int) -> sympy.Expr:
        return sympy.sign(entry("g", i)) * mu

    return with_moments(
        best_learning_rate(), mean, lambda i, j: s if i == j else mean(i) * mean(j), count
    )


def transfer_factor() -> sympy.Expr:
    """Return T-E6's f, to which the best learning rate is proportional."""
    return mu / (s + (R0 - 1) * mu**2)


def scaled_rate() -> dict[sympy.Expr, sympy.Expr]:
    """Return E6's learning rate with gradients in other units, and the loss in others."""
    units, height = sympy.symbols("m n", positive=True)
    scaled = {g: units * gamma, sigma: units * sigma, eps: units * eps, N1: units * N1}
    moments = {mu: of_gradient(outside(1, a)), s: of_gradient(outside(2, a**2 + c))}
    rate = (N1 / T * transfer_factor()).subs(moments)
    rate = rate.subs(scaled | {T: height * T}, simultaneous=True)
    return {sympy.Function("lr_star")(units, height): rate}


def _e6() -> tuple[Step, ...]:
    uniform = ("uniform population: |g_i| = gamma, sigma_i = gamma sqrt(B_simple)",)
    return (
        Step(
            "E6",
            "uniform population: the learning rate is proportional to f = mu/(s + (R_0 - 1) mu^2)",
            equation(lr_star, N1 / T * transfer_factor()),
            lambda: at_sizes(uniform_step),
            "substitution of equal moments into A1",
            compare=coordinates,
            where=(equation(R0, 1 + R / T), *sign_sums()),
            uses=("A1.minimum", "A2"),
            assumptions=(*uniform, "no g_i is 0", "mu, s of any moment model at a and b"),
            quantity=lr_star,
        ),
    )


def _e6_units() -> tuple[Step, ...]:
    units, height = sympy.symbols("m n", positive=True)
    rate = sympy.Function("lr_star")
    uniform = ("uniform population: |g_i| = gamma, sigma_i = gamma sqrt(B_simple)",)
    return (
        Step(
            "E6.signal",
            "the signal needs the noise scale alone",
            equation(a, sympy.sqrt(B / B_simple)),
            lambda: signal().rhs.subs({g: gamma, sigma: gamma * sympy.sqrt(B_simple)}),
            "substitution into a = g sqrt(B)/sigma",
            assumptions=uniform,
            quantity=a,
        ),
        Step(
            "E6.damping",
            "the damping needs besides it epsilon relative to the gradient",
            equation(b, a * eps / gamma),
            lambda: {
                a: sympy.sqrt(B / B_simple),
                b: damping().rhs.subs(sigma, gamma * sympy.sqrt(B_simple)),
            },
            "substitution into b = eps sqrt(B)/sigma",
            compare=both_sides,
            uses=("E6.signal",),
            assumptions=uniform,
        ),
        Step(
            "E6.scale",
            "units of the gradient (m) and of the loss (n) enter as a factor alone, which a "
            "transfer lr_ref f(B)/f(B_ref) cancels",
            equation(rate(units, height), units / height * rate(1, 1)),
            scaled_rate,
            "substitution of m g, m sigma, m eps and n H, with E7's moments",
            compare=both_sides,
            uses=("E6",),
            assumptions=uniform,
        ),
    )


def outside(power: int, average: sympy.Expr) -> sympy.Expr:
    """Put averages of the numerator and of x^2 into (m/(sqrt(v) + b))^power."""
    return average / (sympy.sqrt(noise_moment(2)) + b) ** power


def _e7() -> tuple[Step, ...]:
    mean, second = outside(1, a), outside(2, a**2 + c)
    given = ("epsilon outside the root, as in PyTorch", "exact for beta2 -> 1")
    return (
        Step(
            "E7",
            "the default model: mean field with epsilon outside the root, mean of the update",
            equation(mu, a / (sympy.sqrt(a**2 + 1) + b)),
            lambda: outside(1, noise_moment(1)),
            "averages put inside: E[m] = a, E[v] = a^2 + 1",
            uses=("C1", "D1.damping"),
            assumptions=given,
            error=lambda: against_adam(mean, 1, "E7", eps="outside"),
            quantity=mu,
        ),
        Step(
            "E7.second",
            "the default model: second moment",
            equation(s, (a**2 + c) / (sympy.sqrt(a**2 + 1) + b) ** 2),
            lambda: outside(2, averaged_second_moment()),
            "averages put inside: E[m^2] = a^2 + c, E[v] = a^2 + 1",
            uses=("C1.second", "D1.damping"),
            assumptions=given,
            error=lambda: against_adam(second, 2, "E7.second", eps="outside"),
            quantity=s,
        ),
    )


def _e7_units() -> tuple[Step, ...]:
    denominator = sympy.Symbol("d", positive=True)
    mean, second = outside(1, a), outside(2, a**2 + c)
    in_units = (equation(denominator, sympy.sqrt(g**2 + sigma**2 / B) + eps),)
    return (
        Step(
            "E7.gradient",
            "the mean by gradient, noise and batch size",
            equation(mu, g / denominator),
            lambda: of_gradient(mean),
            "substitution of a and b",
            where=in_units,
            uses=("E7",),
            quantity=mu,
        ),
        Step(
            "E7.noise",
            "the second moment by gradient, noise and batch size",
            equation(s, (g**2 + c * sigma**2 / B) / denominator**2),
            lambda: of_gradient(second),
            "substitution of a and b",
            where=in_units,
            uses=("E7.second",),
            quantity=s,
        ),
        Step(
            "E7.sign",
            "without epsilon it is D2: both places of epsilon agree",
            equation(sympy.Limit(s, b, 0), (a**2 + c) / (a**2 + 1)),
            lambda: {s: second},
            "limit for b -> 0",
            compare=both_sides,
            uses=("D2.second", "E7.second"),
        ),
        Step(
            "E7.large",
            "large epsilon: SGD with momentum, whose update is the averaged gradient over epsilon",
            equation(sympy.Limit(b**2 * s, b, sympy.oo), a**2 + c),
            lambda: {s: second},
            "limit for b -> infinity",
            compare=both_sides,
            uses=("D1", "E7.second"),
        ),
    )


def steps() -> tuple[Step, ...]:
    """Return the steps of T-E1 to T-E7."""
    one_law = (*_e1(), *_e1_law(), *_e2(), *_e2_corners(), *_e3(), *_e4(), *_e5(), *_e5_regimes())
    return (*one_law, *_e6(), *_e6_units(), *_e7(), *_e7_units())
