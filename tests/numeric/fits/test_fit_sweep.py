"""Laws from sweeps: recovery, honest intervals, verdicts, rules of thumb beside them, bad input."""

from functools import cache

import numpy as np
import pytest
from scaling.cli.report.sentences import say_all

from scaling import BatchSizeLaw, DataError, InputError, data, fit_sweep, simulate_sweep
from scaling.numeric.fits import known_law
from scaling.numeric.tables import Runs

BATCH = 2.0 ** np.arange(4, 14)
ASKED = np.array([16.0, 256.0, 8192.0])
GRID = {"N": [2e8, 1e9, 4e9], "D": [5e9, 8e10]}


def plain(ratio):
    return BatchSizeLaw.from_limit(1e-3, noise_batch_size=300 * ratio, critical_batch_size=300)


def joint(ratio=6.0):
    return known_law(
        learning_rate=1e-3,
        reference_batch_size=256,
        noise_batch_size=300 * ratio,
        critical_batch_size=300,
        covariates={"N": 1e9, "D": 2e10},
        learning_rate_exponents={"N": -0.3, "D": 0.1},
        critical_exponents={"D": 0.4},
    )


@cache
def fitted(departure=0.0):
    runs = simulate_sweep(joint(), BATCH, covariates=GRID, departure=departure, missing=0.1, seed=3)
    return fit_sweep(runs)


def test_a_joint_law_is_recovered_where_it_was_not_run():
    law, truth = fitted().law.at(N=2e9, D=4e10), joint().at(N=2e9, D=4e10)
    octaves = np.log2(law.learning_rate(ASKED) / truth.learning_rate(ASKED))
    assert np.abs(octaves).max() < 0.12
    low, high = law.law_interval(ASKED, level=0.99)
    assert (low < truth.learning_rate(ASKED)).all()
    assert (truth.learning_rate(ASKED) < high).all()
    exponents = fitted().law.covariate_exponents()
    # lr/sqrt(B) of small batches is lr_inf sqrt(B_n)/B_crit: D^(0.1 - 0.4/2).
    for quantity, name, value in (
        ("lr/sqrt(B)", "N", -0.3),
        ("lr/sqrt(B)", "D", -0.1),
        ("B_crit", "D", 0.4),
    ):
        _, low, high = exponents[quantity][name]
        assert low - 0.05 < value < high + 0.05


def test_it_predicts_what_was_left_out_better_than_rules_of_thumb():
    assert {*fitted().scores} == {"cell", "batch_size", "group", "largest_third"}
    for by in ("cell", "batch_size", "group"):
        score = fitted().scores[by]
        assert score.rmse["law"] < 0.15
        assert score.excess["law"] < 1e-3
        assert score.rmse["law"] < score.rmse[score.best_baseline]
        assert score.coverage > 0.9
    assert not fitted().warnings()


def test_excess_loss_is_what_the_errors_cost():
    """By the simulated valley itself, whose rise one octave off is 1 % on average."""
    score = fitted().scores["batch_size"]
    a = 0.8
    unit = (np.expm1(a * np.log(2)) ** 2 + np.expm1(-a * np.log(2)) ** 2) / 2
    sigma = score.rmse["sqrt"]
    # To the order of magnitude, for a mean of squares is not the rise of their root.
    assert 0.2 < score.excess["sqrt"] / (0.01 * np.expm1(a * np.log(2) * sigma) ** 2 / unit) < 5


@pytest.mark.parametrize(("ratio", "falls"), [(6.0, True), (1.0, False)])
def test_the_fall_is_seen_or_denied(ratio, falls):
    fit = fit_sweep(simulate_sweep(plain(ratio), 2.0 ** np.arange(4, 18), seed=1), scores=False)
    probability = fit.law.falls(2.0**11)
    assert probability > 0.9 if falls else probability < 0.1
    assert (fit.law.peak is not None) == falls


def test_small_batches_alone_tell_of_no_fall():
    fit = fit_sweep(simulate_sweep(plain(6.0), [1, 2, 4, 8], seed=2), scores=False)
    assert 0.02 < fit.law.falls(1000.0) < 0.9


def test_departures_from_the_law_widen_its_intervals():
    def width(fit):
        low, high = fit.law.at(N=2e9, D=4e10).interval(ASKED)
        return np.log2(high / low)

    assert (width(fitted(0.25)) > 1.5 * width(fitted())).all()


def test_a_noise_scale_is_evidence_too():
    runs = simulate_sweep(plain(6.0), [16, 32, 64], seed=2)
    alone, known = (fit_sweep(runs, noise_scale=n, scores=False).law for n in (None, 1800.0))

    def width(law):
        low, high = law.parameter_intervals()["critical_batch_size"]
        return np.log2(high / low)

    assert width(known) < 0.8 * width(alone)
    assert known.assumptions()[0]["noise_scale"] == 1800.0


