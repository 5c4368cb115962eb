"""Plans: what is proposed, what is announced, and what comes of it."""

import itertools

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from scaling import DataError, InputError, Recipe, plan
from scaling.numeric.inference.evidence.evidence import Evidence
from scaling.numeric.inference.family import matern
from scaling.numeric.inference.posterior import infer
from scaling.numeric.planning.outlook import Outlook, design_at
from scaling.numeric.planning.valley import Valley
from scaling.numeric.tables.runs import Runs

TUNED = Recipe(3e-4, 256)


def losses(runs, optimum, curvature=0.02, noise=0.0, seed=0):
    """Log-parabolas around the optimum (log2) of each run's cell."""
    rng = np.random.default_rng(seed)
    away = [np.log2(run.learning_rate) - optimum(run) for run in runs]
    rise = curvature * np.square(away) + noise * rng.standard_normal(len(away))
    return Runs(
        [run.batch_size for run in runs],
        [run.learning_rate for run in runs],
        3 * np.exp(rise),
        covariates={n: [run.covariates[n] for run in runs] for n in runs[0].covariates},
    )


def square_root(run):
    return np.log2(3e-4) + np.log2(run.batch_size / 256) / 2


def test_a_first_sweep_brackets_the_guess_and_costs_little():
    found = plan(TUNED, 4096, cost="examples")
    runs = found.ask(6)
    first = [run for run in runs if run.batch_size == runs[0].batch_size]
    rates = sorted(run.learning_rate for run in first)
    assert len(rates) == 3
    assert runs[0].learning_rate == rates[1]
    assert runs[0].batch_size < 4096
    assert runs[0].cost == runs[0].batch_size / 4096
    widths = [found.interval[1] / found.interval[0], *(run.high / run.low for run in runs)]
    assert widths == sorted(widths, reverse=True)
    assert runs[-1].excess_loss < found.excess_loss / 2


def test_asking_at_once_or_one_by_one_gives_the_same_runs():
    together, singly = plan(TUNED, 4096), plan(TUNED, 4096)
    one_by_one = [singly.ask()[0] for _ in range(3)]
    key = [(run.batch_size, run.learning_rate) for run in together.ask(3)]
    assert {(run.batch_size, run.learning_rate) for run in one_by_one[:1]} <= set(key)
    assert len({(run.batch_size, run.learning_rate, run.seed) for run in one_by_one}) == 3


def test_it_learns_the_optimum():
    found = plan(TUNED, 4096)
    wide = np.divide(*found.interval[::-1])
    for _ in range(3):
        found.tell(losses(found.ask(2), square_root))
    truth = 3e-4 * 4
    assert abs(np.log2(found.learning_rate / truth)) < 0.15
    assert found.interval[0] < truth < found.interval[1]
    assert np.divide(*found.interval[::-1]) < wide / 5


def test_runs_that_diverge_lower_the_answer():
    found = plan(TUNED, 4096)
    before = found.learning_rate
    (run,) = found.ask()
    found.tell(Runs([4096.0], [run.learning_rate], [np.nan]))
    assert found.learning_rate < before
    assert all(
        other.learning_rate < run.learning_rate
        for other in found.preview(6)
        if other.batch_size == 4096
    )


def test_a_run_that_never_reports_does_not_block():
    found = plan(TUNED, 4096)
    lost = found.ask()[0]
    for _ in range(8):
        found.tell(losses(found.ask(), square_root))
    again = [run for run in found.preview(8) if run.learning_rate == lost.learning_rate]
    assert all(run.seed > 0 for run in again)
    assert abs(np.log2(found.learning_rate / (3e-4 * 4))) < 0.2


def test_outstanding_runs_are_not_proposed_again():
    found = plan(TUNED, 1024)
    found.expect(1024.0, found.preview()[0].learning_rate)
    seen = [(r.batch_size, r.learning_rate, r.seed) for _ in range(4) for r in found.ask(2)]
    assert len(set(seen)) == len(seen)


def test_cheap_models_are_tried_first():
    sizes = np.repeat([1e7, 1e8], 9)
    batch = np.tile(np.repeat([64.0, 128.0, 256.0], 3), 2)
    rate = 1e-3 * 2.0 ** np.tile([-1.0, 0.0, 1.0], 6) * (batch / 128) ** 0.5
    loss = 3 * np.exp(0.02 * np.tile([1.0, 0.0, 1.0], 6))
    runs = Runs(batch, rate, loss, covariates={"N": sizes})
    dear = plan(runs, 256, covariates={"N": 1e9}, cost="N").ask()[0]
    assert dear.cost == pytest.approx(dear.covariates["N"] / 1e9)
    cheap = plan(runs, 256, covariates={"N": 1e9}, cost=sizes**3 * batch).ask(3)
    for run in cheap:
        assert run.covariates["N"] < 1e9
        assert run.cost == pytest.approx((run.covariates["N"] / 1e9) ** 3 * run.batch_size / 256)


