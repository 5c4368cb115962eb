"""Laws from tables of optima: what they follow, hold and refuse."""

import numpy as np
import pytest

from scaling import BatchSizeLaw, DataError, InputError, fit_optima
from scaling.numeric.tables import read_optima

BATCH = 4.0 ** np.arange(0, 7)
TRUTH = BatchSizeLaw.from_limit(1e-3, noise_batch_size=2000.0, critical_batch_size=100.0)


@pytest.fixture(scope="module")
def law(request):
    path = request.config.rootpath / "scaling" / "data" / "marek_adam_1d.csv"
    return fit_optima(*read_optima(path), name="marek")


def test_marek_rises_and_falls(law):
    assert 64 <= law.peak.batch_size < 1024
    assert law.exponent(4) > 0.2
    assert law.exponent(2048) < -0.2
    assert law.falls(4096) > 0.9
    assert law.provenance.batch_size_range == (1, 4096)
    assert "7 optima at batch sizes 1 to 4096 of marek" in law.provenance.description
    slope, ended, falls = law.verdicts()
    assert slope["low"] < slope["exponent"] < slope["high"]
    assert ended["probability"] >= falls["probability"] == law.falls(4096)


def test_intervals_of_new_optima_hold_optima_left_out(marek):
    """Real optima, each predicted by the others; 7 of them, 90 % interval."""
    batch, rates = (np.array(column) for column in read_optima(marek))
    inside = 0
    for i in range(batch.size):
        rest = np.arange(batch.size) != i
        low, high = fit_optima(batch[rest], rates[rest]).interval(batch[i])
        inside += low <= rates[i] <= high
    assert inside >= 5


def test_exact_optima_are_followed():
    law = fit_optima(BATCH, TRUTH.learning_rate(BATCH))
    # As good as an optimum is read, 0.2 octave, from seven of them and the family.
    assert np.abs(np.log2(law.learning_rate(BATCH) / TRUTH.learning_rate(BATCH))).max() < 0.1


def test_one_wrong_optimum_does_not_drag_the_others():
    rates = TRUTH.learning_rate(BATCH)
    rates[3] *= 100
    law = fit_optima(BATCH, rates)
    octaves = np.log2(law.learning_rate(BATCH) / TRUTH.learning_rate(BATCH))
    assert np.abs(np.delete(octaves, 3)).max() < 0.6
    assert octaves[3] < 3.4


def test_intervals_cover_optima_as_often_as_they_say():
    """Scatter as in the prior's median sweep, log-normal; the shape is T-E2, drawn at random."""
    rng = np.random.default_rng(5)
    asked, hits, trials = np.array([4.0, 128.0, 2.0**13]), np.zeros(3), 60
    for _ in range(trials):
        noise, critical = np.exp2(rng.uniform(0, 14, 2))
        truth = BatchSizeLaw(64.0, 1e-3, noise, critical)
        scatter = 0.2 * rng.standard_normal((2, max(BATCH.size, asked.size)))
        law = fit_optima(BATCH, truth.learning_rate(BATCH) * np.exp2(scatter[0, : BATCH.size]))
        fresh = truth.learning_rate(asked) * np.exp2(scatter[1, : asked.size])
        low, high = law.interval(asked)
        hits += (low <= fresh) & (fresh <= high)
    # The prior allows for laws that leave T-E2: such clean sweeps are held more often than asked.
    assert hits.mean() / trials > 0.86


def test_more_evidence_narrows_the_answer():
    def width(law):
        low, high = law.law_interval(256.0)
        return np.log2(high / low)

    one = fit_optima([64.0], [1e-3])
    several = fit_optima(BATCH, TRUTH.learning_rate(BATCH))
    assert width(several) < width(fit_optima(BATCH[:4], TRUTH.learning_rate(BATCH[:4])))
    assert width(several) < width(one)
    said = [found.key for found in fit_optima([64.0], [1e-3], noise_scale=500.0).assumptions()]
    assert "noise scale to a factor" in said


def test_repeated_rows_of_one_setting_are_seeds():
    rates = np.array([1.0e-3, 1.4e-3, 1.2e-3, 2.0e-3])
    once = fit_optima([16, 64, 256, 1024], rates)
    order = np.random.default_rng(1).permutation(12)
    thrice = fit_optima(np.tile([16, 64, 256, 1024], 3)[order], np.tile(rates, 3)[order])
    asked = np.array([16.0, 256.0, 4096.0])
    assert np.log2(thrice.learning_rate(asked) / once.learning_rate(asked)) == pytest.approx(
        np.zeros(3), abs=0.35
    )


def test_units_do_not_matter():
    rates = np.array([1.0e-3, 1.4e-3, 1.2e-3])
    one = fit_optima([16, 64, 256], rates)
    other = fit_optima([16 * 2048, 64 * 2048, 256 * 2048], 7 * rates)
    assert other.learning_rate(64 * 2048) == pytest.approx(7 * one.learning_rate(64), rel=1e-3)


def test_answers_keep_shape_order_and_nan(law):
    narrow, wide = law.interval([[16.0, 64.0]], level=0.5), law.interval([[16.0, 64.0]], level=0.99)
    assert narrow[0].shape == (1, 2)
    assert (wide[0] < narrow[0]).all()
    assert (narrow[1] < wide[1]).all()
    assert np.isnan(law.interval([0.0, 16.0])[0]).tolist() == [True, False]
    assert isinstance(law.interval(16.0)[0], float)
    intervals = law.parameter_intervals()
    assert intervals["critical_batch_size"][0] < law.critical_batch_size
    assert intervals["peak_batch_size"][0] <= law.peak.batch_size
    assert law.peak.batch_size <= intervals["peak_batch_size"][1]


def test_beyond_twice_the_range_is_warned_of(law):
    assert law.warnings(2 * 4096) == ()
    assert [found.key for found in law.warnings(2.1 * 4096)] == ["extrapolated"]


@pytest.mark.parametrize(
    ("batch", "rates", "says"),
    [
        ([], [], "no optima"),
        ([1, 2, 3, 0], [1, 1, 1, 1], "row 4: batch_size is 0"),
        ([1, 2, 3, 4], [1, np.nan, 1, 1], "row 2: learning_rate is nan"),
        ([1, 2, 3, 4], [1, 1, -1, 1], "row 3: learning_rate is -1"),
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


@pytest.mark.parametrize("noise_scale", [0.0, -1.0, np.inf, (5.0, 2.0), (1.0, 1.0)])
def test_noise_scales_are_checked(noise_scale):
    with pytest.raises(InputError, match="noise_scale"):
        fit_optima([16, 64], [1e-3, 2e-3], noise_scale=noise_scale)