def test_bounds_at_the_edge_do_not_bend_the_law():
    truth = plain(6.0)
    optima = truth.learning_rate(BATCH)
    rates = np.exp(np.arange(np.log(optima.min() / 3), np.log(np.median(optima)), np.log(2) / 2))
    runs = simulate_sweep(truth, BATCH, rates, seed=4, noise=0.0005)
    fit = fit_sweep(runs, scores=False)
    assert (fit.valleys.bound == 1).sum() >= 2
    octaves = np.log2(fit.law.learning_rate(BATCH) / optima)
    assert np.abs(octaves[fit.valleys.known]).max() < 0.2
    assert (octaves[~fit.valleys.known] > -0.5).all()
    said = {found.key: found for found in fit.facts()}
    assert said["bounds"]["cells"] == (~fit.valleys.known).sum()


def test_a_cell_whose_valley_is_far_steeper_is_read_too():
    """One run per learning rate, eleven cells alike and one 25 times as steep."""
    batch = np.repeat(2.0 ** np.arange(12), 21)
    away = np.tile(np.arange(-5, 5.5, 0.5) + 0.1, 12)
    steepness = np.where(batch == 2048, 0.125, 0.005)
    noise = 1e-4 * np.random.default_rng(0).standard_normal(batch.size)
    runs = Runs(batch, 1e-3 * 2**away, np.exp(steepness * away**2 + noise))
    valleys = fit_sweep(runs, scores=False).valleys
    assert np.abs(valleys.optimum - np.log2(1e-3)).max() < 0.1


def test_eps_is_followed_where_it_was_not_run():
    truth = known_law(
        learning_rate=1e-3,
        reference_batch_size=64,
        noise_batch_size=1000,
        critical_batch_size=200,
        eps_scale=2e-3,
    )
    tried = [1e-8, 1e-4, 1e-2, 1e-1]
    runs = simulate_sweep(truth, 4.0 ** np.arange(1, 7), eps=tried, repetitions=2, seed=1)
    fit = fit_sweep(runs, scores=False)
    law, true = fit.law.at(eps=1e-3), truth.at(eps=1e-3)
    asked = np.array([16.0, 256.0, 4096.0])
    assert np.abs(np.log2(law.learning_rate(asked) / true.learning_rate(asked))).max() < 0.2
    with pytest.raises(InputError, match="the law needs eps"):
        fit.law.at()
    assert fit.middle.effective_eps == 1e-8
    (beyond,) = fit.law.at(eps=1.0).warnings(64)
    assert (beyond["quantity"], beyond["high"]) == ("eps", pytest.approx(max(tried)))
    assert not fit.law.at(eps=0.0).warnings(64)


@pytest.mark.parametrize(
    "truth",
    [
        BatchSizeLaw(256.0, 1e-3, 0.0, 300.0),
        BatchSizeLaw(256.0, 1e-3, np.inf, 300.0),
        BatchSizeLaw(256.0, 1e-3, np.inf, np.inf),
        BatchSizeLaw(256.0, 1e-3, 1e3, np.inf),
    ],
)
def test_corners_are_followed(truth):
    fit = fit_sweep(simulate_sweep(truth, BATCH, seed=6), scores=False)
    octaves = np.log2(fit.law.learning_rate(BATCH) / truth.learning_rate(BATCH))
    assert np.abs(octaves).max() < 0.15
    assert np.isfinite(fit.law.interval(BATCH)).all()


def test_a_rule_that_predicts_better_is_warned_of():
    # Optima on the linear rule, with scatter: the law has the rule's two corners to learn besides.
    truth = BatchSizeLaw(64.0, 1e-4, 0.0, np.inf)
    runs = simulate_sweep(truth, 2.0 ** np.arange(0, 6), departure=0.3, seed=5)
    rules = {found["rule"] for found in fit_sweep(runs).warnings()}
    assert rules


def test_one_batch_size_is_a_tuned_run():
    runs = simulate_sweep(plain(6.0), [64], seed=1)
    fit = fit_sweep(runs)
    assert "one batch size" in {found.key for found in fit.facts()}
    assert fit.law.peak is None
    assert not fit.scores


def test_real_sweeps_are_predicted_better_than_by_rules_of_thumb():
    """The digits sweep that comes with the package, at eps = 1e-8."""
    fit = fit_sweep(data.load("digits_sweep"), where="eps == 1e-8")
    score = fit.scores["batch_size"]
    assert score.rmse["law"] < score.rmse[score.best_baseline]
    assert score.coverage >= 0.82


# --- bad input -----------------------------------------------------------------------------


def columns(runs, **more):
    return {"bs": runs.batch_size, "lr": runs.learning_rate, "loss": runs.loss, **more}


RUNS = simulate_sweep(plain(6.0), BATCH[::3], seed=1)


