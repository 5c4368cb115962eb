"""Laws from sweeps: recovery, honest intervals, verdicts, competitors, bad input."""

from functools import cache

import numpy as np
import pytest

from scaling import BatchSizeLaw, DataError, InputError, fit_optima, fit_sweep, simulate_sweep
from scaling.numeric.fits import SweepLaw
from scaling.numeric.fits.cross_validation import errors, folds_by, largest_third, left_out
from scaling.numeric.laws import Provenance, power_rule
from scaling.numeric.tables import Runs, read_optima

BATCH = 2.0 ** np.arange(4, 14)
ASKED = np.array([16.0, 256.0, 8192.0])


def plain(ratio):
    return BatchSizeLaw.from_limit(1e-3, noise_batch_size=300 * ratio, critical_batch_size=300)


def joint(ratio=6.0):
    return SweepLaw.of(
        learning_rate=1e-3,
        reference_batch_size=256,
        noise_batch_size=300 * ratio,
        critical_batch_size=300,
        covariates={"N": 1e9, "D": 2e10},
        learning_rate_exponents={"N": -0.3, "D": 0.1},
        critical_exponents={"D": 0.4},
    )


GRID = {"N": [2e8, 1e9, 4e9], "D": [5e9, 8e10]}


@cache
def fitted(ratio=6.0, departure=0.0, replicates=60):
    runs = simulate_sweep(
        joint(ratio), BATCH, covariates=GRID, departure=departure, missing=0.1, seed=3
    )
    return fit_sweep(runs, replicates=replicates)


def test_a_joint_law_is_recovered_where_it_was_not_run():
    law, truth = fitted().law.at(N=2e9, D=4e10), joint().at(N=2e9, D=4e10)
    octaves = np.log2(law.learning_rate(ASKED) / truth.learning_rate(ASKED))
    assert np.abs(octaves).max() < 0.08
    low, high = law.interval(ASKED, level=0.99)
    assert (low < truth.learning_rate(ASKED)).all()
    assert (truth.learning_rate(ASKED) < high).all()
    assert law.critical_batch_size == pytest.approx(truth.critical_batch_size, rel=0.15)
    parameters = dict(law.parameters)
    assert parameters["scale:N"] == pytest.approx(-0.3, abs=0.05)
    assert parameters["critical:D"] == pytest.approx(0.4, abs=0.1)


def test_it_predicts_what_was_left_out():
    scores = fitted().chosen.scores
    for found in (scores.cell, scores.batch_size, scores.group):
        assert found.rmse < 0.1
        assert found.regret < 5e-4
    assert not fitted().warnings
    for other in fitted().competitors:
        assert other.scores.cell.rmse > scores.cell.rmse
        assert other.fitted.aic > fitted().chosen.fitted.aic


@pytest.mark.parametrize(("ratio", "verdict"), [(4.0, "supported"), (1.0, "denied")])
def test_the_surge_is_seen_or_denied(ratio, verdict):
    surge = fitted(ratio, replicates=0).surge
    assert surge.verdict == verdict
    low, high = surge.ratio_interval
    assert low < ratio < high
    assert surge.evidence > surge.needed


def test_small_batches_alone_do_not_tell_of_a_surge():
    runs = simulate_sweep(plain(6.0), [1, 2, 4, 8], seed=2)
    assert fit_sweep(runs, replicates=0).surge.verdict == "undetermined"


def test_departures_from_the_law_widen_its_intervals():
    def width(law):
        low, high = law.at(N=2e9, D=4e10).interval(ASKED)
        return np.log2(high / low)

    assert (width(fitted(departure=0.15).law) > 2 * width(fitted().law)).all()
    truth = joint().at(N=2e9, D=4e10).learning_rate(ASKED)
    low, high = fitted(departure=0.15).law.at(N=2e9, D=4e10).interval(ASKED)
    assert ((low < truth) & (truth < high)).all()


