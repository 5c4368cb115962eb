"""The law in its plainest form against high-precision arithmetic and brute force."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from scaling import BatchSizeLaw, InputError
from scaling.numeric.laws import Law

sizes = st.floats(1e-3, 1e9)
shifts = st.just(0.0) | st.floats(1e-3, 1e9)
CORNERS = [(n, c) for n in (0.0, 40.0, np.inf) for c in (0.0, 7.0, np.inf)]


def exact(limit, noise, critical, batch):
    """T-E2 as it stands in the theory, at 150 digits (half of which numerical slopes cost)."""
    with mp.workdps(150):
        limit, noise, critical, batch = (mp.mpf(v) for v in (limit, noise, critical, batch))
        return limit * mp.sqrt(batch * (batch + noise)) / (batch + critical)


@given(st.floats(1e-9, 10), shifts, shifts, sizes)
def test_learning_rate_is_the_formula(limit, noise, critical, batch):
    law = BatchSizeLaw.from_limit(limit, noise, critical)
    assert float(law.learning_rate(batch)) == pytest.approx(
        float(exact(limit, noise, critical, batch)), rel=1e-13
    )
    assert law.learning_rate_limit == pytest.approx(limit, rel=1e-13)


@given(st.floats(1e-3, 1e6), st.floats(2.01, 1e6))
def test_peak_is_where_theory_puts_it(critical, ratio):
    # T-E3 with rho = B_n/B_crit > 2.
    law = BatchSizeLaw.from_limit(1e-3, ratio * critical, critical)
    rho = law.noise_batch_size / critical
    assert law.peak.batch_size == pytest.approx(law.noise_batch_size / (rho - 2), rel=1e-9)
    assert law.peak.learning_rate == pytest.approx(1e-3 * rho / (2 * np.sqrt(rho - 1)), rel=1e-9)
    around = law.learning_rate(law.peak.batch_size * np.array([0.99, 1.01]))
    assert (around < law.peak.learning_rate).all()


def test_peak_agrees_with_a_search():
    law = BatchSizeLaw.from_limit(1e-3, 5000.0, 300.0)
    found = minimize_scalar(
        lambda t: -law.learning_rate(np.exp(t)), bounds=(0, 12), method="bounded"
    )
    assert law.peak.batch_size == pytest.approx(np.exp(found.x), rel=1e-3)


@given(sizes, st.floats(0, 2))
def test_no_peak_unless_noise_exceeds_twice_critical(critical, ratio):
    law = BatchSizeLaw.from_limit(1e-3, ratio * critical, critical)
    assume(law.noise_batch_size <= 2 * critical)
    assert law.peak is None
    batch = np.logspace(-6, 12, 200)
    assert (np.diff(law.learning_rate(batch)) > -1e-15).all()


@given(st.floats(1.0, 1e6), st.floats(0.01, 0.99))
def test_a8_ties_critical_size_and_peak(kappa_squared, beta_n_squared):
    # T-A8: 1/B_crit - 1/B_peak = 4/(pi kappa^2), for SignSGD with beta_n < 1.
    noise = np.pi / 2 * kappa_squared
    critical = noise * beta_n_squared / (1 + beta_n_squared)
    law = BatchSizeLaw.from_limit(1.0, noise, critical)
    left = 1 / law.critical_batch_size - 1 / law.peak.batch_size
    assert left == pytest.approx(4 / (np.pi * kappa_squared), rel=1e-12)


@given(shifts, shifts, sizes)
def test_exponent_is_the_derivative(noise, critical, batch):
    law = BatchSizeLaw.from_limit(1.0, noise, critical)
    with mp.workdps(50):
        slope = mp.diff(lambda t: mp.log(exact(1, noise, critical, mp.exp(t))), mp.log(batch))
    assert float(law.exponent(batch)) == pytest.approx(float(slope), abs=1e-12)


@pytest.mark.parametrize(("noise", "critical"), CORNERS)
def test_corners_have_no_special_case(noise, critical):
    law = BatchSizeLaw(10.0, 2e-3, noise, critical)
    near = BatchSizeLaw(10.0, 2e-3, min(max(noise, 1e-14), 1e17), min(max(critical, 1e-14), 1e17))
    batch = np.logspace(-2, 4, 25)
    np.testing.assert_allclose(law.learning_rate(batch), near.learning_rate(batch), rtol=1e-11)
    np.testing.assert_allclose(law.exponent(batch), near.exponent(batch), atol=1e-11)
    assert law.learning_rate(10.0) == 2e-3


def test_corners_are_the_known_laws():
    batch = np.logspace(-2, 5, 30)
    sgd = BatchSizeLaw.from_limit(0.5, 0.0, 300.0)
    np.testing.assert_allclose(sgd.learning_rate(batch), 0.5 / (1 + 300 / batch), rtol=1e-13)
    sign = BatchSizeLaw.from_limit(0.5, 300.0, 300.0)
    np.testing.assert_allclose(
        sign.learning_rate(batch), 0.5 / np.sqrt(1 + 300 / batch), rtol=1e-13
    )
    surge = BatchSizeLaw(300.0, 0.5, np.inf, 300.0)
    np.testing.assert_allclose(
        surge.learning_rate(batch), np.sqrt(batch * 300) / (batch + 300), rtol=1e-13
    )
    assert surge.peak == (300.0, pytest.approx(0.5))
    assert surge.learning_rate_limit == 0


def test_from_limit_with_both_shifts_at_zero_is_constant():
    law = BatchSizeLaw.from_limit(0.5, 0, 0)
    assert law.learning_rate([1e-9, 1, 1e9]).tolist() == [0.5, 0.5, 0.5]
    assert law.regime(3) == "flat"


@given(sizes, sizes, st.floats(1e-3, 1e6))
def test_steps_and_examples_lie_on_the_hyperbola(noise, critical, batch):
    # T-A4: (S/S_min - 1)(E/E_min - 1) = 1.
    law = BatchSizeLaw.from_limit(1.0, noise, critical)
    steps, examples = law.steps_factor(batch), law.examples_factor(batch)
    assert steps == pytest.approx(1 + critical / batch, rel=1e-14)
    assert examples == pytest.approx(1 + batch / critical, rel=1e-12)
    assert law.steps_factor(critical) == law.examples_factor(critical) == 2


@given(shifts, shifts, st.floats(1e-2, 1e5))
def test_inverse_finds_every_batch_size(noise, critical, batch):
    law = BatchSizeLaw(50.0, 1e-3, noise, critical)
    assume(abs(law.exponent(batch)) > 1e-3)
    rate = law.learning_rate(batch)
    found = law.batch_sizes(rate)
    assert min(abs(size / batch - 1) for size in found) < 1e-9
    assert list(found) == sorted(set(found))
    assert len(found) <= 2
    for size in found:
        assert law.learning_rate(size) == pytest.approx(rate, rel=1e-9)


def test_inverse_gives_none_one_or_two():
    law = BatchSizeLaw.from_limit(1e-3, 4000.0, 200.0)
    top = law.peak.learning_rate
    assert law.batch_sizes(top * 1.0001) == ()
    assert law.batch_sizes(top) == (pytest.approx(law.peak.batch_size),)
    low, high = law.batch_sizes(top * 0.9)
    assert low < law.peak.batch_size < high
    assert len(law.batch_sizes(1e-3)) == 1  # the limit: met once, approached at infinity
    assert len(law.batch_sizes(0.5e-3)) == 1
    with pytest.raises(InputError, match="learning_rate: must be positive"):
        law.batch_sizes(-1.0)


def test_numerical_face_agrees_with_the_closed_form():
    # What laws without a closed form inherit, tried on one that has it.
    law = BatchSizeLaw.from_limit(1e-3, 4000.0, 200.0)
    batch = np.logspace(-1, 6, 20)
    np.testing.assert_allclose(Law.exponent(law, batch), law.exponent(batch), atol=1e-11)
    np.testing.assert_allclose(Law.batch_sizes(law, 2e-3), law.batch_sizes(2e-3), rtol=1e-11)
    assert Law.batch_sizes(law, 1.0) == ()


def test_regimes_in_their_order():
    adam = BatchSizeLaw.from_limit(1.0, 4000.0, 200.0)
    assert adam.regime([1, 10, 210, 250, 1e5, 0, np.nan]).tolist() == [
        "sqrt", "sqrt", "flat", "falling", "falling", "invalid", "invalid",
    ]  # fmt: skip
    large_eps = BatchSizeLaw.from_limit(1.0, 5.0, 5000.0)  # T-E5: sqrt, linear, flat
    assert large_eps.regime([0.05, 150, 1e6]).tolist() == ["sqrt", "linear", "flat"]
    signs = BatchSizeLaw.from_limit(1.0, 300.0, 300.0)  # rises forever, ever more slowly
    assert signs.regime([1.0, 1e15]).tolist() == ["sqrt", "flat"]
    assert BatchSizeLaw(1.0, 1.0, np.inf, 0.0).regime(5) == "falling"


@given(shifts, shifts, sizes)
def test_regime_and_exponent_say_the_same(noise, critical, batch):
    law = BatchSizeLaw(1.0, 1.0, noise, critical)
    center = {"falling": -0.25, "flat": 0.125, "sqrt": 0.5, "linear": 0.875}[law.regime(batch)]
    assert abs(law.exponent(batch) - center) <= 0.2500001
    assert (law.regime(batch) == "falling") <= (law.peak is None or batch > law.peak.batch_size)


def test_scalars_stay_scalars_and_shapes_stay():
    law = BatchSizeLaw.from_limit(1e-3, 4000.0, 200.0)
    methods = (law.learning_rate, law.exponent, law.steps_factor, law.examples_factor)
    for method in methods:
        assert isinstance(method(12), float)
        assert method(np.ones((2, 3))).shape == (2, 3)
        assert method([]).shape == (0,)
        assert np.isnan(method([1, 0, -1, np.nan, np.inf])).tolist() == [False, *4 * [True]]
        for bad in ("12", ["1", "2"], None, [1, None], [[1], [1, 2]], 10**400, True):
            with pytest.raises(InputError, match="batch_size: must be a number"):
                method(bad)
    assert isinstance(law.regime(12), str)
    for noise, critical in CORNERS:
        corner = BatchSizeLaw(10.0, 2e-3, noise, critical)
        assert np.isnan(corner.exponent([0.0, np.nan])).all()
        assert np.isnan(corner.examples_factor([0.0, np.nan])).all()


@pytest.mark.parametrize("batch", [1e-300, 1e-160, 1e160, 1e300])
def test_extreme_batch_sizes_do_not_overflow(batch):
    law = BatchSizeLaw.from_limit(1e-3, 4000.0, 200.0)
    assert law.learning_rate(batch) == pytest.approx(
        float(exact(1e-3, 4000, 200, batch)), rel=1e-12
    )


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((0, 1e-3, 1, 1), "reference_batch_size"),
        ((1, np.inf, 1, 1), "reference_learning_rate"),
        ((1, 1e-3, -1, 1), "noise_batch_size"),
        ((1, 1e-3, 1, np.nan), "critical_batch_size"),
        ((1, 1e-3, None, 5), "noise_batch_size"),
        ((1, 1e-3, 1, "5"), "critical_batch_size"),
        ((True, 1e-3, 1, 5), "reference_batch_size"),
        ((10**400, 1e-3, 1, 5), "reference_batch_size"),
    ],
)
def test_parameters_are_checked(arguments, name):
    with pytest.raises(InputError, match=name) as caught:
        BatchSizeLaw(*arguments)
    assert caught.value.parameter == name


def test_from_limit_refuses_what_it_cannot_hold():
    with pytest.raises(InputError, match="noise_batch_size"):
        BatchSizeLaw.from_limit(1e-3, np.inf, 1.0)
    with pytest.raises(InputError, match="learning_rate_limit"):
        BatchSizeLaw.from_limit(0.0, 1.0, 1.0)


def test_nothing_is_known_of_the_error_of_given_numbers():
    assert BatchSizeLaw(1, 1e-3, 1, 1).interval([1, 2]) is None
    with pytest.raises(InputError, match="level"):
        BatchSizeLaw(1, 1e-3, 1, 1).interval(1, level=95)
