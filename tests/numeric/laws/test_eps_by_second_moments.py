"""A tuned run, a noise scale and Adam's second moments: T-J3 against its definition."""

import numpy as np
import pytest

from scaling import (
    GradientStatistics,
    InputError,
    Recipe,
    SecondMoments,
    TransferLaw,
    load_law,
    save_law,
)
from scaling.numeric.laws import Point

RUN = Recipe(3e-4, 256, eps=1e-7)
NOISE = 4000.0
#: Two kinds of parameters, with 1,000 and 10 of each size.
ROOTS = np.repeat([1e-7, 3e-6, 2e-5], [1000, 300, 10])


def law(**changes):
    known = {"second_moments": SecondMoments.from_arrays(ROOTS**2), "eps": 1e-5}
    return TransferLaw(RUN, GradientStatistics(NOISE), **(known | changes))


def brute(batch, eps, *, inside=False):
    """T-J3 by its sums over the parameters (T-J1) at scaled roots (T-J2)."""

    def rate(size, epsilon):
        t = ROOTS * np.sqrt((1 / size + 1 / NOISE) / (1 / 256 + 1 / NOISE))
        u = t / (np.sqrt(t**2 + epsilon**2) if inside else t + epsilon)
        return np.sqrt(size / (size + NOISE)) * np.sum(t * u) / np.sum(t * u * u)

    return 3e-4 * rate(batch, eps) / rate(256, 1e-7)


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("batch", [1.0, 64, 256, 1e4, 1e7])
@pytest.mark.parametrize("eps", [0.0, 1e-8, 1e-7, 1e-5, 1e-2])
def test_agrees_with_the_sums(batch, eps, inside):
    model = "mean-field" if inside else "mean-field-outside"
    wanted = brute(batch, eps, inside=inside)
    # To the stated error of the histogram.
    assert law(moments=model).learning_rate(batch, eps=eps) == pytest.approx(wanted, rel=7e-5)
    assert law(moments=model, eps=eps).learning_rate(batch) == pytest.approx(wanted, rel=7e-5)


def test_arrays_broadcast_and_the_tuned_run_comes_back():
    batches, epsilons = np.array([64.0, 1024.0, np.nan]), np.array([[1e-8], [1e-5]])
    found = law().learning_rate(batches, eps=epsilons)
    assert found.shape == (2, 3)
    assert np.isnan(found[:, 2]).all()
    assert found[1, 1] == law().learning_rate(1024)
    assert law(eps=1e-7).learning_rate(256) == pytest.approx(3e-4, rel=1e-12)


def test_the_limit_and_the_peak_are_those_of_the_curve():
    assert law().learning_rate_limit == pytest.approx(law().learning_rate(1e13), rel=1e-6)
    assert law().learning_rate_limit == pytest.approx(brute(1e13, 1e-5), rel=1e-4)
    peak = law().peak
    assert peak is None or isinstance(peak, Point)
    sizes = np.geomspace(1, 1e9, 200)
    top = law().learning_rate(sizes).max()
    assert top <= (peak.learning_rate if peak else law().learning_rate_limit) * (1 + 1e-9)


def test_what_eps_does_is_a_fact():
    effect = dict(law().eps_effect(256).values)
    assert effect["share"] == pytest.approx(1300 / 1310)
    assert effect["factor"] == pytest.approx(brute(256, 1e-5) / 3e-4, rel=7e-5)
    assert TransferLaw(RUN, GradientStatistics(NOISE)).eps_effect(256) is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"second_moments": None}, "changes from 1e-07 to 1e-05"),
        ({"second_moments": None, "moments": "sign"}, "'sign' have no eps"),
        ({"moments": "sign"}, "'sign' have no eps"),
        ({"population": "gaussian"}, "take the place"),
    ],
)
def test_a_change_of_eps_that_nothing_explains_is_refused(changes, says):
    with pytest.raises(InputError, match=says):
        law(**changes)


def test_the_law_comes_back_from_its_file(tmp_path):
    save_law(law(), tmp_path / "law.json")
    again = load_law(tmp_path / "law.json")
    sizes = [1, 256, 1e5]
    assert again.learning_rate(sizes).tolist() == law().learning_rate(sizes).tolist()
