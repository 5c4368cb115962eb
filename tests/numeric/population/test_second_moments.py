"""Second moments: against sums over all values, in exact or float arithmetic, and by theory."""

from fractions import Fraction

import ml_dtypes
import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling import DataError, InputError
from scaling.numeric.population.second_moments import SecondMoments

#: Largest max t/min t at which the shift rises for every population.
SAFE_RATIO = 17 + 12 * 2**0.5


def population(*numbers):
    """Second moments of (t, how many) pairs that lie in cells of their own."""
    counts = np.array([count for _, count in numbers])
    return SecondMoments(counts, counts * np.array([float(t) ** 2 for t, _ in numbers]))


def exact_shift(numbers, eps):
    """T-J1 in rational arithmetic."""
    pairs = [(Fraction(t), count) for t, count in numbers]
    above = sum(count * t**2 / (t + eps) for t, count in pairs)
    return above / sum(count * t**3 / (t + eps) ** 2 for t, count in pairs)


def direct_shift(v, eps, inside):
    """T-J1 as sums over all values."""
    t = np.sqrt(v)
    size = np.hypot(t, eps) if inside else t + eps
    return np.sum(t * t / size) / np.sum(t**3 / size**2)


@given(
    st.dictionaries(st.integers(-12, 12), st.integers(1, 10**6), min_size=1, max_size=6),
    st.fractions(Fraction(1, 10**6), 10**6, max_denominator=10**6),
)
def test_shift_is_that_of_exact_sums(drawn, eps):
    numbers = [(Fraction(2) ** k, count) for k, count in sorted(drawn.items())]
    expected = exact_shift(numbers, eps)
    assert population(*numbers).eps_shift(float(eps)) == pytest.approx(float(expected), rel=1e-13)


@given(
    st.dictionaries(st.integers(-12, 12), st.integers(1, 10**6), min_size=1, max_size=6),
    st.floats(1e-9, 1e9),
)
def test_shift_inside_the_root_is_that_of_exact_sums(drawn, eps):
    numbers = [(2.0**k, count) for k, count in sorted(drawn.items())]
    with mp.workdps(40):
        sizes = [mp.sqrt(mp.mpf(t) ** 2 + mp.mpf(eps) ** 2) for t, _ in numbers]
        above = sum(n * t**2 / size for (t, n), size in zip(numbers, sizes, strict=True))
        below = sum(n * t**3 / size**2 for (t, n), size in zip(numbers, sizes, strict=True))
    found = population(*numbers).eps_shift(eps, inside=True)
    assert found == pytest.approx(float(above / below), rel=1e-13)


@pytest.mark.parametrize("inside", [False, True])
def test_cells_cost_no_more_than_stated(inside):
    # Values at both ends of a cell are the worst there is, and cells above 2^k are the widest.
    lower = 2.0 ** -np.arange(20, 41, 10)
    worst = np.concatenate([lower, np.nextafter(lower * (1 + 1 / 64), 0)])
    smooth = 10 ** (1.5 * np.random.default_rng(3).standard_normal(300_000) - 9)
    for v, least, most in ((worst, 2e-5, 3.3e-5), (smooth, 0, 2e-6)):
        moments = SecondMoments.from_arrays(v)
        eps = np.geomspace(1e-8, 10, 60)
        errors = [moments.eps_shift(e, inside=inside) / direct_shift(v, e, inside) - 1 for e in eps]
        assert least <= np.abs(errors).max() <= most
        assert abs(moments.mean_root / np.sqrt(v).mean() - 1) < 7.7e-6


populations = st.lists(
    st.tuples(st.floats(1e-6, 1e6), st.integers(1, 10**9)), min_size=1, max_size=8
).map(lambda numbers: population(*sorted(dict(numbers).items())))


@given(populations, st.floats(1e-9, 1e9))
def test_shift_lies_between_its_bounds(moments, eps):
    t, n = np.sqrt(moments.sums / moments.counts), moments.counts
    square_mean = n @ t**3 / (n @ t**2)
    upper = (1 + eps / moments.mean_root) * (1 + 1e-12)
    assert (1 + eps / square_mean) * (1 - 1e-12) <= moments.eps_shift(eps) <= upper
    assert 1 <= moments.eps_shift(eps, inside=True) <= upper


