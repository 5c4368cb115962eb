"""``lr compare``: a law beside the rules of thumb, over a range of batch sizes."""

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling.errors import InputError

from ..options import BATCH_SIZE, LEVEL, NUMBER, LawOptions, make_law, takes
from ..terminal import echo, json_text, print_table

if TYPE_CHECKING:
    from scaling.numeric.laws import Law

#: Without a fitted range, how far to go from the reference, either way.
_REACH = 16.0

#: Columns of learning rates.
_TITLES = {"law": "law", "sqrt": "sqrt", "linear": "linear", "openai": "OpenAI", "sgd": "SGD"}


@takes("law", LawOptions, make_law)
def compare(
    law: "Law",
    min_batch_size: Annotated[
        float | None,
        typer.Option(help="Smallest batch size.", **BATCH_SIZE),
    ] = None,
    max_batch_size: Annotated[
        float | None,
        typer.Option(help="Largest batch size.", **BATCH_SIZE),
    ] = None,
    alpha: Annotated[
        float, typer.Option(help="Exponent of OpenAI's rule, from 1/2 to 1.", **NUMBER)
    ] = 0.75,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
) -> None:
    """Print a law beside the rules of thumb, over a range of batch sizes.

    All of them pass through the law's reference point. Batch sizes double over
    the range that the law was fitted on, or from 1/16 to 16 times the tuned run's.
    """
    if as_json and as_csv:
        raise InputError("cannot be combined with --json; leave one out", "csv")
    rows = _rows(law, _batch_sizes(law, min_batch_size, max_batch_size), alpha)
    if as_json:
        from ..report.answer import describe

        answer = {"law": describe(law, LEVEL), "alpha": alpha, "results": rows}
        echo(json_text(answer))
    elif as_csv:
        from ..report.answer import csv_text

        echo(csv_text(rows), nl=False)
    else:
        _print_table(law, rows, alpha)


def _batch_sizes(law: "Law", smallest: float | None, largest: float | None) -> list[float]:
    """Doublings from the smallest to the largest, both included."""
    reference = law.reference.batch_size
    low, high = law.provenance.batch_size_range or (reference / _REACH, reference * _REACH)
    low, high = smallest or low, largest or high
    if high < low:
        raise InputError(
            f"must be at least the smallest batch size, {low:g}, got {high:g}", "max_batch_size"
        )
    doublings = int(math.log2(high) - math.log2(low) + 1e-9)
    sizes = [low * 2**k for k in range(doublings + 1)]
    return sizes if math.isclose(sizes[-1], high) else [*sizes, high]


def _rows(law: "Law", batch_sizes: list[float], alpha: float) -> list[dict[str, Any]]:
    from scaling.numeric.laws import rules_of_thumb

    from ..report.answer import positive

    columns = {"law": law.learning_rate(batch_sizes)}
    columns |= rules_of_thumb(law, batch_sizes, alpha=alpha)
    return [
        {"batch_size": batch}
        | {name: positive(column[i]) for name, column in columns.items()}
        | {"regime": str(law.regime(batch))}
        for i, batch in enumerate(batch_sizes)
    ]


def _print_table(law: "Law", rows: list[dict[str, Any]], alpha: float) -> None:
    from rich import box
    from rich.table import Table

    from ..report.prose import in_unit, wrap
    from ..report.sentences import say_all

    reference, critical = law.reference, law.critical_batch_size
    level = f"level off at the law's critical batch size, {critical:.3g}"
    if not 0 < critical < math.inf:
        level = "never level off" if critical else "are level"
    table = Table(
        box=box.SIMPLE,
        title=f"Learning rate by {law.provenance.source} law and by rules of thumb",
        caption=(
            f"The rules pass through {reference.learning_rate:.3g} at batch size "
            f"{in_unit(reference.batch_size, law.provenance.unit)}. OpenAI: "
            f"alpha = {alpha:g}; it and SGD {level}."
        ),
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("batch size", justify="right", no_wrap=True)
    for title in _TITLES.values():
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("regime", no_wrap=True)
    for row in rows:
        bold = math.isclose(row["batch_size"], reference.batch_size)
        cells = [f"{row['batch_size']:.10g}", *(f"{row[name]:.3g}" for name in _TITLES)]
        table.add_row(*cells, row["regime"], style="bold" if bold else None)
    print_table(table)
    ends = [row["batch_size"] for row in (rows[0], rows[-1])]
    for text in say_all(tuple(fact for batch in ends for fact in law.warnings(batch))):
        echo("\n".join(wrap(f"WARNING: {text}", "", "  ")))