def test_intervals_cover_the_truth_as_often_as_they_say():
    truth, trials, hits = plain(6.0), 12, np.zeros(3)
    for seed in range(trials):
        law = fit_sweep(simulate_sweep(truth, BATCH[::2], seed=seed), replicates=40).law
        low, high = law.interval(ASKED, level=0.9)
        hits += (low <= truth.learning_rate(ASKED)) & (truth.learning_rate(ASKED) <= high)
    # 36 intervals, not independent; tests/benchmarks/sweep_coverage.py asks 200 sweeps.
    assert hits.mean() / trials > 0.75


def test_bounds_at_the_edge_do_not_bend_the_law():
    truth = plain(6.0)
    optima = truth.learning_rate(BATCH)
    rates = np.exp(np.arange(np.log(optima.min() / 3), np.log(np.median(optima)), np.log(2) / 2))
    fit = fit_sweep(simulate_sweep(truth, BATCH, rates, seed=4, noise=0.0005), replicates=40)
    bounds = fit.valleys["cells"].bound
    assert (bounds == 1).sum() >= 2
    known = fit.valleys["cells"].known
    octaves = np.log2(fit.law.learning_rate(BATCH) / optima)
    assert np.abs(octaves[known]).max() < 0.15
    assert (octaves[~known] > -0.5).all()


@pytest.mark.parametrize("kind", ["outside", "inside", "gaussian"])
def test_the_form_of_eps_is_found(kind):
    parameters = [
        ("log_scale", np.log(1e-3)),
        ("log_critical", np.log(3.0)),
        ("log_ratio", np.log(5.0)),
        ("log_gradient", np.log(2e-3)),
    ]
    truth = SweepLaw(
        kind, (), (0.0, 1e-1), 64.0, tuple(parameters), (), None, Provenance("assumed", "truth")
    )
    runs = simulate_sweep(
        truth, [4, 16, 64, 256, 1024, 4096], eps=[0.0, 1e-4, 1e-2, 1e-1], repetitions=2, seed=1
    )
    fit = fit_sweep(runs, replicates=20)
    assert fit.law.eps_form == kind
    law, true = fit.law.at(eps=1e-3), truth.at(eps=1e-3)
    assert np.abs(np.log2(law.learning_rate(ASKED) / true.learning_rate(ASKED))).max() < 0.15
    assert law.noise_batch_size == pytest.approx(true.noise_batch_size, rel=0.3)
    assert law.critical_batch_size == pytest.approx(true.critical_batch_size, rel=0.2)
    with pytest.raises(InputError, match="the law needs eps"):
        fit.law.at()


def test_limits_with_eps_are_those_of_the_law_itself():
    for kind in ("outside", "inside", "gaussian"):
        parameters = (
            ("log_scale", 0.0),
            ("log_critical", 1.0),
            ("log_ratio", 1.5),
            ("log_gradient", -5.0),
        )
        law = SweepLaw(
            kind, (), (0.0, 1.0), 64.0, parameters, (), None, Provenance("assumed", "x")
        ).at(eps=0.02)
        # T-E2's limits: lr_inf for huge batches, lr_inf sqrt(B_n B)/B_crit for tiny ones.
        assert law.learning_rate(1e14) == pytest.approx(law.learning_rate_limit, rel=1e-6)
        small = law.learning_rate_limit * np.sqrt(law.noise_batch_size * 1e-12)
        assert law.learning_rate(1e-12) == pytest.approx(small / law.critical_batch_size, rel=1e-3)


# --- competitors on published optima -------------------------------------------------------


