"""``lr fit``: the law from the runs of a sweep, and how far it is to be trusted."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..terminal import echo, print_table

if TYPE_CHECKING:
    from scaling.numeric.fits import SweepFit, SweepLaw

INTERRUPTED = 130  # 128 + SIGINT, as shells count
_DEFAULT_REPLICATES = 200

_COLUMN: dict[str, Any] = {
    "metavar": "COLUMN",
    "rich_help_panel": "Columns, guessed where unambiguous",
}

_VERDICTS = {
    "supported": "the data support a surge: beyond a peak, larger batches want smaller rates",
    "denied": "the data deny a surge: the rate levels off and does not fall",
    "undetermined": "the data do not say whether the rate falls beyond a peak",
}


def fit(
    runs: Annotated[
        str, typer.Argument(metavar="RUNS", help="CSV, JSON or Parquet, one run a row.")
    ],
    batch_size_column: Annotated[str | None, typer.Option(help="Batch sizes.", **_COLUMN)] = None,
    lr_column: Annotated[str | None, typer.Option(help="Learning rates.", **_COLUMN)] = None,
    loss_column: Annotated[str | None, typer.Option(help="Final losses.", **_COLUMN)] = None,
    eps_column: Annotated[
        str | None, typer.Option(help="Adam's epsilon, if varied.", **_COLUMN)
    ] = None,
    seed_column: Annotated[str | None, typer.Option(help="Seeds, if repeated.", **_COLUMN)] = None,
    covariate: Annotated[
        list[str] | None,
        typer.Option(
            help="What the law depends on, as model size or tokens; repeatable.", **_COLUMN
        ),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(metavar="CONDITION", help='Which rows, such as "D == 1e10".'),
    ] = None,
    replicates: Annotated[
        int,
        typer.Option(metavar="NUMBER", help="Bootstrap replicates behind the intervals.", min=0),
    ] = _DEFAULT_REPLICATES,
    save: Annotated[
        str | None, typer.Option(metavar="FILE", help="Save the law, for --law.")
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Draw runs and law, the loss valleys, as .png, .svg or .pdf."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fit the law to the runs of your own sweep.

    The loss of a run that diverged is nan, inf or left empty.

    lr fit runs.csv --covariate N --covariate D --save law.json

    lr query --law law.json --covariate N=1e9 --covariate D=2e10 --batch-size 512
    """
    from scaling import fit_sweep, save_law
    from scaling.numeric.inputs.files import check_writable

    check_writable(save)  # before the work
    if plot is not None:
        from scaling.plotting.saving import figure_format

        figure_format(plot, "plot")
        check_writable(plot)
    found: SweepFit | None = None
    interrupted = False
    try:
        with _progress() as report:
            found = fit_sweep(
                runs,
                batch_size_column=batch_size_column,
                lr_column=lr_column,
                loss_column=loss_column,
                eps_column=eps_column,
                seed_column=seed_column,
                covariates=covariate or [],
                where=where,
                replicates=0,
                progress=report,
            )
            for step in found.resampled(replicates):
                found = step
                report("bootstrap", len(found.law.replicates), replicates)
    except KeyboardInterrupt:
        interrupted = True
    if found is None:
        echo("lr: interrupted before the law was fitted; nothing is written", err=True)
        raise typer.Exit(INTERRUPTED)
    if as_json:
        echo(json.dumps(_document(found, interrupted), indent=2, allow_nan=False))
    else:
        _print(found)
    if interrupted:
        done = len(found.law.replicates)
        echo(
            f"lr: interrupted after {done} of {replicates} replicates: the intervals are not "
            "finished, and no law file is written",
            err=True,
        )
        raise typer.Exit(INTERRUPTED)
    if save is not None:
        save_law(found.law, save)
    if plot is not None:
        from scaling.plotting import save_figure, sweep_valleys

        save_figure(sweep_valleys(found), plot, title="Loss valleys of a sweep")


