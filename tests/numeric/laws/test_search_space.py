"""Search spaces: the law's interval, widened outside its range, refused where there is none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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

    def interval(self, batch_size, level=0.95):
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


@given(
    noise=st.floats(1e-3, 1e9),
    critical=st.floats(1e-3, 1e9),
    offset=st.floats(-1, 1),
    batch_size=st.floats(1e-2, 1e7),
    corner=st.sampled_from([None, (0.0, 1e12), (1e12, 1e-12)]),
)
def test_no_law_through_the_interval_at_the_edge_leaves_the_range(
    noise, critical, offset, batch_size, corner
):
    space = stub().search_space(batch_size)
    edge = min(max(batch_size, 100.0), 1000.0)
    at_edge = stub().learning_rate(edge) * 2**offset
    other = BatchSizeLaw(edge, at_edge, *(corner or (noise, critical)))
    inside = 100 <= batch_size <= 1000
    assert inside == (not space.warnings)
    if not inside:
        assert space.low * (1 - 1e-9) <= other.learning_rate(batch_size) <= space.high * (1 + 1e-9)


def test_widening_is_no_more_than_such_laws_reach():
    # Flat laws, so that the law's own interval adds nothing: B from 1000 to 4000.
    flat = stub(0.0, 0.0)
    space = flat.search_space(4000)
    assert space.low == pytest.approx(0.5e-3 / 2)  # falling as 1/sqrt(B)
    assert space.high == pytest.approx(2e-3 * 4)  # rising as B
    below = flat.search_space(25)
    assert below.low == pytest.approx(0.5e-3 / 4)
    assert below.high == pytest.approx(2e-3 * 2)


def test_widening_is_said(law):
    space = law.search_space(8192)
    (widened,) = space.warnings
    assert (widened.key, widened["times"], widened["edge"]) == ("search widened", 2, 4096)
    assert (widened["low"], widened["high"]) == (space.low, space.high)
    keys = [found.key for found in law.search_space(1e6).warnings]
    assert keys == ["search widened", "extrapolated"]


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
        fit_optima([16, 64, 256], [1e-3, 2e-3, 2.5e-3]),
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


@pytest.mark.parametrize("level", [0, 1, -0.5, 90, np.nan])
def test_levels_are_checked(law, level):
    with pytest.raises(InputError, match="level"):
        law.search_space(512, level)