def test_on_published_optima_the_law_predicts_better_than_the_rules(marek):
    batch, rates = (np.array(column) for column in read_optima(marek))
    seen = folds_by(np.arange(batch.size))

    def by_law(folds):
        laws = [fit_optima(batch[fold], rates[fold]) for fold in folds]
        return np.log([law.learning_rate(batch) for law in laws])

    def by_power(exponent):
        def fit(folds):
            predicted = []
            for fold in folds:
                x, y = np.log(batch[fold]), np.log(rates[fold])
                slope = np.polyfit(x, y, 1)[0] if exponent is None else exponent
                point = (np.exp(x.mean()), np.exp(np.mean(y)))
                predicted.append(np.log(point[1]) + slope * np.log(batch / point[0]))
            return np.array(predicted)

        return fit

    law = errors(left_out(seen, by_law), np.log(rates))
    for exponent in (0.5, 1.0, None):
        assert law.rmse < 0.8 * errors(left_out(seen, by_power(exponent)), np.log(rates)).rmse
    # The rule itself, so that the comparison is with what it says it is.
    sqrt = by_power(0.5)(seen)[0]
    assert np.exp(sqrt[1]) == pytest.approx(
        power_rule(batch[1], (batch[0], np.exp(sqrt[0])), alpha=0.5)
    )


def test_folds():
    assert largest_third(np.array([1, 2, 4, 8, 8, 16])).tolist() == [False] * 3 + [True] * 3
    many = folds_by(np.arange(1000))
    assert many.shape == (200, 1000)
    assert ((~many).sum(axis=0) == 1).all()
    with pytest.raises(InputError, match="one prediction"):
        left_out(many, lambda _: np.zeros(3))


def test_a_better_competitor_is_warned_of():
    # Optima that follow the linear rule with a wrinkle that the law takes for its own.
    truth = BatchSizeLaw(64.0, 1e-4, 0.0, np.inf)
    runs = simulate_sweep(truth, BATCH[:5], departure=0.4, seed=5)
    said = fit_sweep(runs, replicates=0).warnings
    assert any("the linear rule predicts better" in text for text in said)


# --- corners and what tables do not determine ----------------------------------------------


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
    fit = fit_sweep(simulate_sweep(truth, BATCH, seed=6), replicates=20)
    octaves = np.log2(fit.law.learning_rate(BATCH) / truth.learning_rate(BATCH))
    assert np.abs(octaves).max() < 0.15
    low, high = fit.law.interval(BATCH)
    assert np.isfinite(low).all()
    assert np.isfinite(high).all()


def test_exponents_that_are_not_determined_stay_small():
    runs = simulate_sweep(joint(), [4, 8, 16], covariates=GRID, seed=7, noise=0.003)
    parameters = dict(fit_sweep(runs, replicates=0).law.parameters)
    for name, value in parameters.items():
        if name.startswith(("critical:", "ratio:")):
            assert abs(value) < 1.5


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
        ({"bs": np.full(len(RUNS), 64.0)}, {}, "at 1 batch size only, 64; a law needs 3"),
        ({"bs": np.where(RUNS.batch_size > 64, 128.0, 64)}, {}, "at 2 batch sizes only, 64 and 12"),
        ({"loss": np.full(len(RUNS), np.nan)}, {}, "every one of the .* runs diverged"),
        ({"lr": np.full(len(RUNS), 1e-3)}, {}, "every optimum is at an edge"),
        ({"N": RUNS.batch_size}, {"covariates": ["N", "N"]}, "N is given twice"),
        ({}, {"covariates": ["lr"]}, "lr is already another column's role"),
        ({}, {"covariates": ["Q"]}, "there is no column 'Q'"),
        ({}, {"lr_column": "bs"}, "lr_column: 'bs' is the batch size already"),
        ({"state": np.array(["RUNNING"] * len(RUNS))}, {}, "no run|empty|no row"),
        ({"val_loss": RUNS.loss}, {}, "loss, val_loss may all be meant"),
        ({}, {"replicates": -1}, "replicates: must be a whole number"),
        ({}, {"replicates": 2.5}, "replicates: must be a whole number"),
        ({}, {"where": "bs > 1e9"}, "no row satisfies"),
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
    fit = fit_sweep(many, replicates=0)
    assert any(f"{int(many.diverged.sum())} of {len(many)} runs" in text for text in fit.said)
    one = fit_sweep(RUNS, replicates=0)
    octaves = np.log2(fit.law.learning_rate(ASKED) / one.law.learning_rate(ASKED))
    assert np.abs(octaves).max() < 0.02


