"""``lr tradeoff``: steps against examples, the critical batch size, and how it grows."""

from typing import Annotated, TypedDict

import typer

from scaling.errors import InputError

from ..options import BATCH_SIZE, column, takes
from ..terminal import echo, json_text


class _Columns(TypedDict, total=False):
    batch_size_column: Annotated[str, column("Batch sizes; may be products.")]
    steps_column: Annotated[str, column("Steps to the target; empty if not reached.")]
    group_column: Annotated[str, column("Groups, such as models, each fitted alone.")]
    covariate: Annotated[
        str, column("Sizes of the groups, such as 85M (default: the groups, if sizes).")
    ]


@takes("columns", _Columns)
def tradeoff(
    columns: _Columns,
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="Table of runs: CSV, JSON or Parquet."),
    ],
    batch_size: Annotated[
        list[float] | None,
        typer.Option(
            help="Predict steps and examples at this batch size; repeatable.", **BATCH_SIZE
        ),
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
) -> None:
    """Find the critical batch size from steps to a target loss.

    Fits S = S_min (1 + B_crit/B) to the runs of each model (or other group), and
    how B_crit, S_min and E_min depend on its size.

    lr tradeoff steps.csv --batch-size 512 --at model=3B
    """
    from scaling import fit_tradeoff

    from ..report.answer import csv_text
    from ..report.tradeoff import csv_rows, document, show

    if as_json and as_csv:
        raise InputError("cannot be combined with --json; leave one out", "csv")
    if not file:
        raise InputError("FILE must not be empty")
    found = fit_tradeoff(file, where=where, **columns)
    guessed = [role for role in found.columns if not {role, f"{role}_column"} & columns.keys()]
    answer = document(found, guessed, batch_size or [], at or [])
    if as_csv:
        echo(csv_text(csv_rows(answer)), nl=False)
    elif as_json:
        echo(json_text(answer))
    else:
        show(answer)
