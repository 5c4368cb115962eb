"""Part F, second half: true Adam at step t, with its moving averages (T-F4)."""

from functools import partial

import sympy

from scaling.symbolic.exact.kernels import (
    inside_kernels,
    laplace_agrees,
    mean_kernel,
    square_kernel,
)
from scaling.symbolic.exact.quadrature import average_agrees
from scaling.symbolic.exact.weights import (
    STEPS,
    age,
    first_sum,
    second_sum,
    sums_agree,
    tilt,
    tilted,
    tilted_sum,
    unrolled,
    weight,
    weights_agree,
)
from scaling.symbolic.notation import a, b, beta1, beta2, mu, node, s, z
from scaling.symbolic.proofs.proof import both_sides, proved_equal
from scaling.symbolic.proofs.sums import at_sizes
from scaling.symbolic.step import Step, equation

IID = ("x_k ~ N(a, 1), independent: the last t batch gradients in units of sigma/sqrt(B)",)


def _stationary(weights: sympy.Eq, decay: sympy.Symbol) -> dict[sympy.Expr, sympy.Expr]:
    below_one = 1 / (1 + sympy.Symbol("y", positive=True))
    return {weights.lhs: weights.rhs.subs(decay, below_one), decay: below_one}


def _f4_weights() -> tuple[Step, ...]:
    k, t = age()
    shared = tuple(
        equation(weight(name, k), (1 - decay) * decay**k / (1 - decay**t))
        for name, decay in (("c", beta1), ("w", beta2))
    )
    return (
        *(
            Step(
                identifier,
                title,
                definition,
                partial(at_sizes, partial(unrolled, decay), STEPS),
                "unrolling the moving average with its bias correction, for one to three steps",
                compare=weights_agree,
                quantity=definition.lhs,
            )
            for identifier, title, definition, decay in (
                ("F4.c", "weights of the batch gradients in Adam's first moment", shared[0], beta1),
                ("F4.w", "weights of their squares in Adam's second moment", shared[1], beta2),
            )
        ),
        *(
            Step(
                f"{identifier}.stationary",
                f"their values at t = infinity: weights in Adam's {moment} moment",
                equation(sympy.Limit(definition.lhs, t, sympy.oo), (1 - decay) * decay**k),
                partial(_stationary, definition, decay),
                "limit for t -> infinity",
                compare=both_sides,
                uses=(identifier,),
            )
            for identifier, moment, definition, decay in (
                ("F4.c", "first", shared[0], beta1),
                ("F4.w", "second", shared[1], beta2),
            )
        ),
    )


def _f4_kernels() -> tuple[Step, ...]:
    first_kernel, second_kernel = sympy.symbols("K1 K2")
    outside = ("epsilon outside the root: phi = m/(sqrt(v) + b)",)
    no_inverse = "SymPy does not invert the transform; it transforms the kernel back"
    return (
        Step(
            "F4.K1",
            "1/(sqrt(v) + b) as a Laplace integral",
            equation(first_kernel, mean_kernel()),
            lambda: 1 / (sympy.sqrt(z) + b),
            "Laplace transform of the kernel, by SymPy and by quadrature",
            compare=laplace_agrees,
            route="verified",
            why=no_inverse,
            assumptions=outside,
            quantity=first_kernel,
        ),
        Step(
            "F4.K2",
            "1/(sqrt(v) + b)^2 as a Laplace integral",
            equation(second_kernel, square_kernel()),
            lambda: 1 / (sympy.sqrt(z) + b) ** 2,
            "Laplace transform of the kernel, by SymPy and by quadrature",
            compare=laplace_agrees,
            route="verified",
            why=no_inverse,
            assumptions=outside,
            quantity=second_kernel,
        ),
    )


