"""Counting coordinates: every format and order, what is left out, merging, and the text."""

import base64
import json
import zlib
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling import DataError, GradientPopulation, InputError


def cells(population):
    """Rows and columns of the occupied cells, and their sums."""
    found = population.cells
    return list(zip(found.rows.tolist(), found.columns.tolist(), strict=True)), found.sums


def assert_same(one, other):
    """The same cells; sums up to rounding."""
    assert one.cells.level == other.cells.level
    assert cells(one)[0] == cells(other)[0]
    np.testing.assert_allclose(cells(one)[1], cells(other)[1], rtol=1e-12, atol=1e-12)
    assert (one.nans, one.infinities) == (other.nans, other.infinities)


def draw(rng, size, decades=1.0):
    return rng.standard_normal(size) * 10 ** (decades * rng.standard_normal(size)), rng.pareto(
        1.0, size
    )


def test_sums_are_exact():
    rng = np.random.default_rng(0)
    gradient, noise = draw(rng, 300_000)
    curvature = rng.standard_normal(gradient.size)
    population = GradientPopulation.from_arrays(gradient, noise, curvature)
    assert population.count == gradient.size
    assert population.trace == pytest.approx(curvature.sum(), rel=1e-9)
    squares = gradient @ gradient
    assert population.noise_scale == pytest.approx(noise @ noise / squares, rel=1e-12)
    assert population.grad_rms == pytest.approx(np.sqrt(squares / gradient.size), rel=1e-12)
    # What the cells keep, also in the points that stand for them.
    found = population.cells.points()
    size = np.ldexp(found.gradient, found.gradient_octave)
    spread = np.ldexp(found.noise, found.noise_octave)
    for values, weights in (
        ((gradient**2, np.abs(gradient) * noise, noise**2), found.number),
        ((curvature, curvature * np.abs(gradient), curvature * noise), found.curvature),
    ):
        powers = (size**2, size * spread, spread**2) if values[0][0] >= 0 else (1, size, spread)
        if weights is found.curvature:
            powers = (np.ones_like(size), size, spread)
        for value, power in zip(values, powers, strict=True):
            assert np.sum(weights * power) == pytest.approx(value.sum(), rel=1e-9)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_every_format_is_counted_as_the_numbers_it_holds(kind):
    rng = np.random.default_rng(1)
    gradient = rng.standard_normal(5000).astype(kind)
    noise = (np.abs(rng.standard_normal(5000)) + 0.01).astype(kind)
    ours = GradientPopulation.from_arrays(gradient, noise)
    wide = GradientPopulation.from_arrays(gradient.astype(np.float64), noise.astype(np.float64))
    assert_same(ours, wide)
    assert_same(ours, GradientPopulation.from_arrays(gradient.tolist(), noise.tolist()))


def test_bfloat16():
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="bfloat16 arrays need ml_dtypes")
    rng = np.random.default_rng(2)
    gradient = rng.standard_normal(5000).astype(ml_dtypes.bfloat16)
    noise = np.abs(rng.standard_normal(5000)).astype(ml_dtypes.bfloat16)
    ours = GradientPopulation.from_arrays(gradient, noise)
    assert_same(ours, GradientPopulation.from_arrays(gradient.astype("f4"), noise.astype("f4")))


def test_subnormal_numbers():
    for kind in (np.float16, np.float32, np.float64):
        info = np.finfo(kind)
        gradient = np.array([info.smallest_subnormal, 3 * info.smallest_subnormal, info.tiny, 1.0])
        population = GradientPopulation.from_arrays(gradient.astype(kind), np.ones(4, kind))
        assert population.count == 4
        assert population.without_gradient == 0
        found = population.cells.points()
        sizes = np.ldexp(found.gradient, found.gradient_octave)
        assert np.unique(sizes).tolist() == gradient.astype(kind).tolist()


def test_what_is_not_finite_is_counted_and_left_out():
    nan, inf = np.nan, np.inf
    gradient = [1.0, nan, inf, -inf, 2.0, 3.0, nan, 1.0, 0.0, -0.0, 5.0, 0.0]
    noise = [1.0, 1.0, 1.0, 1.0, nan, inf, inf, 1.0, 1.0, 0.0, -0.0, 0.0]
    curvature = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, nan, 1.0, 1.0, 1.0, 1.0]
    population = GradientPopulation.from_arrays(gradient, noise, curvature)
    assert (population.nans, population.infinities, population.count) == (4, 3, 5)
    assert population.without_gradient == 1
    assert population.without_noise == 1
    assert population.without_both == 2
    assert population.cell_count == 4
    assert population.has_curvature
    assert not GradientPopulation.from_arrays([1.0], [1.0]).has_curvature
    nothing = GradientPopulation.from_arrays([nan, inf], [1.0, 1.0])
    assert (nothing.count, nothing.nans, nothing.infinities) == (0, 1, 1)


