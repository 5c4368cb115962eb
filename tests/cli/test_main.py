"""`lr` itself."""

import pytest
from scaling.cli.main import COMMANDS


def test_no_arguments_and_help(lr):
    assert lr("--help").status == 0
    ran = lr()
    assert (ran.status, ran.err) == (2, "")
    for command in ("query", "compare"):
        assert command in ran.out + ran.err


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("columns", [80, 120])
def test_help_fits_the_terminal(lr, command, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    ran = lr(command, "--help")
    assert ran.status == 0
    assert max(map(len, ran.out.splitlines())) <= columns
    assert "default: )" not in ran.out


def test_unknown_command(lr):
    ran = lr("ask")
    assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "ask" in ran.err