def _f4_sums() -> tuple[Step, ...]:
    A, s1, s2 = sympy.symbols("A s1 s2")
    rate = node * sympy.Symbol("w0", positive=True)
    width = 1 + 2 * rate
    bell = sympy.exp(-(a**2) * rate / width) / sympy.sqrt(width)
    return (
        Step(
            "F4.first",
            "one batch gradient, tilted: E[x exp(-t' w x^2)]",
            equation(mu, a / width * bell),
            lambda: tilted(1, 0),
            "Gaussian integral",
            assumptions=IID,
            quantity=mu,
        ),
        Step(
            "F4.second",
            "one batch gradient, tilted: E[x^2 exp(-t' w x^2)]",
            equation(s, (a**2 / width**2 + 1 / width) * bell),
            lambda: tilted(2, 0),
            "Gaussian integral",
            assumptions=IID,
            quantity=s,
        ),
        Step(
            "F4.A",
            "all batch gradients: E[exp(-t' v)]",
            equation(A, tilt()),
            lambda: at_sizes(lambda count: tilted_sum(0, count), STEPS),
            "product of Gaussian integrals, for one to three steps",
            compare=sums_agree,
            assumptions=(*IID, "d_k = 1 + 2 t' w_k"),
            quantity=A,
        ),
        Step(
            "F4.s1",
            "all batch gradients: E[m exp(-t' v)] = A s1",
            equation(s1, first_sum()),
            lambda: at_sizes(lambda count: tilted_sum(1, count, relative=True), STEPS),
            "products of Gaussian integrals, for one to three steps",
            compare=sums_agree,
            uses=("F4.first", "F4.A"),
            quantity=s1,
        ),
        Step(
            "F4.s2",
            "all batch gradients: E[m^2 exp(-t' v)] = A s2",
            equation(s2, second_sum()),
            lambda: at_sizes(lambda count: tilted_sum(2, count, relative=True), STEPS),
            "products of Gaussian integrals, for one to three steps",
            compare=sums_agree,
            uses=("F4.second", "F4.s1"),
            quantity=s2,
        ),
    )


def _f4_averages() -> tuple[Step, ...]:
    first_kernel, second_kernel, A, s1, s2 = sympy.symbols("K1 K2 A s1 s2")
    outside = ("epsilon outside the root: phi = m/(sqrt(v) + b)",)
    return (
        Step(
            "F4",
            "exact mean of Adam's update at step t",
            equation(mu, sympy.Integral(first_kernel * A * s1, (node, 0, sympy.oo))),
            lambda: at_sizes(lambda count: mean_kernel() * tilted_sum(1, count), STEPS),
            "order of integration exchanged; quadrature of the definition at t = 1, 2",
            compare=average_agrees(1),
            where=(
                equation(first_kernel, mean_kernel()),
                equation(A, tilt()),
                equation(s1, first_sum()),
            ),
            uses=("F4.c", "F4.w", "F4.K1", "F4.A", "F4.s1"),
            assumptions=(*IID, *outside),
            quantity=mu,
        ),
        Step(
            "F4.square",
            "exact second moment of Adam's update at step t",
            equation(s, sympy.Integral(second_kernel * A * s2, (node, 0, sympy.oo))),
            lambda: at_sizes(lambda count: square_kernel() * tilted_sum(2, count), STEPS),
            "order of integration exchanged; quadrature of the definition at t = 1, 2",
            compare=average_agrees(2),
            where=(
                equation(second_kernel, square_kernel()),
                equation(A, tilt()),
                equation(s2, second_sum()),
            ),
            uses=("F4.c", "F4.w", "F4.K2", "F4.A", "F4.s2"),
            assumptions=(*IID, *outside),
            quantity=s,
        ),
        Step(
            "F4.inside",
            "the kernel of 1/sqrt(v + b^2), epsilon inside the root; its square's is exp(-b^2 t')",
            equation(first_kernel, inside_kernels()[0]),
            lambda: 1 / sympy.sqrt(z + b**2),
            "Laplace transform",
            compare=lambda derived, statement: proved_equal(
                sympy.laplace_transform(statement.rhs, node, z, noconds=True), derived
            ),
            quantity=first_kernel,
        ),
    )


def steps() -> tuple[Step, ...]:
    """Return the steps of T-F4."""
    return (*_f4_weights(), *_f4_kernels(), *_f4_sums(), *_f4_averages())