def test_a_pool_is_bought_once():
    pool = Runs([64.0] * 3 + [256.0] * 3, [1e-4, 2e-4, 4e-4, 2e-4, 4e-4, 8e-4], [1.0] * 6)
    found = plan(TUNED, 256, pool=pool)
    runs = found.ask(9)
    assert 3 <= len(runs) <= 6
    assert len({(run.batch_size, run.learning_rate) for run in runs}) == len(runs)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: plan(TUNED, -1), "positive"),
        (lambda: plan(TUNED, 64, cost="hours"), "must be one of"),
        (lambda: plan(TUNED, 64, covariates={"N": 1.0}), "not in what is known"),
        (lambda: plan(TUNED, 64, least=0), "least|positive"),
        (lambda: plan(TUNED, 64).ask(0), "at least 1"),
    ],
)
def test_bad_calls_are_refused(call, said):
    with pytest.raises(InputError, match=said):
        call()


def test_eps_that_was_varied_is_asked_for():
    batch, rate, eps = np.array(
        [[64, 256, 64, 256], [1e-3, 2e-3, 2e-3, 4e-3], [1e-8] * 2 + [1e-4] * 2]
    )
    draws = infer(Evidence(batch, rate, eps=eps), draws=100)
    with pytest.raises(InputError, match="eps: missing"):
        plan(draws, 512)
    with pytest.raises(InputError, match="eps: must be at least 0"):
        plan(draws, 512, eps=-1)
    assert plan(draws, 512, eps=1e-4).learning_rate > plan(draws, 512, eps=0).learning_rate


def test_nothing_to_begin_from():
    with pytest.raises(DataError, match="two learning rates"):
        plan(Runs([64.0], [1e-3], [2.0]), 256)


def test_telling_of_one_place_is_what_gaussians_say():
    """Against conditioning by regression on draws of a Gaussian, independent of the code."""
    rng = np.random.default_rng(0)
    root = rng.standard_normal((3, 3))
    outlook = Outlook(root @ root.T, np.zeros((3, 5)), target=2)
    x = rng.standard_normal((400_000, 3)) @ root.T
    reading = x[:, 0] + 0.7 * rng.standard_normal(len(x))
    slope = np.cov(reading, x[:, 2])[0, 1] / reading.var()
    left = (x[:, 2] - slope * reading).std()
    precision = np.array([0.7**-2])
    assert outlook.spread - outlook.told(0, precision) == pytest.approx(left, rel=0.01)
    assert outlook.after(0, precision).spread == pytest.approx(left, rel=0.01)


def test_readings_of_three_runs_are_as_good_as_they_say():
    """On cells simulated from what is usual of valleys: noise, curvature, asymmetry, wandering."""
    valley = Valley(np.log(0.02), 0.65, np.log(0.2), 0.1, 5)
    rng = np.random.default_rng(0)
    rates, errors, scores = np.array([-1.0, 0.0, 1.0]), [], []
    for _ in range(400):
        optimum, a = rng.uniform(-0.5, 0.5), np.log(2) * (0.2 + 0.5 * rng.standard_normal())
        u = rates - optimum
        rise = 0.02 * np.exp(0.65 * rng.standard_normal()) * (np.expm1(a * u) / a) ** 2
        rise *= 1 + 0.2 * rng.standard_normal(3)
        found = valley.read(rates, rise + 0.004 * rng.standard_normal(3), np.ones(3))
        if np.isfinite([found.below, found.above]).all():
            errors.append(found.optimum - optimum)
            scores.append(errors[-1] / (found.below if errors[-1] > 0 else found.above))
    assert len(errors) > 300
    assert 0.7 < np.sqrt(np.mean(np.square(scores))) < 1.4
    said = np.sqrt(valley.error(valley.terms(rates - 0.25).sum(axis=0)))
    assert said == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=0.5)


def test_the_reading_is_that_of_the_whole_covariance():
    """Floor, noise and wandering as one dense Gaussian per shape, instead of run by run."""
    valley = Valley(np.log(0.02), 1e-6, np.log(0.3), 1e-6, 5)
    rates = np.array([-1.2, -0.3, 0.4, 1.5])
    losses = 2 + np.array([0.03, 0.004, 0.002, 0.09])
    grid = np.arange(-1.2 - 4, 1.5 + 4 + 1 / 16, 1 / 16)
    contrasts = np.diff(np.eye(4), axis=0)
    likelihood = np.zeros(grid.size)
    for i, x in enumerate(grid):
        u = rates - x
        for z in itertools.product(np.linspace(-2, 2, 5), repeat=2):
            a, flat = np.log(2) * (0.2 + 0.5 * z[0]), np.exp(2 * (1.8 + 0.7 * z[1]))
            raw = (np.expm1(np.clip(a * u, -30, 8)) / a) ** 2
            rise = 0.02 * flat * -np.expm1(-raw / flat)
            steps = [wandered(*u[j : j + 2], *rise[j : j + 2]) for j in range(3)]
            covariance = contrasts @ contrasts.T * 0.006**2 + np.diag(steps)
            density = multivariate_normal(contrasts @ rise, covariance)
            likelihood[i] += density.pdf(contrasts @ losses) * np.exp(-(z[0] ** 2 + z[1] ** 2) / 2)
    found = valley.read(rates, losses, np.ones(4))
    assert found.likelihood[0] == pytest.approx(grid)
    wanted = np.log(likelihood / likelihood.max())
    seen = wanted > -30
    assert found.likelihood[1][seen] == pytest.approx(wanted[seen], abs=1e-3)
    assert found.optimum == grid[np.argmax(likelihood)]


