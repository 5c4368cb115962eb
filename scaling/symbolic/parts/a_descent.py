"""Part A, first half: one step of descent on a quadratic, and plain SGD (T-A1 to T-A4)."""

import math
from itertools import product

import sympy

from scaling.symbolic.notation import (
    EL,
    B,
    B_noise,
    E,
    E_min,
    L,
    S,
    S_min,
    decrease,
    lr,
    lr_max,
    lr_star,
    max_decrease,
)
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
    """
    phi = sympy.symbols(f"phi1:{count + 1}", real=True)
    moves = [-lr * direction for direction in phi]
    numbers = range(1, count + 1)
    loss = L
    for degree, derivative in enumerate("gHD", start=1):
        for places in product(numbers, repeat=degree):
            term = math.prod(moves[i - 1] for i in places) / math.factorial(degree)
            loss += entry(derivative, *places) * term
    expected = sympy.Integer(0)
    for powers, coefficient in sympy.Poly(sympy.expand(loss), *phi).terms():
        order = [i for i, power in zip(numbers, powers, strict=True) for _ in range(power)]
        name = ("", "mu", "M", "m")[len(order)]
        expected += coefficient * (entry(name, *order) if order else 1)
    by_power = sympy.Poly(sympy.expand(expected), lr)
    return [by_power.coeff_monomial(lr**power) for power in range(4)]


def second_order_loss() -> sympy.Expr:
    """Return the right-hand side of T-A1 as sums over coordinates."""
    return L - lr * dot("mu", "g") + lr**2 / 2 * trace("M")


def best_learning_rate() -> sympy.Expr:
    """Solve d E[L] / d lr = 0 for the learning rate (T-A1)."""
    (solution,) = sympy.solve(sympy.diff(second_order_loss(), lr), lr)
    return solution


def best_decrease() -> sympy.Expr:
    """Return L - E[L] at the best learning rate (T-A1)."""
    return sympy.expand(L - second_order_loss().subs(lr, best_learning_rate()))


def _a1() -> tuple[Step, ...]:
    matrix = trace("M")
    return (
        Step(
            "A1",
            "mean loss after a step, to second order in the learning rate",
            equation(EL, second_order_loss()),
            lambda: at_sizes(
                lambda count: sum(c * lr**p for p, c in enumerate(taylor_coefficients(count)[:3]))
            ),
            "series of a generic smooth loss in lr, for two and three coordinates",
            compare=coordinates,
            assumptions=("the loss is three times differentiable", "M_ij = E[phi_i phi_j]"),
            error=lambda: ApproximationError(
                "first neglected term",
                "lr^3 sum_ijk D_ijk E[phi_i phi_j phi_k]/6 (D: third derivatives of the loss; "
                "two coordinates; 0 for a quadratic loss)",
                expression=lr**3 * taylor_coefficients()[3],
            ),
            quantity=EL,
        ),
        Step(
            "A1.minimum",
            "learning rate of the largest expected decrease",
            equation(lr_star, dot("mu", "g") / matrix),
            best_learning_rate,
            "solving d E[L]/d lr = 0",
            compare=coordinates,
            uses=("A1",),
            quantity=lr_star,
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
    )


def independent_moments(count: int) -> dict[sympy.Expr, sympy.Expr]:
    """Return E[phi_i phi_j] of independent coordinates: s_i for i = j, mu_i mu_j otherwise."""
    numbers = range(1, count + 1)
    return {
        entry("M", i, j): entry("s", i) if i == j else entry("mu", i) * entry("mu", j)
        for i in numbers
        for j in numbers
    }


def _a2() -> tuple[Step, ...]:
    matrix = trace("M")
    loss = sympy.Function("EL")
    mean, second = indexed("mu"), indexed("s")
    i, j, n = index()
    hessian = indexed("H")
    independent = sympy.Sum((second[i] - mean[i] ** 2) * hessian[i, i], (i, 1, n)) + sympy.Sum(
        mean[i] * mean[j] * hessian[i, j], (j, 1, n), (i, 1, n)
    )
    return (
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
            equation(sympy.Derivative(loss(lr), (lr, 2)), matrix),
            lambda: at_sizes(lambda count: {loss(lr): explicit(second_order_loss(), count)}),
            "differentiation of A1, twice",
            compare=coordinates_of_both_sides,
            uses=("A1", "A1.minimum"),
            assumptions=("tr(E[phi phi^T] H) > 0",),
        ),
    )


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
    """
    written = explicit(formula, count)
    return replaced(replaced(written, "mu", count, mean), "M", count, moment)


