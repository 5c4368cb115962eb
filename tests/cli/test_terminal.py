"""What reaches a terminal, and what never does."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from scaling.cli.terminal import clipped, neutral

import scaling

CLI = Path(__file__).parents[2] / "cli"
NAMES = ["\x1b[31mred", "\x9b2Jc1", "[/bold]", "=1+1", "a\u202eb", "m" * 2000]


@pytest.fixture
def hostile(tmp_path):
    path = tmp_path / "steps.csv"
    rows = [f'"{name}",{b},{1000 + 500000 / b:.0f}' for name in NAMES for b in (16, 64, 256, 1024)]
    path.write_text("\n".join(["\x1b]0;title\x07model,batch_size,steps", *rows]) + "\n")
    return path


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_names_from_files_steer_nothing(lr, hostile, form):
    ran = lr("tradeoff", hostile, "--group-column", "\x1b]0;title\x07model", *form)
    assert (ran.status, ran.err) == (0, "")
    assert "red" in ran.out
    assert not set(ran.out) & {"\x1b", "\x07", "\x9b", "\u202e"}
    assert "[/bold]" in ran.out  # which is no markup
    if form == ["--csv"]:
        assert "\n'=1+1," in ran.out


def test_errors_are_one_line_that_steers_nothing(lr, hostile):
    for wrong in ("\x1b[2J", "x" * 10_000, "a\nb", "\udcff"):
        for call in (
            ("tradeoff", wrong),
            ("query", "--ref-lr", wrong),
            ("fit", hostile, wrong),
        ):
            ran = lr(*call)
            assert (ran.status > 0, ran.out, ran.err.count("\n")) == (True, "", 1)
            assert "\x1b" not in ran.err
            assert len(ran.err) < 1000


def test_what_is_harmless_is_left_alone():
    assert neutral("a b\n─ \u03c3 é 漢字 123 %s [x]") == "a b\n─ \u03c3 é 漢字 123 %s [x]"
    assert neutral("\x1b[31m\x00\x9b\u202e\u200b\udcff\r\t") == "?[31m?????  "
    assert clipped("a  b\nc") == "a b c"
    assert clipped("x" * 1000) == "x" * 110 + "..." + "x" * 110


def test_all_text_leaves_by_one_place():
    for path in CLI.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            called = ast.unparse(node) if isinstance(node, ast.Call) else ""
            if path.name not in {"terminal.py", "main.py"}:
                assert not called.startswith(("typer.echo", "print(")), path
                # A bar of progress prints nothing that was read.
                assert not called.startswith("Console(") or called == "Console(stderr=True)", path


@pytest.mark.parametrize("columns", ["20", "80"])
def test_numbers_of_a_table_are_never_cut(lr, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    run = ("--ref-lr", "1.23456e-47", "--ref-batch-size", "1234567890", "--noise-scale", "1e12")
    ran = lr("compare", *run, "--min-batch-size", "1234567890", "--max-batch-size", "2e9")
    assert re.search(r"1234567890 +1\.\d\de-47 +1\.23e-47 +1\.23e-47 ", ran.out)
    assert "…" not in ran.out


def test_version_and_module(lr):
    ran = lr("--version")
    assert (ran.status, ran.out) == (0, f"lr {scaling.__version__}\n")
    command = [sys.executable, "-m", "scaling", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ran.out


def test_shells_complete_commands_and_options(monkeypatch):
    monkeypatch.setenv("_LR_COMPLETE", "complete_zsh")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", "lr query --ref-b")
    code = "import sys; sys.argv = ['lr']; from scaling.__main__ import main; main()"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--ref-batch-size" in ran.stdout
