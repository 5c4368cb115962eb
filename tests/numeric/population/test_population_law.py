"""The transfer law of a sketched population, against the full sums over its coordinates."""

import numpy as np
import pytest

from scaling import (
    DataError,
    GradientPopulation,
    GradientStatistics,
    InputError,
    Recipe,
    TransferLaw,
    load_law,
    save_law,
    update_moments,
)

MODELS = ("mean-field-outside", "exact-adam", "article")
RECIPE = Recipe(3e-4, 256.0, eps=1e-7)


@pytest.fixture(scope="module")
def coordinates():
    rng = np.random.default_rng(8)
    return rng.lognormal(-14, 1.0, 2000), rng.lognormal(-9, 0.7, 2000)


@pytest.fixture(scope="module")
def population(coordinates):
    return GradientPopulation.from_arrays(*coordinates)


def full_sum(coordinates, batch, eps, ratio, moments, beta1=None):
    """T-A1 with T-A2 over all coordinates, unit Hessian and R0."""
    g, sigma = coordinates
    scale = np.sqrt(batch) / sigma
    mean, square = update_moments(g * scale, eps * scale, moments=moments, beta1=beta1)
    return g @ mean / (square.sum() + (ratio - 1) * g.size * mean.mean() ** 2)


@pytest.mark.parametrize("moments", MODELS)
@pytest.mark.parametrize("ratio", [1.0, 2.5])
def test_learning_rates_are_those_of_the_full_sum(coordinates, population, moments, ratio):
    law = TransferLaw.from_population(
        RECIPE, population, curvature_ratio=ratio, moments=moments, horizon=1
    )
    reference = full_sum(coordinates, 256.0, 1e-7, ratio, moments)
    batch, epsilons = [4.0, 1e3, 1e5], [0.0, 1e-8, 1e-5]
    found = law.learning_rate(np.array(batch)[:, None], eps=epsilons)
    for i, size in enumerate(batch):
        for j, eps in enumerate(epsilons):
            expected = 3e-4 * full_sum(coordinates, size, eps, ratio, moments) / reference
            assert found[i, j] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("moments", MODELS)
def test_peak_limits_and_end_of_the_surge(population, moments):
    law = TransferLaw.from_population(RECIPE, population, moments=moments, curvature_ratio=4.0)
    batch = np.geomspace(1e-3, 1e9, 4001)
    rates = law.learning_rate(batch)
    assert law.peak.learning_rate == pytest.approx(rates.max(), rel=1e-5)
    assert law.peak.batch_size == pytest.approx(batch[rates.argmax()], rel=2e-2)
    assert law.learning_rate(1e15) == pytest.approx(law.learning_rate_limit, rel=1e-4)
    small = law.learning_rate_limit * np.sqrt(law.noise_batch_size * 1e-9) / law.critical_batch_size
    assert law.learning_rate(1e-9) == pytest.approx(small, rel=1e-4)
    assert law.steps_factor(1e15) == pytest.approx(1, rel=1e-4)
    assert law.examples_factor(1e-9) == pytest.approx(1, rel=1e-4)
    below, above = (
        TransferLaw.from_population(
            RECIPE, population, moments=moments, curvature_ratio=4.0, eps=factor * law.surge_end
        )
        for factor in (0.8, 1.25)
    )
    assert below.peak is not None
    assert above.peak is None


@pytest.mark.parametrize("moments", ["clip", "mean-field"])
def test_a_law_that_only_rises_has_no_surge(moments):
    rng = np.random.default_rng(3)
    g, sigma = 10 ** rng.uniform(-1.5, 1.5, (2, 20_000))
    population = GradientPopulation.from_arrays(g, sigma)
    # Full sums at a few batch sizes: nowhere more than for a huge batch.
    for eps in (0.0, population.grad_rms):
        top = full_sum((g, sigma), 1e12, eps, 1.0, moments, beta1=0.0)
        for batch in 10.0 ** np.arange(-2, 8):
            assert full_sum((g, sigma), batch, eps, 1.0, moments, beta1=0.0) < top * 1.0001
    law = TransferLaw.from_population(Recipe(1e-3, 1.0, beta1=0.0), population, moments=moments)
    assert law.surge_end == 0
    assert law.peak is None