def gradient_step(
    formula: sympy.Expr, damping: sympy.Expr | int = 1, count: int = COORDINATES
) -> sympy.Expr:
    """Put SGD's moments into a formula: mean g, covariance Sigma/B, shrunk by ``damping``."""
    return with_moments(
        formula,
        lambda i: entry("g", i),
        lambda i, j: entry("g", i) * entry("g", j) + damping * entry("Sigma", i, j) / B,
        count,
    )


def sgd_noise_scale() -> sympy.Eq:
    """Return the definition of B_noise = tr(Sigma H)/(g.Hg)."""
    return equation(B_noise, trace("Sigma") / quadratic("g"))


def sgd_learning_rate() -> sympy.Eq:
    """Return T-A3, lr* = lr_max / (1 + B_noise/B)."""
    return equation(lr_star, lr_max / (1 + B_noise / B))


def sgd_max_learning_rate() -> sympy.Eq:
    """Return the definition of SGD's lr_max = g.g/(g.Hg)."""
    return equation(lr_max, dot("g", "g") / quadratic("g"))


def _a3() -> tuple[Step, ...]:
    return (
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
            quantity=lr_star,
        ),
    )


def sgd_decrease() -> sympy.Eq:
    """Return T-A4, dL* = dL_max / (1 + B_noise/B)."""
    return equation(decrease, max_decrease / (1 + B_noise / B))


def steps_to_target() -> sympy.Expr:
    """Derive S(B): the number of steps is inverse to the decrease of one step."""
    return S_min * max_decrease / sgd_decrease().rhs


def examples_after_elimination() -> dict[sympy.Symbol, sympy.Expr]:
    """Eliminate B from S(B) and E = B S; and take E's limit for B -> 0."""
    (batch_size,) = sympy.solve(sympy.Eq(S, steps_to_target()), B)
    least = sympy.limit(B * steps_to_target(), B, 0)
    return {E: batch_size * S, E_min: least}


def _a4() -> tuple[Step, ...]:
    return (
        Step(
            "A4",
            "SGD: the largest decrease saturates at the same batch size",
            sgd_decrease(),
            lambda: at_sizes(lambda count: gradient_step(best_decrease(), count=count)),
            "substitution of E[phi] = g, cov = Sigma/B into A1",
            compare=coordinates,
            where=(
                equation(max_decrease, dot("g", "g") ** 2 / (2 * quadratic("g"))),
                sgd_noise_scale(),
            ),
            uses=("A1.decrease",),
            quantity=decrease,
        ),
        Step(
            "A4.steps",
            "steps to a target",
            equation(S, S_min * (1 + B_noise / B)),
            steps_to_target,
            "S is inverse to dL*, S_min its value without noise",
            uses=("A4",),
            quantity=S,
        ),
        Step(
            "A4.examples",
            "fewest examples to a target",
            equation(E_min, B_noise * S_min),
            lambda: examples_after_elimination()[E_min],
            "limit of E = B S for B -> 0",
            uses=("A4.steps",),
            quantity=E_min,
        ),
        Step(
            "A4.hyperbola",
            "steps against examples: one hyperbola",
            equation((S / S_min - 1) * (E / E_min - 1), sympy.Integer(1)),
            examples_after_elimination,
            "elimination of B from S(B) and E = B S",
            compare=both_sides,
            uses=("A4.steps", "A4.examples"),
        ),
    )


def steps() -> tuple[Step, ...]:
    """Return the steps of T-A1 to T-A4."""
    return (
        *_a1(),
        *_a2(),
        *_a3(),
        *_a4(),
    )
