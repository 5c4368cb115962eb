"""``lr tradeoff``: steps against examples, the critical batch size, and how it grows."""

import json
import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling.errors import DataError, InputError

from ..options import BATCH_SIZE
from ..terminal import echo

if TYPE_CHECKING:
    from scaling.numeric.tradeoff import StepsLaw, Tradeoff
    from scaling.numeric.tradeoff.tradeoff import TradeoffGroup

_COLUMN = {"metavar": "COLUMN", "rich_help_panel": "Columns, guessed where unambiguous"}


def tradeoff(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="Table of runs: CSV, JSON or Parquet."),
    ],
    batch_size: Annotated[
        list[float] | None,
        typer.Option(help="Predict steps and examples there; repeatable.", **BATCH_SIZE),
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SIZE",
            help="Predict the critical batch size of a group of that size; repeatable.",
        ),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            metavar="CONDITION", help='Rows to use, such as "tokens == 1e10 and seed < 3".'
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    batch_size_column: Annotated[
        str | None, typer.Option(help="Batch sizes; may be products.", **_COLUMN)
    ] = None,
    steps_column: Annotated[
        str | None, typer.Option(help="Steps to the target; empty if not reached.", **_COLUMN)
    ] = None,
    group_column: Annotated[
        str | None, typer.Option(help="Groups, such as models, each fitted alone.", **_COLUMN)
    ] = None,
    covariate: Annotated[
        str | None,
        typer.Option(
            help="Sizes of the groups, such as 85M (default: the groups, if sizes).", **_COLUMN
        ),
    ] = None,
) -> None:
    """Find the critical batch size from steps to a target loss.

    Fits S = S_min (1 + B_crit/B) to the runs of each model (or other group), and
    how B_crit, S_min and E_min depend on its size.

    lr tradeoff steps.csv --batch-size 512 --at model=3B
    """
    from scaling import fit_tradeoff

    if as_json and as_csv:
        raise InputError("cannot be combined with --json; leave one out", "csv")
    if not file:
        raise InputError("FILE must not be empty")
    chosen = {
        "batch_size_column": batch_size_column,
        "steps_column": steps_column,
        "group_column": group_column,
        "covariate": covariate,
    }
    found = fit_tradeoff(file, where=where, **chosen)
    groups = [_group(group, batch_size or []) for group in found.groups]
    predictions = [_prediction(found, text) for text in at or []]
    if as_csv:
        from ..report.answer import csv_text

        echo(csv_text([row for group in groups for row in _csv_rows(group)]), nl=False)
        return
    answer = {
        "source": found.source,
        "columns": found.columns,
        "guessed": [
            role for role in found.columns if not (chosen.get(role) or chosen.get(f"{role}_column"))
        ],
        "groups": groups,
        "trends": {
            name: {
                "exponent": trend.exponent,
                "interval": trend.exponent_interval(),
                "scatter": trend.scatter,
                "groups": trend.groups,
            }
            for name, trend in found.trends.items()
        },
        "predictions": predictions,
        "notes": found.notes,
    }
    if as_json:
        echo(json.dumps(_finite(answer), indent=2, allow_nan=False))
    else:
        from ..report.tradeoff import show

        show(answer)


def _group(group: "TradeoffGroup", batch_sizes: list[float]) -> dict[str, Any]:
    """What was fitted to a group, and what it predicts."""
    from scaling.numeric.laws.law import finite_or_none
    from scaling.numeric.tradeoff.tradeoff import QUANTITIES

    law = group.law
    return {
        "group": group.name,
        "covariate": group.covariate,
        "runs": group.runs,
        "batch_size_range": law and law.batch_size_range,
        **{name: law and getattr(law, name) for name in QUANTITIES},
        "intervals": law and law.parameter_intervals(),
        "error": law and finite_or_none(law.error),
        "problem": group.problem or None,
        "predictions": [_answer_at(law, batch) for batch in batch_sizes] if law else [],
    }


def _answer_at(law: "StepsLaw", batch_size: float) -> dict[str, Any]:
    from ..report.answer import positive
    from ..report.sentences import say_all

    interval = law.steps_interval(batch_size)
    return {
        "batch_size": batch_size,
        "steps": positive(law.steps(batch_size)),
        "steps_interval": interval,
        "examples": positive(law.examples(batch_size)),
        "examples_interval": interval and tuple(bound * batch_size for bound in interval),
        "warnings": say_all(law.warnings(batch_size)),
    }


def _prediction(found: "Tradeoff", text: str) -> dict[str, Any]:
    """What the trends say of a group of another size."""
    from scaling.numeric.inputs.text import parse_settings

    from ..report.answer import positive
    from ..report.sentences import say_all

    ((name, size),) = parse_settings([text], "at").items()
    covariate = found.columns.get("covariate")
    if name != covariate:
        known = f"the size of groups is {covariate}" if covariate else "groups have no size"
        raise InputError(f"nothing is known of {name}; {known}", "at")
    if not found.trends:
        raise DataError(f"{found.source}: no prediction for {text}: {found.notes[-1]}")
    return {
        "covariate": covariate,
        "size": size,
        **{name: positive(trend.value(size)) for name, trend in found.trends.items()},
        "intervals": {name: trend.interval(size) for name, trend in found.trends.items()},
        "warnings": say_all(found.warnings(size)),
    }


def _finite(value: Any) -> Any:
    """JSON has no infinity: null stands for what is infinite or absent."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv_rows(group: dict[str, Any]) -> list[dict[str, Any]]:
    """Make a row of a group, or of each of its predictions if there are any."""
    from scaling.numeric.tradeoff.tradeoff import QUANTITIES

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
