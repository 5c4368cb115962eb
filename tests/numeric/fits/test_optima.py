"""Fits to tables of optima: recovery, corners, robustness, coverage, published data."""

import numpy as np
import pytest

from scaling import BatchSizeLaw, DataError, InputError, fit_optima
from scaling.numeric.fits import FittedLaw
from scaling.numeric.tables import read_optima

BATCH = 2.0 ** np.arange(0, 14, 2)
SHIFTS = [0.0, 30.0, 3000.0, np.inf]


@pytest.mark.parametrize("noise", SHIFTS)
@pytest.mark.parametrize("critical", [0.0, 200.0, np.inf])
def test_exact_tables_are_recovered_corners_included(noise, critical):
    truth = BatchSizeLaw(64.0, 1e-3, noise, critical)
    law = fit_optima(BATCH, truth.learning_rate(BATCH))
    for name in ("noise_batch_size", "critical_batch_size"):
        expected, found = getattr(truth, name), getattr(law, name)
        assert found == pytest.approx(expected, rel=1e-6)
    far = np.logspace(-2, 6, 9)
    np.testing.assert_allclose(law.learning_rate(far), truth.learning_rate(far), rtol=1e-6)


@pytest.mark.parametrize("unit", [1e-6, 512.0])
@pytest.mark.parametrize("scale", [1e-9, 1e3])
def test_units_do_not_matter(unit, scale):
    rng = np.random.default_rng(2)
    rates = 1e-3 * np.sqrt(BATCH) / (1 + BATCH / 100) * np.exp(0.1 * rng.normal(size=BATCH.size))
    one, other = fit_optima(BATCH, rates), fit_optima(BATCH * unit, rates * scale)
    np.testing.assert_allclose(
        other.learning_rate(BATCH * unit), scale * one.learning_rate(BATCH), rtol=1e-5
    )
    assert other.critical_batch_size == pytest.approx(unit * one.critical_batch_size, rel=1e-4)


def test_order_of_the_rows_does_not_matter():
    rng = np.random.default_rng(3)
    rates = 1e-3 * np.sqrt(BATCH) / (1 + BATCH / 100) * np.exp(0.2 * rng.normal(size=BATCH.size))
    one, other = fit_optima(BATCH, rates), fit_optima(BATCH[::-1], rates[::-1])
    np.testing.assert_allclose(other.learning_rate(BATCH), one.learning_rate(BATCH), rtol=1e-6)


@pytest.mark.parametrize("row", [1, 2, 3, 4])
def test_a_gross_error_does_not_spoil_the_fit(row):
    batch = 2.0 ** np.arange(14)
    truth = BatchSizeLaw.from_limit(1e-3, 3000.0, 100.0)
    rng = np.random.default_rng(4)
    rates = truth.learning_rate(batch) * np.exp(0.03 * rng.normal(size=batch.size))
    rates[row] *= 20
    law = fit_optima(batch, rates)
    error = np.abs(np.log2(law.learning_rate(batch) / truth.learning_rate(batch)))
    assert error.max() < 0.15
    assert law.weights[row] < 0.1
    assert [said["batch_size"] for said in law.assumptions() if said.key == "counts less"] == [
        batch[row]
    ]


def test_intervals_cover_the_truth_as_often_as_they_say():
    batch, asked = 2.0 ** np.arange(0, 13, 1.5), np.array([4.0, 128.0, 2.0**14])
    truth = BatchSizeLaw.from_limit(1e-3, 2000.0, 100.0)
    trials, hits = 120, np.zeros(3)
    # Seed 5 stays on purpose: of the four that were tried it gave the lowest coverage.
    for seed in (5, 99):
        rng = np.random.default_rng(seed)
        for _ in range(trials):
            noisy = truth.learning_rate(batch) * np.exp(0.15 * rng.normal(size=batch.size))
            low, high = fit_optima(batch, noisy).interval(asked, level=0.9)
            hits += (low <= truth.learning_rate(asked)) & (truth.learning_rate(asked) <= high)
    # 90 % nominal, binomial standard error 1.9 %: four of them either way.
    assert np.abs(hits / (2 * trials) - 0.9).max() < 0.078


