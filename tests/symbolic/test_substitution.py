"""The law with numbers put in, and where epsilon ends the surge."""

import numpy as np
import pytest
import sympy

from scaling.errors import InputError
from scaling.symbolic import learning_rate, peak_batch_size, surge_ends
from scaling.symbolic.closed_forms import example, uniform_end, uniform_peak
from scaling.symbolic.notation import R0, B, c, eps, gamma

HESSIAN, GRADIENT, VARIANCE = [[2.0, 0.7], [0.7, 1.0]], [1.5, -0.4], [3.0, 0.5]


def direct(batch_size, eps):
    """T-B9 for the numbers above, in plain NumPy."""
    g, v, h = np.array(GRADIENT), np.array(VARIANCE), np.array(HESSIAN)
    nu = g / np.sqrt(g**2 + eps**2)
    beta2 = 1 / (1 + np.pi / 2 * np.mean(v / (g**2 + eps**2)) / batch_size)
    return np.sqrt(beta2) * (nu @ g) / (beta2 * nu @ h @ nu + (1 - beta2) * np.trace(h))


def test_the_symbolic_law_with_numbers_is_the_law():
    hessian, gradient, variance = example()
    numbers = dict(zip(sympy.symbols("g1 g2", real=True), GRADIENT, strict=True))
    numbers |= dict(zip(sympy.symbols("V1 V2", positive=True), VARIANCE, strict=True))
    numbers |= {hessian[0, 0]: 2.0, hessian[1, 1]: 1.0, hessian[0, 1]: 0.7}
    rate = learning_rate(hessian, gradient, variance).subs(numbers)
    function = sympy.lambdify((B, eps), rate)
    for batch_size, epsilon in ((1, 1e-8), (64, 0.3), (4096, 10.0)):
        expected = direct(batch_size, epsilon)
        assert function(batch_size, epsilon) == pytest.approx(expected, rel=1e-12)


def test_the_peak_and_its_slope_in_epsilon_against_a_search():
    hessian = sympy.Matrix([[1, 0.95], [0.95, 1]])
    arguments = (hessian, [1.0, 1.2], [40.0, 60.0], sympy.Rational(1, 19))
    peak = peak_batch_size(*arguments)
    rate = sympy.lambdify(B, learning_rate(*arguments).subs(eps, 0.5))
    sizes = np.geomspace(0.01, 1e4, 200_001)
    assert float(peak.subs(eps, 0.5)) == pytest.approx(sizes[np.argmax(rate(sizes))], rel=1e-3)
    slope = float(sympy.diff(peak, eps).subs(eps, 0.5))
    step = 1e-5
    difference = (float(peak.subs(eps, 0.5 + step)) - float(peak.subs(eps, 0.5 - step))) / step / 2
    assert slope == pytest.approx(difference, rel=1e-6)
    assert slope > 0


def test_the_end_of_the_surge_symbolic_and_numeric_agree_for_a_uniform_population():
    # H = 0.8 everywhere off the diagonal of ones: sign(g).H sign(g)/tr H = 1 + 0.8 * 2 = 2.6
    hessian = [[1, 0.8, 0.8], [0.8, 1, 0.8], [0.8, 0.8, 1]]
    (numeric,) = surge_ends(hessian, [0.3, 0.3, 0.3])
    symbolic = uniform_end().subs({gamma: 0.3, R0: 2.6, c: 1})
    assert numeric == pytest.approx(float(symbolic), rel=1e-12)
    before = uniform_peak().subs({gamma: 0.3, R0: 2.6, c: 1, eps: 0.9 * numeric})
    after = uniform_peak().subs({gamma: 0.3, R0: 2.6, c: 1, eps: 1.1 * numeric})
    assert (before.is_positive, after.is_positive) == (True, False)


def test_a_larger_epsilon_can_also_begin_a_surge():
    """Q need not fall in epsilon (T-B10): small gradients that oppose large ones drop out first."""
    hessian = np.ones((12, 12))
    gradient = [1.0] * 6 + [-1e-4] * 6
    begin, end = surge_ends(hessian.tolist(), gradient)
    g = np.array(gradient)

    def excess(eps):
        nu = g / np.sqrt(g**2 + eps**2)
        return nu @ hessian @ nu - 2 * np.trace(hessian)

    assert excess(1e-9) < 0 < excess(np.sqrt(begin * end))
    assert excess(100 * end) < 0
    assert abs(excess(begin)) < 1e-9
    assert abs(excess(end)) < 1e-9


def test_no_surge_at_all_without_coupling_and_momentum():
    assert surge_ends([[1, 0], [0, 1]], [1.0, 1.0]) == []


@pytest.mark.parametrize(
    ("hessian", "gradient", "variance", "words"),
    [
        ([[1, 2]], [1], [1], "sizes"),
        ([[1, 2], [3, 1]], [1, 1], [1, 1], "symmetric"),
        ([[1]], [1], [1, 2], "sizes"),
    ],
)
def test_malformed_input_is_refused(hessian, gradient, variance, words):
    with pytest.raises(InputError, match=words):
        learning_rate(sympy.Matrix(hessian), gradient, variance)


def test_a_vanishing_gradient_is_refused():
    with pytest.raises(InputError, match="must not be 0"):
        surge_ends([[1]], [0.0])


def test_an_end_of_the_surge_may_lie_on_the_grid():
    """R0 = 4 c in a uniform population: E3.end gives gamma itself."""
    for size, gradient in ((2, 0.3), (4, 1.0), (4, 7.0)):
        ends = surge_ends(np.ones((size, size)).tolist(), [gradient] * size, size / 4)
        assert ends == pytest.approx([gradient], rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (([[1.0]], [0.0]), "gradient"),
        (([[1.0]], [float("nan")]), "hessian, gradient"),
        (([[float("inf")]], [1.0]), "hessian, gradient"),
        (([[1.0]], [1.0], -1.0), "noise_damping"),
        (([[1.0]], [1.0], float("nan")), "noise_damping"),
        (([[1.0, 2.0], [2.0]], [1.0, 1.0]), "hessian"),
        (([[1.0, 2.0], [3.0, 1.0]], [1.0, 1.0]), "hessian"),
    ],
)
def test_malformed_numbers_are_refused(arguments, name):
    with pytest.raises(InputError) as caught:
        surge_ends(*arguments)
    assert caught.value.parameter == name


def test_units_of_the_gradient_do_not_matter():
    (one,) = surge_ends([[1, 0.9], [0.9, 1]], [2.0, 2.0], 1 / 19)
    for unit in (1e-200, 1e200):
        (other,) = surge_ends([[1, 0.9], [0.9, 1]], [2.0 * unit, 2.0 * unit], 1 / 19)
        assert other == pytest.approx(one * unit)