def test_small_eps_by_its_series_and_large_eps_is_sgd():
    t, n = np.array([1.0, 3.0, 8.0]), np.array([5, 3, 2])
    moments, mean, inverse = population(*zip(t, n, strict=True)), n @ t / 10, n @ (1 / t) / 10
    eps = 1e-3
    series = eps / mean - 2 * (eps / mean) ** 2 * (mean * inverse - 1)
    assert moments.eps_shift(eps) - 1 == pytest.approx(series, rel=3e-6)
    inside = eps**2 * inverse / (2 * mean)
    assert moments.eps_shift(eps, inside=True) - 1 == pytest.approx(inside, rel=3e-6)
    sgd = 1e9 * (n @ t**2) / (n @ t**3)
    for place in (False, True):
        assert moments.eps_shift(1e9, inside=place) == pytest.approx(sgd, rel=1e-7)


@given(
    st.lists(
        st.tuples(st.floats(1, SAFE_RATIO), st.integers(1, 10**6)), min_size=1, max_size=6
    ).map(lambda numbers: population(*sorted(dict(numbers).items()))),
)
def test_shift_rises_where_t_spans_less_than_34(moments):
    assert (np.diff(moments.eps_shift(np.geomspace(1e-3, 1e4, 400))) > 0).all()


@pytest.mark.parametrize("width", [0.5, 2.0, 5.0])
@pytest.mark.parametrize("inside", [False, True])
def test_shift_rises_for_log_normal_t_of_any_width(width, inside):
    t = np.geomspace(np.exp(-6 * width), np.exp(6 * width), 1201)
    n = np.round(1e12 * np.exp(-(np.linspace(-6, 6, 1201) ** 2) / 2)).astype(int)
    eps = np.geomspace(t[0], t[-1], 500)
    shift = population(*zip(t, n, strict=True)).eps_shift(eps, inside=inside)
    assert (np.diff(shift) >= -1e-14 * shift[1:]).all()


def test_shift_can_fall():
    few = [(1, 216), (36, 1)]
    assert exact_shift(few, 5) == Fraction(2706, 1351)
    assert exact_shift(few, 6) == 2
    assert exact_shift(few, 7) < 2
    np.testing.assert_allclose(population(*few).eps_shift([5, 6]), [2706 / 1351, 2], rtol=1e-14)
    many = [(1, 10**9), (10**6, 1)]
    assert exact_shift(many, 30) > Fraction("16.29")
    assert exact_shift(many, 10**4) < Fraction("1.112")
    # Just above the ratio from which it is possible, the population that falls has
    # ratio^(3/2) of the smaller t, and it falls at the geometric mean.
    ratio = Fraction(36, 1)
    assert ratio > SAFE_RATIO
    assert exact_shift(few, Fraction("6.001")) < exact_shift(few, 6)


@given(populations, st.floats(1.001, 1e4), st.booleans())
def test_eps_for_a_shift_is_the_inverse(moments, factor, inside):
    eps = moments.eps_for_shift(factor, inside=inside)
    # Where the shift is flat, many eps serve; the shift is what counts.
    assert moments.eps_shift(eps, inside=inside) == pytest.approx(factor, rel=1e-6)
    before = moments.eps_shift(eps * np.geomspace(1e-6, 0.999, 300), inside=inside)
    assert (before < factor * (1 + 1e-6)).all()


def test_eps_for_a_shift_that_three_eps_give_is_the_smallest():
    moments = population((1, 10**9), (10**6, 1))
    eps = moments.eps_for_shift([1.0, 10.0, 20.0, 0.9, np.nan, np.inf])
    assert eps[0] == 0
    assert 10 < eps[1] < 11
    assert eps[2] > 1e6  # the first branch ends at 16.3
    np.testing.assert_allclose(moments.eps_shift(eps[1:3]), [10, 20], rtol=1e-9)
    assert np.isnan(eps[3:]).all()
    assert np.ndim(moments.eps_for_shift(2.0)) == 0


KINDS = ["f2", ml_dtypes.bfloat16, "f4", "f8", ">f4", ">f2", "i4", "u1"]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_kind_of_number_is_counted(kind):
    drawn = np.random.default_rng(5).lognormal(3, 1.5, 200_000).clip(1, 250).astype(kind)
    drawn[::7] = 0
    values = drawn.astype(np.float64)
    values = values[values > 0]
    moments = SecondMoments.from_arrays(drawn)
    assert (moments.count, moments.zeros) == (values.size, drawn.size - values.size)
    assert moments.sums.sum() == pytest.approx(values.sum(), rel=1e-13)
    assert moments.mean_root == pytest.approx(np.sqrt(values).mean(), rel=7.7e-6)
    assert moments.counts.size <= np.unique(values).size


