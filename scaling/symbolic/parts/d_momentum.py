"""Part D: momentum (T-D1 to T-D4)."""

from dataclasses import replace

import sympy

from scaling.symbolic.exact.quadrature import float_moments
from scaling.symbolic.notation import (
    N1,
    B,
    B_noise,
    B_peak,
    B_simple,
    Q,
    R,
    T,
    U,
    a,
    b,
    beta,
    beta1,
    beta_n,
    c,
    lr_max,
    lr_star,
    mu,
    q,
    s,
)
from scaling.symbolic.parts.a_descent import (
    best_learning_rate,
    gradient_step,
    sgd_max_learning_rate,
    sgd_noise_scale,
)
from scaling.symbolic.parts.a_sign import peak, sign_step, sign_sums
from scaling.symbolic.parts.c_mean_field import averaged_inside, noise_moment
from scaling.symbolic.proofs.accuracy import ApproximationError, measured_maximum
from scaling.symbolic.proofs.proof import (
    around,
    both_sides,
    coordinates,
    in_every_case,
    proved_equal,
)
from scaling.symbolic.proofs.sums import at_sizes
from scaling.symbolic.step import Step, equation

ONE_STEP = "one step: over a run c tends to 1, see part I"


def damping_of_momentum() -> sympy.Eq:
    """Return c = (1 - beta1)/(1 + beta1)."""
    return equation(c, (1 - beta1) / (1 + beta1))


def shared_weights(lag: sympy.Expr | int = 0) -> sympy.Expr:
    """Sum the products of a moving average's weights with those so many steps later."""
    ratio = sympy.Symbol("y", positive=True)
    age = sympy.Symbol("k", integer=True, nonnegative=True)
    converged, condition = sympy.summation(ratio**age, (age, 0, sympy.oo)).args[0]
    if condition != (ratio < 1):
        return sympy.nan
    return sympy.factor((1 - beta1) ** 2 * converged.subs(ratio, beta1**2)) * beta1**lag


def _d1() -> tuple[Step, ...]:
    return (
        Step(
            "D1.damping",
            "momentum shrinks the variance of the update by c",
            damping_of_momentum(),
            shared_weights,
            "summation of the squared weights",
            quantity=c,
            assumptions=("batch gradients are independent and stationary", "t = infinity"),
        ),
        Step(
            "D1",
            "SGD with momentum: B_noise becomes c B_noise",
            equation(lr_star, lr_max / (1 + c * B_noise / B)),
            lambda: at_sizes(lambda count: gradient_step(best_learning_rate(), c, count)),
            "substitution of E[phi] = g, cov = c Sigma/B into A1",
            compare=coordinates,
            where=(sgd_max_learning_rate(), sgd_noise_scale()),
            uses=("A1.minimum", "A3", "D1.damping"),
            quantity=lr_star,
        ),
    )


def averaged_second_moment() -> sympy.Expr:
    """Return E[m^2] for m with mean a and the variance that momentum leaves, c."""
    return noise_moment(2, sympy.sqrt(c))


def against_adam(
    approximation: sympy.Expr, power: int, name: str, eps: str = "absent"
) -> ApproximationError:
    """Measure a mean-field moment with momentum against true Adam (T-F4).

    Parameters
    ----------
    approximation : sympy.Expr
        In a, c and, unless epsilon is absent, b.
    power : {1, 2}
    name : str
    eps : {"absent", "inside", "outside"}, optional
        Where it stands.
    """
    decays = (sympy.Rational(9, 10), sympy.Rational(99, 100))
    place = "inside" if eps == "absent" else eps
    moment = float_moments(*(float(decay) for decay in decays), eps=place)
    formula = approximation.subs(c, damping_of_momentum().rhs.subs(beta1, decays[0]))
    of = f"{name} against Adam at t = infinity with beta1 = 0.9 and beta2 = 0.99 (F4, eps {eps})"
    if eps == "absent":
        return measured_maximum(formula, lambda x: moment(x, 0.0, power), (a,), of)
    return measured_maximum(formula, lambda x, y: moment(x, y, power), (a, b), of)


def damped_second_moment() -> sympy.Expr:
    """Return T-D2's second moment by beta, beta^2 + c (1 - beta^2)."""
    return beta**2 + c * (1 - beta**2)


