"""Learning rates from cells against the full sums over coordinates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from scaling import (
    DataError,
    GradientPopulation,
    GradientStatistics,
    InputError,
    Recipe,
    TransferLaw,
    quadratic_optimum,
)
from scaling.numeric.moments.models import moment_model

SIZE = 20_000


def log_normal(rng, size, decades):
    """Spread over so many decades, three deviations to either side."""
    return 10 ** (decades / 6 * rng.standard_normal(size))


def log_normal_6_decades(rng, size):
    return log_normal(rng, size, 6), log_normal(rng, size, 6)


def correlated(rng, size):
    gradient = log_normal(rng, size, 6)
    return gradient, gradient**0.7 * log_normal(rng, size, 2)


def normal_gradients(rng, size):
    noise = log_normal(rng, size, 6)
    return 0.03 * noise * rng.standard_normal(size), noise


def mixture(rng, size):
    part = rng.integers(0, 3, size)
    gradient = np.choose(part, [1e-4, 1e-2, 3.0]) * rng.standard_normal(size)
    return gradient, np.choose(part, [1.0, 0.1, 5.0]) * log_normal(rng, size, 1)


def spikes_and_zeros(rng, size):
    gradient = rng.choice([0.0, 1e-3, -2.3e-2, 0.5], size)
    noise = rng.choice([0.0, 1.1, 1.13, 5.0], size)
    return gradient, noise


def student(rng, size):
    return rng.standard_t(1.5, size), np.abs(rng.standard_t(2.0, size))


def pareto(rng, size):
    return rng.pareto(1.2, size) + 1e-3, rng.pareto(1.5, size) + 1e-2


POPULATIONS = [
    log_normal_6_decades,
    correlated,
    normal_gradients,
    mixture,
    spikes_and_zeros,
    student,
    pareto,
]


def settings(rng, gradient, noise, size=8):
    """Batch sizes from 1e-3 to 1e6 noise scales, eps = 0 and from 1e-6 to 1e3 times the RMS."""
    squares = np.sum(gradient**2)
    batch = np.sum(noise**2) / squares * 10 ** rng.uniform(-3, 6, size)
    eps = np.sqrt(squares / gradient.size) * 10 ** rng.uniform(-6, 3, size)
    eps[: size // 4] = 0
    return batch, eps


#: An update with a kink is rounded off by cells.
BOUNDS = {"mean-field-outside": 1e-4, "article": 1e-4, "sign": 1e-4, "clip": 2e-3}


@pytest.mark.parametrize("with_curvature", [False, True])
@pytest.mark.parametrize("population", POPULATIONS)
def test_agrees_with_the_full_sum(population, with_curvature):
    rng = np.random.default_rng(POPULATIONS.index(population))
    gradient, noise = population(rng, SIZE)
    curvature = np.ones(SIZE)
    if with_curvature:
        # Half of it follows the gradient (T-C5), which is hardest on cells.
        curvature = np.where(rng.random(SIZE) < 0.5, np.abs(gradient), log_normal(rng, SIZE, 2))
    summary = GradientPopulation.from_arrays(gradient, noise, curvature if with_curvature else None)
    batch, eps = settings(rng, gradient, noise)
    for moments, bound in BOUNDS.items():
        full = [
            quadratic_optimum(gradient, noise**2, curvature, b, eps=e, moments=moments)
            for b, e in zip(batch, eps, strict=True)
        ]
        np.testing.assert_allclose(
            summary.learning_rate(batch, eps, moments=moments),
            [best.learning_rate for best in full],
            rtol=2 * bound if with_curvature else bound,
            err_msg=moments,
        )


@pytest.mark.parametrize(("level", "bound"), [(2, 2e-4), (4, 6e-3), (6, 2e-2)])
def test_values_that_share_a_cell(level, bound):
    # The worst for cells: what is kept of them says nothing of the skewness within.
    rng = np.random.default_rng(9)
    gradient = rng.choice([1.0, 1.07, 1.4], 50, p=[0.1, 0.7, 0.2])
    noise = rng.choice([2.0, 2.2, 3.1], 50, p=[0.1, 0.6, 0.3])
    curvature = np.where(rng.random(50) < 0.5, gradient, log_normal(rng, 50, 2))
    histogram = GradientPopulation.from_arrays(gradient, noise, curvature).cells
    while histogram.level < level:
        histogram = histogram.coarser()
    coarse = GradientPopulation(histogram)
    assert coarse.cells_per_octave[0] == 2 ** (3 - level // 2)
    batch, eps = settings(rng, gradient, noise, 20)
    full = [
        quadratic_optimum(gradient, noise**2, curvature, b, eps=e).learning_rate
        for b, e in zip(batch, eps, strict=True)
    ]
    np.testing.assert_allclose(coarse.learning_rate(batch, eps), full, rtol=bound)


@pytest.mark.parametrize("moments", ["exact-softsign", "exact-adam"])
@pytest.mark.parametrize("population", [log_normal_6_decades, normal_gradients, pareto])
def test_agrees_with_the_full_sum_of_exact_moments(moments, population):
    rng, model = np.random.default_rng(5), moment_model(moments)
    update = model.bind()
    gradient, noise = population(rng, 400)
    summary = GradientPopulation.from_arrays(gradient, noise)
    batch, eps = settings(rng, gradient, noise)
    batch, eps = batch[2:], eps[2:]
    signal = np.sqrt(batch / summary.noise_scale)
    found = summary.average(model, update, 1.7).sums(signal, signal * eps / summary.grad_rms)
    size = np.abs(gradient)
    for i, root in enumerate(np.sqrt(batch)):
        mean, second_moment, _ = update(size * root / noise, eps[i] * root / noise)
        assert found[0][i] == pytest.approx(size @ mean / size.size / summary.grad_rms, rel=3e-5)
        curvature = second_moment.mean() + 0.7 * mean.mean() ** 2
        assert found[1][i] == pytest.approx(curvature, rel=3e-5)


def test_many_batch_sizes_are_answered_as_one():
    # They are read off between nodes.
    rng = np.random.default_rng(10)
    population = GradientPopulation.from_arrays(*log_normal_6_decades(rng, 1000))
    batch = np.geomspace(1e-6, 1e6, 2000) * population.noise_scale
    for moments in ("mean-field-outside", "exact-adam"):
        for eps in (0.0, 0.3 * population.grad_rms):
            many = population.learning_rate(batch, eps, moments=moments)
            alone = [population.learning_rate(b, eps, moments=moments) for b in batch[::97]]
            np.testing.assert_allclose(many[::97], alone, rtol=2e-6)


@pytest.mark.parametrize("moments", ["mean-field-outside", "mean-field", "article", "sign"])
def test_a_uniform_population_follows_the_transfer_law(moments):
    gamma, noise = 3e-5, 0.7
    statistics = GradientStatistics((noise / gamma) ** 2, gamma, curvature_ratio=1.7)
    law = TransferLaw(Recipe(3e-4, 1e6, eps=1e-6), statistics, moments=moments, horizon=1)
    population = GradientPopulation.from_arrays(np.full(1000, gamma), np.full(1000, noise))
    assert population.noise_scale == pytest.approx(statistics.noise_scale, rel=1e-12)
    assert population.grad_rms == pytest.approx(gamma, rel=1e-12)
    batch = np.geomspace(1e-3, 1e6, 200) * statistics.noise_scale
    ours = population.learning_rate(batch, 1e-6, curvature_ratio=1.7, moments=moments)
    theirs = law.learning_rate(batch)
    np.testing.assert_allclose(ours / ours[0], theirs / theirs[0], rtol=2e-5)


def test_sgd_is_a3():
    rng = np.random.default_rng(6)
    gradient, noise = log_normal_6_decades(rng, SIZE)
    curvature = log_normal(rng, SIZE, 3)
    population = GradientPopulation.from_arrays(gradient, noise, curvature)
    batch = np.array([1.0, 1e3, 1e6, np.inf])
    expected = gradient @ gradient / (curvature @ (gradient**2 + np.outer(1 / batch, noise**2)).T)
    found = population.learning_rate(batch, moments="sgd")
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_limits():
    rng = np.random.default_rng(7)
    gradient, noise = mixture(rng, SIZE)
    population = GradientPopulation.from_arrays(gradient, noise)
    size = np.abs(gradient)

    eps = np.array([0.0, 1e-3, 1e2])
    nu = size / (size + eps[:, None])  # T-E7 without noise
    np.testing.assert_allclose(
        population.learning_rate(np.inf, eps), nu @ size / (nu**2).sum(axis=1), rtol=1e-4
    )
    assert population.learning_rate(np.inf) == pytest.approx(size.mean(), rel=1e-12)
    # T-E7 to first order in a: mu = a, s = c.
    batch = 1e-12 * population.noise_scale
    expected = size @ (size / noise) * np.sqrt(batch) / (SIZE * 0.1 / 1.9)
    assert population.learning_rate(batch) == pytest.approx(expected, rel=1e-4)
    model = moment_model("mean-field-outside")
    alignment, curvature = population.average(model, model.bind(0.9), 1.0).small_batches()
    gamma = population.grad_rms
    assert alignment == pytest.approx(
        np.mean(size**2 / noise) * np.sqrt(population.noise_scale) / gamma, rel=1e-4
    )
    assert curvature == pytest.approx(0.1 / 1.9, rel=1e-12)


def test_coordinates_without_gradient_or_noise():
    population = GradientPopulation.from_arrays([0.0, 0.0, 2.0, 3.0], [0.0, 5.0, 0.0, 4.0])
    # T-E7 by hand: at a = 0 the second moment is c/(1 + b)^2, without noise mu = g/(g + eps).
    batch, eps, c = 9.0, 0.5, 0.1 / 1.9
    spread = 4.0 / 3.0
    root = np.hypot(3.0, spread) + eps
    alignment = 2 * 2 / 2.5 + 3 * 3 / root
    curvature = (
        (2 / 2.5) ** 2 + (9 + c * spread**2) / root**2 + c * (5 / 3) ** 2 / (5 / 3 + eps) ** 2
    )
    assert population.learning_rate(batch, eps) == pytest.approx(alignment / curvature, rel=1e-6)
    # Both zero: at eps = 0 the update 0/0 counts as none.
    still = GradientPopulation.from_arrays([0.0, 3.0], [0.0, 4.0])
    moving = GradientPopulation.from_arrays([3.0], [4.0])
    assert still.learning_rate(9.0) == moving.learning_rate(9.0)
    for nothing in (GradientPopulation.from_chunks([]), moving.from_arrays([0.0], [1.0])):
        with pytest.raises(DataError, match="no coordinate has a nonzero gradient"):
            nothing.learning_rate(9.0)


@given(st.integers(-900, 900), st.floats(1e-3, 1e3), st.integers(0, 10))
@hypothesis_settings(max_examples=20)
def test_scaled_gradients_want_a_scaled_learning_rate(power, batch, seed):
    # g, sigma and eps in another unit, a power of two: a and b stay, the alignment scales.
    rng = np.random.default_rng(seed)
    gradient, noise, unit = rng.standard_normal(50), rng.random(50), 2.0**power
    one = GradientPopulation.from_arrays(gradient, noise)
    other = GradientPopulation.from_arrays(gradient * unit, noise * unit)
    for moments in ("mean-field-outside", "article", "sgd"):
        rate = one.learning_rate(batch, 0.1, moments=moments)
        found = other.learning_rate(batch, 0.1 * unit, moments=moments)
        # SGD's update scales too.
        assert found == pytest.approx(rate * (1 if moments == "sgd" else unit), rel=1e-9)
    assert other.noise_scale == pytest.approx(one.noise_scale, rel=1e-12)
    assert other.grad_rms == pytest.approx(one.grad_rms * unit, rel=1e-12)


def test_an_answer_does_not_depend_on_what_else_is_asked():
    rng = np.random.default_rng(8)
    population = GradientPopulation.from_arrays(*log_normal_6_decades(rng, 1000))
    batch, eps = np.geomspace(1e-3, 1e6, 7)[:, None], np.array([0.0, 1e-4, 3.0])
    table = population.learning_rate(batch, eps)
    assert table.shape == (7, 3)
    for i, j in ((0, 0), (3, 1), (6, 2)):
        alone = population.learning_rate(batch[i, 0], eps[j])
        assert isinstance(alone, float)
        assert alone == pytest.approx(table[i, j], rel=1e-12)


def test_malformed_elements_are_nan_and_malformed_calls_raise():
    population = GradientPopulation.from_arrays([1.0, 2.0], [1.0, 1.0], [1.0, -0.5])
    rates = population.learning_rate([[1.0], [-1.0], [0.0], [np.nan]], [0.1, -0.1, np.inf, np.nan])
    assert np.isfinite(rates).tolist() == [[True] + 3 * [False]] + 3 * [4 * [False]]
    concave = GradientPopulation.from_arrays([1.0], [1.0], [-1.0])
    assert np.isnan(concave.learning_rate(1.0))
    for arguments, keywords, name in (
        (([1.0, 2.0], [1.0, 2.0, 3.0]), {}, "eps"),
        (("64",), {}, "batch_size"),
        ((1.0, 0.0, 1.5), {}, "beta1"),
        ((1.0,), {"moments": "best"}, "moments"),
        ((1.0,), {"curvature_ratio": 0.0}, "curvature_ratio"),
    ):
        with pytest.raises(InputError) as caught:
            population.learning_rate(*arguments, **keywords)
        assert caught.value.parameter == name


def test_extreme_requests_are_answered():
    population = GradientPopulation.from_arrays([1.0, 2.0, 1e5], [1.0, 1e-5, 1e6])
    gradient, noise = np.array([1.0, 2.0, 1e5]), np.array([1.0, 1e-5, 1e6])
    for batch in (1e-300, 1.0, 1e300):
        for eps in (0.0, 1e-320, 1e-3, 1e100):
            scale = np.hypot(gradient, noise / np.sqrt(batch)) + eps  # T-E7
            mean, spread = gradient / scale, noise / np.sqrt(batch) / scale
            expected = gradient @ mean / np.sum(mean**2 + spread**2 / 19)
            assert population.learning_rate(batch, eps) == pytest.approx(expected, rel=1e-9)


def test_extreme_populations_are_summed_or_refused():
    rng = np.random.default_rng(11)
    gradient, noise = log_normal_6_decades(rng, 2000)
    one = GradientPopulation.from_arrays(gradient, noise)
    tiny = GradientPopulation.from_arrays(1e-170 * gradient, 1e-170 * noise)
    law, small = (
        TransferLaw.from_population(Recipe(1e-3, 64.0, eps=eps), p)
        for p, eps in ((one, 1e-2), (tiny, 1e-172))
    )
    for name in ("surge_end", "critical_batch_size", "noise_batch_size", "learning_rate_limit"):
        unit = 1e-170 if name == "surge_end" else 1
        assert getattr(small, name) == pytest.approx(getattr(law, name) * unit, rel=1e-3)
    np.testing.assert_allclose(small.learning_rate([1.0, 1e6]), law.learning_rate([1.0, 1e6]), 1e-3)
    with pytest.raises(DataError, match="the noise scale is not a number"):
        GradientPopulation.from_arrays([1e-170, 2e-170], [1.0, 2.0]).learning_rate(1.0)
