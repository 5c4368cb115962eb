"""`lr plan`."""

import csv
import json
import re

import pytest

RUN = ["plan", "--ref-lr", "3e-4", "--ref-batch-size", "256", "--target-batch-size", "4096"]


def test_the_first_lines_say_what_to_do(lr, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    said = lr(*RUN, "--cost", "examples", "--at-once", "3").out
    assert re.match(r"learning rate \S+ at batch size 4096 is today's best guess", said)
    assert "start the first 3 now" in said
    assert "-- then, if what comes is as expected:" in said
    assert max(map(len, said.splitlines())) <= 80
    assert "stop: another run is expected to lower the loss by less" in lr(*RUN, "--least", 9).out


def test_json_and_csv_tell_the_same(lr, tmp_path):
    out = tmp_path / "runs.csv"
    found = json.loads(lr(*RUN, "--budget", 3, "--least", 9, "--json", "--out", out).out)
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [float(row["learning_rate"]) for row in rows] == [
        run["learning_rate"] for run in found["runs"]
    ]
    assert found["paying"] == 0
    assert all(not run["pays"] and row["loss"] == "" for run, row in zip(found["runs"], rows))  # noqa: B905
    assert any("(--least)" in text for text in found["facts"])


def test_from_runs_with_covariates_and_a_column_of_costs(lr, tmp_path):
    table = tmp_path / "runs.csv"
    rows = ["bs,lr,loss,N,hours"]
    for n in (1e7, 1e8):
        for bs in (64, 128, 256):
            rows += [
                f"{bs},{1e-3 * f:g},{3 + abs(f - 1):g},{n:g},{n**3 * bs:g}" for f in (0.5, 1, 2)
            ]
    table.write_text("\n".join(rows))
    ask = ["plan", "--law", table, "--target-batch-size", 256, "--covariate", "N=1e9", "--json"]
    found = json.loads(lr(*ask, "--cost", "hours", "--budget", 2).out)
    run = found["runs"][0]
    size = run["covariates"]["N"] / 1e9
    assert run["cost"] == pytest.approx(size**3 * run["batch_size"] / 256, rel=1e-3)
    assert any("'hours'" in text for text in found["facts"])
    assert any("guessed: batch size from column 'bs'" in text for text in found["facts"])


def test_from_a_law_and_from_optima(lr, tmp_path, marek):
    law = tmp_path / "law.json"
    assert lr("query", "--points", marek, "--batch-size", 512, "--save", law).status == 0
    for source in (["--law", law], ["--points", marek]):
        ran = lr("plan", *source, "--target-batch-size", 16384, "--budget", 2)
        assert ran.status == 0, ran.err
        assert "today's best guess" in ran.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan"], "--target-batch-size: missing"),
        (["plan", "--target-batch-size", 64], "nothing to plan from"),
        ([*RUN, "--study", "s"], "--study: --enqueue and --study go together"),
        ([*RUN, "--cost", "hours"], "--cost: must be one of runs, steps, examples"),
        ([*RUN, "--law", "x.csv"], "cannot be combined with --law"),
        ([*RUN, "--covariate", "N=1e9"], "--covariate: "),
        ([*RUN, "--eps", "1e-3"], "--eps: was not varied"),
        ([*RUN, "--budget", "1000000"], "--budget"),
        ([*RUN, "--study", "s", "--enqueue", "s.db"], "s.db: not opened by Optuna, as sqlite:///"),
    ],
)
def test_wrong_calls(lr, arguments, said):
    ran = lr(*arguments)
    assert ran.status == (1 if "--enqueue" in arguments else 2)
    assert said in ran.err
    assert ran.err.count("\n") == 1