def _d2() -> tuple[Step, ...]:
    mean = a / sympy.sqrt(a**2 + 1)
    second = (a**2 + c) / (a**2 + 1)
    return (
        Step(
            "D2",
            "Adam at epsilon = 0, mean field: the mean of the update",
            equation(mu, mean),
            lambda: averaged_inside(1, noise_moment(1), noise_moment(2)).subs(b, 0),
            "averages put inside: E[m] = a, E[v] = a^2 + 1",
            uses=("C1", "D1.damping"),
            assumptions=("exact for beta2 -> 1",),
            error=lambda: against_adam(mean, 1, "D2"),
            quantity=mu,
        ),
        Step(
            "D2.second",
            "Adam at epsilon = 0, mean field: the second moment",
            equation(s, second),
            lambda: averaged_inside(2, averaged_second_moment(), noise_moment(2)).subs(b, 0),
            "averages put inside: E[m^2] = a^2 + c, E[v] = a^2 + 1",
            uses=("C1.second", "D1.damping"),
            assumptions=("exact for beta2 -> 1",),
            error=lambda: against_adam(second, 2, "D2.second"),
            quantity=s,
        ),
        Step(
            "D2.beta",
            "the same by beta = a/sqrt(a^2 + 1)",
            equation(s, damped_second_moment()),
            lambda: averaged_inside(2, averaged_second_moment(), noise_moment(2)).subs(b, 0),
            "the difference simplifies to 0",
            where=(equation(beta, mean),),
            uses=("D2", "D2.second"),
            quantity=s,
        ),
    )


def momentum_law() -> sympy.Expr:
    """Return T-D3, lr* = |g|_1/(c T/beta + beta (Q - c T))."""
    return N1 / (c * T / beta + beta * (Q - c * T))


def diagonal_law() -> sympy.Expr:
    """Return T-D3 with a diagonal H (Q = T) as a function of beta and beta1."""
    damping = damping_of_momentum()
    return sympy.simplify(momentum_law().subs([(Q, T), (damping.lhs, damping.rhs)]))


def diagonal_peak() -> dict[str, sympy.Expr]:
    """Solve for the peak of T-D3 with a diagonal H (Q = T), in beta and in B.

    Returns
    -------
    dict from str to sympy.Expr
        ``"beta^2"``, ``"B"`` and ``"beta1"``, from which on the peak exists.
    """
    square = sympy.simplify(peak(diagonal_law(), beta) ** 2)
    (size,) = sympy.solve(sympy.Eq(1 / (1 + B_simple / B), square), B)
    (threshold,) = sympy.solve(sympy.Eq(square, 1), beta1)
    return {"beta^2": square, "B": sympy.simplify(size), "beta1": threshold}


def diagonal_shape() -> tuple[dict[sympy.Expr, sympy.Expr], ...]:
    """Return lr*(beta) of a diagonal H below, at and above its peak."""
    decay = 1 / (1 + sympy.Symbol("y", positive=True))
    top = sympy.sqrt(sympy.simplify(diagonal_peak()["beta^2"].subs(beta1, decay)))
    law = {sympy.Function("lr_star")(beta): diagonal_law().subs(beta1, decay), beta_n: top}
    return tuple(law | place for place in around(beta, top))


def peak_by_decay() -> tuple[dict[sympy.Expr, sympy.Expr], ...]:
    """Return beta_n of a diagonal H for beta1 = 1/3, below and above it."""
    y = sympy.Symbol("y", positive=True)
    square = diagonal_peak()["beta^2"]
    third = sympy.Rational(1, 3)
    return tuple(
        {beta1: decay, beta_n: sympy.sqrt(sympy.simplify(square.subs(beta1, decay)))}
        for decay in (third, 1 / (3 + y), (1 + y) / (3 + y))
    )


