"""Part I: what momentum, batch size and epsilon do over many steps (T-I1 to T-I4)."""

import itertools

import sympy

from scaling.symbolic.notation import (
    R0,
    B,
    B_crit,
    B_n,
    B_peak,
    D,
    K,
    Q,
    S,
    T,
    beta,
    beta1,
    c,
    c_run,
    eps,
    h,
    lr,
    lr_1,
    lr_inf,
    lr_star,
    rho,
    s,
    sharpness,
    sigma,
    v_0,
    v_end,
    v_lim,
)
from scaling.symbolic.parts.a_descent import best_learning_rate
from scaling.symbolic.parts.a_sign import peak
from scaling.symbolic.parts.b_law import law, law_sums, soft_step
from scaling.symbolic.parts.d_momentum import damping_of_momentum, shared_weights
from scaling.symbolic.parts.e_joint import by_ratio, exponent, plain_law
from scaling.symbolic.proofs.proof import (
    around,
    both_sides,
    coordinates,
    in_every_case,
    proved_equal,
    refuted,
    taken_limit,
)
from scaling.symbolic.proofs.sums import at_sizes
from scaling.symbolic.step import Step, equation

LAG = sympy.Symbol("j", integer=True, positive=True)
STEPS = (1, 2, 3)


def variance_of_displacement() -> sympy.Expr:
    """Sum the autocovariances over all pairs of K updates."""
    pairs = sympy.summation((K - LAG) * beta1**LAG, (LAG, 1, K - 1))
    generic = pairs.replace(sympy.Piecewise, lambda *cases: cases[-1][0])  # beta1 is not 1
    alone = s * shared_weights()
    return sympy.simplify(K * alone + 2 * alone * generic)


def run_damping() -> sympy.Expr:
    """Return T-I1, c_K."""
    return 1 - 2 * beta1 * (1 - beta1**K) / (K * (1 - beta1**2))


def _i1() -> tuple[Step, ...]:
    covariance = sympy.Symbol("C_j")
    given = ("phi_t = sum_k (1 - beta1) beta1^k u_(t-k)", "the u are independent, of variance s")
    return (
        Step(
            "I1.autocovariance",
            "updates j steps apart share their noise",
            equation(covariance, c * s * beta1**LAG),
            lambda: s * shared_weights(LAG),
            "summation of the products of the weights",
            where=(damping_of_momentum(),),
            uses=("D1.damping",),
            assumptions=given,
            quantity=covariance,
        ),
        Step(
            "I1",
            "the displacement over K steps has variance K s c_K",
            equation(c_run, run_damping()),
            lambda: variance_of_displacement() / (K * s),
            "summation of the autocovariances over all pairs of steps",
            uses=("I1.autocovariance",),
            assumptions=given,
            quantity=c_run,
        ),
    )


def _i1_limits() -> tuple[Step, ...]:
    decay = 1 / (1 + sympy.Symbol("y", positive=True))
    run = {c_run: run_damping().subs(beta1, decay), beta1: decay}
    return (
        Step(
            "I1.one",
            "one step: the damping of part D",
            damping_of_momentum(),
            lambda: run_damping().subs(K, 1),
            "substitution of K = 1",
            uses=("I1", "D1.damping"),
            quantity=c,
        ),
        Step(
            "I1.run",
            "over a run momentum does not damp the noise",
            equation(sympy.Limit(c_run, K, sympy.oo), sympy.Integer(1)),
            lambda: run,
            "limit for K -> infinity",
            compare=both_sides,
            uses=("I1",),
        ),
        Step(
            "I1.reach",
            "how many steps that takes (9.5 at beta1 = 0.9)",
            equation(sympy.Limit(K * (1 - c_run), K, sympy.oo), 2 * beta1 / (1 - beta1**2)),
            lambda: run,
            "limit for K -> infinity",
            compare=both_sides,
            uses=("I1",),
        ),
        Step(
            "I1.none",
            "without momentum nothing is damped, at any horizon",
            equation(c_run, sympy.Integer(1)),
            lambda: run_damping().subs(beta1, 0),
            "substitution of beta1 = 0",
            uses=("I1",),
            assumptions=("beta1 = 0",),
            quantity=c_run,
        ),
    )


