"""Configurations say what to train; what they cannot mean is refused by one line."""

import math

import pytest

pytest.importorskip("msgspec")

from scaling.errors import DataError
from scaling.lab.configuration import Guess, read_configuration, shipped_configurations


def test_cells_are_the_arms_without_repetition(tiny):
    text = tiny.read_text()
    cells = read_configuration(tiny).cells()
    assert len(cells) == 16
    assert {(cell.batch_size, cell.steps) for cell in cells} == {
        (1, 256),
        (4, 64),
        (16, 16),
        (64, 4),
    }
    again = text[text.index("[[arm]]") :].replace("[1, 4,", "[2, 4,")
    tiny.write_text(text + again + 'decay = ["linear", "constant"]\n')
    both = read_configuration(tiny).cells()
    assert set(cells) < set(both)
    assert len(both) == 16 + 4 + 16


def test_the_guess_is_the_law_of_one_second_moment():
    """T-J3 with all t alike: lr grows like sqrt(B/(B + B_n)), and by (t + eps)/t."""
    guess = Guess(1e-2, 10, 90, 0.5)
    t = 0.5 * math.sqrt((1 / 90 + 1 / 90) / (1 / 10 + 1 / 90))
    rise = math.sqrt(90 / (90 + 90)) / math.sqrt(10 / (10 + 90))
    assert guess.at(90, 0.3) == pytest.approx(1e-2 * rise * (t + 0.3) / t)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"quadratic"', '"cubic"', "cubic"),
        ("seeds = [0, 1]", "seed = [0, 1]", "unknown field `seed`"),
        ("eps = [1e-8, 1]", "eps = [-1]", "$.arm[0].eps[0]"),
        ("examples = 256", "", "needs one budget"),
        ("examples = 256", "examples = 256\nsteps = 3", "needs one budget"),
        ("examples = 256", "target = 0.5\nmost_steps = 9", "a target needs decay"),
        ("examples = 256", "steps = 3\nmost_steps = 9", "most_steps goes with a target"),
        ("batch_size = [1, 4, 16, 64]", "batch_size = []", "$.arm[0].batch_size"),
        ("[[arm]]", "[[arm", "line"),
    ],
)
def test_what_cannot_be_meant_is_refused(tiny, old, new, says):
    text = tiny.read_text()
    assert old in text
    tiny.write_text(text.replace(old, new))
    with pytest.raises(DataError) as refused:
        read_configuration(tiny)
    assert str(refused.value).startswith(f"{tiny}: ")
    assert says in str(refused.value)


def test_a_file_that_is_not_there():
    with pytest.raises(DataError, match=r"nowhere\.toml: cannot be read"):
        read_configuration("nowhere.toml")


@pytest.mark.parametrize("name", ["logistic", "network", "transformer"])
def test_what_is_shipped_covers_what_the_claims_are_about(name):
    assert name in shipped_configurations()
    cells = read_configuration(name).cells()

    def values(setting):
        return {getattr(cell, setting) for cell in cells}

    assert values("eps") >= {1e-8, 1e-4, 1e-2, 1e-1}
    assert values("beta1") == {0.0, 0.9}
    assert values("beta2") == {0.95, 0.999}
    assert values("decay") >= {"linear", "constant"}
    assert values("budget") >= {"steps", "examples"}
    assert max(values("batch_size")) >= 256 * min(values("batch_size"))
    assert min(values("rates")) >= 14
    assert min(len(cell.seeds) for cell in cells) >= 3
    if name == "network":
        assert len(values("weight_decay")) > 1
        assert len(values("warm_up")) > 1
