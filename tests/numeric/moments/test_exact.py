"""Exact moments against mpmath, a literal Adam, and what they must tend to."""

import csv
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling import InputError, update_moments
from scaling.numeric.moments._lag_sums import lag_sums
from scaling.numeric.moments.erfc_integrals import scaled_erfc_integrals
from scaling.numeric.moments.exact_adam import ExactUpdate

REFERENCE = Path(__file__).parent / "exact_moments.csv"
EXACT = ("exact-softsign", "exact-adam", "exact-adam-inside")


def reference():
    """Rows of the table, by model and its parameters."""
    groups = {}
    with REFERENCE.open() as file:
        for row in csv.DictReader(file):
            key = row["model"], row["beta1"], row["beta2"], row["step"]
            groups.setdefault(key, []).append(row)
    return groups


def arguments(key):
    """Keyword arguments of `update_moments` for a group of the table."""
    model, beta1, beta2, step = key
    if model == "exact-softsign":
        return {"moments": model}
    steps = float(step) or np.inf
    return {"moments": model, "beta1": float(beta1), "beta2": float(beta2), "step": steps}


def test_the_table_is_large_enough():
    assert sum(map(len, reference().values())) >= 300


@pytest.mark.parametrize("key", list(reference()), ids=" ".join)
def test_moments_are_those_of_mpmath(key):
    rows = reference()[key]
    bound = 1e-12 if key[0] == "exact-softsign" else 1e-10
    for row in rows:
        found = update_moments(float(row["signal"]), float(row["damping"]), **arguments(key))
        for name, value in found._asdict().items():
            # The table's arguments are decimals; the nearest float is off by 1e-16 at most, which
            # moves a moment by as much.
            assert abs(mp.mpf(float(value)) / mp.mpf(row[name]) - 1) < bound, (row, value)


@pytest.mark.parametrize("key", list(reference()), ids=" ".join)
def test_a_grid_is_its_elements(key):
    rows = reference()[key]
    a, b = (sorted({float(row[name]) for row in rows}) for name in ("signal", "damping"))
    grid = update_moments(np.array(a)[:, None], b, **arguments(key))
    transposed = update_moments(a, np.array(b)[:, None], **arguments(key))
    paired = update_moments(np.repeat(a, len(b)), np.tile(b, len(a)), **arguments(key))
    for name in ("mean", "second_moment"):
        table = getattr(grid, name)
        np.testing.assert_allclose(getattr(transposed, name).T, table, rtol=1e-14)
        np.testing.assert_allclose(getattr(paired, name).reshape(table.shape), table, rtol=1e-14)
        for i, x in enumerate(a):  # alone, with nodes of its own
            alone = getattr(update_moments(x, b[-2], **arguments(key)), name)
            assert alone == pytest.approx(table[i, -2], rel=1e-13)


def test_three_axes_of_which_one_is_shared():
    rng = np.random.default_rng(4)
    a, b = rng.uniform(0, 3, (5, 1, 4)), rng.uniform(0, 3, (5, 6, 1))
    found = update_moments(a, b, moments="exact-adam").mean
    assert found.shape == (5, 6, 4)
    for i, j, k in ((0, 0, 0), (4, 5, 3), (2, 3, 1)):
        alone = update_moments(a[i, 0, k], b[i, j, 0], moments="exact-adam").mean
        assert found[i, j, k] == pytest.approx(alone, rel=1e-13)


def simulate(settings, step, count, rng):
    """Mean, its error, mean square, its error of the update of a literal Adam."""
    a, b, beta1, beta2, inside = (
        np.array(column)[:, None] for column in zip(*settings, strict=True)
    )
    m = np.zeros((len(settings), count))
    v = np.zeros_like(m)
    for _ in range(step):
        gradient = a + rng.standard_normal(m.shape)
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * gradient**2
    m_hat, v_hat = m / (1 - beta1**step), v / (1 - beta2**step)
    update = m_hat / np.where(inside, np.sqrt(v_hat + b**2), np.sqrt(v_hat) + b)
    for power in (1, 2):
        values = update**power
        yield values.mean(axis=1), values.std(axis=1) / np.sqrt(count)