@pytest.mark.parametrize("seed", range(12))
def test_exact_tables_with_shifts_outside_them_are_followed(seed):
    rng = np.random.default_rng(seed)
    batch = 2.0 ** np.arange(rng.integers(-3, 6), rng.integers(8, 15))
    truth = BatchSizeLaw(1.0, 1.0, *10 ** rng.uniform(-2, 6, 2))
    law = fit_optima(batch, truth.learning_rate(batch))
    assert np.abs(law.residuals).max() < 1e-6


def test_each_of_three_points_counts():
    law = fit_optima([1, 2, 4], [1, 2, 1])  # no law of this form falls so fast
    assert law.weights == (1, 1, 1)
    assert law.assumptions()[1].key == "no error"
    residuals = np.log([1, 2, 1]) - np.log(law.learning_rate([1, 2, 4]))
    assert abs(residuals.mean()) < 1e-9


def test_exact_tables_have_no_scatter_and_no_interval():
    law = fit_optima(BATCH, BatchSizeLaw.from_limit(1e-3, 1000.0, 100.0).learning_rate(BATCH))
    assert law.interval(5) is None
    assert law.assumptions()[1].key == "no scatter"


def test_intervals_contain_the_fit_and_widen_with_the_level():
    law = fit_optima(BATCH, [1.0e-3, 1.9e-3, 4.1e-3, 5.5e-3, 7.5e-3, 5.1e-3, 2.4e-3])
    asked = np.logspace(-1, 5, 7)
    narrow, wide = law.interval(asked, level=0.5), law.interval(asked, level=0.99)
    assert (wide[0] < narrow[0]).all()
    assert (narrow[0] <= law.learning_rate(asked)).all()
    assert (law.learning_rate(asked) <= narrow[1]).all()
    assert (narrow[1] < wide[1]).all()
    scalar = law.interval(64.0)
    assert isinstance(scalar[0], float)
    assert np.isnan(law.interval([0.0, 1.0])[0]).tolist() == [True, False]


def test_covariance_agrees_with_repeated_fits():
    batch = 2.0 ** np.arange(0, 14, 0.5)
    truth = BatchSizeLaw.from_limit(1e-3, 1000.0, 100.0)
    rng = np.random.default_rng(6)
    parameters, covariances = [], []
    for _ in range(60):
        law = fit_optima(
            batch, truth.learning_rate(batch) * np.exp(0.03 * rng.normal(size=batch.size))
        )
        parameters.append(np.log([law.noise_batch_size, law.critical_batch_size]))
        covariances.append(np.sqrt(np.diag(law.covariance)[1:]))
    spread = np.std(parameters, axis=0)
    # A standard deviation from 60 samples is good to 9 %; three of them.
    assert np.mean(covariances, axis=0) == pytest.approx(spread, rel=0.3)


def test_marek_rises_and_falls(marek):
    law = fit_optima(*read_optima(marek), name="marek")
    assert 64 < law.peak.batch_size < 1024
    assert law.exponent(4) > 0.3
    assert law.exponent(2048) < -0.3
    # theory.md T-E2: this table runs into the corner B_n = infinity, B_crit about 150.
    assert law.noise_batch_size == np.inf
    assert law.critical_batch_size == pytest.approx(150, rel=0.05)
    assert law.learning_rate_limit == 0
    assert (law.undetermined()[0].key, law.undetermined()[0]["symbol"]) == ("bounded below", "B_n")
    assert np.isnan(law.covariance[1]).all()
    assert np.isfinite(law.covariance[np.ix_([0, 2], [0, 2])]).all()
    assert np.abs(law.residuals).max() / np.log(2) < 0.7
    intervals = law.parameter_intervals()
    assert intervals["noise_batch_size"][1] == np.inf
    assert intervals["peak_batch_size"][0] < law.peak.batch_size < intervals["peak_batch_size"][1]


