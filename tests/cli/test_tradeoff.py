"""`lr tradeoff` as a user meets it."""

import csv
import io
import json
from pathlib import Path

import pytest

from scaling import fit_tradeoff

MIXED = """\
model;bs;lr;steps
tiny;64;1e-3;5000
tiny;8x16;1e-3;3000
tiny;256;1e-3;2100
tiny;512;1e-3;1500
flat;64;1e-3;1000
flat;128;1e-3;1010
flat;256;1e-3;1003
[one];64;1e-3;1000
line;64;1e-3;8000
line;128;1e-3;4010
line;256;1e-3;1990
line;512;2e-3;1000
line;512;1e-3;
"""


@pytest.fixture
def mixed(tmp_path) -> Path:
    """Groups good and bad."""
    path = tmp_path / "mixed.csv"
    path.write_text(MIXED)
    return path


def test_json(lr, zhang):
    ran = lr(
        "tradeoff", zhang, "--batch-size", "64x8", "--at", "model=3B", "--at", "model=2e8", "--json"
    )
    assert (ran.status, ran.err) == (0, "")
    answer = json.loads(ran.out)
    found = fit_tradeoff(zhang)
    for group, fitted in zip(answer["groups"], found.groups, strict=True):
        assert group["group"] == fitted.name
        assert group["critical_batch_size"] == fitted.law.critical_batch_size
        assert group["intervals"] == {
            name: list(bounds) for name, bounds in fitted.law.parameter_intervals().items()
        }
        (at,) = group["predictions"]
        assert at["steps"] == fitted.law.steps(512)
        assert at["examples"] == pytest.approx(512 * at["steps"])
        assert at["steps_interval"] == list(fitted.law.steps_interval(512))
        assert at["warnings"] == []
    trend = found.trends["critical_batch_size"]
    assert answer["trends"]["critical_batch_size"]["exponent"] == trend.exponent
    assert [at["critical_batch_size"] for at in answer["predictions"]] == [
        trend.value(3e9),
        trend.value(2e8),
    ]
    assert answer["predictions"][0]["intervals"]["critical_batch_size"] == list(trend.interval(3e9))
    assert answer["guessed"] == ["batch_size", "steps", "group", "covariate"]


def test_csv(lr, zhang, mixed):
    rows = list(csv.DictReader(io.StringIO(lr("tradeoff", zhang, "--csv").out)))
    assert [row["group"] for row in rows] == ["85M", "151M", "302M", "604M", "1.2B"]
    for row in rows:
        low, value, high = (
            float(row[f"critical_batch_size{end}"]) for end in ("_low", "", "_high")
        )
        assert low < value < high
    ran = lr("tradeoff", mixed, "--csv", "--batch-size", 64, "--batch-size", 128)
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert [row["group"] for row in rows] == [
        "tiny",
        "tiny",
        "flat",
        "flat",
        "[one]",
        "line",
        "line",
    ]
    assert [row["batch_size"] for row in rows[:2]] == ["64.0", "128.0"]
    assert float(rows[0]["examples"]) == pytest.approx(64 * float(rows[0]["steps"]))
    assert (rows[4]["steps"], rows[5]["critical_batch_size"]) == ("", "")
    assert rows[5]["problem"].startswith("steps fall in proportion")  # which is B_crit = inf


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_words_fit_the_terminal(lr, zhang, mixed, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.chdir(zhang.parent)
    ran = lr("tradeoff", zhang.name, "--batch-size", 512, "--at", "model=30B")
    assert (ran.status, ran.err) == (0, "")
    monkeypatch.chdir(mixed.parent)
    more = lr("tradeoff", mixed.name, "--batch-size", 4096)
    assert max(len(line) for line in (ran.out + more.out).splitlines()) <= columns
    said, too = (" ".join(text.split()) for text in (ran.out, more.out))
    for words in (
        "B_crit",
        "1900 to 2530",
        "varies as model^0.631",
        "over 5 groups",
        "extrapolated",
    ):
        assert words in said
    for words in ("[one]", "flat: steps do not fall", "rows without steps: 1 of 13", "infinity"):
        assert words in too
    assert "(guessed)" in said
    assert "\u2026" not in ran.out + more.out


def test_what_was_chosen_is_not_called_guessed(lr, zhang):
    ran = lr(
        "tradeoff", zhang, "--batch-size-column", "batch_size", "--steps-column", "steps",
        "--group-column", "model", "--where", "model != '85M' and batch_size >= 128",
    )  # fmt: skip
    assert ran.status == 0
    assert "guessed" not in ran.out
    assert "85M" not in ran.out
    assert "151M is 1.51e+08" in " ".join(ran.out.split())


def test_warnings_are_called_so(lr, tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text(MIXED.replace("line;512;1e-3;", "line;512;1e-3;1100"))
    assert "WARNING   lr has several values" in lr("tradeoff", path).out


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        ([], 2, "FILE"),
        ([""], 2, "FILE must not be empty"),
        (["FILE", "--json", "--csv"], 2, "--csv"),
        (["FILE", "--batch-size", "0"], 2, "--batch-size"),
        (["FILE", "--at", "3B"], 2, "--at: must be NAME=NUMBER, as model=3B"),
        (["FILE", "--at", "model=big"], 2, "--at: model must be a positive"),
        (["FILE", "--at", "N=3B"], 2, "--at: nothing is known of N; the size of groups is model"),
        (["FILE", "--where", "model = 3"], 2, "--where: 'model = 3' is not understood"),
        (["FILE", "--where", "N == 3"], 2, "--where: "),
        (["FILE", "--where", "batch_size > 1e9"], 1, "no row satisfies batch_size > 1e9"),
        (["FILE", "--where", "model == '85M'", "--at", "model=3B"], 1, "no prediction"),
        (["FILE", "--steps-column", "step"], 1, "there is no column 'step'; the header has model"),
        (["FILE", "--covariate", "steps"], 1, "row 2 (line 3): steps differs from that of"),
        (["no.csv"], 1, "no.csv: cannot be read"),
    ],
)
@pytest.mark.parametrize("more", [[], ["--csv"]])
def test_wrong_calls_are_one_line(lr, zhang, arguments, status, says, more):
    given = [str(zhang) if word == "FILE" else word for word in arguments]
    ran = lr("tradeoff", *given, *(more if "--json" not in given else []))
    assert (ran.status, ran.out, ran.err.count("\n")) == (status, "", 1)
    assert says in ran.err


def test_ambiguous_columns_name_the_option(lr, tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("model,N,bs,steps\na,1,64,1000\na,1,128,600\n")
    ran = lr("tradeoff", path)
    assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "--group-column: in" in ran.err
    assert "model, N may all be meant" in ran.err


def test_all_groups_bad(lr, mixed):
    ran = lr("tradeoff", mixed, "--where", "model != 'tiny' and model != 'line'")
    assert (ran.status, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert "no group can be fitted: flat: steps do not fall" in ran.err
    assert "[one]: " in ran.err