SETTINGS = [
    (0.0, 0.1, 0.9, 0.99, False),
    (0.3, 0.0, 0.9, 0.999, False),
    (0.5, 0.5, 0.9, 0.99, False),
    (1.0, 2.0, 0.9, 0.95, False),
    (2.0, 0.1, 0.5, 0.9, False),
    (0.1, 1.0, 0.0, 0.8, True),
    (1.5, 0.3, 0.8, 0.98, True),
    (4.0, 6.0, 0.95, 0.9, True),
]


@pytest.mark.parametrize(
    ("step", "count"), [(1, 400_000), (2, 400_000), (10, 200_000), (1000, 10_000)]
)
def test_moments_are_those_of_a_literal_adam(step, count):
    simulated = list(simulate(SETTINGS, step, count, np.random.default_rng(20260)))
    for i, (a, b, beta1, beta2, inside) in enumerate(SETTINGS):
        model = "exact-adam-inside" if inside else "exact-adam"
        found = update_moments(a, b, beta1, beta2=beta2, step=step, moments=model)
        for value, (mean, error) in zip(found, simulated, strict=True):
            # A first step without eps is a sign: no scatter, and only rounding.
            assert abs(value - mean[i]) < 4 * error[i] + 1e-15, (
                SETTINGS[i],
                value,
                mean[i],
                error[i],
            )


CHECKED = [(0.5, 0.5, 0.9, 0.99), (1, 2, 0.9, 0.95), (2, 0.1, 0.5, 0.9)]


def test_theory_s_checked_values():
    expected = [(0.30807, 0.11407), (0.29187, 0.08863), (0.85251, 0.76936)]
    for (a, b, beta1, beta2), values in zip(CHECKED, expected, strict=True):
        found = update_moments(a, b, beta1, beta2=beta2, moments="exact-adam")
        np.testing.assert_allclose(found, values, atol=5e-6)


@pytest.mark.parametrize("beta1", [0.0, 0.9, 0.99])
@pytest.mark.parametrize(
    ("beta2", "steps"), [(0.0, 5), (0.5, 60), (0.95, 300), (0.999, 1), (0.9999, 40)]
)
def test_sums_over_lags(beta1, beta2, steps):
    tau = np.array([1e-12, 1e-3, 0.3, 7.0, 300.0, 1e8])
    found = lag_sums(tau, beta1, beta2, steps)
    with mp.workdps(40):
        x1, x2 = mp.mpf(beta1), mp.mpf(beta2)
        c = [(1 - x1) * x1**k / (1 - x1**steps) for k in range(steps)]
        w = [(1 - x2) * x2**k / (1 - x2**steps) for k in range(steps)]
        for i, t in enumerate(map(mp.mpf, tau)):
            d = [1 + 2 * t * x for x in w]
            expected = (
                sum(map(mp.log, d)) / 2,
                sum(t * x / y for x, y in zip(w, d, strict=True)),
                sum(x / y for x, y in zip(c, d, strict=True)),
                sum(x * x / y for x, y in zip(c, d, strict=True)),
            )
            for column, value in zip(found, expected, strict=True):
                assert abs(column[i] / value - 1) < 1e-14


@pytest.mark.parametrize(
    "z", [0.0, 1e-9, 0.3, 1.9999999, 2.0, 2.1, 3.0, 3.9999999, 4.0, 8.0, 32.0, 40.0, 1e5, 1e10]
)
def test_scaled_integrals_of_erfc(z):
    with mp.workdps(120):
        x = mp.mpf(z)
        # Repeated integrals as integrals (DLMF 7.18.2), the exponentials taken together.
        expected = [
            2
            * mp.quad(
                lambda s, n=n: s**n * mp.exp(-(s**2) - 2 * x * s), [0, 1 / (1 + x), 9 / (1 + x), 40]
            )
            for n in (1, 2)
        ]
        expected[1] *= 2 / mp.sqrt(mp.pi)
    for found, value in zip(scaled_erfc_integrals(np.array([z])), expected, strict=True):
        assert abs(found[0] / value - 1) < 2e-14


dampings = st.just(0.0) | st.floats(1e-8, 1e8)


@pytest.mark.parametrize("moments", EXACT)
@given(st.floats(1e-6, 1e4), dampings)
def test_mean_rises_with_the_signal_and_falls_with_the_damping(moments, a, b):
    here = update_moments(a, b, moments=moments).mean
    assert update_moments(1.01 * a, b, moments=moments).mean >= here * (1 - 1e-14)
    assert update_moments(a, 1.01 * b, moments=moments).mean <= here * (1 + 1e-14)