@pytest.mark.parametrize(
    ("more", "options", "says"),
    [
        ({"N": np.full(len(RUNS), 1e9)}, {"covariates": ["N"]}, "covariate N has one value, 1e"),
        (
            {"N": RUNS.batch_size, "D": RUNS.batch_size**2},
            {"covariates": ["N", "D"]},
            "the covariates N, D vary together",
        ),
        ({"loss": np.full(len(RUNS), np.nan)}, {}, "every one of the .* runs diverged"),
        ({"loss": np.full(len(RUNS), 2.5)}, {}, "every loss is 2.5"),
        ({"lr": np.full(len(RUNS), 1e-3)}, {}, "no batch size has runs at two learning rates"),
        ({"N": RUNS.batch_size}, {"covariates": ["N", "N"]}, "N is given twice"),
        ({}, {"covariates": ["lr"]}, "lr is already another column's role"),
        ({}, {"covariates": ["Q"]}, "there is no column 'Q'"),
        ({}, {"lr_column": "bs"}, "lr_column: 'bs' is the batch size already"),
        ({"state": np.array(["RUNNING"] * len(RUNS))}, {}, "no run|empty|no row"),
        (
            {"val_loss": RUNS.loss, "eval_loss": 2 * RUNS.loss},
            {},
            "val_loss, eval_loss may all be meant",
        ),
        ({}, {"where": "bs > 1e9"}, "no row satisfies"),
        ({}, {"covariates": "ND"}, r"must be a list of names, as \['ND'\]"),
        (
            {"eval/accuracy": RUNS.loss},
            {"loss_column": "eval/accuracy"},
            "'eval/accuracy' is the better the higher",
        ),
    ],
)
def test_bad_sweeps_are_refused_in_one_line(more, options, says):
    with pytest.raises((DataError, InputError), match=says) as caught:
        fit_sweep(columns(RUNS, **more), **options)
    assert "\n" not in str(caught.value)


def test_ten_thousand_diverged_runs_change_nothing_below_them():
    lost = 10_000
    many = Runs(
        np.concatenate([RUNS.batch_size, np.full(lost, 128.0)]),
        np.concatenate([RUNS.learning_rate, np.full(lost, 10.0)]),
        np.concatenate([RUNS.loss, np.full(lost, np.nan)]),
    )
    fit = fit_sweep(many, scores=False)
    assert fit.facts()[0]["runs"] == many.diverged.sum()
    one = fit_sweep(RUNS, scores=False)
    octaves = np.log2(fit.law.learning_rate(ASKED) / one.law.learning_rate(ASKED))
    assert np.abs(octaves).max() < 0.02


def test_what_was_guessed_and_dropped_is_said():
    table = columns(RUNS, seed=np.zeros(len(RUNS)), eps=np.full(len(RUNS), 1e-8))
    doubled = {name: np.concatenate([column, column[:2]]) for name, column in table.items()}
    said = " ".join(say_all(fit_sweep(doubled, scores=False).said))
    assert "batch size from column 'bs'" in said
    assert "2 rows are there twice" in said
    assert "eps is 1e-08 in every run" in said


def test_unfinished_runs_are_left_out_and_said():
    # As Optuna's data frames have them: a pruned trial has no final loss.
    state = np.array(["COMPLETE"] * len(RUNS), dtype=object)
    loss = RUNS.loss.copy()
    state[::9], loss[::9] = "PRUNED", 0.1
    fit = fit_sweep(columns(RUNS, state=state, loss=loss), scores=False)
    keep = np.arange(len(RUNS)) % 9 > 0
    rest = {name: column[keep] for name, column in columns(RUNS).items()}
    assert fit.law.learning_rate(64) == fit_sweep(rest, scores=False).law.learning_rate(64)
    (said,) = (found for found in fit.said if found.key == "left out, by state")
    assert dict(said.values) == {
        "runs": (~keep).sum(),
        "total": len(RUNS),
        "state": "PRUNED",
        "broke": False,
    }


def test_order_and_units_do_not_matter():
    order = np.random.default_rng(0).permutation(len(RUNS))
    other = Runs(512 * RUNS.batch_size[order], 3 * RUNS.learning_rate[order], 7 * RUNS.loss[order])
    one, two = (fit_sweep(runs, scores=False).law for runs in (RUNS, other))
    np.testing.assert_allclose(
        two.learning_rate(512 * ASKED), 3 * one.learning_rate(ASKED), rtol=0.01
    )


# --- the law's face ------------------------------------------------------------------------


def test_a_law_with_covariates_must_be_told_which():
    law = fitted().law
    for call in (lambda: law.learning_rate(64), lambda: law.peak, lambda: law.critical_batch_size):
        with pytest.raises(InputError, match=r"law.at\(N=..., D=...\)"):
            call()
    for setting, says in (
        ({"N": 1e9}, "needs D too"),
        ({"N": 1e9, "D": 1e10, "Q": 1.0}, "no 'Q'"),
        ({"N": -1.0, "D": 1e10}, "N: must be positive"),
        ({"N": 1e9, "D": 1e10, "eps": 1e-8}, "eps: cannot be changed"),
    ):
        with pytest.raises(InputError, match=says):
            law.at(**setting)


def test_extrapolation_in_a_covariate_is_warned_of():
    law = fitted().law
    assert law.at(N=4e9, D=2e10).warnings(64) == ()
    (found,) = law.at(N=1e12, D=2e10).warnings(64)
    assert (found["quantity"], found["value"], found["times"]) == ("N", 1e12, pytest.approx(250))
