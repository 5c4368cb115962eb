"""The posterior's limits and symmetries, its calibration, and a reference sampler."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scaling.errors import DataError, InputError
from scaling.numeric.inference.evidence.evidence import Evidence, Measured
from scaling.numeric.inference.posterior import Posterior, infer, target_of
from scaling.numeric.inference.prior import Prior

BATCH = np.array([1.0, 4, 16, 64, 256, 1024, 4096])
RATE = np.array([1.7, 2, 4, 6, 7.07, 5, 2.5]) * 1e-3  # Marek et al. 2025
FEW = Evidence(BATCH, RATE)
ASKED = np.array([2.0, 64, 1024, 65536])


def _module(name):
    path = Path(__file__).parents[2] / "evidence" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "kind", ["tuned run", "optima", "bounds", "noise scale", "covariates", "eps"]
)
def test_truths_have_uniform_ranks(kind):
    """A small version of tests/evidence/calibration.py."""
    calibration = _module("calibration")
    found = calibration.ranks(kind, 60, seed=0, draws=300)
    worst = min(calibration.p_value(rank) for rank in found.values())
    assert worst > 1e-3 / len(found)


def test_reference_sampler_agrees():
    """A long run of emcee on the same density, to its and our Monte Carlo error."""
    emcee = pytest.importorskip("emcee")
    target = target_of(FEW)
    start = infer(FEW, draws=64).draws
    sampler = emcee.EnsembleSampler(
        64,
        start.shape[1],
        lambda x: target.log_prior(x) + target.log_likelihood(x),
        vectorize=True,
        moves=[(emcee.moves.DEMove(), 0.8), (emcee.moves.StretchMove(), 0.2)],
    )
    sampler.random_state = np.random.RandomState(0).get_state()
    sampler.run_mcmc(start, 8000)
    chain = sampler.get_chain(discard=2000, thin=50, flat=True)
    reference = replace(infer(FEW), draws=chain)
    ours = infer(FEW, draws=4000).answer(ASKED)
    theirs = reference.answer(ASKED)
    width = np.log2(theirs.high / theirs.low)
    for one, other in zip(ours, theirs, strict=True):
        assert np.abs(np.log2(one / other) / width).max() < 0.06


def test_an_optimum_that_says_nothing_leaves_the_prior():
    vague = infer(Evidence([256], [1e-3], 100.0, 100.0), draws=4000)
    mean, spread = Prior.load().moments(vague.family)
    first = vague.family.linear
    error = spread[first:] / np.sqrt(vague.diagnostics.effective / 10)
    assert (np.abs(vague.draws.mean(axis=0) - mean)[first:] < 4 * error).all()
    assert vague.draws.std(axis=0)[first:] == pytest.approx(spread[first:], rel=0.15)


def test_much_evidence_is_a_plain_fit():
    rng = np.random.default_rng(0)
    batch = 2 ** rng.uniform(2, 14, 3000)
    truth = 1e-3 * np.sqrt(batch / (batch + 500))
    found = infer(Evidence(batch, truth * 2 ** (0.2 * rng.standard_normal(3000))))
    asked = np.array([8.0, 128, 1024, 8192])
    answer = found.answer(asked)
    expected = 1e-3 * np.sqrt(asked / (asked + 500))
    assert np.abs(np.log2(answer.learning_rate / expected)).max() < 0.06
    assert np.log2(answer.law_high / answer.law_low).max() < 0.3
    assert np.log2(answer.high / answer.low) == pytest.approx(0.2 * 2 * 1.645, rel=0.5)


@pytest.mark.parametrize(("batch", "rate"), [(512.0, 1.0), (1.0, 1e3), (2.0**-7, 2.0**9)])
def test_units_do_not_matter(batch, rate):
    there = infer(Evidence(batch * BATCH, rate * RATE)).answer(batch * ASKED)
    here = infer(FEW).answer(ASKED)
    for one, other in zip(there, here, strict=True):
        assert one / rate == pytest.approx(other, rel=1e-6)


def test_order_of_rows_does_not_matter():
    order = np.array([3, 1, 0, 6, 5, 2, 4])
    assert np.array_equal(infer(Evidence(BATCH[order], RATE[order])).draws, infer(FEW).draws)


def test_seeds_shrink_the_error_of_a_setting_and_nothing_else():
    """Rows given twice are two readings of the same optima: errors shrink by sqrt(2)."""
    twice = Evidence(np.tile(BATCH, 2), np.tile(RATE, 2))
    closer = Evidence(BATCH, RATE, 0.2 / np.sqrt(2), 0.2 / np.sqrt(2))
    assert infer(twice).draws == pytest.approx(infer(closer).draws, abs=1e-9)


def test_more_evidence_narrows():
    # A noise scale tells of B_crit; of the law if B_n is believed to be near that.
    prior = Prior({**Prior.load().scales, "ratio": (0.0, 0.5)})

    def width(evidence):
        found = infer(evidence, prior, draws=2000).answer(4096.0)
        return np.log2(found.law_high / found.law_low)

    run = Evidence([64], [6e-3])
    scale = replace(run, noise_scale=Measured(500.0, 1.2))
    assert width(run + Evidence(BATCH[:6], RATE[:6])) < width(scale) < 0.9 * width(run)


def test_interval_widens_with_distance():
    found = infer(Evidence([256], [1e-3])).answer(256 * 4.0 ** np.arange(5))
    assert (np.diff(found.high / found.low) > 0).all()


def test_bounds_bound():
    """The largest batch size's optimum is at least what was tried there."""
    low = Evidence([16, 64, 256], [1e-3, 2e-3, 4e-3])
    free = infer(low).answer(4096.0)
    lifted = infer(low + Evidence([4096], [2e-2], 0.1, np.inf)).answer(4096.0)
    assert lifted.learning_rate > 1.3 * free.learning_rate
    assert lifted.learning_rate > 1.2e-2


