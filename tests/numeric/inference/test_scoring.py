"""Baselines and leave-out: against independent fits and full refits."""

import numpy as np
import pytest

from scaling.numeric.inference.baselines import BASELINES, fit_baseline
from scaling.numeric.inference.evidence.cells import gather
from scaling.numeric.inference.evidence.evidence import Evidence
from scaling.numeric.inference.posterior import infer, target_of
from scaling.numeric.inference.scoring import folds, predict_left_out, without

BATCH = np.array([1.0, 4, 16, 64, 256, 1024, 4096])
MAREK = Evidence(BATCH, np.array([1.7, 2, 4, 6, 7.07, 5, 2.5]) * 1e-3)
TRUTHS = {
    "constant": lambda b: 1e-3 + 0 * b,
    "sqrt": lambda b: 1e-4 * np.sqrt(b),
    "linear": lambda b: 1e-5 * b,
    "power": lambda b: 1e-4 * b**0.7,
    "SGD": lambda b: 1e-3 / (1 + 64 / b),
    "OpenAI": lambda b: 1e-3 / (1 + 64 / b) ** 0.7,
}


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_recover_themselves(name):
    gathered = gather(Evidence(BATCH, TRUTHS[name](BATCH)))
    fitted = fit_baseline(name, gathered, np.ones(7, dtype=bool))
    assert fitted.evaluate(gathered.design) == pytest.approx(np.log2(TRUTHS[name](BATCH)), abs=0.03)


@pytest.mark.parametrize("name", BASELINES)
def test_a_wild_optimum_does_not_move_them(name):
    rate = TRUTHS[name](BATCH)
    rate[2] *= 2.0**6
    gathered = gather(Evidence(BATCH, rate))
    fitted = fit_baseline(name, gathered, np.ones(7, dtype=bool)).evaluate(gathered.design)
    others = np.arange(7) != 2
    assert fitted[others] == pytest.approx(np.log2(TRUTHS[name](BATCH[others])), abs=0.25)


def test_taking_back_is_refitting():
    target, everything = target_of(MAREK), infer(MAREK, draws=2000)
    for out in (np.arange(7) == 3, np.arange(7) > 4):
        reduced = without(target, everything, out).answer(BATCH[out])
        kept = Evidence(BATCH[~out], MAREK.learning_rate[~out])
        again = infer(kept, draws=2000).answer(BATCH[out])
        width = np.log2(again.high / again.low)
        assert np.abs(np.log2(reduced.learning_rate / again.learning_rate) / width).max() < 0.15
        assert np.log2(reduced.high / reduced.low) == pytest.approx(width, rel=0.25)


def test_scores_on_simulated_optima():
    """The law beats the wrong rules, and its intervals hold what they say."""
    rng = np.random.default_rng(0)
    batch = np.tile(2.0 ** np.arange(4, 12), 6)
    size = np.repeat(2.0 ** np.arange(6), 8)
    truth = 1e-3 * size**-0.3 * np.sqrt(batch / (batch + 200))
    evidence = Evidence(
        batch, truth * 2 ** (0.15 * rng.standard_normal(48)), 0.1, 0.1, {"N": size}, 0.0, 0.1
    )
    target, posterior = target_of(evidence), infer(evidence, draws=400)
    for by in ("cell", "batch_size", "group", "largest_third"):
        left_out = folds(target.gathered, by)
        assert (left_out.sum(axis=0) <= 1).all()
        score = predict_left_out(target, posterior, left_out).score(target.gathered.cells.optimum)
        assert score.count == left_out.any(axis=0).sum()
        assert score.rmse["law"] < 1.1 * min(score.rmse["sqrt"], score.rmse["constant"])
        assert score.coverage > 0.75
    assert score.best_baseline in BASELINES


def test_long_tables_are_thinned_without_bias():
    rng = np.random.default_rng(1)
    batch = 2 ** rng.uniform(2, 12, 5000)
    optimum = 0.4 * np.log2(batch) - 12 + 0.3 * rng.standard_t(5, 5000)
    cells = gather(Evidence(batch, 2**optimum)).cells
    assert cells.optimum.size <= 256
    assert cells.count.sum() == 5000
    mean = np.average(cells.optimum, weights=cells.count)
    assert mean == pytest.approx(optimum.mean(), abs=1e-9)
    spread = np.sqrt(np.average((cells.optimum - mean) ** 2, weights=cells.count))
    assert spread == pytest.approx(optimum.std(), rel=0.03)
