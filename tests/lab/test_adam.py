"""Adam written out is PyTorch's, step by step."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'torch'")

from scaling.lab import Adam, AdamSettings, Schedule  # noqa: E402

pytestmark = pytest.mark.torch

RATES = (1e-3, 3e-2, 0.5)
SEEDS, SIZE, STEPS = 2, 7, 40


def gradients():
    """Of scales from 1e-9 to 1e3, so that eps matters for some and not for others."""
    generator = np.random.default_rng(1)
    scale = 10.0 ** np.linspace(-9, 3, SIZE)
    return torch.tensor(generator.standard_normal((STEPS, SEEDS, len(RATES), SIZE)) * scale)


@pytest.mark.parametrize("eps", [1e-8, 1e-1])
@pytest.mark.parametrize(("beta1", "beta2"), [(0.9, 0.999), (0.0, 0.95), (0.5, 0.0)])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_it_is_adamw_step_by_step(eps, beta1, beta2, weight_decay):
    schedule = Schedule("cosine", 0.25)
    start = torch.tensor(np.random.default_rng(0).standard_normal((SEEDS, len(RATES), SIZE)))
    settings = AdamSettings(eps, beta1, beta2, weight_decay)
    ours = Adam(start.clone(), torch.tensor(RATES, dtype=torch.float64), settings)
    theirs = []
    for seed, rate in np.ndindex(SEEDS, len(RATES)):
        weights = torch.nn.Parameter(start[seed, rate].clone())
        optimizer = torch.optim.AdamW(
            [weights], RATES[rate], (beta1, beta2), eps, weight_decay=weight_decay
        )
        theirs.append((seed, rate, weights, optimizer))
    for step, gradient in enumerate(gradients(), start=1):
        factor = schedule.factor(step, STEPS)
        ours.step(gradient.clone(), factor)
        for seed, rate, weights, optimizer in theirs:
            optimizer.param_groups[0]["lr"] = RATES[rate] * factor
            weights.grad = gradient[seed, rate].clone()
            optimizer.step()
            torch.testing.assert_close(ours.weights[seed, rate], weights, rtol=1e-6, atol=1e-12)


def plain_adam(gradient, rate, *, inside, correct):
    """One coordinate, as the paper has it (Kingma and Ba 2015, algorithm 1)."""
    w = m = v = 0.0
    for t, g in enumerate(gradient, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        m_hat = m / (1 - 0.9**t) if correct else m
        v_hat = v / (1 - 0.99**t) if correct else v
        w -= rate * m_hat / ((v_hat + 0.3**2) ** 0.5 if inside else v_hat**0.5 + 0.3)
    return w, v_hat


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("correct", [False, True])
def test_epsilon_inside_and_bias_correction(inside, correct):
    gradient = np.random.default_rng(2).standard_normal((STEPS, 1, 1, 3))
    adam = Adam(
        torch.zeros(1, 1, 3, dtype=torch.float64),
        torch.tensor([0.01], dtype=torch.float64),
        AdamSettings(0.3, 0.9, 0.99, 0.0, inside, correct),
    )
    for g in torch.tensor(gradient):
        adam.step(g)
    for i in range(3):
        w, v = plain_adam(gradient[:, 0, 0, i], 0.01, inside=inside, correct=correct)
        assert float(adam.weights[0, 0, i]) == pytest.approx(w, rel=1e-6)
        assert float(adam.second_moment()[0, 0, i]) == pytest.approx(v, rel=1e-12)


def test_learning_rates_that_are_dropped_leave_the_others_alone():
    start = torch.zeros(SEEDS, len(RATES), SIZE, dtype=torch.float64)
    whole, rest = (
        Adam(start.clone(), torch.tensor(RATES, dtype=torch.float64), AdamSettings())
        for _ in range(2)
    )
    kept = torch.tensor([True, False, True])
    for step, gradient in enumerate(gradients()):
        if step == STEPS // 2:
            rest.keep(kept)
        whole.step(gradient)
        rest.step(gradient if step < STEPS // 2 else gradient[:, kept])
    assert torch.equal(whole.weights[:, kept], rest.weights)
