"""Part A, first half: one step of descent on a quadratic, and plain SGD (T-A1 to T-A4)."""

import sympy

from scaling.symbolic.notation import symbol, symbols
from scaling.symbolic.proofs.accuracy import ApproximationError
from scaling.symbolic.proofs.proof import both_sides, coordinates, coordinates_of_both_sides
from scaling.symbolic.proofs.sums import (
    at_sizes,
    dot,
    entry,
    explicit,
    index,
    indexed,
    quadratic,
    replaced,
    trace,
)
from scaling.symbolic.step import Step, equation

COORDINATES = 3


def taylor_coefficients(count: int = 2) -> list[sympy.Expr]:
    """Expand E[L(w - lr phi)] for a generic smooth loss of so many coordinates.

    Returns
    -------
    list of sympy.Expr
        Coefficients of lr^0 to lr^3; products of the phi_i have become their
        expectations: mu (one factor), M (two), m with three indices (three).

    Examples
    --------
    >>> taylor_coefficients()[1]
    -g1*mu1 - g2*mu2
    """
    lr = symbol("learning_rate")
    phi = sympy.symbols(f"phi1:{count + 1}", real=True)
    moves = [-lr * direction for direction in phi]
    numbers = range(1, count + 1)
    loss = symbol("loss") + sum(entry("g", i) * moves[i - 1] for i in numbers)
    loss += sum(
        entry("H", i, j) * moves[i - 1] * moves[j - 1] / 2 for i in numbers for j in numbers
    )
    loss += sum(
        entry("D", i, j, k) * moves[i - 1] * moves[j - 1] * moves[k - 1] / 6
        for i in numbers
        for j in numbers
        for k in numbers
    )
    expected = sympy.Integer(0)
    for powers, coefficient in sympy.Poly(sympy.expand(loss), *phi).terms():
        order = [i for i, power in zip(numbers, powers, strict=True) for _ in range(power)]
        name = ("", "mu", "M", "m")[len(order)]
        expected += coefficient * (entry(name, *order) if order else 1)
    by_power = sympy.Poly(sympy.expand(expected), lr)
    return [by_power.coeff_monomial(lr**power) for power in range(4)]


def second_order_loss() -> sympy.Expr:
    """Return the right-hand side of T-A1 as sums over coordinates.

    Examples
    --------
    >>> second_order_loss().has(sympy.Sum)
    True
    """
    lr, loss = symbols("learning_rate loss")
    return loss - lr * dot("mu", "g") + lr**2 / 2 * trace("M")


def best_learning_rate() -> sympy.Expr:
    """Solve d E[L] / d lr = 0 for the learning rate (T-A1).

    Examples
    --------
    >>> best_learning_rate()
    Sum(g[i]*mu[i], (i, 1, n))/Sum(H[i, j]*M[i, j], (j, 1, n), (i, 1, n))
    """
    lr = symbol("learning_rate")
    (solution,) = sympy.solve(sympy.diff(second_order_loss(), lr), lr)
    return solution


def best_decrease() -> sympy.Expr:
    """Return L - E[L] at the best learning rate (T-A1).

    Examples
    --------
    >>> best_decrease().has(sympy.Symbol("lr", positive=True))
    False
    """
    lr, loss = symbols("learning_rate loss")
    return sympy.expand(loss - second_order_loss().subs(lr, best_learning_rate()))


def with_moments(formula: sympy.Expr, mean: object, moment: object, count: int) -> sympy.Expr:
    """Write a formula of the moments out, and put the moments of one optimizer in.

    Parameters
    ----------
    formula : sympy.Expr
        A sum over coordinates of ``mu``, ``M``, ``g``, ``H``.
    mean, moment : callable
        Take one index, or two, from 1; return E[phi_i], E[phi_i phi_j].
    count : int
        Number of coordinates.

    Returns
    -------
    sympy.Expr

    Examples
    --------
    >>> with_moments(dot("mu", "g"), lambda i: i, lambda i, j: 0, 2)
    g1 + 2*g2
    """
    written = explicit(formula, count)
    return replaced(replaced(written, "mu", count, mean), "M", count, moment)


