"""Moment models against brute-force integration of what each claims to be."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling import InputError, update_moments
from scaling.numeric.moments import MOMENT_MODELS
from scaling.numeric.moments.models import evaluate

WITH_MOMENTUM = tuple(name for name, model in MOMENT_MODELS.items() if "beta1" in model.knows)
WITHOUT_MOMENTUM = tuple(name for name in MOMENT_MODELS if name not in WITH_MOMENTUM)
WITH_EPS = ("clip", "article", *WITH_MOMENTUM)

signals = st.floats(1e-8, 1e8)
dampings = st.just(0.0) | st.floats(1e-8, 1e8)

# The corners at which the closed forms of T-B3 and T-B6 cancel, and both sides of every place at
# which the implementation changes from one expression to another (1/2 and 1).
CORNERS = [0.0, 1e-8, 1e-4, 0.03, 0.4999999, 0.5, 0.5000001, 0.9999999, 1.0, 1.0000001, 3.0, 40.0]
FAR = [
    (1e8, 1e8),
    (1e8, 99999999.0),
    (1e8, 1e-8),
    (1e-8, 1e8),
    (1e8, 0.0),
    (0.0, 1e8),
    (37.0, 39.5),
]


def expectation(function, a, kinks=()):
    """E[function(x)] for x ~ N(a, 1), by quadrature at 50 digits."""
    a = mp.mpf(a)
    with mp.workdps(50):
        edges = sorted(
            {a + t for t in (-40, -12, -4, -1, 0, 1, 4, 12, 40)} | {mp.mpf(k) for k in kinks}
        )
        edges = [x for x in edges if abs(x - a) <= 40]
        return mp.quad(lambda x: function(x) * mp.npdf(x, a, 1), edges)


def relative(value, reference):
    """Relative difference, absolute where the reference is 0 to its 50 digits."""
    difference = abs(mp.mpf(float(value)) - reference)
    return float(difference / abs(reference)) if abs(reference) > 1e-45 else float(difference)


@pytest.mark.parametrize("a", CORNERS)
def test_sign_is_the_expected_sign(a):
    mean, second_moment = update_moments(a, moments="sign")
    assert relative(mean, expectation(mp.sign, a, [0])) < 1e-10
    assert second_moment == 1


@pytest.mark.parametrize("a", CORNERS)
def test_sgd_is_the_gradient(a):
    mean, second_moment = update_moments(a, 0.3, moments="sgd")
    assert relative(mean, expectation(lambda x: x, a)) < 1e-10
    assert relative(second_moment, expectation(lambda x: x**2, a)) < 1e-10


@pytest.mark.parametrize("b", CORNERS)
@pytest.mark.parametrize("a", CORNERS)
def test_clip_is_the_expected_clipped_line(a, b):
    def clip(x):
        return mp.sign(x) if abs(x) >= b else x / mp.mpf(b)

    kinks = [0, -b, b]
    mean, second_moment = update_moments(a, b, moments="clip")
    assert relative(mean, expectation(clip, a, kinks)) < 1e-12
    assert relative(second_moment, expectation(lambda x: clip(x) ** 2, a, kinks)) < 1e-12


@pytest.mark.parametrize(("a", "b"), FAR)
def test_clip_far_out_agrees_with_the_closed_forms_at_100_digits(a, b):
    # T-B3 and T-B6 as written in the theory; only so many digits survive their subtractions.
    with mp.workdps(100):
        x, y = mp.mpf(a), mp.mpf(b) or mp.mpf(10) ** -30
        p, q, n = (x + y) / mp.sqrt(2), (x - y) / mp.sqrt(2), mp.npdf
        mean = (mp.erf(p) + mp.erf(q)) / 2 + x / (2 * y) * (mp.erf(p) - mp.erf(q))
        mean += (mp.exp(-p * p) - mp.exp(-q * q)) / (y * mp.sqrt(2 * mp.pi))
        inside = (mp.erf(p) - mp.erf(q)) / 2
        squares = (x * x + 1) * inside - (y + x) * n(y - x) - (y - x) * n(y + x)
        second_moment = 1 - inside + squares / y**2
        found = update_moments(a, b, moments="clip")
        assert relative(found.mean, mean) < 1e-14
        assert relative(found.second_moment, second_moment) < 1e-14


def algebraic(a, b, c, moments):
    """The algebraic models' formulas, at 50 digits."""
    a, b = mp.mpf(a), mp.mpf(b)
    if moments == "sign-isru":  # T-A6
        return a / mp.sqrt(a**2 + mp.pi / 2), mp.mpf(1)
    if moments == "article":  # T-B5, T-B7
        rest = a**2 + b**2 + mp.pi / 2
        return a / mp.sqrt(rest), 1 - b**2 / rest
    if moments == "mean-field":  # T-C1, T-E1
        rest = a**2 + 1 + b**2
        return a / mp.sqrt(rest), (a**2 + c) / rest
    rest = mp.sqrt(a**2 + 1) + b  # T-E7
    return a / rest, (a**2 + c) / rest**2


