"""Gradients are those of the losses, and batches those that the theory assumes."""

import hashlib

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'torch'")
pytest.importorskip("sklearn", reason="needs the extra 'torch'")

from scaling.lab.problems.digits import Logistic, Network  # noqa: E402
from scaling.lab.problems.quadratic import Quadratic  # noqa: E402
from scaling.lab.problems.text import ALPHABET, unicode_names  # noqa: E402
from scaling.lab.problems.transformer import Transformer  # noqa: E402

pytestmark = pytest.mark.torch

SMALL = {
    "quadratic": lambda: Quadratic(5, dtype=torch.float64),
    "logistic": lambda: Logistic(torch.float64),
    "network": lambda: Network(4, torch.float64),
    "transformer": lambda: Transformer(4, 2, 3, torch.float64),
}


@pytest.fixture(params=sorted(SMALL))
def problem(request):
    return SMALL[request.param]()


def somewhere(problem, seeds=2, rates=3):
    """Weights near the start, different for every replica."""
    generator = np.random.default_rng(3)
    start = torch.stack([problem.start(generator) for _ in range(seeds)])[:, None]
    move = generator.standard_normal((seeds, rates, problem.parameters))
    return start + 0.3 * torch.tensor(move)


def everything(problem):
    """A batch that is the population, or None."""
    if isinstance(problem, (Logistic, Network)):
        return torch.arange(len(problem.targets))
    if isinstance(problem, Quadratic):
        return torch.zeros(problem.parameters, dtype=torch.float64)
    return problem._evaluated


def test_gradient_is_the_derivative_of_the_loss(problem):
    weights, h = somewhere(problem), 1e-7  # kinks of ReLU are seldom crossed
    batch = everything(problem).expand(2, -1)
    gradient = problem.gradient(weights, batch)
    assert gradient.shape == weights.shape
    direction = torch.tensor(np.random.default_rng(4).standard_normal(weights.shape))
    rise = (problem.loss(weights + h * direction) - problem.loss(weights - h * direction)) / (2 * h)
    torch.testing.assert_close(rise, (gradient * direction).sum(dim=-1), rtol=1e-5, atol=1e-7)


# The batches of the quadratic are no lists of examples.
@pytest.mark.parametrize("problem", sorted(SMALL.keys() - {"quadratic"}), indirect=True)
def test_gradient_of_a_batch_is_the_mean_over_its_examples(problem):
    weights = somewhere(problem)
    batch = problem.draw(np.random.default_rng(5), 6, 2)
    of_each = [problem.gradient(weights, batch[:, i : i + 1]) for i in range(6)]
    torch.testing.assert_close(problem.gradient(weights, batch), torch.stack(of_each).mean(dim=0))


def test_replicas_do_not_meet(problem):
    weights, batch = somewhere(problem), problem.draw(np.random.default_rng(6), 4, 2)
    whole = problem.gradient(weights, batch), problem.loss(weights)
    for seed, rate in np.ndindex(2, 3):
        one = weights[seed, rate][None, None]
        alone = problem.gradient(one, batch[seed : seed + 1]), problem.loss(one)
        torch.testing.assert_close(whole[0][seed, rate], alone[0][0, 0])
        torch.testing.assert_close(whole[1][seed, rate], alone[1][0, 0])


# The loss of the transformer is that of a part of the text.
@pytest.mark.parametrize("problem", sorted(SMALL.keys() - {"transformer"}), indirect=True)
@pytest.mark.parametrize("batch_size", [1, 16])
def test_noise_falls_like_the_batch_size(problem, batch_size):
    """Batch gradients have the population's mean, and its variance divided by B."""
    weights, draws = somewhere(problem, 1, 1), 4000
    batches = problem.draw(np.random.default_rng(7), batch_size, draws)
    found = problem.gradient(weights.expand(draws, -1, -1), batches)[:, 0]
    if isinstance(problem, Quadratic):
        mean, variance = weights[0, 0] @ problem.hessian, problem.deviation**2
    else:
        count = len(problem.targets)
        each = problem.gradient(weights.expand(count, -1, -1), torch.arange(count)[:, None])[:, 0]
        mean, variance = each.mean(dim=0), each.var(dim=0, correction=0)
    variance = variance / batch_size
    kept = variance > 0
    error = (variance / draws).sqrt()
    assert ((found.mean(dim=0) - mean)[kept].abs() < 5 * error[kept]).all()
    total = found.var(dim=0).sum() / variance.sum()
    assert float(total) == pytest.approx(1, abs=0.1)


def test_the_transformer_sees_the_past_only():
    problem = Transformer(4, 2, 6, torch.float64)
    weights = somewhere(problem)[:, 0]
    letters = torch.randint(len(ALPHABET), (2, 1, 6), generator=torch.Generator().manual_seed(0))
    changed = letters.clone()
    changed[..., 4] = (changed[..., 4] + 1) % len(ALPHABET)
    before, after = problem._scores(weights, letters), problem._scores(weights, changed)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert not torch.isclose(before[:, 4:], after[:, 4:]).any()


def test_the_text_is_the_same_everywhere():
    """Checked on Python 3.8 to 3.13; Unicode's stability policy promises it for ever."""
    text = unicode_names()
    assert set(text) == set(ALPHABET)
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "16cd47e1a6d25ff386d55f0af4c652fd4b543d0067f21147f8e8ec6d88619ef1"
    )