def test_an_overflow_of_float16_is_infinite():
    with np.errstate(over="ignore"):
        gradient = np.array([1.0, 1e5]).astype(np.float16)
    population = GradientPopulation.from_arrays(gradient, np.ones(2, np.float16))
    assert (population.count, population.infinities) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (([1.0, 2.0], [1.0]), "noise"),
        (([1.0], [1.0], [1.0, 2.0]), "curvature"),
        (([[1.0, 2.0]], [1.0, 2.0]), "noise"),
        ((["a"], [1.0]), "gradient"),
        (([1.0], [True]), "noise"),
        (([1j], [1.0]), "gradient"),
        (([[1.0], [1.0, 2.0]], [1.0]), "gradient"),
        (([1.0], None), "noise"),
    ],
)
def test_arguments_are_checked(arguments, name):
    with pytest.raises(InputError) as caught:
        GradientPopulation.from_arrays(*arguments)
    assert caught.value.parameter == name
    assert "\n" not in str(caught.value)


def test_negative_noise_is_refused_where_it_stands():
    noise = np.ones(300_000)
    noise[200_001] = -0.5
    with pytest.raises(DataError, match=r"noise\[200001\] is -0.5"):
        GradientPopulation.from_arrays(noise, noise)
    with pytest.raises(DataError, match=r"noise\[1\] is -inf"):
        GradientPopulation.from_arrays([1.0, 1.0, 1.0], [np.nan, -np.inf, 1.0])


def test_chunks_are_checked():
    one = (np.ones(2), np.ones(2))
    for chunks, says in (
        ([one, (*one, np.ones(2))], "for all coordinates or for none"),
        ([np.ones(2)], r"must be \(gradient, noise\)"),
        ([(1.0,)], r"must be \(gradient, noise\)"),
    ):
        with pytest.raises(InputError, match=says):
            GradientPopulation.from_chunks(chunks)
    with pytest.raises(InputError, match="in both populations or in neither"):
        GradientPopulation.from_arrays(*one) + GradientPopulation.from_arrays(*one, np.ones(2))
    with pytest.raises(TypeError):
        GradientPopulation.from_arrays(*one) + 1


def test_nothing_adds_nothing():
    rng = np.random.default_rng(3)
    gradient, noise = draw(rng, 100)
    for curvature in (None, rng.standard_normal(100)):
        population = GradientPopulation.from_arrays(gradient, noise, curvature)
        for empty in (
            GradientPopulation.from_chunks([]),
            GradientPopulation.from_arrays([], []),
            GradientPopulation.from_arrays(np.empty((0, 3)), np.empty((0, 3))),
        ):
            assert empty.count == 0
            assert_same(empty + population, population)
            assert_same(population + empty, population)
            assert_same(GradientPopulation.from_json(empty.to_json()), empty)
    with pytest.raises(DataError, match="empty"):
        _ = GradientPopulation.from_chunks([]).grad_rms


@pytest.mark.parametrize("decades", [0.5, 30.0])
def test_order_and_grouping_do_not_matter(decades):
    # Over 30 decades the cells have to be made coarser on the way.
    rng = np.random.default_rng(4)
    chunks = [draw(rng, size, decades) for size in (20_000, 1, 3000)]
    chunks[1] = (np.zeros(1), np.ones(1))
    whole = GradientPopulation.from_arrays(*map(np.concatenate, zip(*chunks, strict=True)))
    assert (whole.cells_per_octave[0] < 4) == (decades > 1)
    for order in permutations(chunks):
        assert_same(GradientPopulation.from_chunks(order), whole)
        a, b, c = (GradientPopulation.from_arrays(*chunk) for chunk in order)
        assert_same((a + b) + c, whole)
        assert_same(a + (b + c), whole)


@given(st.lists(st.tuples(st.floats(width=32), st.floats(min_value=0)), max_size=30), st.data())
def test_merging_is_counting_together(coordinates, data):
    cut = data.draw(st.integers(0, len(coordinates)))
    gradient, noise = np.array(coordinates).reshape(-1, 2).T
    whole = GradientPopulation.from_arrays(gradient, noise)
    first = GradientPopulation.from_arrays(gradient[:cut], noise[:cut])
    second = GradientPopulation.from_arrays(gradient[cut:], noise[cut:])
    assert_same(first + second, whole)
    assert_same(second + first, whole)
    assert whole.count + whole.nans + whole.infinities == len(coordinates)
    assert whole.without_gradient + whole.without_both == np.sum(
        (gradient == 0) & np.isfinite(noise)
    )
    assert (second + first).to_json() == (first + second).to_json()


