"""Conditions on rows: a language of comparisons, and nothing more."""

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling import DataError, InputError
from scaling.numeric.tables import as_table

RUNS = as_table(
    {
        "bs": [64, 128, 256, 512],
        "N": ["85M", "85M", "1.2B", "and"],
        "eval/loss": [3.0, float("nan"), 2.0, float("inf")],
        "batch per device": ["8x8", "8x16", "256", "512"],
        "config.lr": ["1e-3", "0.002", "3e-4", "1E-3"],
    }
)


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("bs == 128", [1]),
        ("bs!=128", [0, 2, 3]),
        ("  64<=bs and bs<2.56e2  ", [0, 1]),
        ("64 < bs <= 256", [1, 2]),
        ("256 > bs", [0, 1]),
        ("N == '85M'", [0, 1]),
        ('N != "85M" and bs > 256', [3]),
        ("'and' == N", [3]),
        ("eval/loss < 3", [2]),
        ("eval/loss >= -1", [0, 2, 3]),
        ("eval/loss != 3", [1, 2, 3]),  # what is missing differs from everything
        ("`batch per device` == 64", [0]),
        ("`batch per device` == '8x8'", [0]),
        ("config.lr == .001", [0, 3]),
        ("`bs` == 64 and `N` == '85M' and config.lr > 0", [0]),
        ("bs == '64'", [0]),
        ("(bs == 64)", [0]),
        ("(bs > 64) and (bs < 256 and N == '85M')", [1]),
        ("N != 'a\\n' and bs == 64", [0]),
    ],
)
def test_conditions(condition, rows):
    chosen = RUNS.where(condition)
    assert chosen.numbers("bs").tolist() == [64 * 2**row for row in rows]
    assert [chosen.describe_row(i) for i in range(len(rows))] == [
        f"the table: index {row}" for row in rows
    ]


def test_conditions_follow_each_other():
    assert RUNS.where("bs > 64").where("N == '85M'").describe_row(0) == "the table: index 1"


SIGNS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@given(
    st.lists(st.floats(-4, 4).map(lambda v: round(v, 1)), min_size=1, max_size=20),
    st.floats(-4, 4).map(lambda v: round(v, 1)),
    st.sampled_from(sorted(SIGNS)),
    st.booleans(),
)
def test_against_python(cells, value, sign, mirrored):
    condition = f"{value!r} {sign} x" if mirrored else f"x {sign} {value!r}"
    expected = [
        cell
        for cell in cells
        if (SIGNS[sign](value, cell) if mirrored else SIGNS[sign](cell, value))
    ]
    if expected:
        assert as_table({"x": cells}).where(condition).numbers("x").tolist() == expected
    else:
        with pytest.raises(DataError, match="no row satisfies"):
            as_table({"x": cells}).where(condition)


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("", "is not understood; write comparisons"),
        ("bs", "'bs' is no comparison"),
        ("bs ==", "is not understood; write"),
        ("bs == 64 and", "is not understood; write"),
        ("bs = 64", "is not understood; write"),
        ("bs == 64 128", "is not understood; write"),
        ("bs == 85M", "is not understood; write"),
        ("bs == 64and N == '85M'", "is not understood; write"),
        ("N == 'it", "is not understood; write"),
        ("(" * 10000, "is not understood; write"),
        ("-" * 100000 + "1 == bs", "is not understood"),
        ("bs == 64\0", "is not understood; write"),
        ("bs == 64 or bs == 128", "'bs == 64 or bs == 128' is no comparison"),
        ("not bs == 64", "'not bs == 64' is no comparison"),
        ("__import__('os').system('true')", "is no comparison"),
        ("bs in [64]", "'bs in \\[64\\]' is no comparison"),
        ("bs is 64", "'bs is 64' is no comparison"),
        ("bs + 1 == 65", "neither 'bs \\+ 1' nor '65' is a column"),
        ("bs == (lambda: 64)()", "'\\(lambda: 64\\)\\(\\)' is neither a number"),
        ("bs == True", "'True' is neither a number"),
        ("bs == 1_000", "'1_000' is neither a number"),
        ("bs == 0x40", "'0x40' is neither a number"),
        ("N == '85' 'M'", "is neither a number nor in quotes"),
        ("N == f'{bs}'", "is neither a number nor in quotes"),
        ("N == b'85M'", "is neither a number nor in quotes"),
        ("eval / loss < 3", "neither 'eval / loss' nor '3' is a column"),
        ("bs == N", "'N' is neither a number nor in quotes"),
        ("N == big", "'big' is neither a number nor in quotes"),
        ("1 == 1", "neither '1' nor '1' is a column"),
        ("64 < 65 < bs", "neither '64' nor '65' is a column"),
        ("N < '85M'", "texts have no order"),
        ("D == 64", "no column 'D'; it has bs, N, eval/loss"),
        ("bs.__class__ == 64", "no column 'bs.__class__'"),
    ],
)
def test_what_is_not_understood_is_said(condition, says):
    with pytest.raises(InputError, match=says) as caught:
        RUNS.where(condition)
    assert caught.value.parameter == "where"
    assert "\n" not in str(caught.value)


def test_cells_that_cannot_be_compared():
    with pytest.raises(DataError, match=r"index 3: N must be a positive.*'and'"):
        RUNS.where("N > 3")
    with pytest.raises(DataError, match="no row satisfies bs > 1e9"):
        RUNS.where("bs > 1e9")
    assert np.isnan(RUNS.where("bs == 128").numbers("eval/loss", missing=True)[0])
