"""Weights of the moving averages, and the sums over batch gradients in T-F4."""

import sympy

from scaling.symbolic.exact.softsign import laplace_variable, tilted_moment
from scaling.symbolic.notation import a, node
from scaling.symbolic.proofs.proof import proved_equal

STEPS = (1, 2, 3)


def age() -> tuple[sympy.Symbol, sympy.Symbol]:
    """Return the age k of a batch gradient and the number t of steps."""
    return sympy.Symbol("k", integer=True, nonnegative=True), sympy.Symbol(
        "t", integer=True, positive=True
    )


def weight(name: str, k: sympy.Expr | int) -> sympy.Expr:
    """Return the k-th weight of a moving average."""
    return sympy.IndexedBase(name, positive=True)[k]


def over_ages(term: sympy.Expr) -> sympy.Sum:
    """Sum a term over k = 0..t-1."""
    k, t = age()
    return sympy.Sum(term, (k, 0, t - 1))


def widening(k: sympy.Expr | int) -> sympy.Expr:
    """Return d_k = 1 + 2 t' w_k."""
    return 1 + 2 * node * weight("w", k)


def written_out(expression: sympy.Expr, count: int) -> sympy.Expr:
    """Write the sums over ages out for a few steps; ``w[1]`` becomes the symbol ``w1``."""
    done = expression.subs(age()[1], count).doit()
    names = {
        item: sympy.Symbol(f"{item.base.label}{item.indices[0]}", positive=True)
        for item in done.atoms(sympy.Indexed)
    }
    return done.xreplace(names)


def unrolled(decay: sympy.Symbol, count: int) -> list[sympy.Expr]:
    """Unroll m <- decay m + (1 - decay) x from m = 0, correct the bias, read the weights off.

    Parameters
    ----------
    decay : sympy.Symbol
    count : int
        Number of steps.

    Returns
    -------
    list of sympy.Expr
        Weight of the batch gradient of age 0, 1, ...
    """
    batch = sympy.symbols(f"x0:{count}")
    average, weights_sum = sympy.Integer(0), sympy.Integer(0)
    for number in reversed(range(count)):
        average = decay * average + (1 - decay) * batch[number]
        weights_sum = decay * weights_sum + (1 - decay)
    corrected = sympy.expand(average)
    return [sympy.factor(corrected.coeff(x)) / sympy.factor(weights_sum) for x in batch]


def weights_agree(derived: dict[int, list[sympy.Expr]], statement: sympy.Eq) -> bool:
    """Compare a formula for the k-th weight with the averages unrolled for each number of steps."""
    k, t = age()
    return all(
        proved_equal(expected, statement.rhs.subs({k: number, t: count}))
        for count, weights in derived.items()
        for number, expected in enumerate(weights)
    )


def tilted(order: int, k: int) -> sympy.Expr:
    """Return E[x_k^order exp(-t' w_k x_k^2)]."""
    rate = node * sympy.Symbol(f"w{k}", positive=True)
    return tilted_moment(order).subs(laplace_variable(), rate)


def tilted_sum(power: int, count: int, *, relative: bool = False) -> sympy.Expr:
    """Derive E[m^power exp(-t' v)] for a few steps, m = sum c_k x_k, v = sum w_k x_k^2.

    Parameters
    ----------
    power : {0, 1, 2}
    count : int
        Number of steps.
    relative : bool, optional
        Divide by the result for power 0.

    Returns
    -------
    sympy.Expr
        In c0, c1, ... and w0, w1, ...
    """
    batch = sympy.symbols(f"x0:{count}")
    weights = [sympy.Symbol(f"c{k}", positive=True) for k in range(count)]
    update = sum(c * x for c, x in zip(weights, batch, strict=True))
    polynomial = sympy.Poly(sympy.expand(update**power), *batch)
    ratios = {
        (order, k): sympy.cancel(tilted(order, k) / tilted(0, k))
        for order in range(power + 1)
        for k in range(count)
    }
    product = sum(
        coefficient * sympy.prod(ratios[order, k] for k, order in enumerate(orders))
        for orders, coefficient in polynomial.terms()
    )
    return product * (
        sympy.Integer(1) if relative else sympy.prod(tilted(0, k) for k in range(count))
    )


def tilt() -> sympy.Expr:
    """Return A(t') of T-F4."""
    k, _ = age()
    spread = over_ages(sympy.log(widening(k)))
    return sympy.exp(-spread / 2 - a**2 * over_ages(node * weight("w", k) / widening(k)))


def first_sum() -> sympy.Expr:
    """Return s1(t') of T-F4."""
    k, _ = age()
    return a * over_ages(weight("c", k) / widening(k))


def second_sum() -> sympy.Expr:
    """Return s2(t') of T-F4."""
    k, _ = age()
    return first_sum() ** 2 + over_ages(weight("c", k) ** 2 / widening(k))


def sums_agree(derived: dict[int, sympy.Expr], statement: sympy.Eq) -> bool:
    """Compare a formula with sums over ages with what was derived for each number of steps."""
    return all(
        proved_equal(formula, written_out(statement.rhs, count))
        for count, formula in derived.items()
    )
