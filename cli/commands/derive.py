"""``lr derive``: print the derivation, check it, or export it."""

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ..terminal import console, echo, progress

if TYPE_CHECKING:
    from rich.table import Table

    from scaling.symbolic import Derivation, Verdict

PROCESSES = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells count


class Format(StrEnum):
    """What ``lr derive`` prints."""

    text = "text"
    markdown = "markdown"
    latex = "latex"
    json = "json"


def derive(
    identifiers: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...",
            help="Statements to show, such as B9, T-B9 or A1.decrease; all by default.",
        ),
    ] = None,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="markdown: with a graph of which step uses which; "
            "latex: a document, or the bare equations of the steps named.",
        ),
    ] = Format.text,
    check: Annotated[
        bool,
        typer.Option("--check", help="Derive every step again; exit with 1 if one fails."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Check, and print a JSON list of the steps.")
    ] = False,
) -> None:
    """Print the derivation of the laws, every step with how it was obtained.

    --check prints a table of verdicts; in latex, markdown and json they are
    part of the document. Without it only the errors of approximations are
    computed.
    """
    from scaling.symbolic import derivation
    from scaling.symbolic.render.forms import render

    if as_json:
        if form not in (Format.text, Format.json):
            raise typer.BadParameter("it contradicts --format", param_hint="'--json'")
        form, check = Format.json, True
    steps = derivation().select(identifiers or [])
    bare = form is Format.latex and bool(identifiers)
    verdicts = run(steps, check) if check or not bare else {}
    if check and form is Format.text:
        show_table(steps, verdicts)
    else:
        unicode = (sys.stdout.encoding or "").lower().startswith("utf")
        name = "equations" if bare else form.value
        echo(render(steps, name, verdicts, unicode=unicode).rstrip("\n"))
    _exit_if_failed(verdicts)


def _exit_if_failed(verdicts: "dict[str, Verdict]") -> None:
    failed = [verdict.id for verdict in verdicts.values() if verdict.verified is False]
    if failed:
        echo(f"lr: these steps do not hold: {', '.join(failed)}", err=True)
        raise typer.Exit(1)


def run(steps: "Derivation", check: bool) -> "dict[str, Verdict]":
    """Check the steps, or only compute errors; show progress if standard error is a terminal."""
    what, number = "checking" if check else "measuring errors", len(steps.steps)
    processes = PROCESSES if number > 4 * PROCESSES else 1
    verdicts = {}
    with progress() as report:
        try:
            for verdict in steps.verdicts(processes) if check else steps.errors():
                verdicts[verdict.id] = verdict
                report(what, len(verdicts), number)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
    return verdicts


def show_table(steps: "Derivation", verdicts: "dict[str, Verdict]") -> None:
    """Print one row per step, then the errors of the approximations, then what failed."""
    from rich.text import Text

    here = console(width=None if sys.stdout.isatty() else 80)
    here.print(verdict_table(steps, verdicts))
    errors = new_table()
    errors.add_column("id", no_wrap=True)
    errors.add_column("error of the approximation", overflow="fold")
    for verdict in verdicts.values():
        if verdict.error is not None:
            errors.add_row(verdict.id, Text(str(verdict.error)))
    if errors.row_count:
        here.print(errors)
    failed = [verdict for verdict in verdicts.values() if not verdict.verified]
    for verdict in failed:
        here.print(f"{verdict.id} failed. {verdict.problem}".rstrip())
    here.print(f"{len(verdicts) - len(failed)} of {len(verdicts)} steps verified")


def verdict_table(steps: "Derivation", verdicts: "dict[str, Verdict]") -> "Table":
    """Return a table with one row per step."""
    from rich.text import Text

    table = new_table()
    table.add_column("id", no_wrap=True)
    table.add_column("statement", ratio=3, overflow="fold")
    table.add_column("kind", no_wrap=True)
    table.add_column("method", ratio=2, overflow="fold")
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for step in steps.steps:
        verdict = verdicts[step.id]
        table.add_row(
            step.id,
            Text(step.title),
            "approx." if step.kind == "approximation" else "exact",
            Text(step.method if step.route == "derived" else f"verified: {step.method}"),
            f"{verdict.seconds:.1f}",
            "ok" if verdict.verified else "FAIL",
        )
    return table


def new_table() -> "Table":
    """Return an empty table in the style of this command."""
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
