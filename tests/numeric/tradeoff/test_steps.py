"""The cost law T-A4: recovery, corners, published data."""

import csv

import numpy as np
import pytest

from scaling import DataError, InputError, fit_steps

BATCH = np.array([64.0, 256.0, 1024.0, 4096.0, 16384.0])


@pytest.mark.parametrize("critical", [100.0, 3000.0, 1e5])
def test_exact_tables_are_recovered(critical):
    law = fit_steps(BATCH, 900 * (1 + critical / BATCH))
    assert law.steps_min == pytest.approx(900, rel=1e-6)
    assert law.critical_batch_size == pytest.approx(critical, rel=1e-6)
    assert law.examples_min == pytest.approx(900 * critical, rel=1e-6)
    np.testing.assert_allclose(law.steps(BATCH), 900 * (1 + critical / BATCH), rtol=1e-6)
    np.testing.assert_allclose(law.examples(BATCH), law.steps(BATCH) * BATCH, rtol=1e-12)


def test_corners():
    perfect = fit_steps(BATCH, 1e6 / BATCH)
    assert perfect.critical_batch_size == np.inf
    assert perfect.steps_min == 0
    assert perfect.examples_min == pytest.approx(1e6)
    useless = fit_steps(BATCH, np.full(5, 700.0))
    assert useless.critical_batch_size == 0
    assert useless.examples_min == 0
    assert useless.steps_min == pytest.approx(700)


# theory: "about 2.2e3 sequences for 85M and 1.1e4 for 1.2B".
@pytest.mark.parametrize(("model", "critical"), [("85M", 2.2e3), ("1.2B", 1.1e4)])
def test_zhang(zhang, model, critical):
    with zhang.open() as file:
        rows = [row for row in csv.DictReader(file) if row["model"] == model]
    batch, steps = (np.array([float(row[key]) for row in rows]) for key in ("batch_size", "steps"))
    law = fit_steps(batch, steps)
    assert law.critical_batch_size == pytest.approx(critical, rel=0.05)
    low, high = law.parameter_intervals()["critical_batch_size"]
    assert low < law.critical_batch_size < high
    # At 256 these runs still scale nearly linearly; the paper's critical size, where the steps
    # exceed that by 20 %, is three to four times smaller than T-A4's.
    excess = law.steps(batch) * batch / (law.steps(256.0) * 256)
    quoted = np.exp(np.interp(np.log(1.2), np.log(excess), np.log(batch)))
    assert 3 < law.critical_batch_size / quoted < 5
    assert np.abs(np.log(law.steps(batch) / steps)).max() < 0.15


def test_tables_are_checked():
    with pytest.raises(DataError, match="cannot determine 2 parameters"):
        fit_steps([64], [100])
    with pytest.raises(DataError, match=r"steps\[1\] is 0"):
        fit_steps([64, 128], [100, 0])
    for law in (fit_steps([64, 128], [100, 80]), fit_steps(BATCH, 900 * (1 + 3000 / BATCH))):
        assert law.parameter_intervals() is None
        assert law.steps_interval(64) is None
    with pytest.raises(InputError, match="between 0 and 1"):
        law.steps_interval(64, level=1.0)


def noisy(rng, critical, error):
    return 900 * (1 + critical / BATCH) * np.exp(error * rng.normal(size=BATCH.size))


@pytest.mark.parametrize(("critical", "error"), [(1000.0, 0.05), (2e4, 0.15)])
def test_intervals_hold_the_truth_as_often_as_they_say(critical, error):
    rng = np.random.default_rng(2)
    truth = {"steps_min": 900, "examples_min": 900 * critical, "critical_batch_size": critical}
    tables, held = 150, dict.fromkeys([*truth, "steps"], 0)
    for _ in range(tables):
        law = fit_steps(BATCH, noisy(rng, critical, error))
        found = law.parameter_intervals(0.9) | {"steps": law.steps_interval(512.0, 0.9)}
        for name, value in (truth | {"steps": 900 * (1 + critical / 512)}).items():
            held[name] += found[name][0] <= value <= found[name][1]
    # Three standard errors of a share of 0.9 are 0.073.
    assert all(abs(count / tables - 0.9) < 0.073 for count in held.values()), held


def test_intervals_follow_each_other():
    law = fit_steps(BATCH, noisy(np.random.default_rng(4), 3000, 0.1))
    wide, narrow = law.parameter_intervals(0.99), law.parameter_intervals(0.5)
    for name, (low, high) in law.parameter_intervals().items():
        assert wide[name][0] < low < narrow[name][0] < getattr(law, name)
        assert getattr(law, name) < narrow[name][1] < high < wide[name][1]
    # Far out only one of the two terms is left.
    many, few = law.steps_interval([1e12, 1e-6])[0], law.steps_interval([1e12, 1e-6])[1]
    steps, examples = (law.parameter_intervals()[name] for name in ("steps_min", "examples_min"))
    np.testing.assert_allclose([many[0], few[0]], steps, rtol=1e-6)
    np.testing.assert_allclose([many[1], few[1]], [bound * 1e6 for bound in examples], rtol=1e-6)
    assert law.steps_interval(np.full((2, 3), 64.0))[0].shape == (2, 3)
    assert np.isnan(law.steps_interval(-1.0)[0])


def test_far_from_the_table_is_said():
    law = fit_steps(BATCH, 900 * (1 + 3000 / BATCH))
    assert law.batch_size_range == pytest.approx((64, 16384))
    assert law.warnings(64 / 7) == law.warnings(16384 * 7) == ()
    (found,) = law.warnings(6.4)
    assert [found[name] for name in ("value", "times", "low", "high")] == pytest.approx(
        [6.4, 10, 64, 16384]
    )


def test_variances_are_those_of_many_tables():
    rng = np.random.default_rng(6)
    laws = [fit_steps(BATCH, noisy(rng, 1000, 0.03)) for _ in range(150)]
    for name, variance in fit_steps(BATCH, 900 * (1 + 1000 / BATCH)).unit_variances.items():
        spread = np.var([np.log(getattr(law, name)) for law in laws], ddof=1)
        # Huber's weights cost 5 %; three standard errors of a variance of 150 are 35 %.
        assert spread == pytest.approx(0.03**2 * variance, rel=0.4)
