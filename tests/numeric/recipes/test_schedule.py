"""The learning rate along a ramp."""

import numpy as np
import pytest

from scaling import BatchSizeLaw, DataError, InputError, fit_optima, schedule
from scaling.numeric.tables import read_optima

LAW = BatchSizeLaw(256, 1e-3, 8000.0, 1000.0)


def test_it_is_the_law_at_the_batch_size_of_each_step():
    ramp = {1000: 512, 0: 256, 4000: 2048}  # in any order
    rate = schedule(LAW, ramp)
    for step, batch in [
        (0, 256),
        (999, 256),
        (1000, 512),
        (3999, 512),
        (4000, 2048),
        (10**9, 2048),
    ]:
        assert rate.batch_size(step) == batch
        assert rate(step) == LAW.learning_rate(batch)
        assert rate.factor(step) == LAW.learning_rate(batch) / LAW.learning_rate(256)


def test_a_function_is_the_same_as_its_stages():
    by_function = schedule(LAW, lambda step: 256 * 2 ** (step // 3), steps=8)
    by_stages = schedule(LAW, {0: 256, 3: 512, 6: 1024})
    steps = np.arange(20)
    np.testing.assert_array_equal(by_function(steps), by_stages(steps))
    np.testing.assert_array_equal(by_function.steps, [0, 3, 6])


def test_a_linear_ramp():
    rate = schedule(LAW, lambda step: 32 + step, steps=1000)
    np.testing.assert_array_equal(rate.batch_size([0, 500, 999, 5000]), [32, 532, 1031, 1031])
    np.testing.assert_allclose(rate(np.arange(1000)), LAW.learning_rate(32 + np.arange(1000)))


def test_shapes_and_malformed_steps():
    rate = schedule(LAW, {0: 256, 10: 512})
    assert np.ndim(rate(3)) == 0
    assert rate([[1, 2], [3, 40]]).shape == (2, 2)
    np.testing.assert_array_equal(np.isnan(rate([-1, np.nan, 0])), [True, True, False])
    assert rate(10.5) == rate(10)
    with pytest.raises(InputError, match="step"):
        rate("3")


def test_warm_up_and_decay_multiply_the_law():
    rate = schedule(LAW, {0: 256, 10: 512}, multiply=lambda step: min(1, step / 4) / (1 + step))
    for step in (0, 2, 9, 10, 50):
        batch = 256 if step < 10 else 512
        factor = min(1, step / 4) / (1 + step)
        assert rate(step) == LAW.learning_rate(batch) * factor
        assert rate.factor(step) == rate(step) / LAW.learning_rate(256)
    assert rate([[1, 2], [3, -1]]).shape == (2, 2)
    np.testing.assert_array_equal(np.isnan(rate([-1, np.nan, 0])), [True, True, False])
    with pytest.raises(InputError, match="multiply: must be a function of the step"):
        schedule(LAW, {0: 256}, multiply=0.5)


def test_leaving_the_range_is_refused_unless_told(marek):
    law = fit_optima(*read_optima(marek))
    ramp = {0: 256, 10: 4096, 20: 65536}
    with pytest.raises(DataError, match=r"at step 20: batch size 65536 is outside 1 to 4096"):
        schedule(law, ramp)
    rate = schedule(law, ramp, extrapolate=True)
    assert rate(20) == law.learning_rate([*ramp.values()])[2]
    assert rate.warnings[0].key == "extrapolated"
    assert schedule(law, {0: 1, 5: 4096}).warnings == ()
    with pytest.raises(DataError, match="at step 0"):
        schedule(law, lambda _: 0.5, steps=3)


@pytest.mark.parametrize(
    ("ramp", "steps", "says"),
    [
        ({}, None, "by whole steps"),
        ({1: 256}, None, "the first of them 0"),
        ({0: 256, -1: 3}, None, "whole steps"),
        ({0: 256, 1.5: 3}, None, "whole steps"),
        ({0: "256"}, None, "number"),
        ({0: [1, 2]}, None, "one batch size"),
        ({0: 256}, 10, "steps: only a function"),
        ([256, 512], None, "a dict"),
        (lambda step: 256 + step, None, "steps: missing"),
        (lambda step: 256 + step, 0, "steps"),
        (lambda step: 256 + step, 2.5, "steps"),
        (lambda _: None, 3, "number"),
        (lambda step: [step, 1], 3, "one batch size"),
    ],
)
def test_malformed_ramps(ramp, steps, says):
    with pytest.raises(InputError, match=says):
        schedule(LAW, ramp, steps)


@pytest.mark.parametrize("batch", [0, -3, np.nan, np.inf])
def test_malformed_batch_sizes_name_the_step(batch):
    with pytest.raises(DataError, match="at step 7 is"):
        schedule(LAW, {0: 256, 7: batch})