def test_eps_by_second_moments():
    """One tuned run with sqrt(v): a large eps asks for about 1 + eps/mean(t) of it (T-J1)."""
    run = Evidence([256], [1e-3], root_second_moment=Measured(1e-4, 1.1, 256.0))
    rate = infer(run).answer([256.0, 256.0, 256.0], eps=[1e-9, 1e-5, 1e-2]).learning_rate
    assert rate[1] / rate[0] == pytest.approx(1.1, rel=0.04)
    assert 10 < rate[2] / rate[0] < 110


def test_groups_are_remembered():
    """A group's own effect is in the answers for it, and not in those for others."""
    batch, size = np.tile([64.0, 256, 1024], 6), np.repeat(2.0 ** np.arange(6), 3)
    rate = 1e-3 * np.sqrt(batch / 256) * np.where(size == 4, 4.0, 1.0)
    found = infer(Evidence(batch, rate, 0.05, 0.05, {"N": size}))
    rates = [found.answer(256, covariates={"N": n}).learning_rate for n in (4.0, 4.1)]
    assert rates[0] > 2 * rates[1]
    assert found.answer(256, covariates={"N": 4.0}).learning_rate > 2.5e-3


def test_json_keeps_the_answers():
    found = infer(FEW)
    text = json.dumps(found.to_dict())
    assert len(text) < 200_000
    again = Posterior.from_dict(json.loads(text)).answer(ASKED)
    width = np.log2(again.high / again.low)
    for one, other in zip(again, found.answer(ASKED), strict=True):
        assert np.abs(np.log2(one / other) / width).max() < 0.15


@pytest.mark.parametrize("part", ["draws", "center", "ranges"])
def test_malformed_json_is_refused(part):
    broken = infer(FEW, draws=50).to_dict() | {part: [["x"]]}
    with pytest.raises(DataError, match="malformed"):
        Posterior.from_dict(broken)


def test_refusals():
    with pytest.raises(DataError, match="bounds only"):
        infer(Evidence([1, 2], [1e-3, 1e-3], np.inf, 0.1))
    with pytest.raises(InputError, match="needs N"):
        infer(Evidence([1, 2], [1e-3, 1e-3], covariates={"N": [1, 2]})).answer(1)
    with pytest.raises(InputError, match="between 0 and 1"):
        infer(FEW, draws=50).answer(1, level=1.5)
    with pytest.raises(DataError, match="row 2: learning_rate"):
        Evidence([1, 2], [1e-3, -1])


def test_exponents_and_peaks_are_of_the_law_that_answers():
    """By brute force over draws of the law, in which the misfit is."""
    found = infer(Evidence([32, 128, 512], [1e-3, 1.6e-3, 1.7e-3]))  # which may fall, or not yet
    batch = np.geomspace(*found.ranges[0], 129)
    law = found.family.evaluate(found.draws, found._design([batch, np.zeros(129)]))
    top, falls = batch[np.argmax(law, axis=1)], law.max(axis=1) > law[:, -1] + 0.1
    np.testing.assert_array_equal(found.peaks(), np.where(falls, top, np.inf))
    assert falls.any()
    assert not falls.all()
    ends = [found._design([np.array([x]), np.zeros(1)]) for x in (32.0, 128.0)]
    low, high = (found.family.evaluate(found.draws, end)[:, 0] for end in ends)
    np.testing.assert_allclose(found.exponent(64.0)[:, 0], (high - low) / 2, atol=1e-12)


def test_outside_the_covariates_the_answer_widens():
    rng = np.random.default_rng(0)
    n, b = (x.ravel() for x in np.meshgrid(2.0 ** np.arange(0, 12, 2), [8.0, 64.0, 512.0]))
    optima = 1e-3 * np.sqrt(b) * n**-0.3 * np.exp2(0.2 * rng.normal(size=n.size))
    found = infer(Evidence(b, optima, covariates={"N": n}))

    def width(at):
        answer = found.answer(64, covariates={"N": at})
        return np.log2(answer.law_high / answer.law_low)

    assert width(32.0) < width(2.0**11) < width(2.0**20)