def _d3() -> tuple[Step, ...]:
    return (
        Step(
            "D3",
            "Adam at epsilon = 0: the optimal learning rate with momentum",
            equation(lr_star, momentum_law()),
            lambda: at_sizes(
                lambda count: sign_step(best_learning_rate(), damped_second_moment(), count)
            ),
            "substitution of the moments into A1",
            compare=coordinates,
            where=(equation(Q, T + R), *sign_sums()),
            uses=("A1.minimum", "A2", "D2", "D2.beta"),
            assumptions=("no g_i is 0", "Q = sign(g)^T H sign(g)"),
            quantity=lr_star,
        ),
        Step(
            "D3.peak",
            "diagonal H: beta^2 of the largest learning rate",
            equation(beta_n**2, (1 - beta1) / (2 * beta1)),
            lambda: {beta_n: sympy.sqrt(diagonal_peak()["beta^2"])},
            "solving d lr*/d beta = 0",
            compare=both_sides,
            uses=("D3", "D1.damping"),
            assumptions=("H diagonal: Q = T",),
        ),
        Step(
            "D3.condition",
            "diagonal H: the surge begins at this beta1",
            equation(beta1, sympy.Rational(1, 3)),
            lambda: diagonal_peak()["beta1"],
            "solving beta_n = 1",
            uses=("D3.peak",),
            quantity=beta1,
        ),
    )


def _d3_surge() -> tuple[Step, ...]:
    rate = sympy.Function("lr_star")
    return (
        Step(
            "D3.shape",
            "diagonal H: the learning rate rises with beta up to beta_n, and falls beyond it",
            equation(sympy.sign(sympy.Derivative(rate(beta), beta)), sympy.sign(beta_n - beta)),
            diagonal_shape,
            "sign of the derivative below, at and above beta_n",
            compare=in_every_case,
            uses=("D3.peak",),
        ),
        Step(
            "D3.exists",
            "diagonal H: beta_n is below 1, so that there is a surge, iff beta1 > 1/3",
            equation(sympy.sign(1 - beta_n**2), sympy.sign(beta1 - sympy.Rational(1, 3))),
            peak_by_decay,
            "sign for beta1 below, at and above 1/3",
            compare=in_every_case,
            uses=("D3.peak", "D3.shape"),
        ),
        Step(
            "D3.surge",
            "diagonal H: the batch size beyond which the learning rate falls",
            equation(B_peak, (1 - beta1) / (3 * beta1 - 1) * B_simple),
            lambda: diagonal_peak()["B"],
            "solving beta(B) = beta_n, kappa^2 = B_simple",
            uses=("D3.peak",),
            assumptions=("beta1 > 1/3",),
            quantity=B_peak,
        ),
    )


def root_mean_square() -> sympy.Expr:
    """Derive the update's RMS by averages of C1's kind over all coordinates."""
    square = averaged_inside(2, averaged_second_moment(), noise_moment(2)).subs(b, 0)
    return sympy.sqrt(square.subs(a, sympy.sqrt(q)))


def _d4() -> tuple[Step, ...]:
    pure_noise = 1 / sympy.sqrt(19)
    return (
        Step(
            "D4",
            "root mean square of the update",
            equation(U, sympy.sqrt((q + c) / (q + 1))),
            root_mean_square,
            "D2.second with averages over all coordinates",
            uses=("D2.second",),
            assumptions=("q = |g|^2 B/tr(Sigma)",),
            quantity=U,
        ),
        Step(
            "D4.noise",
            "pure noise: the root mean square at beta1 = 0.9",
            equation(U, pure_noise),
            lambda: root_mean_square().subs(
                [(q, 0), (c, damping_of_momentum().rhs), (beta1, sympy.Rational(9, 10))]
            ),
            f"substitution of q = 0 and beta1 = 0.9 ({pure_noise.n(4)})",
            uses=("D4", "D1.damping"),
            quantity=U,
        ),
        Step(
            "D4.inverse",
            "the signal-to-noise ratio from the update's root mean square",
            equation(q, (U**2 - c) / (1 - U**2)),
            lambda: sympy.solve(sympy.Eq(U**2, root_mean_square() ** 2), q)[0],
            "solving D4 for q",
            compare=lambda derived, statement: proved_equal(derived, statement.rhs),
            uses=("D4",),
            quantity=q,
        ),
    )


def steps() -> tuple[Step, ...]:
    """Return the steps of T-D1 to T-D4, each with the remark that it is about one step."""
    return tuple(
        replace(step, assumptions=(*step.assumptions, ONE_STEP))
        for step in (*_d1(), *_d2(), *_d3(), *_d3_surge(), *_d4())
    )