def test_layout_does_not_matter(tmp_path):
    rng = np.random.default_rng(5)
    gradient, noise = (values.reshape(300, 1000) for values in draw(rng, 300_000))
    whole = GradientPopulation.from_arrays(gradient.ravel(), noise.ravel())
    for one, other in (
        (gradient.T, noise.T),
        (gradient.T, np.ascontiguousarray(noise.T)),
        (np.asfortranarray(gradient), noise),
        (np.repeat(gradient, 2, axis=1)[:, ::2], noise),
    ):
        assert_same(GradientPopulation.from_arrays(one, other), whole)
    paths = [tmp_path / "gradient.npy", tmp_path / "noise.npy"]
    for order in ("C", "F"):
        for path, values in zip(paths, (gradient, noise), strict=True):
            np.save(path, np.asarray(values, order=order))
        assert_same(GradientPopulation.from_arrays(*paths), whole)
        assert_same(GradientPopulation.from_arrays(str(paths[0]), noise), whole)
        maps = [np.load(path, mmap_mode="r") for path in paths]
        assert_same(GradientPopulation.from_arrays(*maps), whole)
        parts = [(maps[0][i : i + 100], maps[1][i : i + 100]) for i in (200, 0, 100)]
        assert_same(GradientPopulation.from_chunks(parts), whole)
    np.save(paths[0], gradient.astype(">f4"))
    np.save(paths[1], gradient.astype("f4") ** 2)
    big = GradientPopulation.from_arrays(*paths)
    assert big.grad_rms == pytest.approx(np.sqrt(np.mean(gradient**2)), rel=1e-6)


def test_files_are_checked(tmp_path):
    text, pickled, archive = (tmp_path / name for name in ("text.npy", "object.npy", "two.npz"))
    text.write_text("gradient")
    np.save(pickled, np.array([{}]))
    np.savez(archive, np.ones(2))
    empty = tmp_path / "empty.npy"
    np.save(empty, np.empty(0))
    assert GradientPopulation.from_arrays(empty, empty).count == 0
    for path, says in (
        (tmp_path / "none.npy", "cannot be read"),
        (tmp_path, "cannot be read"),
        (text, "not a .npy file"),
        (pickled, "not a .npy file"),
        (archive, "several arrays"),
    ):
        with pytest.raises(DataError, match=says) as caught:
            GradientPopulation.from_arrays(path, path)
        assert str(path) in str(caught.value)


def test_wide_populations_stay_small():
    rng = np.random.default_rng(6)
    values = 10 ** rng.uniform(-10, 10, (3, 300_000))
    population = GradientPopulation.from_arrays(*values)
    text = population.to_json()
    assert len(text) < 1_000_000
    assert population.count == 300_000
    assert_same(GradientPopulation.from_json(text), population)
    assert (population.learning_rate([1.0, 1e3], 1.0) > 0).all()


def test_populations_spread_too_widely_are_refused():
    # A cell that covers many octaves says nothing of what is in it.
    rng = np.random.default_rng(6)
    gradient, noise = 10 ** rng.uniform(-80, 80, (2, 300_000))
    with pytest.raises(DataError, match="more than 13333 octaves of gradient times noise"):
        GradientPopulation.from_arrays(gradient, noise)
    parts = [
        GradientPopulation.from_arrays(*x)
        for x in zip(gradient.reshape(30, -1), noise.reshape(30, -1), strict=True)
    ]
    with pytest.raises(DataError, match="more than 13333 octaves"):
        sum(parts[1:], parts[0])
    # Where noise follows the gradient, 160 decades are not too many.
    population = GradientPopulation.from_arrays(gradient, 10 * gradient)
    mean, square = (1 + 1e5) ** -0.5, (1 + 1e5 / 19) / (1 + 1e5)  # T-E7 at B = 1e-3
    assert population.learning_rate(1e-3) == pytest.approx(
        gradient.mean() * mean / square, rel=1e-4
    )
    wide = GradientPopulation.from_arrays([1e-307, 1e20], [1.0, 1.0])
    with pytest.raises(DataError, match="gradients are spread over more than 1000 octaves"):
        wide.learning_rate(1.0)


def test_a_curvature_beyond_floats_is_refused():
    one = np.ones(3)
    with pytest.raises(DataError, match="curvature: too large"):
        GradientPopulation.from_arrays(one, one, 1e308 * one)


