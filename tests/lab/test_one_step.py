"""The measured optimum of one step is that of the exact law (T-A1, T-A2, T-F4)."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'torch'")
pytest.importorskip("sklearn", reason="needs the extra 'torch'")

from scaling import quadratic_optimum  # noqa: E402
from scaling.lab import AdamSettings, one_step_optimum  # noqa: E402
from scaling.lab.problems.digits import Logistic  # noqa: E402
from scaling.lab.problems.quadratic import Quadratic  # noqa: E402

pytestmark = pytest.mark.torch


class Taylor(Quadratic):
    """A quadratic loss by its derivatives where it starts, and the covariance of its noise."""

    def __init__(self, gradient, covariance, hessian):
        self.parameters = len(gradient)
        self.slope, self.hessian = gradient, hessian
        self.origin = torch.zeros_like(gradient)
        # Some pixels are always blank, others alike: the covariance has no inverse.
        small = 1e-12 * torch.eye(len(gradient), dtype=gradient.dtype)
        self.root = torch.linalg.cholesky(covariance + small)

    def draw(self, generator, batch_size, steps):
        normal = torch.from_numpy(generator.standard_normal((steps, self.parameters)))
        return normal @ self.root.T / batch_size**0.5

    def gradient(self, weights, batch):
        return self.slope + super().gradient(weights, batch)

    def loss(self, weights):
        return weights @ self.slope + super().loss(weights)


@pytest.fixture(scope="module")
def logistic():
    """The logistic problem, a point on its way, and g, Sigma and H there."""
    problem = Logistic(torch.float64)
    everything = torch.arange(len(problem.targets))[None]
    weights = problem.start(np.random.default_rng(0))[None, None]
    for _ in range(20):
        weights = weights - 0.1 * problem.gradient(weights, everything)
    each = problem.gradient(weights.expand(everything.numel(), -1, -1), everything.T)[:, 0]
    p = torch.softmax(problem.logits(weights, problem.inputs[None])[0, 0], dim=0)
    curvature = torch.diag_embed(p.T) - p.T[:, :, None] * p.T[:, None, :]
    x = problem.inputs
    hessian = torch.einsum("ncd,ni,nj->cidj", curvature, x, x) / len(x)
    hessian = hessian.reshape(problem.parameters, problem.parameters)
    return problem, weights[0, 0], each.mean(dim=0), torch.cov(each.T, correction=0), hessian


def law(gradient, variance, hessian, batch_size, adam, step):
    given = (values.numpy() for values in (gradient, variance, hessian))
    rates = {"eps": adam.eps, "beta1": adam.beta1, "beta2": adam.beta2}
    return quadratic_optimum(*given, batch_size, **rates, step=step, moments="exact-adam")


def assert_measured_is_the_law(problem, gradient, variance, batch_sizes, eps, step, draws):
    """At every batch size and eps, the latter in units of the RMS of the gradient's entries."""
    rms = float(gradient.square().mean().sqrt())
    generator = np.random.default_rng(8)
    off = []
    for relative in eps:
        for batch_size in batch_sizes:
            adam = AdamSettings(relative * rms, 0.9, 0.95)
            wanted = law(gradient, variance, problem.hessian, batch_size, adam, step)
            found = one_step_optimum(
                problem, problem.origin, batch_size, adam, generator, step=step, draws=draws
            )
            off.append((found.learning_rate - wanted.learning_rate) / found.error)
            assert found.loss_decrease == pytest.approx(wanted.loss_decrease, rel=0.2)
    # Independent, standard normal numbers.
    assert np.abs(off).max() < 3.7
    assert 0.5 < np.sqrt(np.mean(np.square(off))) < 1.5


@pytest.mark.parametrize("step", [1, 6])
def test_a_random_quadratic(step):
    problem = Quadratic(dtype=torch.float64)
    gradient, variance = problem.hessian @ problem.origin, problem.deviation**2
    sizes, eps = [1, 10, 100, 1000, 10000], [0, 0.01, 1, 100]
    assert_measured_is_the_law(problem, gradient, variance, sizes, eps, step, 1500)


def test_logistic_regression_were_its_noise_independent(logistic):
    _, _, gradient, covariance, hessian = logistic
    variance = covariance.diagonal()
    problem = Taylor(gradient, torch.diag(variance), hessian)
    assert_measured_is_the_law(problem, gradient, variance, [1, 100, 10000], [0, 1, 100], 6, 400)


@pytest.mark.parametrize(("batch_size", "eps"), [(16, 0.1), (256, 1)])
def test_logistic_regression_as_it_is(logistic, batch_size, eps):
    """Its noise is not independent, and that is what the law misses: by a factor of 4 and more."""
    problem, weights, gradient, covariance, hessian = logistic
    adam = AdamSettings(eps * float(gradient.square().mean().sqrt()), 0.9, 0.999)
    generator = np.random.default_rng(9)
    found = one_step_optimum(problem, weights, batch_size, adam, generator, draws=200)
    taylor = Taylor(gradient, covariance, hessian)
    correlated = one_step_optimum(taylor, taylor.origin, batch_size, adam, generator, draws=400)
    wanted = law(gradient, covariance.diagonal(), hessian, batch_size, adam, 1)
    assert abs(np.log2(found.learning_rate / correlated.learning_rate)) < 0.25
    assert found.learning_rate < wanted.learning_rate / 3.5