def _i2() -> tuple[Step, ...]:
    decay = 1 / (1 + sympy.Symbol("y", positive=True))
    return (
        Step(
            "I2",
            "over K steps the law of E1 holds with c_K for c",
            equation(lr_star, law(c_run)),
            lambda: at_sizes(lambda count: soft_step(best_learning_rate(), c_run, count)),
            "substitution into A1 of independent updates that move as far in K steps",
            compare=coordinates,
            where=law_sums(),
            uses=("A1.minimum", "E1.law", "I1"),
            assumptions=("the displacement over K steps has mean K mu and variance K s c_K",),
            quantity=lr_star,
        ),
        Step(
            "I2.run",
            "over a run it is the law without momentum, whatever beta1",
            equation(sympy.Limit(lr_star, K, sympy.oo), law()),
            lambda: {lr_star: law(run_damping().subs(beta1, decay))},
            "limit for K -> infinity",
            compare=both_sides,
            uses=("I1.run", "I2"),
        ),
    )


def _i2_surge() -> tuple[Step, ...]:
    slope = sympy.Function("p")(B)
    decay = 1 / (1 + sympy.Symbol("y", positive=True))
    plain = ("epsilon = 0, so that Q = R_0 T",)
    return (
        Step(
            "I2.threshold",
            "a surge takes an R_0 above this",
            equation(R0, 2 * c_run),
            lambda: sympy.solve(sympy.Eq(peak(law(c_run).subs(Q, R0 * T), beta) ** 2, 1), R0)[0],
            "solving beta_n = 1, as in E3.condition",
            uses=("E3.condition", "I2"),
            assumptions=plain,
            quantity=R0,
        ),
        Step(
            "I2.surge",
            "over a run a surge takes R_0 > 2, at every beta1",
            equation(sympy.Limit(R0, K, sympy.oo), sympy.Integer(2)),
            lambda: {R0: 2 * run_damping().subs(beta1, decay)},
            "limit for K -> infinity",
            compare=both_sides,
            uses=("I1.run", "I2.threshold"),
            assumptions=plain,
        ),
        Step(
            "I2.root",
            "diagonal H: the square root, flattening at the noise scale",
            equation(lr_star, lr_inf * sympy.sqrt(B / (B + B_n))),
            lambda: by_ratio(plain_law()).subs(rho, 1),
            "substitution of rho = R_0/c_K = 1 into E2",
            uses=("E2", "I2.run"),
            assumptions=(*plain, "R_0 = 1, K = infinity"),
            quantity=lr_star,
        ),
        Step(
            "I2.exponent",
            "it rises at every batch size, from the square root to flat",
            equation(slope, B_n / (2 * (B + B_n))),
            lambda: by_ratio(exponent()).subs(rho, 1),
            "substitution of rho = 1 into E5",
            uses=("E5", "I2.root"),
            assumptions=(*plain, "R_0 = 1, K = infinity"),
            quantity=slope,
        ),
    )


def unrolled_recursion(count: int) -> sympy.Expr:
    """Unroll E[x^2] <- (1 - lr h sqrt(B)/sigma)^2 E[x^2] + lr^2."""
    value = v_0
    for _ in range(count):
        value = (1 - lr * h * sympy.sqrt(B) / sigma) ** 2 * value + lr**2
    return value


def final_mean_square(contraction: sympy.Expr) -> sympy.Expr:
    """Return E[x^2] after S steps."""
    kept = contraction ** (2 * S)
    return kept * v_0 + lr**2 * (1 - kept) / (1 - contraction**2)


def at_fixed_examples() -> sympy.Expr:
    """Put lr = lr_1 sqrt(B) and S = D/B into the final mean square."""
    # As exp(log ...), which SymPy expands at B = 0.
    kept = sympy.exp(2 * D / B * sympy.log(1 - lr_1 * h * B / sigma))
    noise = sympy.cancel(lr_1**2 * B / (1 - (1 - lr_1 * h * B / sigma) ** 2))
    return kept * v_0 + noise * (1 - kept)