def gradient_step(
    formula: sympy.Expr, damping: sympy.Expr | int = 1, count: int = COORDINATES
) -> sympy.Expr:
    """Put SGD's moments into a formula: mean g, covariance Sigma/B, shrunk by ``damping``.

    Examples
    --------
    >>> gradient_step(dot("mu", "g"))
    g1**2 + g2**2 + g3**2
    """
    B = symbol("batch_size")
    return with_moments(
        formula,
        lambda i: entry("g", i),
        lambda i, j: entry("g", i) * entry("g", j) + damping * entry("Sigma", i, j) / B,
        count,
    )


def independent_moments(count: int) -> dict[sympy.Expr, sympy.Expr]:
    """Return E[phi_i phi_j] of independent coordinates: s_i for i = j, mu_i mu_j otherwise.

    Examples
    --------
    >>> independent_moments(1)
    {M11: s1}
    """
    numbers = range(1, count + 1)
    return {
        entry("M", i, j): entry("s", i) if i == j else entry("mu", i) * entry("mu", j)
        for i in numbers
        for j in numbers
    }


def sgd_noise_scale() -> sympy.Eq:
    """Return the definition of B_noise = tr(Sigma H)/(g.Hg).

    Examples
    --------
    >>> sgd_noise_scale().lhs
    B_noise
    """
    return equation(symbol("sgd_noise_scale"), trace("Sigma") / quadratic("g"))


def sgd_learning_rate() -> sympy.Eq:
    """Return T-A3, lr* = lr_max / (1 + B_noise/B).

    Examples
    --------
    >>> sgd_learning_rate().rhs
    lr_max/(1 + B_noise/B)
    """
    star, most, noise, B = symbols(
        "optimal_learning_rate max_learning_rate sgd_noise_scale batch_size"
    )
    return equation(star, most / (1 + noise / B))


def sgd_max_learning_rate() -> sympy.Eq:
    """Return the definition of SGD's lr_max = g.g/(g.Hg).

    Examples
    --------
    >>> sgd_max_learning_rate().lhs
    lr_max
    """
    return equation(symbol("max_learning_rate"), dot("g", "g") / quadratic("g"))


def sgd_decrease() -> sympy.Eq:
    """Return T-A4, dL* = dL_max / (1 + B_noise/B).

    Examples
    --------
    >>> sgd_decrease().rhs
    dL_max/(1 + B_noise/B)
    """
    star, most, noise, B = symbols("decrease max_decrease sgd_noise_scale batch_size")
    return equation(star, most / (1 + noise / B))


def steps_to_target() -> sympy.Expr:
    """Derive S(B): the number of steps is inverse to the decrease of one step.

    Examples
    --------
    >>> steps_to_target()
    S_min*(1 + B_noise/B)
    """
    fewest, most = symbols("min_steps max_decrease")
    return fewest * most / sgd_decrease().rhs


def examples_after_elimination() -> dict[sympy.Symbol, sympy.Expr]:
    """Eliminate B from S(B) and E = B S; and take E's limit for B -> 0.

    Examples
    --------
    >>> sorted(str(name) for name in examples_after_elimination())
    ['E', 'E_min']
    """
    S, B = symbols("steps batch_size")
    (batch_size,) = sympy.solve(sympy.Eq(S, steps_to_target()), B)
    least = sympy.limit(B * steps_to_target(), B, 0)
    return {symbol("examples"): batch_size * S, symbol("min_examples"): least}