@given(signals, dampings, st.floats(0, 0.999))
@pytest.mark.parametrize("moments", ["sign-isru", "article", "mean-field", "mean-field-outside"])
def test_algebraic_models_agree_with_their_formula(moments, a, b, beta1):
    beta1 = beta1 if moments in WITH_MOMENTUM else None
    with mp.workdps(50):
        c = (1 - mp.mpf(beta1 or 0)) / (1 + mp.mpf(beta1 or 0))
        mean, second_moment = algebraic(a, b, c, moments)
        found = update_moments(a, b, beta1, moments=moments)
        assert relative(found.mean, mean) < 1e-14
        assert relative(found.second_moment, second_moment) < 1e-13


@pytest.mark.parametrize("moments", WITH_MOMENTUM)
def test_momentum_damps_the_variance_of_the_update(moments):
    # T-D2's c is the variance of an exponential moving average of independent gradients.
    rng = np.random.default_rng(1)
    beta1, a, runs = 0.7, 0.8, 200_000
    average = np.zeros(runs)
    for _ in range(60):
        average = beta1 * average + (1 - beta1) * rng.normal(a, 1, runs)
    squares = average**2 / (a**2 + 1)
    found = update_moments(a, 0.0, beta1, moments=moments).second_moment
    assert abs(squares.mean() - found) < 4 * squares.std() / np.sqrt(runs)


@given(signals, dampings)
@pytest.mark.parametrize("moments", list(MOMENT_MODELS))
def test_mean_is_odd_and_second_moment_even(moments, a, b):
    plus, minus = update_moments(a, b, moments=moments), update_moments(-a, b, moments=moments)
    assert plus.mean == -minus.mean
    assert plus.second_moment == minus.second_moment


@given(st.floats(0, 1e8), dampings)
@pytest.mark.parametrize("moments", [m for m in MOMENT_MODELS if m != "sgd"])
def test_update_is_bounded(moments, a, b):
    mean, second_moment = update_moments(a, b, moments=moments)
    rounding = 1e-14 if moments.startswith("exact") else 0.0  # what those promise
    assert 0 <= mean <= 1 + rounding
    assert 0 <= second_moment <= 1 + 1e-15 + rounding


@given(st.floats(0, 1e8), dampings)
@pytest.mark.parametrize("moments", list(MOMENT_MODELS))
def test_variance_is_what_is_left_and_never_negative(moments, a, b):
    mean, second_moment, variance = evaluate(MOMENT_MODELS[moments].bind(), a, b)
    assert variance >= 0
    assert second_moment - mean**2 == pytest.approx(variance, abs=1e-14 * second_moment)


