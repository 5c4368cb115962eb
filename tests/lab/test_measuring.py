"""What is measured along a run is what is there."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'torch'")
pytest.importorskip("sklearn", reason="needs the extra 'torch'")

from scaling import SecondMoments  # noqa: E402
from scaling.lab import measure_noise  # noqa: E402
from scaling.lab.measuring import summarise  # noqa: E402
from scaling.lab.problems.digits import Network  # noqa: E402

pytestmark = pytest.mark.torch


def test_noise_scale_and_its_error_against_the_gradients_of_all_examples():
    problem = Network(2, torch.float64)
    weights = problem.start(np.random.default_rng(0))
    count = len(problem.targets)
    each = problem.gradient(weights.expand(count, 1, -1), torch.arange(count)[:, None])[:, 0]
    square = float(each.mean(dim=0).square().sum())
    trace = float(each.var(dim=0, correction=0).sum())
    true = np.array([square, trace, trace / square])
    generator, tries = np.random.default_rng(1), 150
    found = [measure_noise(problem, weights, generator, 4, 8, 12) for _ in range(tries)]
    values = np.array([[f.gradient_square, f.trace, f.noise_scale] for f in found])
    errors = np.array(
        [[f.gradient_square_error, f.trace_error, f.noise_scale_error] for f in found]
    )
    spread = values.std(axis=0)
    # The first two are unbiased; a ratio of averages is off by less than its own spread.
    off = np.abs(values.mean(axis=0) - true)
    assert (off[:2] < 4 * spread[:2] / np.sqrt(tries)).all()
    assert off[2] < spread[2] / 2
    assert np.sqrt((errors**2).mean(axis=0)) == pytest.approx(spread, rel=0.3)


def test_a_summary_answers_like_all_values():
    t = np.exp(np.random.default_rng(2).normal(-5, 3, 3000))
    t[:10] = 0
    found = summarise(torch.tensor(t**2).view(2, -1))
    assert (found.zeros, found.count) == (10, 2990)
    assert found.counts.size < 250
    assert found.sums.sum() == pytest.approx((t**2).sum(), rel=1e-4)
    t, eps = t[10:], np.geomspace(1e-6, 1e3, 19)[:, None]
    shift = (t**2 / (t + eps)).sum(axis=1) / (t**3 / (t + eps) ** 2).sum(axis=1)
    assert found.eps_shift(eps[:, 0]) == pytest.approx(shift, rel=4e-3)
    again = SecondMoments.from_json(found.to_json())
    assert (again.eps_shift(1.0), again.zeros) == (found.eps_shift(1.0), 10)


def test_a_summary_of_nothing():
    found = summarise(torch.zeros(3))
    assert (found.count, found.zeros) == (0, 3)


def test_cells_that_rounding_makes_alike_become_one():
    # On both sides of 1, a border.
    found = summarise(torch.tensor([1 - 1e-7, 1.0], dtype=torch.float64))
    assert SecondMoments.from_json(found.to_json()).counts.tolist() == [2]
