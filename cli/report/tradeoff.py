"""What `lr tradeoff` says to people: tables of groups, then what holds across them."""

from collections.abc import Iterator
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from ..terminal import clipped, console, echo, width_of
from .prose import field, size, wrap

_SYMBOLS = {"critical_batch_size": "B_crit", "steps_min": "S_min", "examples_min": "E_min"}
#: Longer names of groups are folded.
_LONGEST_NAME = 24
_ROLES = {
    "batch_size": "batch size",
    "steps": "steps",
    "group": "groups",
    "covariate": "size of groups",
}


def show(answer: dict[str, Any]) -> None:
    """Print the answer of `lr tradeoff`."""
    head = (
        f"Steps to the target loss, fitted to {answer['source']}: S = S_min (1 + B_crit/B), in "
        "examples E = B S. At the critical batch size B_crit a run takes twice the fewest steps, "
        "S_min, and twice the fewest examples, E_min (theory T-A4)."
    )
    groups, title = answer["groups"], answer["columns"].get("group", "")
    _print(wrap(head, "", ""))
    _print_rows(title, [(group["group"], _group_cells(group)) for group in groups])
    found = [(group["group"], at) for group in groups for at in group["predictions"]]
    if found:
        _print_rows(title, [(group, _prediction_cells(at)) for group, at in found])
    _print([line for name, text in _said(answer) for line in field(name, text)])


def _group_cells(group: dict[str, Any]) -> dict[str, str]:
    """What a table says of a group, by the title of the column; intervals on a second line."""
    intervals = group["intervals"] or {}
    return {
        "runs": str(group["runs"]),
        **{
            symbol: _cell(name, group[name], intervals.get(name))
            for name, symbol in _SYMBOLS.items()
        },
        "error": f"{group['error']:.1%}" if group["intervals"] else "-",
    }


def _prediction_cells(at: dict[str, Any]) -> dict[str, str]:
    return {
        "batch size": f"{at['batch_size']:.10g}",
        "steps": _cell("steps", at["steps"], at["steps_interval"]),
        "examples": _cell("examples", at["examples"], at["examples_interval"]),
    }


def _print_rows(title: str, rows: list[tuple[str, dict[str, str]]]) -> None:
    """Print a table of named rows, or on a terminal too narrow for it, one cell a line."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    if title:
        table.add_column(Text(title), overflow="fold", max_width=_LONGEST_NAME)
    for column in rows[0][1]:
        table.add_column(column, justify="right", no_wrap=True)
    for name, cells in rows:
        table.add_row(*([clipped(name or "(empty)")] if title else []), *cells.values())
    here = console()
    if width_of(table) <= here.width:
        here.print(table)
        return
    for name, cells in rows:
        lines = wrap(clipped(f"{title} {name or '(empty)'}"), "", "  ") if title else []
        for column, cell in cells.items():
            lines += field(column, cell.replace("\n", ", 95% interval "))
        _print([*lines, ""])


def _show(name: str, value: float) -> str:
    """Three digits; examples, which are many, with an exponent."""
    return f"{value:.3g}" if name.startswith("examples") else size(value)


def _cell(name: str, value: float | None, interval: Any) -> str:
    """A value over its interval."""
    if value is None:
        return "-"
    bounds = f"\n{' to '.join(_show(name, bound) for bound in interval)}" if interval else ""
    return _show(name, value) + bounds


def _value(name: str, value: float, interval: Any) -> str:
    bounds = " to ".join(_show(name, bound) for bound in interval or ())
    return _show(name, value) + (f" (95% interval {bounds})" if bounds else "")


def _said(answer: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Named paragraphs."""
    columns = answer["columns"]
    if any(group["intervals"] for group in answer["groups"]):
        yield "interval", "95%, by profile likelihood; error: scatter of one run about the law"
    for name, trend in answer["trends"].items():
        yield _SYMBOLS[name], _trend(columns["covariate"], trend)
    for at in answer["predictions"]:
        for name, interval in at["intervals"].items():
            of = f"at {at['covariate']} = {at['size']:.4g}: "
            yield _SYMBOLS[name], of + _value(name, at[name], interval)
        for text in at["warnings"]:
            yield "WARNING", text
    for group in answer["groups"]:
        of = f"{clipped(group['group'])}: " if "group" in columns else ""
        if group["problem"]:
            yield "note", of + group["problem"]
        for text in dict.fromkeys(text for at in group["predictions"] for text in at["warnings"]):
            yield "WARNING", of + text
    for text in answer["notes"]:
        warning = text.removeprefix("WARNING: ")
        yield "note" if warning == text else "WARNING", warning
    yield "columns", ", ".join(_taken(answer))


def _taken(answer: dict[str, Any]) -> Iterator[str]:
    """Say which column was taken for what."""
    first = answer["groups"][0]
    for role, name in answer["columns"].items():
        how = " (guessed)" if role in answer["guessed"] else ""
        if role == "covariate":
            how = f" ({first['group'] or name} is {first['covariate']:.4g})"
        yield f"{_ROLES[role]}: {name}{how}"


def _trend(covariate: str, trend: dict[str, Any]) -> str:
    text = f"varies as {covariate}^{trend['exponent']:.3f}"
    if trend["interval"]:
        low, high = trend["interval"]
        text += f" (95% interval {low:.3f} to {high:.3f})"
    text += f" over {trend['groups']} groups"
    if trend["interval"]:
        beyond = f"by {trend['scatter']:.1%}" if trend["scatter"] else "not at all"
        text += f", which scatter about it {beyond} beyond their own errors"
    return text


def _print(lines: list[str]) -> None:
    echo("\n".join(lines))
