"""The measured optimum of one step is that of the exact law (T-A1, T-A2, T-F4)."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'lab'")
pytest.importorskip("sklearn", reason="needs the extra 'lab'")

from scaling import quadratic_optimum  # noqa: E402
from scaling.lab import AdamSettings, one_step_optimum  # noqa: E402
from scaling.lab.problems.digits import Logistic  # noqa: E402
from scaling.lab.problems.quadratic import Quadratic  # noqa: E402

pytestmark = pytest.mark.torch

#: In units of the RMS of the gradient's entries.
EPS = [0, 0.01, 1, 100]
BATCH_SIZES = [1, 10, 100, 1000, 10000]


def logistic_quadratic():
    """Gradient, noise and curvature of the logistic problem on the way to its minimum."""
    problem = Logistic(torch.float64)
    weights = problem.start(np.random.default_rng(0))[None, None]
    everything = torch.arange(len(problem.targets))[None]
    for _ in range(20):
        weights = weights - 0.1 * problem.gradient(weights, everything)
    count = len(problem.targets)
    each = problem.gradient(weights.expand(count, -1, -1), everything.T)[:, 0]
    p = torch.softmax(problem.logits(weights, problem.inputs[None])[0, 0], dim=0)
    curvature = torch.diag_embed(p.T) - p.T[:, :, None] * p.T[:, None, :]
    x = problem.inputs
    hessian = torch.einsum("ncd,ni,nj->cidj", curvature, x, x) / len(x)
    size = problem.parameters
    return problem, weights[0, 0], each, hessian.reshape(size, size)


class WithNoiseOf(Quadratic):
    """A quadratic loss that is another's, about the point where the other has these derivatives."""

    def __init__(self, gradient, variance, hessian):
        self.parameters = len(gradient)
        self.hessian, self.deviation = hessian, variance.sqrt()
        self.origin, self.slope = torch.zeros_like(gradient), gradient

    def gradient(self, weights, batch):
        return self.slope + super().gradient(weights, batch)

    def loss(self, weights):
        return weights @ self.slope + super().loss(weights)


def as_law_has_it(gradient, variance, hessian, batch_size, adam, step):
    return quadratic_optimum(
        gradient.numpy(),
        variance.numpy(),
        hessian.numpy(),
        batch_size,
        eps=adam.eps,
        beta1=adam.beta1,
        beta2=adam.beta2,
        step=step,
        moments="exact-adam",
    )


@pytest.mark.parametrize(("beta1", "beta2", "step"), [(0.9, 0.999, 1), (0.9, 0.95, 6)])
@pytest.mark.parametrize("which", ["random", "logistic"])
def test_measured_optimum_is_the_exact_law_s(which, beta1, beta2, step):
    if which == "random":
        problem = Quadratic(dtype=torch.float64)
        weights, hessian = problem.origin, problem.hessian
        gradient, variance = hessian @ weights, problem.deviation**2
    else:
        _, _, each, hessian = logistic_quadratic()
        gradient, variance = each.mean(dim=0), each.var(dim=0, correction=0)
        problem = WithNoiseOf(gradient, variance, hessian)
        weights = problem.origin
    rms = float(gradient.square().mean().sqrt())
    generator = np.random.default_rng(8)
    off = []
    for eps in EPS:
        for batch_size in BATCH_SIZES:
            adam = AdamSettings(eps * rms, beta1, beta2)
            law = as_law_has_it(gradient, variance, hessian, batch_size, adam, step)
            found = one_step_optimum(
                problem, weights, batch_size, adam, generator, step=step, draws=1500
            )
            off.append((found.learning_rate - law.learning_rate) / found.error)
            assert found.loss_decrease == pytest.approx(law.loss_decrease, rel=0.2)
    # Twenty independent normal numbers.
    off = np.array(off)
    assert np.abs(off).max() < 3.7
    assert 0.5 < np.sqrt((off**2).mean()) < 1.5


def test_true_gradients_of_logistic_regression():
    """Its noise is neither Gaussian nor independent: the law is near, not exact."""
    problem, weights, each, hessian = logistic_quadratic()
    gradient, variance = each.mean(dim=0), each.var(dim=0, correction=0)
    rms = float(gradient.square().mean().sqrt())
    generator = np.random.default_rng(9)
    for batch_size, eps in [(16, 0.1), (16, 1), (256, 0.1), (256, 1), (4096, 1)]:
        adam = AdamSettings(eps * rms, 0.9, 0.999)
        law = as_law_has_it(gradient, variance, hessian, batch_size, adam, 1)
        found = one_step_optimum(problem, weights, batch_size, adam, generator, draws=300)
        print(batch_size, eps, np.log2(found.learning_rate / law.learning_rate), found)
