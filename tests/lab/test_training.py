"""Training by the batch is training one by one; budgets, schedules, divergence."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'torch'")

from scaling.lab import AdamSettings, Budget, Schedule, train  # noqa: E402
from scaling.lab.problems.quadratic import Quadratic  # noqa: E402

pytestmark = pytest.mark.torch

RATES, SEEDS = (1e-3, 1e-2, 1e-1), (0, 7)


@pytest.fixture(scope="module")
def problem():
    return Quadratic(8, dtype=torch.float64)


def by_pytorch(problem, batch_size, rate, seed, steps, settings, schedule):
    """Train one run by torch.optim.AdamW."""
    weights = torch.nn.Parameter(problem.start(np.random.default_rng([seed, 0])))
    optimizer = torch.optim.AdamW(
        [weights],
        rate,
        (settings.beta1, settings.beta2),
        settings.eps,
        weight_decay=settings.weight_decay,
    )
    generator = np.random.default_rng([seed, 1])
    for step in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = rate * schedule.factor(step, steps)
        batch = problem.draw(generator, batch_size, 1)
        weights.grad = problem.gradient(weights.detach()[None, None], batch)[0, 0]
        optimizer.step()
    return float(problem.loss(weights.detach()[None, None]))


def test_all_at_once_is_one_by_one(problem):
    settings, schedule = AdamSettings(1e-2, 0.9, 0.99, 0.1), Schedule("linear", 0.2)
    trained = train(problem, 4, RATES, SEEDS, Budget(90), settings, schedule, [0.5, 1.0])
    for i, j in np.ndindex(len(SEEDS), len(RATES)):
        alone = by_pytorch(problem, 4, RATES[j], SEEDS[i], 90, settings, schedule)
        assert trained.loss[i, j] == pytest.approx(alone, rel=1e-6)
    assert (trained.steps == 90).all()
    assert [(s.fraction, s.step) for s in trained.snapshots] == [(0.5, 45), (1.0, 90)]
    last = trained.snapshots[-1].weights
    assert problem.loss(last[None])[0].numpy() == pytest.approx(trained.loss[0])


def test_runs_that_diverge_leave_the_others_alone(problem):
    rates = (*RATES, 1e308)
    trained = train(problem, 4, rates, SEEDS, Budget(90), fractions=[1.0])
    assert np.isnan(trained.loss[:, 3]).all()
    alone = train(problem, 4, RATES, SEEDS, Budget(90))
    assert (trained.loss[:, :3] == alone.loss).all()
    assert trained.snapshots[0].which.tolist() == [0, 1, 2]
    assert np.isnan(train(problem, 4, [1e308], SEEDS, Budget(90)).loss).all()


def test_a_target_is_the_first_step_at_which_the_loss_is_low_enough(problem):
    target = 1.0
    trained = train(problem, 64, (1e-6, 1e-2, 1e-1), SEEDS, Budget(400, target))
    assert np.isnan(trained.steps[:, 0]).all()
    for i, j in np.ndindex(2, 2):
        steps, rate = int(trained.steps[i, j + 1]), (1e-2, 1e-1)[j]
        losses = [
            train(problem, 64, [rate], [SEEDS[i]], Budget(count)).loss[0, 0]
            for count in range(1, steps + 1)
        ]
        first = 1 + next(k for k, loss in enumerate(losses) if loss <= target)
        assert first <= steps <= 1.02 * first + 1
        assert trained.loss[i, j + 1] == losses[-1] <= target


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        (Schedule(), [1, 1, 1, 1, 1]),
        (Schedule("linear"), [1, 0.8, 0.6, 0.4, 0.2]),
        (Schedule("linear", 0.4), [0.5, 1, 1, 2 / 3, 1 / 3]),
        (Schedule("cosine", 0.2), [1, 1, (2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4]),
    ],
)
def test_schedules(schedule, factors):
    assert [schedule.factor(step, 5) for step in range(1, 6)] == pytest.approx(factors)


def test_the_order_of_the_data_does_not_depend_on_how_much_is_drawn_at_once(problem, monkeypatch):
    whole = train(problem, 4, RATES, SEEDS, Budget(50)).loss
    monkeypatch.setattr("scaling.lab.training._DRAWN", 28)
    assert (train(problem, 4, RATES, SEEDS, Budget(50)).loss == whole).all()