@pytest.mark.parametrize("moments", [*MODELS, "sgd"])
def test_a_population_of_equals_is_uniform(moments):
    population = GradientPopulation.from_arrays(np.full(7, 2e-6), np.full(7, 1e-4))
    sketched = TransferLaw.from_population(RECIPE, population, curvature_ratio=2.0, moments=moments)
    statistics = GradientStatistics(population.noise_scale, population.grad_rms, 2.0)
    uniform = TransferLaw(RECIPE, statistics, moments=moments)
    batch = np.geomspace(1, 1e5, 9)
    np.testing.assert_allclose(
        sketched.learning_rate(batch), uniform.learning_rate(batch), rtol=1e-5
    )
    for name in ("noise_batch_size", "critical_batch_size", "learning_rate_limit"):
        assert getattr(sketched, name) == pytest.approx(getattr(uniform, name), rel=1e-5)


def test_saved_with_its_sketch(population, tmp_path):
    law = TransferLaw.from_population(RECIPE, population, moments="exact-adam", beta2=0.95)
    path = tmp_path / "law.json"
    save_law(law, path)
    again = load_law(path)
    assert again.provenance.source == "measured"
    np.testing.assert_array_equal(again.learning_rate([10.0, 1e4]), law.learning_rate([10.0, 1e4]))


def test_assumptions_say_what_was_counted(population):
    source, counted, *_ = TransferLaw.from_population(RECIPE, population).assumptions()
    assert (source["source"], counted.key) == ("measured", "sketched population")
    assert counted["count"] == 2000


def test_what_a_law_cannot_be_made_of(population):
    statistics = GradientStatistics(3.0, population.grad_rms)
    with pytest.raises(InputError, match=r"noise_scale must be .* that of the population, got 3"):
        TransferLaw(RECIPE, statistics, population=population)
    with pytest.raises(InputError, match=r"grad_rms must be .* got None"):
        TransferLaw(RECIPE, GradientStatistics(population.noise_scale), population=population)
    for gradient, noise, message in (
        ([1.0, 2.0], [0.0, 1.0], "1 coordinates have a gradient but no noise"),
        ([0.0, 0.0], [1.0, 1.0], "no coordinate has a nonzero gradient"),
        ([0.0, 1.0], [0.0, 0.0], "1 coordinates have a gradient but no noise"),
        ([], [], "no coordinate"),
    ):
        with pytest.raises(DataError, match=message):
            TransferLaw.from_population(RECIPE, GradientPopulation.from_arrays(gradient, noise))


@pytest.mark.parametrize(
    ("curvature", "eps", "message"),
    [
        ([-1.0, -1.0], 0.0, "the curvature adds up to -2; no step is best unless"),
        ([-1.0, 1.0], 0.0, "the curvature adds up to 0"),
        # More than outweighed where both move alike, not where the larger gradient moves more.
        ([2.0, -1.0], 1e3, "the curvature along the update is not positive"),
    ],
)
def test_no_step_is_best_without_curvature(curvature, eps, message):
    population = GradientPopulation.from_arrays([1.0, 4.0], [1.0, 1.0], curvature)
    with pytest.raises(DataError, match=message):
        TransferLaw.from_population(Recipe(3e-4, 256.0, eps=eps), population)


def test_from_the_shell(lr, population, coordinates, tmp_path):
    path = tmp_path / "sketch.json"
    path.write_text(population.to_json())
    run = ("query", "--ref-lr", "3e-4", "--ref-batch-size", "256", "--batch-size", "1024")
    ran = lr(*run, "--population", path, "--eps", "1e-7", "--ref-eps", "1e-7", "--horizon", 1)
    assert (ran.status, ran.err) == (0, "")
    moments = "mean-field-outside"
    ratio = full_sum(coordinates, 1024.0, 1e-7, 1, moments) / full_sum(
        coordinates, 256.0, 1e-7, 1, moments
    )
    assert f"learning rate {3e-4 * ratio:.3g} at" in ran.out
    assert "measured gradients" in ran.out
    for more, status, message in (
        (["--noise-scale", "4000"], 2, "--noise-scale: cannot be combined with a sketch"),
        (["--grad-rms", "1e-6"], 2, "--grad-rms: cannot be combined with a sketch"),
        (["--population", tmp_path / "none.json"], 1, "none.json: cannot be read"),
        (["--population", "sketch.txt"], 2, "--population: must be uniform, gaussian or the file"),
        (["--population", ""], 2, "--population: must be uniform, gaussian or the file"),
    ):
        given = () if "--population" in more else ("--population", path)
        ran = lr(*run, *given, *more)
        assert (ran.status, ran.out, ran.err.count("\n")) == (status, "", 1)
        assert message in ran.err
    path.write_text('{"format": "something"}')
    ran = lr(*run, "--population", path)
    assert (ran.status, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert "sketch.json" in ran.err