def limit_mean_square() -> sympy.Expr:
    """Return T-I3, the limit of the final mean square for small batches."""
    kept = sympy.exp(-2 * lr_1 * h * D / sigma)
    return kept * v_0 + lr_1 * sigma / (2 * h) * (1 - kept)


def per_example() -> tuple[dict[sympy.Expr, sympy.Expr], ...]:
    """Return drift and variance per example of x, as functions of B, lr and eps."""
    size = lr / (sigma / sympy.sqrt(B) + eps)
    function = sympy.Function("f")(B, lr, eps)
    return {function: size * h / B}, {function: (size * sigma / sympy.sqrt(B)) ** 2 / B}


def _i3() -> tuple[Step, ...]:
    contraction = sympy.Symbol("theta", positive=True)
    given = (
        "noise-dominated: B << B_n, so that sqrt(v) = sigma/sqrt(B)",
        "x <- (1 - lr h sqrt(B)/sigma) x - lr xi, E[xi^2] = 1",
    )
    return (
        Step(
            "I3.recursion",
            "a preconditioned quadratic: the mean square after S steps",
            equation(v_end, final_mean_square(contraction)),
            lambda: at_sizes(unrolled_recursion, STEPS),
            "unrolling the recursion for one to three steps",
            compare=_after_steps,
            where=(equation(contraction, 1 - lr * h * sympy.sqrt(B) / sigma),),
            assumptions=given,
            quantity=v_end,
        ),
        Step(
            "I3",
            "fixed examples: the final loss depends on lr/sqrt(B) alone, the square root rule",
            equation(sympy.Limit(v_end, B, 0), limit_mean_square()),
            lambda: {v_end: at_fixed_examples()},
            "limit for B -> 0 with lr = lr_1 sqrt(B), S = D/B",
            compare=both_sides,
            uses=("I1.run", "I3.recursion"),
            assumptions=(*given, "S >> 1/(1 - beta1), so that c_K = 1"),
        ),
    )


def _i3_scaling() -> tuple[Step, ...]:
    times = sympy.Symbol("m", positive=True)
    rate = sympy.Function("f")
    kept, pull = sympy.exp(-2 * lr_1 * h * D / sigma), lr_1 * h / sigma
    change = lr_1**2 * (1 - kept) / 4 + D * pull * (lr_1**2 / 2 - pull * v_0) * kept
    return (
        Step(
            "I3.correction",
            "what B adds to first order: a share of about 1/S",
            equation(sympy.Limit((v_end - v_lim) / B, B, 0), change),
            lambda: {v_end: at_fixed_examples(), v_lim: limit_mean_square()},
            "limit of the difference over B",
            compare=both_sides,
            uses=("I3",),
        ),
        Step(
            "I3.eps",
            "with B -> m B the same run has lr -> sqrt(m) lr and eps -> eps/sqrt(m)",
            equation(
                rate(times * B, sympy.sqrt(times) * lr, eps / sympy.sqrt(times)), rate(B, lr, eps)
            ),
            per_example,
            "substitution into drift and variance per example, both f",
            compare=in_every_case,
            uses=("I3",),
            assumptions=("update (h x + noise)/(sigma/sqrt(B) + eps)",),
        ),
    )


def _after_steps(derived: dict[int, sympy.Expr], statement: sympy.Eq) -> bool:
    return all(
        proved_equal(value, statement.rhs.subs(S, count)) for count, value in derived.items()
    )


def power(size: sympy.Expr) -> sympy.Expr:
    """Return a batch size to the power of the sharpness."""
    return size**sharpness


def sharp_law() -> sympy.Expr:
    """Return T-I4."""
    rise = (power(B) + power(B_n)) ** (1 / (2 * sharpness))
    return lr_inf * sympy.sqrt(B) * rise / (power(B) + power(B_crit)) ** (1 / sharpness)


def law_of_powers() -> sympy.Expr:
    """Put powers of the batch sizes into T-E2, and take the root of the result."""
    powers = {size: power(size) for size in (B, B_n, B_crit)}
    return lr_inf * ((plain_law() / lr_inf).subs(powers, simultaneous=True)) ** (1 / sharpness)


