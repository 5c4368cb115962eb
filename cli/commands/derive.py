"""``lr derive``: print the derivation, check it, or export it."""

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from scaling.symbolic import Derivation, Verdict

PROCESSES = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells count


class Format(StrEnum):
    """What ``lr derive`` prints."""

    text = "text"
    latex = "latex"
    markdown = "markdown"
    json = "json"
    python = "python"
    mermaid = "mermaid"
    dot = "dot"


def derive(
    identifiers: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...", help="Steps to show, such as B9 or A1.decrease; all by default."
        ),
    ] = None,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="latex: a document, or the bare equations of the steps named; "
            "python: closed forms as functions; mermaid, dot: which step uses which.",
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

    --check prints a table of verdicts; in latex, markdown and json they
    stand in the document. Without it only the errors of the approximations are
    computed.
    """
    from scaling.symbolic import derivation

    steps = derivation().select(identifiers or [])
    if as_json:
        if form not in (Format.text, Format.json):
            raise typer.BadParameter("it contradicts --format", param_hint="'--json'")
        form, check = Format.json, True
    states_errors = form in (Format.text, Format.markdown, Format.json) or (
        form is Format.latex and not identifiers
    )
    try:
        verdicts = run(steps, check) if check or states_errors else {}
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if check and form is Format.text:
        show_table(steps, verdicts)
    else:
        unicode = (sys.stdout.encoding or "").lower().startswith("utf")
        name = "equations" if form is Format.latex and identifiers else form.value
        typer.echo(steps.render(name, verdicts, unicode=unicode).rstrip("\n"))
    failed = [verdict.id for verdict in verdicts.values() if verdict.verified is False]
    if failed:
        typer.echo(f"lr: these steps do not hold: {', '.join(failed)}", err=True)
        raise typer.Exit(1)


def run(steps: "Derivation", check: bool) -> "dict[str, Verdict]":
    """Check the steps, or only compute errors; show progress if standard error is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    verdicts = {}
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(
            "checking" if check else "measuring errors", total=len(steps.steps)
        )
        processes = PROCESSES if len(steps.steps) > 4 * PROCESSES else 1
        for verdict in steps.verdicts(processes) if check else steps.errors():
            verdicts[verdict.id] = verdict
            progress.advance(task)
    return verdicts


def show_table(steps: "Derivation", verdicts: "dict[str, Verdict]") -> None:
    """Print one row per step, then the errors of the approximations."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
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
    console = Console(width=None if sys.stdout.isatty() else 80)
    console.print(table)
    errors = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    errors.add_column("id", no_wrap=True)
    errors.add_column("error of the approximation", overflow="fold")
    for step in steps.steps:
        if verdicts[step.id].error is not None:
            errors.add_row(step.id, Text(str(verdicts[step.id].error)))
    if errors.row_count:
        console.print(errors)
    failed = [verdict for verdict in verdicts.values() if not verdict.verified]
    for verdict in failed:
        console.print(Text(f"{verdict.id} failed. {verdict.problem}".rstrip()))
    console.print(f"{len(verdicts) - len(failed)} of {len(verdicts)} steps verified")
