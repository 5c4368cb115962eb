"""The horizon of a law: one step, a run, and what lies between (T-I1, T-I2)."""

from fractions import Fraction

import numpy as np
import pytest

from scaling import GradientStatistics, InputError, Recipe, TransferLaw
from scaling.numeric.laws.rules_of_thumb import power_rule
from scaling.numeric.moments import MOMENT_MODELS

BATCH = np.geomspace(1.0, 1e6, 13)
WITH_BETA1 = [name for name, model in MOMENT_MODELS.items() if "beta1" in model.knows]


def law(moments="mean-field-outside", *, beta1=None, ratio=1.0, eps=1e-6, **more):
    recipe = Recipe(3e-4, 256, eps=eps, beta1=beta1)
    return TransferLaw(recipe, GradientStatistics(4000, 2e-6, ratio), moments=moments, **more)


@pytest.mark.parametrize("moments", MOMENT_MODELS)
@pytest.mark.parametrize("population", ["uniform", "gaussian"])
def test_a_run_is_one_step_without_momentum(moments, population):
    run = law(moments, population=population)
    step = law(moments, population=population, beta1=0.0, horizon=1)
    np.testing.assert_allclose(run.learning_rate(BATCH), step.learning_rate(BATCH), rtol=1e-13)
    assert run.critical_batch_size == pytest.approx(step.critical_batch_size, rel=1e-13)
    assert law(moments, population=population).horizon == np.inf


@pytest.mark.parametrize("moments", WITH_BETA1)
def test_beta1_changes_nothing_over_a_run(moments):
    run = law(moments, beta1=0.9)
    np.testing.assert_allclose(
        run.at(beta1=0.5).learning_rate(BATCH), run.learning_rate(BATCH), rtol=1e-13
    )


def test_over_a_run_the_default_is_the_square_root_up_to_the_noise_scale():
    run = law(eps=0.0)
    np.testing.assert_allclose(
        run.learning_rate(BATCH),
        power_rule(BATCH, (256, 3e-4), alpha=0.5, noise_batch_size=4000),
        rtol=1e-13,
    )
    assert run.peak is None
    assert run.surge_end == 0


@pytest.mark.parametrize(("ratio", "surges"), [(1.9, False), (2.1, True)])
def test_over_a_run_a_surge_needs_twice_the_curvature(ratio, surges):
    assert (law(ratio=ratio, eps=0.0).peak is not None) is surges


@pytest.mark.parametrize("steps", [1, 2, 7, 60])
def test_between_one_step_and_a_run_the_noise_adds_up(steps):
    # The variance of a sum of averages of independent updates, by their correlations beta1^lag.
    beta1, r = Fraction(9, 10), BATCH / 4000
    lags = sum(beta1 ** abs(i - j) for i in range(steps) for j in range(steps))
    c = float((1 - beta1) / (1 + beta1) * lags / steps)
    shape = np.sqrt(r * (r + 1)) / (r + c)  # T-E2 with B_n = 1, B_crit = c
    found = law(beta1=0.9, eps=0.0, horizon=steps).learning_rate(BATCH)
    np.testing.assert_allclose(found / found[0], shape / shape[0], rtol=1e-12)


@pytest.mark.parametrize("horizon", [0, 0.5, 1.5, -1, np.nan, "2", None])
def test_horizons_are_whole_numbers(horizon):
    with pytest.raises(InputError) as caught:
        law(horizon=horizon)
    assert caught.value.parameter == "horizon"


def test_exact_models_know_the_two_ends_only():
    with pytest.raises(InputError, match="horizon: must be 1 step or a run"):
        law("exact-adam", horizon=9)
    one, nine = (law("exact-adam", beta1=0.0, horizon=steps) for steps in (1, 9))
    assert one.learning_rate(9.0) == nine.learning_rate(9.0)