def sharp_exponent() -> sympy.Expr:
    """Return T-I4's local exponent, 1/2 + w_n/2 - w_c."""
    near, critical = (power(B) / (power(B) + power(size)) for size in (B_n, B_crit))
    return sympy.Rational(1, 2) + near / 2 - critical


def without_powers(expression: sympy.Expr) -> sympy.Expr:
    """Name the powers of B, B_n and B_crit, so that SymPy may decide signs."""
    names = {power(size): sympy.Symbol(f"X_{size}", positive=True) for size in (B, B_n, B_crit)}
    return expression.subs(names)


def corners() -> tuple[dict[sympy.Expr, sympy.Expr], ...]:
    """Return the law with B_n and B_crit each above or below B."""
    places = [
        [B * (1 + sympy.Symbol(name, positive=True)) ** side for side in (1, -1)]
        for name in ("m_n", "m_c")
    ]
    return tuple(
        {
            lr_star: _factored(noise, critical),
            B_n: noise,
            B_crit: critical,
        }
        for noise, critical in itertools.product(*places)
    )


def _factored(noise: sympy.Expr, critical: sympy.Expr) -> sympy.Expr:
    """T-I4 with B taken out of the sums of powers."""
    near, far = (1 + (size / B) ** sharpness for size in (noise, critical))
    return lr_inf * near ** (1 / (2 * sharpness)) / far ** (1 / sharpness)


def power_of_peak() -> sympy.Expr:
    """Solve T-I4's exponent = 0 for the power of B."""
    level = without_powers(power(B))
    (root,) = sympy.solve(sympy.numer(sympy.together(without_powers(sharp_exponent()))), level)
    return root


def sharp_exponent_around_peak() -> tuple[dict[sympy.Expr, sympy.Expr], ...]:
    """Return the exponent below, at and above its zero, for B_n^s > 2 B_crit^s."""
    level, noise, critical = (without_powers(power(size)) for size in (B, B_n, B_crit))
    above = 2 * critical + sympy.Symbol("y", positive=True)
    top = sympy.simplify(power_of_peak().subs(noise, above))
    slope = without_powers(sharp_exponent()).subs(noise, above)
    curve = {sympy.Function("p")(B): slope, power(B_peak): top, power(B): level}
    return tuple(
        {name: value.subs(place) for name, value in curve.items()} for place in around(level, top)
    )


def _i4() -> tuple[Step, ...]:
    corner = lr_inf * sympy.sqrt(B * sympy.Max(B, B_n)) / sympy.Max(B, B_crit)
    return (
        Step(
            "I4",
            "the law with sharper corners: E2 in powers of the batch sizes",
            equation(lr_star, sharp_law()),
            law_of_powers,
            "substitution of B -> B^s in lr*/lr_inf of E2, and its 1/s-th power",
            compare=_equal_powers,
            uses=("E2",),
            assumptions=(
                "a family that real sweeps need, not derived from a loss; s is fitted, never fixed",
            ),
            quantity=lr_star,
        ),
        Step(
            "I4.plain",
            "sharpness 1 is E2",
            equation(sympy.Limit(lr_star, sharpness, 1), plain_law()),
            lambda: {lr_star: sharp_law()},
            "substitution",
            compare=lambda derived, statement: both_sides(
                derived, statement, limit=lambda e, v, point, _="+": e.subs(v, point)
            ),
            uses=("I4",),
        ),
        Step(
            "I4.factored",
            "the same by the ratios of the batch sizes",
            equation(lr_star, _factored(B_n, B_crit)),
            sharp_law,
            "the difference simplifies to 0",
            compare=_equal_powers,
            uses=("I4",),
            quantity=lr_star,
        ),
        Step(
            "I4.broken",
            "sharpness infinity is a broken line in logarithms",
            equation(sympy.Limit(lr_star, sharpness, sympy.oo), corner),
            corners,
            "limit, with B_n and B_crit each above and below B",
            compare=in_every_case,
            uses=("I4.factored",),
        ),
    )


