"""The full law against the loss itself: average over the noise, then minimise."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from scaling import InputError, quadratic_optimum
from scaling.numeric.laws import mean_field_law

GRADIENT = np.array([0.7, -1.3, 0.2])
VARIANCE = np.array([2.0, 0.5, 4.0])
HESSIAN = np.array([[2.0, 0.3, -0.2], [0.3, 1.0, 0.4], [-0.2, 0.4, 3.0]])
EPS = 0.4


def brute_force(update, batch):
    """Best learning rate and decrease of E[L(w - lr phi)], averaged over a grid of noise."""
    nodes = np.linspace(-9, 9, 4001)
    weights = np.exp(-(nodes**2) / 2)
    weights /= weights.sum()
    x = GRADIENT[:, None] + np.sqrt(VARIANCE[:, None] / batch) * nodes
    phi = update(x)
    mean, second_moment = phi @ weights, phi**2 @ weights
    # Independent coordinates: E[phi phi^T] off the diagonal is a product of means.
    outer = np.outer(mean, mean)
    np.fill_diagonal(outer, second_moment)

    def loss(lr):
        return -lr * mean @ GRADIENT + lr**2 / 2 * np.sum(outer * HESSIAN)

    found = minimize_scalar(loss, bracket=(0, 0.1, 10), options={"xtol": 1e-12})
    return found.x, -found.fun


UPDATES = {
    "sgd": lambda x: x,
    "clip": lambda x: np.clip(x / EPS, -1, 1),
}


@pytest.mark.parametrize("batch", [1.0, 30.0, 1000.0])
@pytest.mark.parametrize("moments", list(UPDATES))
def test_agrees_with_brute_force(moments, batch):
    best = quadratic_optimum(GRADIENT, VARIANCE, HESSIAN, batch, eps=EPS, moments=moments)
    learning_rate, decrease = brute_force(UPDATES[moments], batch)
    # The grid's step meets the kinks of the clipped line; hence 1e-5 and not rounding.
    assert best.learning_rate == pytest.approx(learning_rate, rel=1e-5)
    assert best.loss_decrease == pytest.approx(decrease, rel=1e-5)


@pytest.mark.parametrize("moments", ["sgd", "sign", "clip", "mean-field", "mean-field-outside"])
def test_the_three_forms_of_a_hessian_agree(moments):
    batch = np.array([[1.0], [50.0]])
    call = (GRADIENT, VARIANCE)
    dense = quadratic_optimum(*call, HESSIAN, batch, eps=EPS, moments=moments)
    operator = quadratic_optimum(*call, aslinearoperator(HESSIAN), batch, eps=EPS, moments=moments)
    np.testing.assert_allclose(operator.learning_rate, dense.learning_rate, rtol=1e-13)
    assert dense.learning_rate.shape == (2, 1)
    diagonal = np.array([2.0, 1.0, 3.0])
    np.testing.assert_allclose(
        quadratic_optimum(*call, diagonal, batch, moments=moments).learning_rate,
        quadratic_optimum(*call, np.diag(diagonal), batch, moments=moments).learning_rate,
        rtol=1e-13,
    )


def test_diagonal_of_a_large_operator():
    size = 700  # more than one block
    diagonal = np.linspace(1, 2, size)
    operator = LinearOperator(
        (size, size), matvec=lambda v: diagonal * v.ravel() + v.sum(), dtype=float
    )
    dense = np.diag(diagonal) + 1
    gradient = np.cos(np.arange(size))
    one = quadratic_optimum(gradient, 2.0, operator, 8.0)
    assert one.learning_rate == pytest.approx(
        quadratic_optimum(gradient, 2.0, dense, 8.0).learning_rate, rel=1e-12
    )


def test_sgd_is_a3():
    best = quadratic_optimum(GRADIENT, VARIANCE, HESSIAN, [1.0, 64.0], moments="sgd")
    curvature = GRADIENT @ HESSIAN @ GRADIENT
    noise = VARIANCE @ np.diag(HESSIAN) / curvature
    limit = GRADIENT @ GRADIENT / curvature
    np.testing.assert_allclose(
        best.learning_rate, limit / (1 + noise / np.array([1, 64])), rtol=1e-13
    )


@pytest.mark.parametrize("moments", ["sign-isru", "article", "mean-field"])
def test_mean_field_is_exact_for_equal_signal_to_noise(moments):
    # T-B9 replaces sigma_i^2/(g_i^2 + eps^2) by its average; here all of them are equal.
    variance = 3.0 * (GRADIENT**2 + (EPS**2 if moments != "sign-isru" else 0))
    batch = np.logspace(-2, 5, 15)
    law = mean_field_law(GRADIENT, variance, HESSIAN, eps=EPS, beta1=0.0, moments=moments)
    full = quadratic_optimum(
        GRADIENT, variance, HESSIAN, batch, eps=EPS, beta1=0.0, moments=moments
    )
    np.testing.assert_allclose(law.learning_rate(batch), full.learning_rate, rtol=1e-12)


def test_mean_field_with_momentum_is_e1():
    beta1 = 0.9
    variance = 3.0 * (GRADIENT**2 + EPS**2)
    law = mean_field_law(GRADIENT, variance, HESSIAN, eps=EPS, beta1=beta1)
    batch = np.logspace(-2, 5, 15)
    nu = GRADIENT / np.sqrt(GRADIENT**2 + EPS**2)
    beta = 1 / np.sqrt(1 + 3.0 / batch)
    c = (1 - beta1) / (1 + beta1)
    denominator = beta**2 * (nu @ HESSIAN @ nu) + c * (1 - beta**2) * np.trace(HESSIAN)
    np.testing.assert_allclose(
        law.learning_rate(batch), beta * (nu @ GRADIENT) / denominator, rtol=1e-12
    )


def test_coordinates_without_noise_or_gradient():
    best = quadratic_optimum(
        [1.0, -2.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0], 4.0, moments="sign"
    )
    assert best.learning_rate == pytest.approx(3 / 2)  # sign(g).g / sum of sign^2
    mixed = quadratic_optimum([1.0, -2.0], [0.0, 5.0], [1.0, 1.0], 4.0, eps=0.1)
    tiny = quadratic_optimum([1.0, -2.0], [1e-18, 5.0], [1.0, 1.0], 4.0, eps=0.1)
    assert mixed.learning_rate == pytest.approx(tiny.learning_rate, rel=1e-8)


def test_no_answer_is_nan_and_never_negative():
    concave = quadratic_optimum([1.0], [1.0], [-1.0], [1.0, 2.0])
    assert np.isnan(concave.learning_rate).all()
    assert (concave.curvature < 0).all()
    batches = quadratic_optimum([1.0], [1.0], [1.0], [1.0, 0.0, -3.0, np.nan])
    assert np.isnan(batches.learning_rate).tolist() == [False, True, True, True]
    assert isinstance(quadratic_optimum([1.0], [1.0], [1.0], 2.0).learning_rate, float)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (([], 1.0, []), "gradient"),
        (([[1.0]], 1.0, [1.0]), "gradient"),
        (([np.nan], 1.0, [1.0]), "gradient"),
        (([1.0], -1.0, [1.0]), "variance"),
        (([1.0, 2.0], [1.0, 1.0, 1.0], [1.0, 1.0]), "variance"),
        (([1.0, 2.0], 1.0, [1.0]), "hessian"),
        (([1.0, 2.0], 1.0, [[1.0, np.inf], [0, 1]]), "hessian"),
        (([1.0, 2.0], 1.0, aslinearoperator(np.eye(3))), "hessian"),
    ],
)
def test_arguments_are_checked(arguments, name):
    for function in (lambda *a: quadratic_optimum(*a, 4.0), mean_field_law):
        with pytest.raises(InputError) as caught:
            function(*arguments)
        assert caught.value.parameter == name


def test_mean_field_needs_gradient_noise_and_curvature():
    for arguments in (([0.0], 1.0, [1.0]), ([1.0], 0.0, [1.0]), ([1.0], 1.0, [-1.0])):
        with pytest.raises(InputError):
            mean_field_law(*arguments)
    with pytest.raises(InputError, match="moments"):
        mean_field_law([1.0], 1.0, [1.0], moments="clip")