def test_the_text_says_all():
    rng = np.random.default_rng(7)
    gradient, noise = draw(rng, 3000)
    gradient[:10], noise[5:20], gradient[20] = 0, 0, np.nan
    for curvature in (None, rng.standard_normal(3000)):
        population = GradientPopulation.from_arrays(gradient, noise, curvature)
        again = GradientPopulation.from_json(population.to_json())
        assert again.to_json() == population.to_json()
        assert repr(again) == repr(population)
        assert again.learning_rate(100.0, 1e-3) == population.learning_rate(100.0, 1e-3)


def altered(**changes):
    document = json.loads(GradientPopulation.from_arrays([1.0, 2.0], [3.0, 3.0]).to_json())
    return json.dumps({**document, **changes})


#: Of two coordinates with (r, s) = (1, 1.5), as the text keeps them.
SUMS = ((1, 1), (1, 1), (1.5, 1.5), (1, 1), (1.5, 1.5), (2.25, 2.25))
#: The same of (1, 1.5) and (1.125, 1.5).
FINE = ((1, 1), (1, 1.125), (1.5, 1.5), (1, 1.265625), (1.5, 1.6875), (2.25, 2.25))


def packed(*, rows=(0, 4), columns=(6, 6), sums=SUMS):
    data = np.array([rows, columns], "<i4").tobytes() + np.array(sums, "<f8").tobytes()
    return base64.b64encode(zlib.compress(data)).decode()


def test_a_text_of_eight_cells_to_an_octave_is_read():
    # As versions before wrote them.
    old = GradientPopulation.from_json(
        altered(level=0, data=packed(rows=(0, 9), columns=(12, 12), sums=FINE))
    )
    assert old.cells_per_octave == (8, 8)
    assert old.noise_scale == pytest.approx(2 * 9 / (1 + 2.25**2))
    new = GradientPopulation.from_arrays([1.0, 2.25], [3.0, 3.0])
    assert_same(old + new, new + new)


def test_the_pieces_of_a_text_are_as_documented():
    assert GradientPopulation.from_json(altered(data=packed())).noise_scale == pytest.approx(18 / 5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a whole JSON file"),
        ('{"format": "', "Unterminated string starting at line 1"),
        ("[1]", "not a population"),
        (b"{}", "must be a text"),
        (" " * 2_000_000, "at most 1 MB"),
        ("[" * 100_000, "nested too deeply|not a whole JSON file"),
        (altered(format="law"), "not a population"),
        (altered(version=2), "reads up to 1; update"),
        (altered(version="1"), "the version must be a whole number"),
        (altered(level=-1), "level must be a whole number from 0 to 6"),
        (altered(level=19), "level must be"),
        (altered(level=8), "coarser than an octave.* summarise the gradients anew"),
        (altered(cells=1.5), "cells: Expected `int`, got `float`"),
        (altered(cells=10**9), "cells must be a whole number from 0 to 13333"),
        (altered(cells=3), "not of the length"),
        (altered(nans=None), "nans: Expected `int`, got `null`"),
        (altered(curvature=1), "curvature: Expected `bool`, got `int`"),
        (altered(curvature=True), "not of the length"),
        (altered(extra=1), "extra is unknown"),
        (altered()[:-1] + ', "cells": 2}', "key 'cells' stands twice"),
        (altered().replace('"level": 2, ', ""), "missing required field `level`"),
        (altered(data=3), "data: Expected `str`, got `int`"),
        (altered(data="!"), "damaged"),
        (altered(data="AAAA"), "damaged"),
        (altered(data=packed()[:-8]), "damaged|not of the length"),
        (altered(data=base64.b64encode(zlib.compress(bytes(10**8))).decode()), "not of the length"),
        (altered(data=packed(rows=(8, 0))), "ascending order"),
        (altered(data=packed(rows=(8, 8))), "ascending order"),
        (altered(data=packed(rows=(0, 9))), "outside of it"),
        (altered(data=packed(rows=(0, 2**30))), "outside of it"),
        (altered(data=packed(sums=((0.5, 1), *SUMS[1:]))), "not whole"),
        (altered(data=packed(sums=((np.nan, 1), *SUMS[1:]))), "not a number"),
        (altered(data=packed(sums=2.0**53 * np.array(SUMS))), "more than"),
        (altered(data=packed(sums=((1, 1), (1, -1), *SUMS[2:]))), "outside of it"),
        (altered(data=packed(sums=(*SUMS[:3], (1, 9), *SUMS[4:]))), "outside of it"),
        (altered(data=packed(sums=(*SUMS[:3], (1, 0.5), *SUMS[4:]))), "outside of it"),
    ],
)
def test_malformed_texts_are_refused(text, says):
    with pytest.raises(DataError, match=says) as caught:
        GradientPopulation.from_json(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