def test_what_was_guessed_and_dropped_is_said():
    table = columns(RUNS, seed=np.zeros(len(RUNS)), eps=np.full(len(RUNS), 1e-8))
    doubled = {name: np.concatenate([column, column[:2]]) for name, column in table.items()}
    said = " ".join(fit_sweep(doubled, replicates=0).said)
    assert "batch size from column 'bs'" in said
    assert "2 rows are there twice" in said
    assert "eps is 1e-08 in every run" in said


def test_unfinished_runs_are_left_out_and_said():
    # As Optuna's data frames have them: a failed trial diverged, the others have no final loss.
    state = np.array(["COMPLETE"] * len(RUNS), dtype=object)
    loss = RUNS.loss.copy()
    state[::9], loss[::9] = "PRUNED", 0.1
    fit = fit_sweep(columns(RUNS, state=state, loss=loss), replicates=0)
    keep = np.arange(len(RUNS)) % 9 > 0
    rest = {name: column[keep] for name, column in columns(RUNS).items()}
    assert fit.law.learning_rate(64) == fit_sweep(rest, replicates=0).law.learning_rate(64)
    said = f"{(~keep).sum()} of {len(RUNS)} runs left out: not finished (PRUNED)"
    assert said in " ".join(fit.said)


def test_order_and_units_do_not_matter():
    order = np.random.default_rng(0).permutation(len(RUNS))
    other = Runs(512 * RUNS.batch_size[order], 3 * RUNS.learning_rate[order], 7 * RUNS.loss[order])
    one, two = (fit_sweep(runs, replicates=0).law for runs in (RUNS, other))
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
    ):
        with pytest.raises(InputError, match=says):
            law.at(**setting)


def test_extrapolation_in_a_covariate_is_warned_of():
    law = fitted().law
    assert law.at(N=4e9, D=2e10).warnings(64) == ()
    (found,) = law.at(N=1e12, D=2e10).warnings(64)
    assert (found["quantity"], found["value"], found["times"]) == ("N", 1e12, pytest.approx(250))


def test_intervals_keep_shape_order_and_nan():
    law = fitted().law.at(N=1e9, D=2e10)
    narrow, wide = law.interval([[16.0, 64.0]], level=0.5), law.interval([[16.0, 64.0]], level=0.99)
    assert narrow[0].shape == (1, 2)
    assert (wide[0] < narrow[0]).all()
    assert (narrow[1] < wide[1]).all()
    assert np.isnan(law.interval([0.0, 16.0])[0]).tolist() == [True, False]
    assert isinstance(law.interval(16.0)[0], float)
    assert fitted(replicates=0).law.at(N=1e9, D=2e10).interval(16) is None
    inverse = law.batch_sizes(float(law.learning_rate(64)))
    assert any(batch == pytest.approx(64, rel=1e-6) for batch in inverse)
    bounds = law.parameter_intervals()
    assert bounds["critical_batch_size"][0] < law.critical_batch_size
    assert law.critical_batch_size < bounds["critical_batch_size"][1]
    assert bounds["peak_batch_size"][0] < law.peak.batch_size < bounds["peak_batch_size"][1]


def test_simulations_are_checked():
    for change in (
        {"noise": -1.0},
        {"curvature": 0.0},
        {"missing": 1.0},
        {"repetitions": 0},
        {"covariates": {"N": [1.0]}},
        {"learning_rates": [-1.0]},
    ):
        with pytest.raises(InputError):
            simulate_sweep(plain(6.0), BATCH, **change)
