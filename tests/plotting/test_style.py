"""Ticks and labels."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from scaling.plotting.style import batch_size_axis, log_axes, shades, spread_heights, tick

HEIGHTS = st.lists(st.floats(-2, 2), min_size=1, max_size=8)


@given(HEIGHTS, st.floats(0.01, 0.5))
def test_labels_are_moved_apart_and_keep_their_order(heights, gap):
    placed = spread_heights(heights, gap)
    assert np.all(np.diff(np.sort(placed)) >= gap - 1e-9)
    for i, j in itertools.combinations(range(len(heights)), 2):
        if heights[i] < heights[j]:
            assert placed[i] < placed[j]
    if all(abs(a - b) >= gap for a, b in itertools.combinations(heights, 2)):
        assert placed == pytest.approx(heights)
    assert np.mean(placed) == pytest.approx(np.mean(heights))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.001, "0.001"),
        (65536.0, "65536"),
        (1e-5, "$10^{-5}$"),
        (3e-6, r"$3\times10^{-6}$"),
        (1e6, "$10^{6}$"),
        (9.9999999e5, "$10^{6}$"),
    ],
)
def test_ticks(value, text):
    assert tick(value) == text


@pytest.mark.parametrize(
    ("low", "high"),
    [(1, 2), (0.0017, 0.0071), (1, 30), (1e-3, 1e3), (1e-12, 1e9), (1e-150, 1e150)],
)
def test_logarithmic_axes_have_few_and_enough_ticks(low, high):
    ax = Figure().subplots()
    ax.set(xlim=(low, high), ylim=(low, high))
    log_axes(ax)
    for axis in (ax.xaxis, ax.yaxis):
        shown = [value for value in axis.get_majorticklocs() if low <= value <= high]
        assert 2 <= len(shown) <= 12
    assert ax.get_xlim() == pytest.approx((low, high))


def test_ticks_at_batch_sizes():
    ax = Figure().subplots()
    ax.set(xlim=(1, 4096))
    log_axes(ax, "x")
    batch_size_axis(ax, [2**k for k in range(11)])
    assert list(ax.xaxis.get_majorticklocs()) == [4**k for k in range(6)]
    before = list(ax.xaxis.get_majorticklocs())
    batch_size_axis(ax, np.arange(100, 200))  # too many
    batch_size_axis(ax, [100, 101, 102])  # too close
    assert list(ax.xaxis.get_majorticklocs()) == before


def test_shades_darken_in_grey_too():
    for count in (1, 2, 6):
        colors = shades(count)
        assert colors.shape == (count, 4)
        grey = colors[:, :3] @ [0.299, 0.587, 0.114]
        assert np.all(np.diff(grey) > 0.05)
        assert np.all(grey < 0.7)
