"""Part F, second half: true Adam at step t, with its moving averages (T-F4)."""

from collections.abc import Callable
from functools import partial
from math import exp, log, pi, sqrt

import mpmath
import sympy

from .exact import laplace_variable, tilted_moment
from .functions import erfcx
from .proof import mpmath_functions, proved_equal, refuted
from .step import Step, equation
from .symbols import symbol, symbols

STEPS = 3
DIGITS = 20
IID = ("x_k ~ N(a, 1), independent: the last t batch gradients in units of sigma/sqrt(B)",)


def age() -> tuple[sympy.Symbol, sympy.Symbol]:
    """Return the age k of a batch gradient and the number t of steps.

    Examples
    --------
    >>> age()
    (k, t)
    """
    return sympy.Symbol("k", integer=True, nonnegative=True), sympy.Symbol(
        "t", integer=True, positive=True
    )


def weight(name: str, k: sympy.Expr | int) -> sympy.Expr:
    """Return the k-th weight of a moving average.

    Examples
    --------
    >>> weight("w", 2)
    w[2]
    """
    return sympy.IndexedBase(name, positive=True)[k]


def over_ages(term: sympy.Expr) -> sympy.Sum:
    """Sum a term over k = 0..t-1.

    Examples
    --------
    >>> over_ages(weight("w", age()[0]))
    Sum(w[k], (k, 0, t - 1))
    """
    k, t = age()
    return sympy.Sum(term, (k, 0, t - 1))


def widening(k: sympy.Expr | int) -> sympy.Expr:
    """Return d_k = 1 + 2 t' w_k.

    Examples
    --------
    >>> widening(0)
    2*t'*w[0] + 1
    """
    return 1 + 2 * symbol("node") * weight("w", k)


def written_out(expression: sympy.Expr, count: int = STEPS) -> sympy.Expr:
    """Write the sums over ages out for a few steps; ``w[1]`` becomes the symbol ``w1``.

    Examples
    --------
    >>> written_out(over_ages(weight("w", age()[0])), 2)
    w0 + w1
    """
    done = expression.subs(age()[1], count).doit()
    names = {
        item: sympy.Symbol(f"{item.base.label}{item.indices[0]}", positive=True)
        for item in done.atoms(sympy.Indexed)
    }
    return done.xreplace(names)


def unrolled(decay: sympy.Symbol, count: int = STEPS) -> list[sympy.Expr]:
    """Unroll m <- decay m + (1 - decay) x from m = 0, correct the bias, read the weights off.

    Parameters
    ----------
    decay : sympy.Symbol
    count : int, optional

    Returns
    -------
    list of sympy.Expr
        Weight of the batch gradient of age 0, 1, ...

    Examples
    --------
    >>> unrolled(symbol("beta1"), 1)
    [1]
    """
    batch = sympy.symbols(f"x0:{count}")
    average, weights_sum = sympy.Integer(0), sympy.Integer(0)
    for number in reversed(range(count)):
        average = decay * average + (1 - decay) * batch[number]
        weights_sum = decay * weights_sum + (1 - decay)
    corrected = sympy.expand(average)
    return [sympy.factor(corrected.coeff(x)) / sympy.factor(weights_sum) for x in batch]


def weights_agree(derived: list[sympy.Expr], statement: sympy.Eq) -> bool:
    """Compare a formula for the k-th weight with the unrolled average.

    Examples
    --------
    >>> weights_agree(unrolled(symbol("beta1")), equation(symbol("mean"), symbol("beta1")))
    False
    """
    k, t = age()
    return all(
        proved_equal(expected, statement.rhs.subs({k: number, t: STEPS}))
        for number, expected in enumerate(derived)
    )


def mean_kernel() -> sympy.Expr:
    """Return K1, with Laplace transform 1/(sqrt z + b) (T-F4).

    Examples
    --------
    >>> mean_kernel().has(erfcx)
    True
    """
    b, node = symbols("damping node")
    return 1 / sympy.sqrt(sympy.pi * node) - b * erfcx(b * sympy.sqrt(node))