@pytest.mark.parametrize("kind", ["f2", ml_dtypes.bfloat16, "f4", "f8"], ids=str)
def test_what_is_left_out_is_counted(kind):
    special = [0, -0.0, 0, -1, -np.inf, -np.nan, np.nan, np.nan, np.nan, np.inf, 2, 3]
    moments = SecondMoments.from_arrays(np.array(special, dtype=kind), np.zeros(5, kind))
    assert (moments.count, moments.zeros, moments.negatives) == (2, 8, 2)
    assert (moments.nans, moments.infinities) == (4, 1)
    assert repr(moments) == (
        "<SecondMoments of 2 values in 2 cells, mean root 1.57; "
        "left out: 8 zeros, 2 negatives, 4 NaN, 1 infinities>"
    )


def test_smallest_numbers_are_no_zeros():
    moments = SecondMoments.from_arrays(np.float32([1e-45, 1e-40]), np.float16([6e-8]))
    assert (moments.count, moments.zeros) == (3, 0)
    assert moments.mean_root == pytest.approx(np.sqrt(5.96e-8) / 3, rel=1e-4)


def test_shapes_orders_and_files(tmp_path):
    v = np.random.default_rng(6).lognormal(0, 2, (30, 40)).astype(np.float32)
    np.save(tmp_path / "v.npy", v)
    whole = SecondMoments.from_arrays(v)
    for other in (v.T, v[::-1, ::-1], np.asfortranarray(v), v.tolist(), tmp_path / "v.npy"):
        found = SecondMoments.from_arrays(other)
        np.testing.assert_array_equal(found.counts, whole.counts)
        np.testing.assert_allclose(found.sums, whole.sums, rtol=1e-14)


def test_chunks_and_merging_give_the_whole():
    rng = np.random.default_rng(7)
    parts = [rng.lognormal(-k, k, 500) for k in range(12)] + [np.array([0.0, np.nan])]
    whole = SecondMoments.from_arrays(np.concatenate(parts))
    summed = sum((SecondMoments.from_arrays(part) for part in parts), SecondMoments.from_arrays())
    for found in (SecondMoments.from_chunks(iter(parts[::-1])), summed):
        np.testing.assert_array_equal(found.counts, whole.counts)
        np.testing.assert_allclose(found.sums, whole.sums, rtol=1e-13)
        assert (found.zeros, found.nans) == (1, 1)
    with pytest.raises(TypeError):
        _ = whole + 1


def test_another_batch_size_scales_every_value():
    v = np.random.default_rng(8).lognormal(-20, 3, 10_000)
    moments = SecondMoments.from_arrays(v).at_batch_size(1024, 256, 1000)
    scale = (1 / 1024 + 1 / 1000) / (1 / 256 + 1 / 1000)
    eps = np.geomspace(1e-9, 1, 9)
    expected = [direct_shift(v * scale, e, inside=False) for e in eps]
    np.testing.assert_allclose(moments.eps_shift(eps), expected, rtol=3.3e-5)
    back = moments.at_batch_size(256, 1024, 1000)
    assert back.mean_root == pytest.approx(SecondMoments.from_arrays(v).mean_root, rel=1e-12)
    assert (moments + moments).mean_root == pytest.approx(moments.mean_root, rel=1e-5)
    for name in ("batch_size", "reference", "noise_scale"):
        arguments = {"batch_size": 1, "reference": 1, "noise_scale": 1} | {name: -1}
        with pytest.raises(InputError, match=f"{name}: must be positive"):
            moments.at_batch_size(**arguments)


def test_share_below():
    v = np.random.default_rng(9).lognormal(-20, 3, 100_000)
    moments = SecondMoments.from_arrays(v, np.zeros(1000))
    eps = np.geomspace(1e-9, 1, 50)
    direct = (np.sqrt(v) < eps[:, None]).mean(axis=1)
    # At most half of the fullest cell, 1/128 octave wide, is on the wrong side.
    np.testing.assert_allclose(moments.share_below(eps), direct, atol=6e-4)
    assert population((1, 3), (2, 1)).share_below([0, 1, 1.5, 2.5]).tolist() == [0, 0, 0.75, 1]
    assert np.isnan(moments.share_below([np.nan, -1.0, np.inf])).all()
    assert np.ndim(moments.share_below(1e-5)) == 0