@pytest.mark.parametrize("moments", EXACT)
@pytest.mark.parametrize("a", [1e-3, 0.7, 5.0, 1e3])
def test_small_damping_tends_smoothly_to_the_sign(moments, a):
    at_zero = update_moments(a, 0.0, moments=moments).mean
    if moments == "exact-softsign":
        assert at_zero == pytest.approx(float(mp.erf(mp.mpf(a) / mp.sqrt(2))), rel=1e-14)
    near = update_moments(a, np.array([1e-8, 1e-10, 1e-12]), moments=moments).mean
    assert (np.abs(near / at_zero - 1) <= [3e-8, 3e-10, 3e-12]).all()


@pytest.mark.parametrize("moments", EXACT)
@pytest.mark.parametrize("b", [1e8, 1e12, 1e100])
def test_large_damping_is_sgd_with_momentum(moments, b):
    a = np.array([1e-3, 0.5, 20.0])
    mean, second_moment = update_moments(a, b, moments=moments)
    c = 1.0 if moments == "exact-softsign" else 0.1 / 1.9
    np.testing.assert_allclose(b * mean, a, rtol=30 / b + 1e-13)
    np.testing.assert_allclose(second_moment * b * b, a**2 + c, rtol=60 / b + 1e-13)


@pytest.mark.parametrize("moments", EXACT)
@pytest.mark.parametrize("ratio", [0.0, 1e-3, 1.0, 50.0])
def test_a_strong_signal_is_noiseless(moments, ratio):
    a = np.array([1e4, 1e7, 1e30, 1e120])
    mean, second_moment = update_moments(a, ratio * a, moments=moments)
    noiseless = 1 / (1 + ratio) if moments == "exact-adam" else 1 / np.hypot(1, ratio)
    np.testing.assert_allclose(mean, noiseless, rtol=2e-8)
    np.testing.assert_allclose(second_moment, noiseless**2, rtol=2e-8)
    np.testing.assert_allclose(mean[1:], noiseless, rtol=1e-13)


def test_beyond_the_range_of_squares_is_nan_and_harms_nothing_else():
    found = update_moments([1.0, 1e150], 0.5, moments="exact-adam")
    alone = update_moments(1.0, 0.5, moments="exact-adam").mean
    assert found.mean[0] == pytest.approx(alone, rel=1e-14)
    assert np.isnan(found.mean[1])
    assert np.isnan(found.second_moment[1])


@pytest.mark.parametrize(
    ("a", "b"), [(9e3, 0.0), (1.0001e4, 300.0), (2e4, 1e4), (3e4, 1e5), (1e6, 1e6)]
)
def test_variance_where_noise_is_weak(a, b):
    # Softsign's variance by Gauss-Hermite quadrature at 60 digits; first order is good to 1/a^2.
    variance = float(ExactUpdate(0.0, 0.0, 1.0, "inside")(np.array(a), np.array(b))[2])
    with mp.workdps(60):
        x, y = mp.mpf(a), mp.mpf(b)

        def average(function):
            return mp.quad(lambda z: function(x + z) * mp.npdf(z), range(-16, 17, 2))

        def softsign(z):
            return z / mp.sqrt(z * z + y * y)

        mean = average(softsign)
        expected = average(lambda z: (softsign(z) - mean) ** 2)
    assert variance == pytest.approx(float(expected), rel=1e-6, abs=1e-15)


def test_first_step_is_the_same_for_all_decay_rates():
    a, b = np.array([0.1, 1.0, 7.0]), np.array([[0.0], [0.4]])
    one, other = (
        update_moments(a, b, beta1, beta2=beta2, step=1, moments="exact-adam")
        for beta1, beta2 in ((0.0, 0.0), (0.9, 0.9999))
    )
    np.testing.assert_allclose(one, other, rtol=1e-13)


@pytest.mark.parametrize("beta2", [1e-5, 1e-300, 0.0])
def test_a_first_average_without_memory_needs_none_of_the_second(beta2):
    found = update_moments(0.7, 0.2, 0.0, beta2=beta2, moments="exact-adam")
    expected = update_moments(0.7, 0.2, 0.0, step=1, moments="exact-adam")
    np.testing.assert_allclose(found, expected, rtol=1e-13 + 100 * beta2)