def square_kernel() -> sympy.Expr:
    """Return K2, with Laplace transform 1/(sqrt z + b)^2 (T-F4).

    Examples
    --------
    >>> square_kernel().has(erfcx)
    True
    """
    b, node = symbols("damping node")
    root = sympy.sqrt(node / sympy.pi)
    return (1 + 2 * b**2 * node) * erfcx(b * sympy.sqrt(node)) - 2 * b * root


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

    Returns
    -------
    bool

    Examples
    --------
    >>> b, z = symbols("damping frequency")
    >>> laplace_agrees(1 / (sympy.sqrt(z) + b), equation(symbol("mean"), mean_kernel()))
    True
    """
    b, node, z = symbols("damping node frequency")
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


def tilted(order: int, k: int) -> sympy.Expr:
    """Return E[x_k^order exp(-t' w_k x_k^2)].

    Examples
    --------
    >>> tilted(1, 0).has(symbol("node"))
    True
    """
    rate = symbol("node") * sympy.Symbol(f"w{k}", positive=True)
    return tilted_moment(order).subs(laplace_variable(), rate)


def tilted_sum(power: int, *, relative: bool = False) -> sympy.Expr:
    """Derive E[m^power exp(-t' v)] for three steps, m = sum c_k x_k, v = sum w_k x_k^2.

    Parameters
    ----------
    power : {0, 1, 2}
    relative : bool, optional
        Divide by the result for power 0.

    Returns
    -------
    sympy.Expr
        In c0, c1, c2 and w0, w1, w2.

    Examples
    --------
    >>> tilted_sum(1).has(sympy.Symbol("c2", positive=True))
    True
    """
    batch = sympy.symbols(f"x0:{STEPS}")
    weights = [sympy.Symbol(f"c{k}", positive=True) for k in range(STEPS)]
    update = sum(c * x for c, x in zip(weights, batch, strict=True))
    polynomial = sympy.Poly(sympy.expand(update**power), *batch)
    ratios = {
        (order, k): sympy.cancel(tilted(order, k) / tilted(0, k))
        for order in range(power + 1)
        for k in range(STEPS)
    }
    product = sum(
        coefficient * sympy.prod(ratios[order, k] for k, order in enumerate(orders))
        for orders, coefficient in polynomial.terms()
    )
    return product * (
        sympy.Integer(1) if relative else sympy.prod(tilted(0, k) for k in range(STEPS))
    )


def tilt() -> sympy.Expr:
    """Return A(t') of T-F4.

    Examples
    --------
    >>> tilt().has(sympy.Sum)
    True
    """
    k, _ = age()
    a, node = symbols("signal node")
    spread = over_ages(sympy.log(widening(k)))
    return sympy.exp(-spread / 2 - a**2 * over_ages(node * weight("w", k) / widening(k)))


def first_sum() -> sympy.Expr:
    """Return s1(t') of T-F4.

    Examples
    --------
    >>> first_sum().has(symbol("signal"))
    True
    """
    k, _ = age()
    return symbol("signal") * over_ages(weight("c", k) / widening(k))


def second_sum() -> sympy.Expr:
    """Return s2(t') of T-F4.

    Examples
    --------
    >>> second_sum().has(symbol("signal"))
    True
    """
    k, _ = age()
    return first_sum() ** 2 + over_ages(weight("c", k) ** 2 / widening(k))


def definition_average(
    power: int, a: float, b: float, decays: tuple[float, float], count: int
) -> mpmath.mpf:
    """Return E[phi^power] of Adam at step 1 or 2 by quadrature of the definition.

    phi = m/(sqrt(v) + b). At step 2 the plane of the two batch gradients is taken in
    polar coordinates in which v is the squared radius, so that everything is smooth.

    Parameters
    ----------
    power : int
    a, b : float
    decays : tuple of float
        beta1 and beta2.
    count : {1, 2}
        Step number.

    Returns
    -------
    mpmath.mpf

    Examples
    --------
    >>> round(float(definition_average(2, 1.0, 0.0, (0.9, 0.99), 1)), 12)
    1.0
    """
    a, b = mpmath.mpf(a), mpmath.mpf(b)
    if count == 1:
        return mpmath.quad(
            lambda x: (x / (abs(x) + b)) ** power * mpmath.npdf(x, a, 1),
            [a - 12, min(0, a), max(0, a), a + 12],
        )
    first, second = ([1 / (1 + mpmath.mpf(d)), d / (1 + mpmath.mpf(d))] for d in decays)
    scale = [1 / mpmath.sqrt(w) for w in second]

    def ring(angle: mpmath.mpf) -> mpmath.mpf:
        ray = [scale[0] * mpmath.cos(angle), scale[1] * mpmath.sin(angle)]
        slope = first[0] * ray[0] + first[1] * ray[1]

        def along(radius: mpmath.mpf) -> mpmath.mpf:
            density = mpmath.npdf(radius * ray[0], a, 1) * mpmath.npdf(radius * ray[1], a, 1)
            return radius * (radius * slope / (radius + b)) ** power * density

        return mpmath.quad(along, [0, 1, 3, 9]) * scale[0] * scale[1]

    # The trapezoidal rule converges geometrically for a smooth periodic function.
    number = 64
    return (
        mpmath.fsum(ring(2 * mpmath.pi * k / number) for k in range(number))
        * 2 * mpmath.pi / number
    )  # fmt: skip


def formula_average(
    inside: sympy.Expr, a: float, b: float, decays: tuple[float, float], count: int
) -> mpmath.mpf:
    """Integrate an integrand in t' with the weights of step t put in.

    Parameters
    ----------
    inside : sympy.Expr
        In t', a, b, c_k, w_k and t.
    a, b : float
    decays : tuple of float
        beta1 and beta2.
    count : int
        Step number.

    Returns
    -------
    mpmath.mpf

    Examples
    --------
    >>> inside = mean_kernel() * tilt() * first_sum()
    >>> round(float(formula_average(inside, 1.0, 0.0, (0.9, 0.99), 1)), 8)
    0.68268949
    """
    written = written_out(inside, count)
    values: dict[sympy.Symbol, sympy.Expr] = {}
    for name, decay in zip("cw", decays, strict=True):
        rate = sympy.Rational(str(decay))
        values |= {
            sympy.Symbol(f"{name}{k}", positive=True): (1 - rate) * rate**k / (1 - rate**count)
            for k in range(count)
        }
    node, signal, damping = symbols("node signal damping")
    function = sympy.lambdify(
        (node, signal, damping), written.subs(values), [mpmath_functions(), "mpmath"]
    )
    a, b = mpmath.mpf(a), mpmath.mpf(b)

    def inner(y: mpmath.mpf) -> mpmath.mpf:  # t' = exp(y) spreads the decades out
        with mpmath.workdps(3 * DIGITS):  # the kernels cancel at large t'
            return mpmath.exp(y) * function(mpmath.exp(y), a, b)

    return mpmath.quad(inner, [-90, -30, -10, 0, 10, 36])


def average_agrees(power: int) -> Callable[[sympy.Expr, sympy.Eq], bool]:
    """Return the check of T-F4: the integrand for three steps, quadrature for one and two.

    Examples
    --------
    >>> callable(average_agrees(1))
    True
    """

    def compare(derived: sympy.Expr, statement: sympy.Eq) -> bool:
        right = statement.rhs
        if not isinstance(right, sympy.Integral) or right.limits[0][1:] != (0, sympy.oo):
            return False
        if refuted(written_out(right.function), derived):
            return False
        decays = (0.5, 0.75)
        with mpmath.workdps(DIGITS):
            for count, a, b in ((1, 0.4, 0.3), (2, 0.8, 0.5)):
                one = formula_average(right.function, a, b, decays, count)
                other = definition_average(power, a, b, decays, count)
                if abs(one - other) > mpmath.mpf(10) ** -12:
                    return False
        return True

    return compare


def float_moments(
    beta1: float, beta2: float, spacing: float = 0.4
) -> Callable[[float, float, int], float]:
    """Tabulate T-F4 for t = infinity and epsilon inside the root, in float64.

    Parameters
    ----------
    beta1, beta2 : float
    spacing : float, optional
        Spacing of the trapezoidal rule in log t'.

    Returns
    -------
    callable
        Takes a, b and the power (1 or 2); returns E[phi^power].

    Examples
    --------
    >>> moment = float_moments(0.0, 0.0)
    >>> round(moment(1.0, 0.0, 1), 6)
    0.682689
    """
    count = 1 + int(max(40 / -log(beta) if beta > 0 else 0 for beta in (beta1, beta2)))
    first = [(1 - beta1) * beta1**k for k in range(count)]
    second = [(1 - beta2) * beta2**k for k in range(count)]
    table = []
    for number in range(int(95 / spacing)):
        node = exp(-65 + number * spacing)
        wide = [1 + 2 * node * w for w in second]
        spread = sum(log(d) for d in wide) / 2
        pull = sum(node * w / d for w, d in zip(second, wide, strict=True))
        mean = sum(c / d for c, d in zip(first, wide, strict=True))
        square = sum(c * c / d for c, d in zip(first, wide, strict=True))
        if spread < 700:
            table.append((node, spread, pull, mean, square))

    def moment(a: float, b: float, power: int) -> float:
        total = 0.0
        for node, spread, pull, mean, square in table:
            weight_ = exp(-spread - a * a * pull - b * b * node)
            if power == 1:
                total += sqrt(node / pi) * weight_ * a * mean
            else:
                total += node * weight_ * ((a * mean) ** 2 + square)
        return total * spacing

    return moment


def steps() -> tuple[Step, ...]:
    """Return the steps of T-F4.

    Returns
    -------
    tuple of Step

    Examples
    --------
    >>> steps()[-1].id
    'F4.inside'
    """
    a, b, node, z = symbols("signal damping node frequency")
    mu, s, beta1, beta2 = symbols("mean second_moment beta1 beta2")
    k, t = age()
    first_kernel, second_kernel, A, s1, s2 = sympy.symbols("K1 K2 A s1 s2")
    shared = tuple(
        equation(weight(name, k), (1 - decay) * decay**k / (1 - decay**t))
        for name, decay in (("c", beta1), ("w", beta2))
    )
    rate = node * sympy.Symbol("w0", positive=True)
    width = 1 + 2 * rate
    bell = sympy.exp(-(a**2) * rate / width) / sympy.sqrt(width)
    outside = ("epsilon outside the root: phi = m/(sqrt(v) + b)",)
    no_inverse = "SymPy does not invert the transform; it transforms the kernel back"
    return (
        *(
            Step(
                identifier,
                title,
                definition,
                partial(unrolled, decay),
                "unrolling the moving average with its bias correction, for three steps",
                compare=weights_agree,
            )
            for identifier, title, definition, decay in (
                ("F4.c", "weights of the batch gradients in Adam's first moment", shared[0], beta1),
                ("F4.w", "weights of their squares in Adam's second moment", shared[1], beta2),
            )
        ),
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
        ),
        Step(
            "F4.first",
            "one batch gradient, tilted: E[x exp(-t' w x^2)]",
            equation(mu, a / width * bell),
            lambda: tilted(1, 0),
            "Gaussian integral",
            assumptions=IID,
        ),
        Step(
            "F4.second",
            "one batch gradient, tilted: E[x^2 exp(-t' w x^2)]",
            equation(s, (a**2 / width**2 + 1 / width) * bell),
            lambda: tilted(2, 0),
            "Gaussian integral",
            assumptions=IID,
        ),
        Step(
            "F4.A",
            "all batch gradients: E[exp(-t' v)]",
            equation(A, tilt()),
            lambda: tilted_sum(0),
            "product of Gaussian integrals, for three steps",
            compare=_sums_agree,
            assumptions=(*IID, "d_k = 1 + 2 t' w_k"),
        ),
        Step(
            "F4.s1",
            "all batch gradients: E[m exp(-t' v)] = A s1",
            equation(s1, first_sum()),
            lambda: tilted_sum(1, relative=True),
            "products of Gaussian integrals, for three steps",
            compare=_sums_agree,
            uses=("F4.first", "F4.A"),
        ),
        Step(
            "F4.s2",
            "all batch gradients: E[m^2 exp(-t' v)] = A s2",
            equation(s2, second_sum()),
            lambda: tilted_sum(2, relative=True),
            "products of Gaussian integrals, for three steps",
            compare=_sums_agree,
            uses=("F4.second", "F4.s1"),
        ),
        Step(
            "F4",
            "exact mean of Adam's update at step t",
            equation(mu, sympy.Integral(first_kernel * A * s1, (node, 0, sympy.oo))),
            lambda: mean_kernel() * tilted_sum(1),
            "order of integration exchanged; quadrature of the definition at t = 1, 2",
            compare=average_agrees(1),
            where=(
                equation(first_kernel, mean_kernel()),
                equation(A, tilt()),
                equation(s1, first_sum()),
            ),
            uses=("F4.c", "F4.w", "F4.K1", "F4.A", "F4.s1"),
            assumptions=(*IID, *outside),
        ),
        Step(
            "F4.square",
            "exact second moment of Adam's update at step t",
            equation(s, sympy.Integral(second_kernel * A * s2, (node, 0, sympy.oo))),
            lambda: square_kernel() * tilted_sum(2),
            "order of integration exchanged; quadrature of the definition at t = 1, 2",
            compare=average_agrees(2),
            where=(
                equation(second_kernel, square_kernel()),
                equation(A, tilt()),
                equation(s2, second_sum()),
            ),
            uses=("F4.c", "F4.w", "F4.K2", "F4.A", "F4.s2"),
            assumptions=(*IID, *outside),
        ),
        Step(
            "F4.inside",
            "the kernel of 1/sqrt(v + b^2), epsilon inside the root; its square's is exp(-b^2 t')",
            equation(first_kernel, sympy.exp(-(b**2) * node) / sympy.sqrt(sympy.pi * node)),
            lambda: 1 / sympy.sqrt(z + b**2),
            "Laplace transform",
            compare=lambda derived, statement: proved_equal(
                sympy.laplace_transform(statement.rhs, node, z, noconds=True), derived
            ),
        ),
    )


def _sums_agree(derived: sympy.Expr, statement: sympy.Eq) -> bool:
    return proved_equal(derived, written_out(statement.rhs))
