"""Schedules as PyTorch and optax take them, against both."""

import pytest

from scaling import InputError, schedule
from scaling.engines.schedules import lambda_lr, optax_schedule

RAMP = {0: 16, 3: 64, 5: 1024}


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="needs the extra torch")


def weights(torch, count=1):
    return [torch.nn.Parameter(torch.zeros(2)) for _ in range(count)]


@pytest.mark.torch
@pytest.mark.parametrize("made_with", [1.0, 3e-4])
def test_torch_runs_at_the_schedule(torch, law, made_with):
    rate = schedule(law, RAMP)
    optimizer = torch.optim.AdamW(weights(torch), lr=made_with)
    scheduler = lambda_lr(optimizer, rate)
    used = []
    for _ in range(8):
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert used == pytest.approx([rate(step) for step in range(8)], rel=1e-12)


@pytest.mark.torch
def test_torch_resumes(torch, law, tmp_path):
    rate = schedule(law, RAMP)
    optimizer = torch.optim.AdamW(weights(torch), lr=1e-3)
    scheduler = lambda_lr(optimizer, rate)
    for _ in range(4):
        optimizer.step()
        scheduler.step()
    saved = {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    torch.save(saved, tmp_path / "checkpoint")
    found = torch.load(tmp_path / "checkpoint", weights_only=True)
    optimizer = torch.optim.AdamW(weights(torch), lr=1e-3)
    scheduler = lambda_lr(optimizer, rate)
    optimizer.load_state_dict(found["optimizer"])
    scheduler.load_state_dict(found["scheduler"])
    assert optimizer.param_groups[0]["lr"] == pytest.approx(rate(4), rel=1e-12)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(rate(5), rel=1e-12)


def groups_of(torch):
    first, second = weights(torch, 2)
    return [{"params": [first]}, {"params": [second], "lr": 1e-4}]


@pytest.mark.torch
def test_torch_warms_up_to_the_law(torch, law):
    """What it is multiplied by reaches the optimizer, from a first step at nothing."""
    rate = schedule(law, RAMP, multiply=lambda step: min(1, step / 4))
    optimizer = torch.optim.AdamW(weights(torch), lr=1e-3)
    scheduler = lambda_lr(optimizer, rate)
    used = []
    for _ in range(8):
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    sizes = [16, 16, 16, 64, 64, 1024, 1024, 1024]
    wanted = [law.learning_rate(size) * min(1, step / 4) for step, size in enumerate(sizes)]
    assert used == pytest.approx(wanted, rel=1e-12)


@pytest.mark.torch
def test_torch_groups_of_their_own_rates(torch, law):
    rate = schedule(law, RAMP)
    optimizer = torch.optim.AdamW(groups_of(torch), lr=1e-3)
    with pytest.raises(InputError, match="different learning rates"):
        lambda_lr(optimizer, rate)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate.factor)
    for _ in range(5):
        optimizer.step()
        scheduler.step()
    wanted = law.learning_rate(1024) / law.learning_rate(16)
    assert scheduler.get_last_lr() == pytest.approx([1e-3 * wanted, 1e-4 * wanted])
    own = lambda_lr(torch.optim.AdamW(groups_of(torch), lr=1e-3), rate, own_rates=True)
    for _ in range(5):
        own.optimizer.step()
        own.step()
    assert own.get_last_lr() == pytest.approx([1e-3 * wanted, 1e-4 * wanted])
    with pytest.raises(InputError, match="learning rate 0"):
        lambda_lr(torch.optim.AdamW(weights(torch), lr=0.0), rate)


@pytest.mark.torch
def test_optax_runs_at_the_schedule(law):
    jax = pytest.importorskip("jax", reason="needs the extra optax")
    optax = pytest.importorskip("optax", reason="needs the extra optax")
    rate = schedule(law, RAMP)
    traced = jax.jit(optax_schedule(rate))
    for step in range(8):
        assert float(traced(step)) == pytest.approx(rate(step), rel=1e-6)
    # SGD moves by the learning rate itself.
    transform = optax.sgd(optax_schedule(rate))
    state = transform.init(jax.numpy.zeros(1))
    update = jax.jit(transform.update)
    for step in range(8):
        moved, state = update(jax.numpy.ones(1), state)
        assert float(moved[0]) == pytest.approx(-rate(step), rel=1e-6)