@contextmanager
def _progress() -> Iterator[Any]:
    """Show on a terminal how far the work has come."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks: dict[str, Any] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done)

        yield report


def _document(found: "SweepFit", interrupted: bool) -> dict[str, Any]:
    from ..report.answer import describe

    return {
        "interrupted": interrupted,
        "replicates": len(found.law.replicates),
        "middle": describe(middle_of(found.law)) | {"definition": None},
        **found.to_dict(),
    }


def middle_of(law: "SweepLaw") -> "SweepLaw":
    """Return the law at the middle of its covariates, and the smallest eps tried."""
    setting = {covariate.name: covariate.middle for covariate in law.covariates}
    if law.eps_range is not None:
        setting["eps"] = law.eps_range[0]
    return law.at(**setting)


def _print(found: "SweepFit") -> None:
    from ..report.prose import field, wrap

    law = middle_of(found.law)
    lines = wrap(law.provenance.description, "", "  ")
    for i, text in enumerate(found.said):
        lines += field("" if i else "runs", text)
    lines += field("fitted", found.chosen.name)
    lines.append("")
    where = ", ".join(f"{name} = {value:.4g}" for name, value in law.setting)
    lines += wrap(f"The law{f' at {where}' if where else ''}", "", "  ")
    lines += list(_law_lines(law))
    lines += _exponents(law)
    lines += field("surge", f"{_VERDICTS[found.surge.verdict]} ({_evidence(found)})")
    for text in found.warnings:
        lines += field("WARNING", text)
    echo("\n".join(lines))
    _print_table(found)


def _law_lines(law: "SweepLaw") -> Iterator[str]:
    from ..report.prose import field, format_interval, size

    batch, rate = law.reference
    interval = law.interval(batch)
    bounds = f" (95% interval {interval[0]:.3g} to {interval[1]:.3g})" if interval else ""
    yield from field("lr", f"{rate:.3g} at batch size {size(batch)}{bounds}")
    peak = law.peak
    intervals = law.parameter_intervals() or {}
    if peak:
        text = f"learning rate {peak.learning_rate:.3g} at batch size " + format_interval(
            peak.batch_size, intervals.get("peak_batch_size")
        )
        yield from field("peak", text)
    for name, title in (("critical_batch_size", "B_crit"), ("noise_batch_size", "B_n")):
        yield from field(title, format_interval(getattr(law, name), intervals.get(name)))


def _exponents(law: "SweepLaw") -> list[str]:
    """How lr_inf, B_crit and B_n/B_crit vary with the covariates."""
    from ..report.prose import field

    parameters = dict(law.parameters)
    lines: list[str] = []
    for kind, title in (("scale", "lr_inf"), ("critical", "B_crit"), ("ratio", "B_n/B_crit")):
        powers = [
            f"{c.name}^{parameters[f'{kind}:{c.name}']:+.2f}"
            for c in law.covariates
            if f"{kind}:{c.name}" in parameters
        ]
        if powers:
            lines += field("" if lines else "varies", f"{title} ~ {' '.join(powers)}")
    return lines


def _evidence(found: "SweepFit") -> str:
    from ..report.prose import size

    surge = found.surge
    low, high = surge.ratio_interval
    where = " at eps = 0" if found.law.eps_form else ""
    return (
        f"B_n/B_crit = {size(surge.ratio)}{where}, 90% interval {size(low)} to {size(high)}; "
        f"a surge needs more than 2; deviance {surge.evidence:.1f} where {surge.needed:.1f} "
        "would do"
    )


def _print_table(found: "SweepFit") -> None:
    from rich import box
    from rich.table import Table

    from ..report.prose import percent

    table = Table(
        box=box.SIMPLE,
        pad_edge=False,
        title="Errors in octaves (root mean square; a factor of two is 1) and loss regret",
        caption="Each predicts optima that it was not fitted to: of cells, of whole groups, of the "
        "largest third of the batch sizes. Regret: mean excess over the best loss measured.",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("", no_wrap=True)
    for name in ("cell", "regret", "group", "regret", "larger B", "AIC"):
        table.add_column(name, justify="right", no_wrap=True)
    for standing in (found.chosen, *found.competitors):
        scores = standing.scores
        cells = ["-", "-", "-", "-", "-"]
        for k, errors in ((0, scores.cell), (2, scores.group), (4, scores.extrapolation)):
            if errors is not None and errors.count:
                cells[k] = f"{errors.rmse:.3f}"
                if k < 4:  # the last has no room for its regret
                    cells[k + 1] = percent(errors.regret)
        chosen = standing is found.chosen
        table.add_row(
            "the law" if chosen else standing.name,
            *cells,
            f"{standing.fitted.aic:.1f}",
            style="bold" if chosen else None,
        )
    print_table(table)
