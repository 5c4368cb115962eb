"""Search spaces: the law's interval, refused where there is none."""

import numpy as np
import pytest

from scaling import (
    BatchSizeLaw,
    DataError,
    GradientStatistics,
    InputError,
    Recipe,
    TransferLaw,
    data,
    fit_optima,
)
from scaling.numeric.laws import Provenance, SearchSpace
from scaling.numeric.tables import read_optima


@pytest.fixture(scope="module")
def law():
    return fit_optima(*read_optima(data.path("marek_adam_1d")))


class Stub(BatchSizeLaw):
    """A law whose interval is a given factor either way, fitted from 100 to 1000."""

    factors = (0.5, 2.0)

    def interval(self, batch_size, level=0.9):
        super().interval(batch_size, level)
        return tuple(np.asarray(self.learning_rate(batch_size)) * f for f in self.factors)


def stub(noise=4000.0, critical=200.0, factors=(0.5, 2.0)):
    law = Stub(256, 1e-3, noise, critical, Provenance("fitted", "a stub", (100.0, 1000.0)))
    object.__setattr__(law, "factors", factors)
    return law


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("batch_size", [1, 64, 700.5, 4096])
def test_within_the_range_it_is_the_interval(law, batch_size, level):
    space = law.search_space(batch_size, level)
    low, high = law.interval(batch_size, level)
    assert (space.low, space.high) == (pytest.approx(low), pytest.approx(high))
    assert space.learning_rate == law.learning_rate(batch_size)
    assert (space.level, space.warnings) == (level, ())


def test_the_level_is_nine_tenths_unless_given(law):
    assert law.search_space(512) == law.search_space(512, 0.9)
    assert law.search_space(512, 0.99).high > law.search_space(512).high


def test_it_widens_outside_the_range_and_says_so(law):
    def width(batch_size):
        space = law.search_space(batch_size)
        return np.log2(space.high / space.low)

    assert width(64) < width(2 * 4096) < width(64 * 4096)
    (said,) = law.search_space(1e6).warnings
    assert (said.key, said["high"]) == ("extrapolated", 4096)


def test_first_points_are_inside_and_begin_with_the_law(law):
    space = law.search_space(512)
    points = space.first_points
    assert points[0] == law.learning_rate(512)
    assert len(set(points)) == 3
    assert all(space.low < point < space.high for point in points)
    assert SearchSpace(1, 5.0, 1.0, 4.0, 0.9).first_points == (2.0,)


@pytest.mark.parametrize(
    ("factors", "says"),
    [
        ((1.0, 1.0), "zero width"),
        ((1.0, 1.0 + 1e-12), "zero width"),
        ((0.0, 2.0), "no finite width"),
        ((0.5, np.inf), "no finite width"),
        ((np.nan, np.nan), "no finite width"),
    ],
)
def test_what_cannot_be_searched_is_refused(factors, says):
    with pytest.raises(DataError, match=says):
        stub(factors=factors).search_space(256)


@pytest.mark.parametrize(
    "law",
    [
        BatchSizeLaw(256, 1e-3, 4000.0, 200.0),
        TransferLaw(Recipe(3e-4, 256), GradientStatistics(4000)),
    ],
)
def test_a_law_without_intervals_is_refused(law):
    with pytest.raises(DataError, match="has no intervals") as caught:
        law.search_space(512)
    assert law.provenance.description in str(caught.value)


@pytest.mark.parametrize("batch_size", [0, -1, np.nan, np.inf, "512", True])
def test_batch_sizes_are_checked(law, batch_size):
    with pytest.raises(InputError, match="batch_size"):
        law.search_space(batch_size)


@pytest.mark.parametrize("level", [0, 1, -0.5, 90, np.nan, "0.9", None])
def test_levels_are_checked(law, level):
    with pytest.raises(InputError, match="level"):
        law.search_space(512, level)
