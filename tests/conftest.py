"""Shared by all tests."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from scaling.cli.main import main

from scaling import data

# Examples are the same in every run, and no test depends on the clock.
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("repeatable")


@dataclass(frozen=True)
class Ran:
    """What a run of `lr` left behind."""

    status: int
    out: str
    err: str


@pytest.fixture
def lr(monkeypatch, capsys) -> Callable[..., Ran]:
    """Run `lr` with the given arguments."""

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr("sys.argv", ["lr", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return Ran(stop.value.code or 0, captured.out, captured.err)

    return run


@pytest.fixture
def marek() -> Path:
    """Published optima that rise and fall (Marek et al. 2025, arXiv 2507.07101)."""
    return Path(data.path("marek_adam_1d"))


@pytest.fixture
def zhang() -> Path:
    """Published steps to a loss, by model and batch size (Zhang et al. 2024, 2410.21676)."""
    return Path(data.path("zhang_steps_to_target"))