def steps() -> tuple[Step, ...]:
    """Return the steps T-A1 to T-A4.

    Returns
    -------
    tuple of Step

    Examples
    --------
    >>> [step.id for step in steps()][:3]
    ['A1', 'A1.minimum', 'A1.decrease']
    """
    star, decrease = symbols("optimal_learning_rate decrease")
    S, E, B = symbols("steps examples batch_size")
    fewest, least, noise = symbols("min_steps min_examples sgd_noise_scale")
    matrix = trace("M")
    rate, loss = symbol("learning_rate"), sympy.Function("EL")
    mean, second = indexed("mu"), indexed("s")
    i, j, n = index()
    hessian = indexed("H")
    independent = sympy.Sum((second[i] - mean[i] ** 2) * hessian[i, i], (i, 1, n)) + sympy.Sum(
        mean[i] * mean[j] * hessian[i, j], (j, 1, n), (i, 1, n)
    )
    return (
        Step(
            "A1",
            "mean loss after a step, to second order in the learning rate",
            equation(symbol("loss_after"), second_order_loss()),
            lambda: at_sizes(
                lambda count: sum(c * rate**p for p, c in enumerate(taylor_coefficients(count)[:3]))
            ),
            "series of a generic smooth loss in lr, for two and three coordinates",
            compare=coordinates,
            assumptions=("the loss is three times differentiable", "M_ij = E[phi_i phi_j]"),
            error=lambda: ApproximationError(
                "first neglected term",
                "lr^3 sum_ijk D_ijk E[phi_i phi_j phi_k]/6 (D: third derivatives of the loss; "
                "two coordinates; 0 for a quadratic loss)",
                expression=rate**3 * taylor_coefficients()[3],
            ),
            quantity=symbol("loss_after"),
        ),
        Step(
            "A1.minimum",
            "learning rate of the largest expected decrease",
            equation(star, dot("mu", "g") / matrix),
            best_learning_rate,
            "solving d E[L]/d lr = 0",
            compare=coordinates,
            uses=("A1",),
            quantity=star,
        ),
        Step(
            "A1.decrease",
            "largest expected decrease of the loss",
            equation(decrease, dot("mu", "g") ** 2 / (2 * matrix)),
            best_decrease,
            "substitution of lr* into A1",
            compare=coordinates,
            uses=("A1", "A1.minimum"),
            quantity=decrease,
        ),
        Step(
            "A2",
            "the curvature met by an update with independent coordinates",
            equation(matrix, independent),
            lambda: at_sizes(independent_moments),
            "E[phi_i phi_j] = E[phi_i] E[phi_j] for i != j, written out",
            compare=coordinates_of_both_sides,
            assumptions=("the phi_i are independent",),
        ),
        Step(
            "A2.curvature",
            "lr* is a minimum of the mean loss: the second derivative is positive",
            equation(sympy.Derivative(loss(rate), (rate, 2)), matrix),
            lambda: at_sizes(lambda count: {loss(rate): explicit(second_order_loss(), count)}),
            "differentiation of A1, twice",
            compare=coordinates_of_both_sides,
            uses=("A1", "A1.minimum"),
            assumptions=("tr(E[phi phi^T] H) > 0",),
        ),
        Step(
            "A3",
            "SGD: the optimal learning rate saturates in the batch size",
            sgd_learning_rate(),
            lambda: at_sizes(lambda count: gradient_step(best_learning_rate(), count=count)),
            "substitution of E[phi] = g, cov = Sigma/B into A1",
            compare=coordinates,
            where=(sgd_max_learning_rate(), sgd_noise_scale()),
            uses=("A1.minimum",),
            assumptions=("phi is a batch gradient: mean g, covariance Sigma/B",),
            quantity=star,
        ),
        Step(
            "A4",
            "SGD: the largest decrease saturates at the same batch size",
            sgd_decrease(),
            lambda: at_sizes(lambda count: gradient_step(best_decrease(), count=count)),
            "substitution of E[phi] = g, cov = Sigma/B into A1",
            compare=coordinates,
            where=(
                equation(symbol("max_decrease"), dot("g", "g") ** 2 / (2 * quadratic("g"))),
                sgd_noise_scale(),
            ),
            uses=("A1.decrease",),
            quantity=decrease,
        ),
        Step(
            "A4.steps",
            "steps to a target",
            equation(S, fewest * (1 + noise / B)),
            steps_to_target,
            "S is inverse to dL*, S_min its value without noise",
            uses=("A4",),
            quantity=S,
        ),
        Step(
            "A4.examples",
            "fewest examples to a target",
            equation(least, noise * fewest),
            lambda: examples_after_elimination()[least],
            "limit of E = B S for B -> 0",
            uses=("A4.steps",),
            quantity=least,
        ),
        Step(
            "A4.hyperbola",
            "steps against examples: one hyperbola",
            equation((S / fewest - 1) * (E / least - 1), sympy.Integer(1)),
            examples_after_elimination,
            "elimination of B from S(B) and E = B S",
            compare=both_sides,
            uses=("A4.steps", "A4.examples"),
        ),
    )