def test_late_steps_tend_to_stationary_averages():
    late, stationary = (
        update_moments(0.7, 0.2, beta2=0.99, step=step, moments="exact-adam")
        for step in (5000, np.inf)
    )
    np.testing.assert_allclose(late, stationary, rtol=1e-13)


def test_a_long_memory_is_the_mean_field():
    # For beta2 -> 1 the second average is its expectation (T-E7), up to an order of 1 - beta2.
    a, b = np.array([0.1, 1.0, 5.0]), 0.3
    mean_field = update_moments(a, b, 0.9, moments="mean-field-outside")
    gaps = [
        np.subtract(update_moments(a, b, 0.9, beta2=beta2, moments="exact-adam"), mean_field)
        for beta2 in (0.9999, 0.99999)
    ]
    assert (np.abs(gaps[1]) < 1e-5).all()
    np.testing.assert_allclose(gaps[0] / gaps[1], 10, rtol=0.01)


@pytest.mark.parametrize(("signal", "damping"), [(1e-3, 0.0), (0.3, 0.1), (1.0, 2.0), (30.0, 5.0)])
@pytest.mark.parametrize("update", [(0.9, 0.95, np.inf, "outside"), (0.0, 0.0, 1.0, "inside")])
def test_gaussian_average_is_the_average_over_signals(update, signal, damping):
    exact = ExactUpdate(*update)
    x = np.linspace(-12, 12, 2001)
    weight = np.exp(-(x**2) / 2) * (x[1] - x[0]) / np.sqrt(2 * np.pi)
    mean, square, _ = exact(signal * x, np.array(damping))
    expected = weight @ (x * mean), weight @ np.abs(mean), weight @ square
    found = exact.gaussian_average(np.array(signal), np.array(damping))
    # |mean| has a kink at 0, which the trapezoidal rule sees as an error of order spacing^2.
    for value, reference, tolerance in zip(found, expected, (1e-10, 1e-4, 1e-10), strict=True):
        assert value == pytest.approx(reference, rel=tolerance)


@pytest.mark.parametrize("signal", [1e-6, 0.2, 3.0, 1e5])
@pytest.mark.parametrize("ratio", [0.0, 1e-6, 0.5, 3.0, 8.9, 8.95, 20.0, 1e3])
def test_gaussian_average_of_softsign_is_theory_s_closed_form(signal, ratio):
    size = np.hypot(signal, 1)
    softsign = ExactUpdate(0.0, 0.0, 1.0, "inside")
    alignment, _, second_moment = softsign.gaussian_average(
        np.array(signal), np.array(ratio * size)
    )
    with mp.workdps(60):
        r = mp.mpf(ratio * size) / mp.sqrt(mp.mpf(signal) ** 2 + 1)
        x, z = r**2 / 4, r / mp.sqrt(2)
        bessel = (mp.besselk(1, x) - mp.besselk(0, x)) * mp.exp(x) if ratio else 0
        h1 = mp.sqrt(2 / mp.pi) * (x * bessel if ratio else 1)
        h2 = 1 - mp.sqrt(mp.pi / 2) * r * mp.exp(z * z) * mp.erfc(z)
        expected = signal / mp.sqrt(mp.mpf(signal) ** 2 + 1) * h1
    assert abs(alignment / expected - 1) < 1e-13
    assert abs(second_moment / h2 - 1) < 1e-13


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"step": 0}, "step: must be a whole number from 1"),
        ({"step": 1.5}, "step: must be a whole number from 1"),
        ({"step": "ten"}, "step: must be a number"),
        ({"beta2": 1.0}, "beta2: must be at least 0 and less than 1"),
        (
            {"beta2": 0.9, "moments": "clip"},
            "beta2: does not enter moments 'clip', only 'exact-adam'",
        ),
        ({"step": 3, "moments": "mean-field"}, "step: does not enter moments 'mean-field'"),
        ({"beta2": 0.0}, "beta2: 0 is too small for beta1 = 0.9"),
        ({"beta2": 1e-20, "step": 3}, "beta2: 1e-20 is too small for beta1 = 0.9"),
        ({"beta1": np.array([0.5, 0.9])}, "beta1: must be a number"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(InputError, match=message):
        update_moments(1.0, 1.0, **({"moments": "exact-adam"} | arguments))