def test_arrays_in_arrays_out(monkeypatch):
    moments = SecondMoments.from_arrays(np.random.default_rng(10).lognormal(-9, 2, 1000))
    eps, ref = np.geomspace(1e-8, 1, 6)[:, None, None], np.array([[0.0, 1e-3], [np.nan, -1.0]])
    found = moments.eps_shift(eps, ref)
    assert found.shape == (6, 2, 2)
    assert found[3, 0, 1] == moments.eps_shift(eps[3, 0, 0]) / moments.eps_shift(1e-3)
    assert np.isnan(found[:, 1]).all()
    assert np.ndim(moments.eps_shift(1e-3)) == 0
    assert np.isnan(moments.eps_shift(np.inf))
    assert moments.eps_shift(np.empty((0, 3))).shape == (0, 3)
    monkeypatch.setattr("scaling.numeric.population.second_moments._CHUNK", 2000)
    np.testing.assert_allclose(moments.eps_shift(eps, ref), found, rtol=1e-13)


def test_extremes_neither_overflow_nor_vanish():
    moments = SecondMoments.from_arrays([1e-200, 1.0, 1e200])
    shift = moments.eps_shift([1e-300, 1e-90, 1e90, 1e150])
    np.testing.assert_allclose(shift, [1, 1, 1, 1e50], rtol=1e-9)
    assert moments.eps_shift(1e150, inside=True) == pytest.approx(1e50)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.eps_shift("1e-8"), InputError, "eps: must be a number"),
        (lambda m: m.eps_shift([1, 2], [1, 2, 3]), InputError, "eps_ref: does not fit eps"),
        (lambda m: m.eps_for_shift(None), InputError, "factor: must be a number"),
        (lambda _: SecondMoments.from_arrays("no.npy"), DataError, "no.npy: cannot be read"),
        (lambda _: SecondMoments.from_arrays(["a"]), InputError, "v_hat: must hold real numbers"),
        (lambda _: SecondMoments.from_arrays([1e308, 1e308]), DataError, "too large to be added"),
        (lambda _: SecondMoments.from_arrays([0.0]).mean_root, DataError, "nothing that eps"),
        (lambda _: SecondMoments.from_arrays().eps_shift(1), DataError, "nothing that eps"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call(SecondMoments.from_arrays([1.0]))


def test_text_is_read_back_exactly():
    drawn = np.random.default_rng(11).lognormal(-20, 4, 3000)
    moments = SecondMoments.from_arrays(drawn, [0.0, -1.0, np.nan, np.inf, np.inf])
    read = SecondMoments.from_json(moments.to_json())
    assert read.to_json() == moments.to_json()
    np.testing.assert_array_equal(read.eps_shift([1e-9, 1e-3]), moments.eps_shift([1e-9, 1e-3]))
    assert repr(read) == repr(moments)
    assert SecondMoments.from_json(SecondMoments.from_arrays().to_json()).count == 0


TEXT = SecondMoments.from_arrays([1.0, 4.0], [0.0]).to_json()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("second moments", "population", "not second moments"),
        ('"version":1', '"version":2', "written in version 2"),
        ('"zeros":1', '"zeros":1,"zeros":2', "stands twice in one object"),
        ('"zeros":1', '"zeros":1,"ones":2', "unknown field `ones`"),
        ('"zeros":1,', "", "missing required field `zeros`"),
        ('"zeros":1', '"zeros":-1', "not valid"),
        ('"zeros":1', '"zeros":"1"', "not valid"),
        ('"counts":[1,', '"counts":[0,', "not valid"),
        ('"counts":[1,', '"counts":[1.5,', "not valid"),
        ('"counts":[1,', '"counts":[', "1 counts, but 2 sums"),
        ('"counts":[1,', '"counts":[9007199254740992,', "more than"),
        ('"sums":[1.0,', '"sums":[NaN,', "holds NaN"),
        ('"sums":[1.0,', '"sums":[1e999,', "holds 1e999"),
        ('"sums":[1.0,', '"sums":[5.0,', "do not ascend"),
        ('"sums":[1.0,', '"sums":[0.0,', "not valid"),
        ("}", "", "not a whole JSON file"),
    ],
)
def test_a_text_that_is_not_ours_is_refused_in_one_line(old, new, message):
    assert old in TEXT
    with pytest.raises(DataError, match=message) as refused:
        SecondMoments.from_json(TEXT.replace(old, new))
    assert "\n" not in str(refused.value)
    with pytest.raises(DataError, match="at most 10 MB"):
        SecondMoments.from_json(None)