def wandered(u, v, low, high):
    """Variance between two runs: a share of the rise, per octave, more of it far away."""
    if u < 0 < v:
        return wandered(u, 0.0, low, 0.0) + wandered(0.0, v, 0.0, high)
    return (0.2 * (1 + ((u + v) / 5) ** 2) * (high - low)) ** 2 / (v - u)


def test_a_reading_beyond_the_runs_is_a_bound():
    valley = Valley()
    rates = np.array([0.0, 1.0, 2.0])
    found = valley.read(rates, np.array([0.3, 0.2, 0.1]), np.ones(3))
    assert found.above == np.inf
    assert found.optimum > 1.0
    nothing = valley.read(rates[:1], np.array([1.0]), np.ones(1))
    assert (nothing.below, nothing.above) == (np.inf, np.inf)
    walled = valley.read(rates[:1], np.array([1.0]), np.ones(1), ceiling=1.0)
    assert walled.below == np.inf
    assert walled.optimum < 1.5


def test_draws_alone_learn_what_all_evidence_would_say():
    optima = np.array([2e-4, 4.4e-4, 7e-4])
    known = Evidence([64.0, 256.0, 1024.0], optima)
    together = plan(known, 4096)
    alone = plan(together.posterior, 4096)
    runs = losses(together.preview(3, batch_size=[4096]), lambda _: np.log2(8e-4))
    for each in (together, alone):
        each.tell(runs)
    assert abs(np.log2(alone.learning_rate / together.learning_rate)) < 0.1
    widths = [np.log2(np.divide(*each.interval[::-1])) for each in (alone, together)]
    assert widths[0] == pytest.approx(widths[1], rel=0.2)


def test_draws_that_the_runs_contradict_are_refused():
    sizes = 2.0 ** np.arange(6, 11)
    known = Evidence(sizes, 3e-4 * (sizes / 256) ** 0.5)
    found = plan(plan(known, 256).posterior, 256)
    rates = 3e-4 * 2.0 ** np.arange(-1, 6)
    runs = [(size, rate * (size / 256) ** -0.5) for size in sizes for rate in rates]
    rise = [0.02 * np.log2(rate / 1e-3 * (size / 256) ** 0.5) ** 2 for size, rate in runs]
    with pytest.raises(DataError, match="fit all runs anew"):
        found.tell(Runs(*np.transpose(runs), 3 * np.exp(rise)))


def worlds(found, rng):
    """One draw of all optima, from what the plan believes, with valleys as other sweeps have."""
    posterior, sizes = found.posterior, found.batch_sizes
    i = rng.integers(len(posterior.draws))
    draw, family = posterior.draws[i : i + 1], posterior.family
    place = design_at(posterior, sizes, [{}] * len(sizes), 0.0)
    held, scale = family.features(place.batch), family.get(draw, "log_misfit")[0]
    rest = scale**2 * (matern(place.batch, place.batch) - held @ held.T)
    law = family.evaluate(draw, place)[0]
    law += np.linalg.cholesky(rest + 1e-9 * np.eye(len(sizes))) @ rng.standard_normal(len(sizes))
    law += family.get(draw, "log_scatter")[0] * rng.standard_t(5, len(sizes))
    optima = dict(zip(sizes, law, strict=True))
    return lambda run: optima[run.batch_size], np.exp(-4 + rng.standard_normal())


@pytest.mark.parametrize("cost", ["runs", "examples"])
@pytest.mark.parametrize("at_once", [1, 3])
def test_what_was_announced_comes(cost, at_once):
    """Widths of the interval after each of four purchases, announced and come: within 20 %."""
    announced, came = [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        found = plan(TUNED, 4096, cost=cost)
        optimum, curvature = worlds(found, rng)
        for batch in range(4):
            runs = found.ask(at_once)
            announced.append(np.log2(runs[-1].high / runs[-1].low))
            told = losses(runs, optimum, curvature, curvature / 3, batch + seed)
            found.tell(told)
            came.append(np.log2(found.interval[1] / found.interval[0]))
    assert np.mean(came) == pytest.approx(np.mean(announced), rel=0.2)


def test_evidence_of_several_optima_serves():
    optima = Evidence([64.0, 256.0], [2e-4, 4e-4])
    assert plan(optima, 1024).ask(2)[0].batch_size in (64.0, 128.0, 256.0, 512.0, 1024.0)
