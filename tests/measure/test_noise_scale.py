"""The monitor against the gradients of single examples, and its intervals against their rate."""

import math

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra torch")

import torch

from scaling.errors import DataError, InputError
from scaling.measure import NoiseScale
from scaling.measure.noise_average import BlockAverage

from .trainings import accumulate, batches, data, exact, loss_of, network

pytestmark = pytest.mark.torch

SIZE = 8


def root_v_weights(optimizer):
    """1/(sqrt(v_hat) + eps) of all parameters, 0 where v is."""
    weights = []
    for group in optimizer.param_groups:
        for p in group["params"]:
            v = optimizer.state[p]["exp_avg_sq"].double()
            v_hat = v / (1 - group["betas"][1] ** float(optimizer.state[p]["step"]))
            weights.append(torch.where(v > 0, 1 / (v_hat.sqrt() + group["eps"]), 0.0).flatten())
    return torch.cat(weights)


def test_agrees_with_single_examples_along_a_training():
    """At ten points of a training, |g|^2, tr(Sigma) and their ratio are within 3 errors."""
    model, examples, generator = network(), data(), torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    far = []
    for point in range(10):
        monitor = NoiseScale(model, SIZE, optimizer=optimizer)
        true = {"l2": [], "adam": []}
        for _ in range(40):
            true["l2"].append(exact(model, examples))
            if optimizer.state:
                true["adam"].append(exact(model, examples, root_v_weights(optimizer)))
            accumulate(model, monitor, batches(examples, 4, SIZE, generator))
            monitor.step()
            optimizer.step()
            optimizer.zero_grad()
        for metric, values in true.items():
            square, trace = np.mean(values, axis=0)
            found = monitor.estimate(metric)
            assert found.steps == len(values)
            far += [
                abs(found.gradient_square - square) / found.gradient_square_error,
                abs(found.trace - trace) / found.trace_error,
            ]
            # The error of a ratio, to first order: that of its interval of one error.
            low, high = monitor.estimate(metric, level=0.9973).interval
            assert low < trace / square < high, (point, metric)
        monitor.close()
    assert max(far) < 3.3  # of 40 values, 3.3 is passed by chance in one such test of 26
    assert np.mean(np.array(far) < 1) > 0.5


@pytest.mark.parametrize("size", [2, SIZE])
def test_intervals_cover_at_their_rate(size):
    """Of 300 windows of 12 steps at fixed weights, the stated share covers the true ratio."""
    model, examples, generator = network(), data(), torch.Generator().manual_seed(2)
    square, trace = exact(model, examples)
    covered, rounds, level = 0, 300, 0.9
    for _ in range(rounds):
        monitor = NoiseScale(model, size)
        for _ in range(12):
            accumulate(model, monitor, batches(examples, 2, size, generator))
            monitor.step()
            model.zero_grad()
        low, high = monitor.estimate(level=level).interval
        covered += low <= trace / square <= high
        monitor.close()
    assert abs(covered / rounds - level) < 3 * math.sqrt(level * (1 - level) / rounds)


def test_intervals_of_a_gradient_lost_in_noise_reach_infinity():
    """Without any gradient, all but the stated share of intervals are unbounded."""
    rng = np.random.default_rng(0)
    bounded, rounds = 0, 1000
    for _ in range(rounds):
        average = BlockAverage()
        for _ in range(30):
            average.add(np.array([[rng.normal(0, 1), rng.normal(100, 5)]]))
        found = average.estimate([0], 0.95)
        bounded += found.resolved
        assert (found.noise_scale < 0) == (found.gradient_square < 0)
    share = 0.025
    assert abs(bounded / rounds - share) < 3 * math.sqrt(share * (1 - share) / rounds)


