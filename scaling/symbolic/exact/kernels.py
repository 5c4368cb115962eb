"""The kernels of the Laplace integrals in T-F4."""

import mpmath
import sympy

from scaling.symbolic.functions import erfcx
from scaling.symbolic.notation import b, node, z
from scaling.symbolic.proofs.proof import mpmath_functions, proved_equal

DIGITS = 20


def mean_kernel() -> sympy.Expr:
    """Return K1, with Laplace transform 1/(sqrt z + b) (T-F4)."""
    return 1 / sympy.sqrt(sympy.pi * node) - b * erfcx(b * sympy.sqrt(node))


def square_kernel() -> sympy.Expr:
    """Return K2, with Laplace transform 1/(sqrt z + b)^2 (T-F4)."""
    root = sympy.sqrt(node / sympy.pi)
    return (1 + 2 * b**2 * node) * erfcx(b * sympy.sqrt(node)) - 2 * b * root


def inside_kernels() -> tuple[sympy.Expr, sympy.Expr]:
    """Return the kernels of 1/sqrt(v + b^2) and of its square, epsilon inside the root (T-F4)."""
    decay = sympy.exp(-(b**2) * node)
    return decay / sympy.sqrt(sympy.pi * node), decay


def laplace_agrees(target: sympy.Expr, statement: sympy.Eq) -> bool:
    """Transform a kernel and compare with its target, first at points, then by SymPy.

    SymPy transforms erfcx(b sqrt t') for z > b^2, powers of t' in front of it become
    derivatives in z. Both sides are analytic in Re z > 0, so z > b^2 suffices.

    Parameters
    ----------
    target : sympy.Expr
        Function of z.
    statement : sympy.Eq
        Its right-hand side is the kernel, a function of t'.
    """
    kernel = statement.rhs
    value = sympy.lambdify((node, b), kernel, [mpmath_functions(), "mpmath"])
    with mpmath.workdps(DIGITS):
        damping, rate = mpmath.mpf("0.7"), mpmath.mpf("1.9")
        integral = 2 * mpmath.quad(  # t' = y^2, since K1 is singular at 0
            lambda y: y * value(y**2, damping) * mpmath.exp(-rate * y**2), [0, 1, 3, 8]
        )
        wanted = sympy.lambdify((z, b), target, "mpmath")(rate, damping)
        if abs(integral - wanted) > mpmath.mpf(10) ** -12:
            return False
    tail, excess = sympy.Dummy(), sympy.Symbol("y", positive=True)
    scaled = erfcx(b * sympy.sqrt(node))
    by_power = sympy.Poly(sympy.expand(kernel).subs(scaled, tail), tail)
    transform, _, _ = sympy.laplace_transform(scaled.rewrite(sympy.erfc), node, z)
    plain, _, _ = sympy.laplace_transform(by_power.coeff_monomial(1), node, z)
    total = plain
    for (power,), coefficient in sympy.Poly(by_power.coeff_monomial(tail), node).terms():
        total += coefficient * (-1) ** power * sympy.diff(transform, z, power)
    return proved_equal(sympy.simplify(total.subs(z, b**2 + excess)), target.subs(z, b**2 + excess))