def _i4_surge() -> tuple[Step, ...]:
    slope = sympy.Function("p")(B)
    noise, critical = (without_powers(power(size)) for size in (B_n, B_crit))
    below = (noise + sympy.Symbol("y", nonnegative=True)) / 2
    top = power(B_n) * power(B_crit) / (power(B_n) - 2 * power(B_crit))
    return (
        Step(
            "I4.exponent",
            "the local exponent d log lr*/d log B",
            equation(slope, sharp_exponent()),
            lambda: B * sympy.diff(sympy.log(sharp_law()), B),
            "differentiation of I4",
            uses=("I4",),
            quantity=slope,
        ),
        Step(
            "I4.peak",
            "E3 in powers: the surge, which exists iff rho^s > 2",
            equation(power(B_peak), top),
            lambda: {B_peak: power_of_peak() ** (1 / sharpness)},
            "solving I4.exponent = 0 for B^s",
            compare=_with_powers_named,
            uses=("I4.exponent",),
            assumptions=("rho = B_n/B_crit",),
        ),
        Step(
            "I4.rises",
            "no surge if rho^s <= 2: the learning rate rises at every batch size",
            equation(sympy.sign(slope), sympy.Integer(1)),
            lambda: ({slope: without_powers(sharp_exponent()).subs(critical, below)},),
            "sign of I4.exponent",
            compare=in_every_case,
            uses=("I4.exponent",),
            assumptions=("B_n^s <= 2 B_crit^s",),
        ),
        Step(
            "I4.falls",
            "a surge if rho^s > 2: it rises up to B_peak, and falls beyond it",
            equation(sympy.sign(slope), sympy.sign(power(B_peak) - power(B))),
            sharp_exponent_around_peak,
            "sign of I4.exponent below, at and above B_peak",
            compare=in_every_case,
            uses=("I4.exponent", "I4.peak"),
            assumptions=("B_n^s > 2 B_crit^s",),
        ),
    )


def _i4_regimes() -> tuple[Step, ...]:
    slope = sympy.Function("p")(B)
    return (
        *(
            Step(
                f"I4.{name}",
                title,
                equation(limit, sympy.Rational(*value)),
                lambda: {slope: sharp_exponent()},
                "limit of the ratios to the power s",
                compare=lambda derived, statement: both_sides(derived, statement, _power_limit),
                uses=("I4.exponent",),
            )
            for name, title, limit, value in (
                ("small", "small batches: the square-root rule", sympy.Limit(slope, B, 0), (1, 2)),
                (
                    "linear",
                    "B_n << B << B_crit: the linear rule",
                    sympy.Limit(sympy.Limit(slope, B_n, 0), B_crit, sympy.oo),
                    (1, 1),
                ),
                ("flat", "large batches: flat", sympy.Limit(slope, B, sympy.oo), (0, 1)),
            )
        ),
    )


def _equal_powers(derived: sympy.Expr, statement: sympy.Eq) -> bool:
    """Compare logarithms of positive expressions, expanded."""
    one, other = (
        sympy.expand_log(sympy.log(side), force=True) for side in (derived, statement.rhs)
    )
    return not refuted(derived, statement.rhs) and sympy.simplify(one - other) == 0


def _with_powers_named(derived: dict[sympy.Expr, sympy.Expr], statement: sympy.Eq) -> bool:
    left, right = (without_powers(side.subs(derived)) for side in statement.args)
    return proved_equal(sympy.powdenest(left, force=True), right)


def _power_limit(
    expression: sympy.Expr, variable: sympy.Symbol, point: sympy.Expr, _: object = "+"
) -> sympy.Expr:
    """Take a limit in the power of the variable, which goes to 0 and infinity with it."""
    level = sympy.Dummy(positive=True)
    return taken_limit(expression.subs(power(variable), level), level, point)


def steps() -> tuple[Step, ...]:
    """Return the steps of T-I1 to T-I4."""
    run = (*_i1(), *_i1_limits(), *_i2(), *_i2_surge())
    return (*run, *_i3(), *_i3_scaling(), *_i4(), *_i4_surge(), *_i4_regimes())
