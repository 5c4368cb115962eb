"""``lr derive``: formats, verdicts, and one clear line for bad input."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from scaling.cli.main import make_app
from typer.testing import CliRunner

import scaling.symbolic
from scaling.symbolic import derivation
from scaling.symbolic.assembly import Derivation

RUNNER = CliRunner()


def lr(*arguments):
    program = "from scaling.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )


def test_one_step_as_text():
    result = RUNNER.invoke(make_app(), ["derive", "B9"])
    assert result.exit_code == 0
    assert "the law: the optimal learning rate" in result.output
    assert max(map(len, result.output.splitlines())) <= 80


def test_an_id_may_be_given_as_it_is_cited():
    cited = RUNNER.invoke(make_app(), ["derive", "T-E7"])
    assert cited.exit_code == 0
    assert "the default model" in cited.output
    assert cited.output == RUNNER.invoke(make_app(), ["derive", "E7"]).output


def test_one_step_as_latex():
    result = RUNNER.invoke(make_app(), ["derive", "B9", "--format", "latex"])
    assert result.exit_code == 0
    assert r"\beta" in result.output
    assert r"\documentclass" not in result.output


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("markdown", "A4 --> A4_steps"),
        ("json", '"id": "A4.hyperbola"'),
    ],
)
def test_formats(form, words):
    result = RUNNER.invoke(make_app(), ["derive", "A4", "--format", form])
    assert result.exit_code == 0
    assert words in result.output


def test_json_checks_and_states_the_error():
    result = RUNNER.invoke(make_app(), ["derive", "B7", "A4", "--json"])
    assert result.exit_code == 0
    rows = json.loads(result.output)
    assert all(row["verified"] is True for row in rows)
    (b7,) = (row for row in rows if row["id"] == "B7")
    assert 0.30 < b7["error"]["value"] < 0.31


def test_the_table_fits_80_columns():
    result = RUNNER.invoke(make_app(), ["derive", "A4", "B5", "--check"])
    assert result.exit_code == 0
    assert max(len(line.rstrip()) for line in result.output.splitlines()) <= 80
    assert "6 of 6 steps verified" in result.output
    assert "measured maximum 0.1078" in result.output


def test_a_failing_step_exits_with_1(monkeypatch):
    good = derivation().step("A4.steps")
    wrong = replace(good, statement=derivation().step("A4").statement)
    monkeypatch.setattr(
        scaling.symbolic.assembly, "derivation", lambda: Derivation((wrong,)), raising=True
    )
    result = RUNNER.invoke(make_app(), ["derive", "--check"])
    assert result.exit_code == 1
    assert "0 of 1 steps verified" in result.output
    assert "FAIL" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["derive", "Z9"], "there is no step 'Z9'"),
        (["derive", "--format", "word"], "'word'"),
        (["derive", "A1", "--json", "--format", "latex"], "contradicts --format"),
        (["derive", "--format", "python"], "'python'"),
    ],
)
def test_bad_input_is_one_line_and_exits_with_2(arguments, words):
    result = lr(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Traceback" not in result.stderr


def test_a_failing_step_is_named_in_every_form(monkeypatch):
    good = derivation().step("A4.steps")
    wrong = replace(good, statement=derivation().step("A4").statement)
    monkeypatch.setattr(
        scaling.symbolic.assembly, "derivation", lambda: Derivation((wrong,)), raising=True
    )
    for form in ("latex", "markdown"):
        result = RUNNER.invoke(make_app(), ["derive", "--check", "--format", form])
        assert result.exit_code == 1
        assert "these steps do not hold: A4.steps" in result.stderr


def test_a_closed_standard_output_is_one_line():
    program = f"'{sys.executable}' -c 'from scaling.cli.main import main; main()' derive A5 >&-"
    result = subprocess.run(program, shell=True, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert len(result.stderr.strip().splitlines()) == 1
    assert "standard output is closed" in result.stderr


def test_help_does_not_import_sympy():
    program = (
        "import sys\nfrom scaling.cli.main import make_app\n"
        "make_app()(['--help'], standalone_mode=False)\nassert 'sympy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