@pytest.mark.parametrize("b", [0.0, 1e-6, 0.2, 0.499, 0.5, 0.7, 1.0, 5.0, 300.0, 1e8])
@pytest.mark.parametrize("beyond", [-1e8, -30.0, -3.0, -0.5, 0.0, 1.0, 2.3, 2.4, 5.0, 8.0])
def test_variance_of_the_clipped_line_where_it_is_a_small_difference(b, beyond):
    a = max(b + beyond, 0.0)
    with mp.workdps(60):

        def clip(x):
            return mp.sign(x) if abs(x) >= b else x / mp.mpf(b)

        kinks = [0, -b, b]
        mean = expectation(clip, a, kinks)
        variance = expectation(lambda x: (clip(x) - mean) ** 2, a, kinks)
    found = float(evaluate(MOMENT_MODELS["clip"].bind(), a, b)[2])
    assert found == pytest.approx(float(variance), rel=1e-10)


@given(st.floats(1e-8, 1e7), st.floats(1.001, 10), dampings)
@pytest.mark.parametrize("moments", list(MOMENT_MODELS))
def test_mean_grows_with_the_signal(moments, a, factor, b):
    mean, larger = update_moments([a, a * factor], b, moments=moments).mean
    assert larger >= mean * (1 - 4e-16)  # both may be 1, give or take a rounding


@pytest.mark.parametrize(("moments", "limit"), [("clip", "sign"), ("article", "sign-isru")])
def test_small_eps_is_the_sign(moments, limit):
    a = np.logspace(-8, 8, 33)
    for b in (0.0, 1e-9):
        found, expected = update_moments(a, b, moments=moments), update_moments(a, moments=limit)
        np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-9)
        np.testing.assert_allclose(found.second_moment, expected.second_moment, rtol=2e-9)


@pytest.mark.parametrize("moments", WITH_EPS)
def test_large_eps_is_sgd(moments):
    # T-B1: b times the update tends to the gradient itself; "article" has pi/2 for its variance.
    a, b = np.logspace(-3, 2, 11), 1e8
    found = update_moments(a, b, 0.0, moments=moments)
    variance = np.pi / 2 if moments == "article" else 1
    np.testing.assert_allclose(b * found.mean, a, rtol=1e-5)
    np.testing.assert_allclose(b**2 * found.second_moment, a**2 + variance, rtol=1e-5)


@pytest.mark.parametrize("moments", WITHOUT_MOMENTUM)
def test_models_without_momentum_refuse_beta1(moments):
    update_moments(1.0, 1.0, 0.0, moments=moments)
    with pytest.raises(
        InputError, match=r"beta1: must be 0 with moments '.*', which has no momentum"
    ):
        update_moments(1.0, 1.0, 0.9, moments=moments)


@pytest.mark.parametrize("beta1", [-0.1, 1.0, 2, np.nan, np.inf, "0.9x"])
def test_beta1_is_checked(beta1):
    with pytest.raises(InputError, match="beta1"):
        update_moments(1.0, 1.0, beta1)


def test_unknown_model_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"unknown moment model 'adam'; choose from sgd, sign"):
        update_moments(1.0, moments="adam")


@pytest.mark.parametrize("moments", list(MOMENT_MODELS))
def test_shapes_scalars_and_malformed_elements(moments):
    scalar = update_moments(1.0, 2.0, moments=moments)
    assert isinstance(scalar.mean, float)
    assert isinstance(scalar.second_moment, float)
    a = np.array([[1.0], [np.nan], [np.inf]])
    b = np.array([0.0, 2.0, -1.0, np.inf])
    mean, second_moment = update_moments(a, b, moments=moments)
    assert mean.shape == second_moment.shape == (3, 4)
    assert np.isfinite(mean[0, :2]).all()
    assert np.isnan(mean[1:]).all()
    assert np.isnan(mean[0, 2:]).all()
    assert (np.isnan(mean) == np.isnan(second_moment)).all()
    assert update_moments([], 1.0, moments=moments).mean.shape == (0,)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="damping: does not fit the signal"):
        update_moments([1, 2], [1, 2, 3])


@pytest.mark.parametrize("bad", ["abc", "1", [1, "x"], object(), None])
def test_what_is_no_number_is_refused(bad):
    with pytest.raises(InputError, match="signal: must be a number"):
        update_moments(bad)
