"""`lr compare` as a user meets it."""

import csv
import io
import json

import pytest

RUN = ("--ref-lr", "3e-4", "--ref-batch-size", "32x8", "--noise-scale", "4000")


def rows(lr, *arguments):
    ran = lr("compare", *arguments, "--json")
    assert (ran.status, ran.err) == (0, "")
    return json.loads(ran.out)["results"]


def test_range_of_a_tuned_run(lr):
    found = rows(lr, *RUN)
    assert [row["batch_size"] for row in found] == [16 * 2**k for k in range(9)]
    (reference,) = [row for row in found if row["batch_size"] == 256]
    for name in ("law", "sqrt", "linear", "openai", "sgd"):
        # The law's median there is the tuned run's to within its draws.
        assert reference[name] == pytest.approx(3e-4, rel=0.03 if name == "law" else 1e-14)


def test_range_of_a_table_and_of_ones_own(lr, marek):
    assert [row["batch_size"] for row in rows(lr, "--points", marek)] == [2**k for k in range(13)]
    found = rows(lr, *RUN, "--min-batch-size", 100, "--max-batch-size", 500)
    assert [row["batch_size"] for row in found] == [100, 200, 400, 500]
    assert len(rows(lr, *RUN, "--min-batch-size", 100, "--max-batch-size", 100)) == 1


def test_law_is_the_one_of_query(lr, marek):
    (row,) = rows(lr, "--points", marek, "--min-batch-size", 512, "--max-batch-size", 512)
    ran = lr("query", "--points", marek, "--batch-size", 512, "--json")
    (answer,) = json.loads(ran.out)["results"]
    assert row["law"] == answer["learning_rate"]
    assert row["sqrt"] == answer["rules"]["sqrt"]
    assert row["regime"] == answer["regime"]


def test_csv(lr):
    ran = lr("compare", *RUN, "--csv")
    found = list(csv.DictReader(io.StringIO(ran.out)))
    assert [float(row["law"]) for row in found] == [row["law"] for row in rows(lr, *RUN)]


def test_table_fits_80_columns(lr, marek, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    ran = lr("compare", "--points", marek, "--max-batch-size", 1e6)
    assert ran.status == 0
    lines = [line for line in ran.out.splitlines() if not line.startswith("WARNING")]
    assert max(map(len, lines)) <= 80
    for word in ("batch size", "law", "sqrt", "linear", "OpenAI", "SGD", "regime", "WARNING"):
        assert word in ran.out
    assert "…" not in ran.out


def test_narrow_terminals_keep_the_numbers(lr, marek, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert "…" not in lr("compare", "--points", marek).out


def test_the_widest_range(lr):
    found = rows(lr, *RUN, "--min-batch-size", "1e-50", "--max-batch-size", "1e50")
    assert (found[0]["batch_size"], found[-1]["batch_size"]) == (1e-50, 1e50)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--alpha", "0.5"], "--alpha"),
        (["--alpha", "nan"], "--alpha"),
        (["--alpha", "x"], "--alpha"),
        (["--json", "--csv"], "--csv"),
        (["--min-batch-size", "0"], "--min-batch-size"),
        (["--max-batch-size", "1"], "--max-batch-size"),
        (["--law", "law.json"], "--ref-lr"),
    ],
)
def test_wrong_calls_are_one_line_and_status_2(lr, arguments, names):
    ran = lr("compare", *RUN, *arguments)
    assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert names in ran.err
