"""The answer of `lr tradeoff`: JSON values, rows of CSV, and tables of groups for people."""

import math
from collections.abc import Iterator
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from scaling.errors import DataError, InputError
from scaling.numeric.inputs.text import parse_settings
from scaling.numeric.laws.law import finite_or_none
from scaling.numeric.tradeoff import StepsLaw, Tradeoff
from scaling.numeric.tradeoff.tradeoff import QUANTITIES, TradeoffGroup

from ..terminal import clipped, console, echo, width_of
from .answer import positive
from .prose import field, size, wrap
from .sentences import say, say_all

_SYMBOLS = {"critical_batch_size": "B_crit", "steps_min": "S_min", "examples_min": "E_min"}
#: Longer names of groups are folded.
_LONGEST_NAME = 24
_ROLES = {
    "batch_size": "batch size",
    "steps": "steps",
    "group": "groups",
    "covariate": "size of groups",
}


def document(
    found: Tradeoff, guessed: list[str], batch_sizes: list[float], sizes: list[str]
) -> dict[str, Any]:
    """Return everything as JSON values, with predictions at batch sizes and at NAME=SIZE."""
    return {
        "source": found.source,
        "columns": found.columns,
        "guessed": guessed,
        "groups": [_group(group, batch_sizes) for group in found.groups],
        "trends": {
            name: {
                "exponent": trend.exponent,
                "interval": trend.exponent_interval(),
                "scatter": trend.scatter,
                "groups": trend.groups,
            }
            for name, trend in found.trends.items()
        },
        "predictions": [_prediction(found, text) for text in sizes],
        "notes": say_all(found.notes),
    }


def _group(group: TradeoffGroup, batch_sizes: list[float]) -> dict[str, Any]:
    """What was fitted to a group, and what it predicts."""
    law = group.law
    return {
        "group": group.name,
        "covariate": group.covariate,
        "runs": group.runs,
        "batch_size_range": law and law.batch_size_range,
        **{name: law and getattr(law, name) for name in QUANTITIES},
        "intervals": law and law.parameter_intervals(),
        "error": law and finite_or_none(law.error),
        "problem": group.problem or _remark(law),
        "predictions": [_answer_at(law, batch) for batch in batch_sizes] if law else [],
    }


def _remark(law: StepsLaw | None) -> str | None:
    """Say what a fitted law does not tell."""
    if law is None or (law.fit.has_error and law.critical_batch_size < math.inf):
        return None
    if law.critical_batch_size == math.inf:
        return "steps fall in proportion to the batch size throughout"
    if law.fit.degrees_of_freedom:
        return "no interval: no scatter"
    return "no interval: as many points as parameters"


def _answer_at(law: StepsLaw, batch_size: float) -> dict[str, Any]:
    interval = law.steps_interval(batch_size)
    return {
        "batch_size": batch_size,
        "steps": positive(law.steps(batch_size)),
        "steps_interval": interval,
        "examples": positive(law.examples(batch_size)),
        "examples_interval": interval and tuple(bound * batch_size for bound in interval),
        "warnings": say_all(law.warnings(batch_size)),
    }


def _prediction(found: Tradeoff, text: str) -> dict[str, Any]:
    """What the trends say of a group of another size."""
    ((name, size),) = parse_settings([text], "at").items()
    covariate = found.columns.get("covariate")
    if name != covariate:
        known = f"the size of groups is {covariate}" if covariate else "groups have no size"
        raise InputError(f"nothing is known of {name}; {known}", "at")
    if not found.trends:
        raise DataError(f"{found.source}: no prediction for {text}: {say(found.notes[-1])}")
    return {
        "covariate": covariate,
        "size": size,
        **{name: positive(trend.value(size)) for name, trend in found.trends.items()},
        "intervals": {name: trend.interval(size) for name, trend in found.trends.items()},
        "warnings": say_all(found.warnings(size)),
    }


def csv_rows(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Make a row of each group, or of each of its predictions where there are any."""
    return [row for group in answer["groups"] for row in _rows(group)]


def _rows(group: dict[str, Any]) -> list[dict[str, Any]]:
    intervals = group["intervals"] or {}
    row = {name: group[name] for name in ("group", "covariate", "runs")}
    for name in QUANTITIES:
        row |= _bounds(name, group[name], intervals.get(name))
    row |= {"error": group["error"], "problem": group["problem"]}
    return [
        row
        | {"batch_size": found["batch_size"]}
        | _bounds("steps", found["steps"], found["steps_interval"])
        | _bounds("examples", found["examples"], found["examples_interval"])
        for found in group["predictions"]
    ] or [row]


def _bounds(name: str, value: Any, interval: Any) -> dict[str, Any]:
    low, high = interval or (None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


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
    else:
        _print_list(title, rows)


def _print_list(title: str, rows: list[tuple[str, dict[str, str]]]) -> None:
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
        yield from _said_of(group, f"{clipped(group['group'])}: " if "group" in columns else "")
    for text in answer["notes"]:
        warning = text.removeprefix("WARNING: ")
        yield "note" if warning == text else "WARNING", warning
    yield "columns", ", ".join(_taken(answer))


def _said_of(group: dict[str, Any], name: str) -> Iterator[tuple[str, str]]:
    if group["problem"]:
        yield "note", name + group["problem"]
    for text in dict.fromkeys(text for at in group["predictions"] for text in at["warnings"]):
        yield "WARNING", name + text


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
