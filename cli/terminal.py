"""All output to the terminal: free of control characters, and never endless."""

import json
import math
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console, RenderableType
    from rich.progress import TaskID
    from rich.table import Table

#: Whatever is neither printable ASCII nor a break between lines is looked at.
_SUSPECT = re.compile(r"[^\n -~]")
_WORD = re.compile(r"\S{241,}")
_KEPT = 110
_LONGEST = 4000
#: Wider than any table.
_UNLIMITED = 10_000


def neutral(text: str) -> str:
    """Return a text, from wherever, without what would steer a terminal or hide in it."""
    return _SUSPECT.sub(_harmless, text)


def _harmless(found: re.Match[str]) -> str:
    character = found[0]
    if character.isprintable():
        return character
    return " " if character.isspace() else "?"


def clipped(text: str) -> str:
    """Return a text on one line, its longest words and the text itself cut down to size."""
    short = _WORD.sub(lambda word: f"{word[0][:_KEPT]}...{word[0][-_KEPT:]}", text)
    line = " ".join(short.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print a text."""
    typer.echo(neutral(text), err=err, nl=nl)


def json_text(value: Any) -> str:
    """Write a value as JSON, in which null stands for what is infinite or not known."""
    return json.dumps(_finite(value), indent=2, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def console(**how: Any) -> "Console":
    """Return what prints tables: no markup, emoji or highlights are sought in what it is given."""
    from rich.console import Console
    from rich.segment import Segment

    class Neutral(Console):
        """A console whose every piece of text is neutral."""

        def render(self, *what: Any, **options: Any) -> Any:
            for piece in super().render(*what, **options):
                yield piece if piece.control else Segment(neutral(piece.text), piece.style)

    return Neutral(highlight=False, markup=False, emoji=False, **how)


@contextmanager
def progress() -> "Iterator[Callable[[str, float, float], None]]":
    """Show on standard error, if it is a terminal, how far what has come, of how much."""
    from rich.console import Console
    from rich.progress import Progress

    err = Console(stderr=True)
    with Progress(console=err, transient=True, disable=not err.is_terminal) as shown:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: float, total: float) -> None:
            if what not in tasks:
                tasks[what] = shown.add_task(what)
            shown.update(tasks[what], completed=done, total=total)

        yield report


def print_table(table: "Table") -> None:
    """Print a table at its own width where the terminal is narrower, which may wrap the lines.

    It would cut numbers off otherwise.
    """
    console(width=max(console().width, width_of(table))).print(table)


def width_of(table: "RenderableType") -> int:
    """Width at which nothing in a table is cut off or folded."""
    wide = console(width=_UNLIMITED)
    return int(wide.measure(table).maximum)
