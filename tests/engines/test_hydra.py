"""Hydra's overrides, parsed by Hydra."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep

from scaling.engines.hydra import form, overrides

PARSER = OverridesParser.create()


@pytest.mark.parametrize("batch_size", [512, 1, 100.5])
def test_overrides_are_hydra_s(law, batch_size):
    size, rates = PARSER.parse_overrides(list(overrides(law, batch_size)))
    space = law.search_space(batch_size)
    assert (size.key_or_group, size.value()) == ("batch_size", batch_size)
    assert rates.key_or_group == "lr"
    sweep = rates.value()
    assert isinstance(sweep, IntervalSweep)
    assert (sweep.start, sweep.end, sweep.tags) == (space.low, space.high, {"log"})


def test_key_of_ones_own(law):
    (_, rates) = PARSER.parse_overrides(list(overrides(law, 512, name="optimizer.lr", level=0.5)))
    assert rates.key_or_group == "optimizer.lr"
    assert rates.value().start == law.search_space(512, 0.5).low


def test_form_is_one_override_to_a_line(law):
    lines = form([law.search_space(512), law.search_space(1024)]).splitlines()
    parsed = PARSER.parse_overrides(lines)
    assert [override.key_or_group for override in parsed] == ["batch_size", "lr"] * 2
    assert not any(character.isspace() for line in lines for character in line)


def test_outside_the_range_it_warns(law):
    with pytest.warns(UserWarning, match="extrapolated"):
        overrides(law, 1e-7)
    (_, rates) = PARSER.parse_overrides(form([law.search_space(1e-7)]).splitlines())
    assert rates.value().start == law.search_space(1e-7).low