def test_bounds_are_what_the_cost_says(marek):
    # The lower bound on B_n: there, and not below, some law costs no more than the quantile allows.
    batch, rates = (np.array(column) for column in read_optima(marek))
    law = fit_optima(batch, rates)
    weights = np.array(law.weights)

    def cost(noise):
        grid = np.geomspace(1, 1e5, 4001)
        shape = np.log(batch[:, None] * (batch[:, None] + noise)) / 2 - np.log(
            batch[:, None] + grid
        )
        rest = np.log(rates)[:, None] - shape
        rest -= np.average(rest, axis=0, weights=weights)
        return (weights @ rest**2).min()

    quantile = 2.7764451  # Student's t, 4 degrees of freedom, 97.5 %
    budget = cost(1e12) + (quantile * law.error) ** 2
    bound = law.parameter_intervals()["noise_batch_size"][0]
    assert cost(bound * 1.01) < budget < cost(bound * 0.99)


def test_as_many_points_as_parameters_leave_no_error():
    truth = BatchSizeLaw.from_limit(1e-3, 1000.0, 100.0)
    batch = np.array([4.0, 100.0, 5000.0])
    law = fit_optima(batch, truth.learning_rate(batch))
    np.testing.assert_allclose(law.learning_rate(batch), truth.learning_rate(batch), rtol=1e-6)
    assert law.interval(64) is None
    assert law.parameter_intervals() is None
    assert np.isnan(law.error)
    assert law.assumptions()[1].key == "no scatter"


def test_warns_beyond_eight_times_the_fitted_range():
    law = fit_optima(BATCH, BatchSizeLaw.from_limit(1e-3, 1000.0, 100.0).learning_rate(BATCH))
    assert law.provenance.batch_size_range == (1, 4096)
    assert law.warnings(8 * 4096) == ()
    assert law.warnings(1 / 8) == ()
    assert law.warnings(8.01 * 4096)[0].key == "extrapolated"
    assert law.warnings(0.124)[0].key == "extrapolated"


@pytest.mark.parametrize(
    ("batch", "rates", "says"),
    [
        ([], [], "0 points"),
        ([1, 2], [1, 2], "2 points at 2 different batch sizes cannot determine 3 parameters"),
        ([8, 8, 8, 8], [1, 2, 1, 2], "at 1 different"),
        ([8, 8, 16, 16], [1, 2, 1, 2], "at 2 different"),
        ([1, 2, 3, 0], [1, 1, 1, 1], r"batch_size\[3\] is 0"),
        ([1, 2, 3, 4], [1, np.nan, 1, 1], r"learning_rate\[1\] is nan"),
        ([1, 2, 3, 4], [1, 1, -1, 1], r"learning_rate\[2\] is -1"),
        ([1e-300, 1, 2, 1e300], [1, 1, 1, 1], "batch_size spans more than"),
    ],
)
def test_tables_are_checked(batch, rates, says):
    with pytest.raises(DataError, match=says):
        fit_optima(batch, rates)


@pytest.mark.parametrize(
    ("batch", "rates"), [([1, 2, 3], [1, 2]), (5, 5), ([[1, 2]], [[1, 2]]), ("a", [1])]
)
def test_arguments_are_checked(batch, rates):
    with pytest.raises(InputError, match="batch_size"):
        fit_optima(batch, rates)


def test_a_fitted_law_made_by_hand_is_checked(marek):
    law = fit_optima(*read_optima(marek))
    with pytest.raises(InputError, match="weights"):
        FittedLaw(64.0, 1e-3, 1.0, 1.0, law.provenance, law.optima, law.weights[1:])
    with pytest.raises(DataError, match="cannot determine"):
        FittedLaw(64.0, 1e-3, 1.0, 1.0, law.provenance, law.optima[:2], law.weights[:2])
