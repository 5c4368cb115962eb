"""The error atlas: against errors that theory states, and against sums written out."""

import numpy as np
import pytest

from scaling import (
    GradientStatistics,
    InputError,
    Recipe,
    TransferLaw,
    learning_rate_error,
    update_moments,
)
from scaling.numeric.laws import moment_errors
from scaling.numeric.moments import MOMENT_MODELS

APPROXIMATE = [name for name in MOMENT_MODELS if name != "sgd" and not name.startswith("exact")]
GRID = np.geomspace(1e-2, 1e2, 161)


def largest(moments, which, **more):
    return np.abs(getattr(moment_errors(GRID[:, None], GRID, moments=moments, **more), which)).max()


def test_errors_that_the_theory_states():
    # T-B7: "its error reaches 0.31"; the others as computed by the symbolic layer.
    assert largest("article", "second_moment") == pytest.approx(0.3075, abs=5e-4)
    assert largest("article", "mean") == pytest.approx(0.107, abs=1e-3)
    assert largest("clip", "mean") == pytest.approx(1 - 1 / np.sqrt(2), abs=5e-3)
    assert largest("clip", "second_moment") == pytest.approx(0.5, abs=1e-2)
    against_softsign = {"beta1": 0.0, "exact": "exact-softsign"}
    assert largest("mean-field", "mean", **against_softsign) == pytest.approx(0.078, abs=1e-3)
    second_moment = largest("mean-field", "second_moment", **against_softsign)
    assert second_moment == pytest.approx(0.239, abs=1e-3)
    # T-E1 against Adam with beta1 = 0.9, beta2 = 0.99.
    assert largest("mean-field", "mean", beta1=0.9, beta2=0.99) < 0.0056


@pytest.mark.parametrize("moments", APPROXIMATE)
def test_error_of_the_learning_rate_is_that_of_the_two_laws(moments):
    exact = "exact-softsign"
    if MOMENT_MODELS[moments].knows:
        outside = MOMENT_MODELS[moments].eps == "outside"
        exact = "exact-adam" if outside else "exact-adam-inside"
    batch, eps = np.array([0.01, 1.0, 30.0])[:, None], np.array([0.0, 0.3, 5.0])
    a = np.sqrt(batch)
    mean, square = update_moments(a, a * eps, moments=moments)
    true_mean, true_square = update_moments(a, a * eps, moments=exact)
    expected = (mean / square) / (true_mean / true_square) - 1
    found = learning_rate_error(batch, eps, moments=moments)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("population", ["uniform", "gaussian"])
def test_a_transfer_errs_by_the_ratio_of_its_two_errors(population):
    recipe, statistics = Recipe(1e-3, 100.0, eps=0.1, beta1=0.9), GradientStatistics(500.0, 2.0)
    laws = [
        TransferLaw(recipe, statistics, eps=1.0, moments=moments, population=population, horizon=1)
        for moments in ("mean-field-outside", "exact-adam")
    ]
    rates = [law.learning_rate(4000.0) for law in laws]
    run, target = learning_rate_error(
        [0.2, 8.0], [0.05, 0.5], moments="mean-field-outside", population=population
    )
    assert rates[0] / rates[1] == pytest.approx((1 + target) / (1 + run), rel=1e-12)


def test_malformed_elements_are_nan_and_scalars_stay_scalars():
    error = learning_rate_error([1.0, 0.0, -1.0, np.nan], 0.1, moments="article")
    assert np.isnan(error).tolist() == [False, True, True, True]
    assert isinstance(learning_rate_error(1.0, 0.1, moments="article"), float)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"moments": "sgd"}, "moments: must be an approximation of Adam's update, got 'sgd'"),
        ({"moments": "exact-adam"}, "moments: must be an approximation"),
        ({"moments": "clip", "exact": "article"}, "exact: must be one of the exact models"),
        ({"moments": "clip", "beta1": 0.9}, "beta1: must be 0 with moments 'clip'"),
        ({"moments": "clip", "beta2": 0.9}, "beta2: does not enter"),
        ({"moments": "nonsense"}, "unknown moment model"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(InputError, match=message):
        moment_errors(1.0, 1.0, **arguments)