@pytest.mark.parametrize("half_life", [None, 40.0])
def test_errors_of_averages(half_life):
    """The stated error of an average is the scatter of many such averages."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(400):
        average = BlockAverage(half_life)
        for _ in range(300):
            average.add(rng.normal([[1.0, 5.0]], [[0.5, 2.0]]))
        found.append(average.estimate([0], 0.95))
    for value, error in (("gradient_square", 0), ("trace", 1)):
        scatter = np.std([getattr(e, value) for e in found])
        stated = np.sqrt(np.mean([getattr(e, f"{value}_error") ** 2 for e in found]))
        assert stated == pytest.approx(scatter, rel=0.12), error


def test_exponential_average_follows():
    average = BlockAverage(half_life=10)
    for step in range(400):
        average.add(np.array([[1.0 if step < 300 else 2.0, 1.0]]))
    assert average.estimate([0], 0.95).gradient_square == pytest.approx(2, abs=0.01)
    assert len(average.blocks) < 100


def test_memory_of_a_long_run_is_bounded():
    average = BlockAverage()
    for step in range(10_000):
        average.add(np.array([[float(step), 1.0]]))
    assert len(average.blocks) <= 64
    assert average.estimate([0], 0.95).gradient_square == pytest.approx(4999.5)
    assert average.estimate([0], 0.95).steps == 10_000


def measure(model, scale=1.0, *, steps=20, micro=4, **settings):
    examples, generator = data(), torch.Generator().manual_seed(3)
    monitor = NoiseScale(model, SIZE, **settings)
    for _ in range(steps):
        accumulate(model, monitor, batches(examples, micro, SIZE, generator), scale)
        monitor.step()
        model.zero_grad()
    return monitor


def test_scale_of_the_loss_cancels():
    plain, scaled = measure(network()).estimate(), measure(network(), 1e6).estimate()
    assert scaled.noise_scale == pytest.approx(plain.noise_scale, rel=1e-5)
    assert scaled.interval == pytest.approx(plain.interval, rel=1e-5)
    assert scaled.trace == pytest.approx(1e12 * plain.trace, rel=1e-5)


def test_one_step_by_its_formulas():
    """With three micro-batches, and weights of which v has not seen any gradient."""
    model, generator = network(), torch.Generator().manual_seed(6)
    x, y = data()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-3)
    loss_of(model, (x * (torch.arange(x.shape[1]) > 0), y)).backward()  # the first input is dead
    optimizer.step()
    optimizer.zero_grad()
    drawn = batches((x, y), 3, SIZE, generator)
    gradients = [torch.autograd.grad(loss_of(model, b), list(model.parameters())) for b in drawn]
    g = torch.stack([torch.cat([part.flatten() for part in gs]) for gs in gradients]).double()
    weights = root_v_weights(optimizer)
    assert (weights == 0).sum() == 16
    monitor = NoiseScale(model, SIZE, optimizer=optimizer)
    accumulate(model, monitor, drawn)
    monitor.step()
    for metric, w in (("l2", torch.ones_like(weights)), ("adam", weights)):
        gram = (g * w) @ g.T
        square = float(gram.sum() - gram.trace()) / 6
        found = monitor.estimate(metric)
        assert found.gradient_square == pytest.approx(square, rel=1e-4)
        assert found.trace == pytest.approx(SIZE * (float(gram.trace()) / 3 - square), rel=1e-4)
        assert found.interval == (0, math.inf)  # one step has no scatter


def test_groups_add_up():
    model = network()
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "name": "matrices"},
        {"params": [p for p in model.parameters() if p.ndim == 1]},
    ]
    monitor = measure(model, optimizer=torch.optim.AdamW(groups))
    assert monitor.groups == ("matrices", "1")
    parts = [monitor.estimate(group=name) for name in monitor.groups]
    whole = monitor.estimate()
    assert sum(part.trace for part in parts) == pytest.approx(whole.trace)
    assert sum(part.gradient_square for part in parts) == pytest.approx(whole.gradient_square)
    assert whole.trace == pytest.approx(measure(network()).estimate().trace, rel=1e-6)


def test_micro_batches_of_other_sizes_are_weighted():
    """Unequal sizes give the same on average: |g|^2 and tr(Sigma) are those of the examples."""
    model, examples, generator = network(), data(), torch.Generator().manual_seed(4)
    monitor = NoiseScale(model, SIZE)
    sizes = (2, 6, 16)
    for _ in range(300):
        for size in sizes:
            (batch,) = batches(examples, 1, size, generator)
            (loss_of(model, batch) * size / sum(sizes)).backward()
            monitor.micro_batch(size)
        monitor.step()
        model.zero_grad()
    square, trace = exact(model, examples)
    found = monitor.estimate()
    assert abs(found.gradient_square - square) < 3 * found.gradient_square_error
    assert abs(found.trace - trace) < 3 * found.trace_error


def test_two_halves_of_a_batch():
    """`backward` leaves the gradient of the mean loss, and measures it by halves."""
    model, examples, generator = network(), data(), torch.Generator().manual_seed(5)
    monitor = NoiseScale(model, 17, every=2)
    for step in range(400):
        ((x, y),) = batches(examples, 1, 17, generator)
        monitor.backward(torch.nn.functional.cross_entropy(model(x), y, reduction="none"))
        if step < 2:
            found = [p.grad.clone() for p in model.parameters()]
            model.zero_grad()
            monitor_off = torch.autograd.grad(loss_of(model, (x, y)), list(model.parameters()))
            for a, b in zip(found, monitor_off, strict=True):
                torch.testing.assert_close(a, b)
        monitor.step()
        model.zero_grad()
    square, trace = exact(model, examples)
    found = monitor.estimate()
    assert found.steps == 200
    assert abs(found.gradient_square - square) < 3 * found.gradient_square_error
    assert abs(found.trace - trace) < 3 * found.trace_error


def test_state_is_plain_and_resumes(tmp_path):
    whole = measure(network(), steps=40)
    examples, generator = data(), torch.Generator().manual_seed(3)
    model = network()
    first = NoiseScale(model, SIZE)
    for step in range(40):
        if step == 25:
            torch.save(first.state_dict(), tmp_path / "monitor.pt")
            first.close()
            first = NoiseScale(model, SIZE)
            first.load_state_dict(torch.load(tmp_path / "monitor.pt", weights_only=True))
        accumulate(model, first, batches(examples, 4, SIZE, generator))
        first.step()
        model.zero_grad()
    assert first.estimate() == whole.estimate()


def test_merging_is_measuring_together():
    one, two = measure(network(0)), measure(network(1))
    both = measure(network(0))
    both.merge(two.state_dict())
    found = both.estimate()
    assert found.steps == 40
    assert found.trace == pytest.approx((one.estimate().trace + two.estimate().trace) / 2)


@pytest.mark.parametrize(
    "state", [{}, {"version": 2}, {"version": 1, "groups": ["a"]}, {"groups": 3}]
)
def test_other_states_are_refused(state):
    monitor = measure(network())
    with pytest.raises(InputError, match="state"):
        monitor.merge(monitor.state_dict() | state if state else state)


def test_scaled_loss_with_its_scaler():
    """Measured with loss scaling, before or after unscaling, it is as without."""
    plain = measure(network()).estimate()
    for unscale in (False, True):
        model, examples, generator = network(), data(), torch.Generator().manual_seed(3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        scaler = torch.amp.GradScaler("cpu", init_scale=4096.0)
        monitor = NoiseScale(model, SIZE, scaler=scaler)
        for _ in range(20):
            for batch in batches(examples, 4, SIZE, generator):
                scaler.scale(loss_of(model, batch) / 4).backward()
                monitor.micro_batch()
            if unscale:
                scaler.unscale_(optimizer)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
            monitor.step()
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
        assert monitor.estimate().trace == pytest.approx(plain.trace, rel=1e-5)
        assert monitor.estimate().noise_scale == pytest.approx(plain.noise_scale, rel=1e-5)


@pytest.mark.parametrize("unscale", [True, False])
def test_scaled_loss_without_its_scaler_is_refused(unscale):
    model, examples, generator = network(), data(), torch.Generator().manual_seed(3)
    optimizer = torch.optim.Adam(model.parameters())
    scaler = torch.amp.GradScaler("cpu", init_scale=4096.0)
    monitor = NoiseScale(model, SIZE, optimizer=optimizer)

    def train():
        for _ in range(5):
            for batch in batches(examples, 2, SIZE, generator):
                scaler.scale(loss_of(model, batch) / 2).backward()
                monitor.micro_batch()
            if unscale:
                scaler.unscale_(optimizer)
            monitor.step()
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
        monitor.estimate()

    with pytest.raises((InputError, DataError), match=r"scaler \(scaler=\)|scaler=") as caught:
        train()
    assert "\n" not in str(caught.value)


def test_clipping_does_not_matter():
    plain = measure(network()).estimate()
    model, examples, generator = network(), data(), torch.Generator().manual_seed(3)
    monitor = NoiseScale(model, SIZE)
    for _ in range(20):
        accumulate(model, monitor, batches(examples, 4, SIZE, generator))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.01)
        monitor.step()
        model.zero_grad()
    assert monitor.estimate() == plain


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions(dtype):
    model = network().to(dtype)
    examples, generator = data(), torch.Generator().manual_seed(3)
    monitor = NoiseScale(model, SIZE)
    for _ in range(20):
        for x, y in batches(examples, 4, SIZE, generator):
            (loss_of(model, (x.to(dtype), y)) / 4).backward()
            monitor.micro_batch()
        monitor.step()
        model.zero_grad()
    plain = measure(network()).estimate()
    assert monitor.estimate().trace == pytest.approx(plain.trace, rel=0.02)


def test_infinite_gradients_are_left_out():
    model, examples, generator = network(), data(), torch.Generator().manual_seed(3)
    monitor = NoiseScale(model, SIZE)
    for step in range(22):
        bad = step in {4, 9}
        accumulate(model, monitor, batches(examples, 4, SIZE, generator), math.inf if bad else 1.0)
        monitor.step()
        model.zero_grad()
    assert monitor.skipped == 2
    assert monitor.estimate().steps == 20
    assert math.isfinite(monitor.estimate().noise_scale)


def test_parameters_without_gradients_or_values():
    model = network()
    model.empty = torch.nn.Parameter(torch.zeros(0))
    model.unused = torch.nn.Parameter(torch.ones(3))
    model.frozen = torch.nn.Parameter(torch.ones(3), requires_grad=False)
    assert measure(model).estimate() == measure(network()).estimate()


def wrong_calls():
    def sparse():
        model = torch.nn.Embedding(4, 2, sparse=True)
        monitor = NoiseScale(model, 1)
        model(torch.tensor([1])).sum().backward()
        monitor.micro_batch()

    def twice():
        model = network()
        monitor = NoiseScale(model, SIZE)
        for batch in batches(data(), 2, SIZE, None):
            loss_of(model, batch).backward()
        monitor.micro_batch()

    def never():
        NoiseScale(network(), SIZE).micro_batch()

    def no_micro_batch():
        NoiseScale(network(), SIZE).step()

    def frozen():
        NoiseScale(network().requires_grad_(requires_grad=False), SIZE)

    def losses():
        NoiseScale(network(), SIZE).backward(torch.tensor(1.0))

    return {
        "sparse": (sparse, "sparse=False"),
        "twice": (twice, "backward ran twice"),
        "never": (never, "no backward"),
        "no micro-batch": (no_micro_batch, "without micro_batch"),
        "frozen": (frozen, "no parameter that learns"),
        "losses": (losses, "losses: must be a vector"),
        "size": (lambda: NoiseScale(network(), 0), "micro_batch: must be positive"),
        "every": (lambda: NoiseScale(network(), 1, every=0), "every: "),
        "half_life": (lambda: NoiseScale(network(), 1, half_life=-1), "half_life: "),
        "metric": (lambda: measure(network()).estimate("l1"), "metric: must be one of l2, adam"),
        "group": (lambda: measure(network()).estimate(group="x"), "group: must be one of all"),
        "level": (lambda: measure(network()).estimate(level=1.0), "level: "),
    }


@pytest.mark.parametrize("name", wrong_calls())
def test_wrong_calls_are_one_line(name):
    call, said = wrong_calls()[name]
    with pytest.raises(InputError, match=said) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_nothing_measured_is_said():
    with pytest.raises(DataError, match="no step had two"):
        NoiseScale(network(), SIZE).estimate()
    with pytest.raises(DataError, match="give NoiseScale the optimizer"):
        measure(network()).estimate("adam")
    with pytest.warns(UserWarning, match="one micro-batch on one rank"):
        monitor = measure(network(), micro=1)
    with pytest.raises(DataError, match="no step had two"):
        monitor.estimate()
