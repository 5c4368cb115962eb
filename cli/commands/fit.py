"""``lr fit``: the law from the runs of a sweep, and how far it is to be trusted."""

from typing import Annotated, Any, TypedDict

import typer

from ..options import (
    LEVEL,
    LEVEL_OPTION,
    NOISE_SCALE,
    PRIOR,
    check_outputs,
    column,
    errors_name,
    read_prior,
    takes,
)
from ..terminal import echo, json_text, print_table, progress


class _Columns(TypedDict, total=False):
    batch_size_column: Annotated[
        str, column("Batch sizes of one step; may be a product, as a*b*8.")
    ]
    lr_column: Annotated[str, column("Learning rates.")]
    loss_column: Annotated[str, column("Final losses.")]
    eps_column: Annotated[str, column("Adam's epsilon, if varied.")]
    seed_column: Annotated[str, column("Seeds, if repeated.")]
    covariate: Annotated[
        list[str], column("What the law depends on, as model size or tokens; repeatable.")
    ]


@takes("columns", _Columns)
def fit(
    columns: _Columns,
    runs: Annotated[
        str,
        typer.Argument(
            metavar="RUNS",
            help="CSV, JSON or Parquet, one run a row, - for standard input; or a place where a "
            "tracker or a trainer keeps runs: an Optuna storage, mlruns, TensorBoard, Ray, logs.",
        ),
    ],
    study: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which study or experiment, if RUNS holds several."),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(metavar="CONDITION", help='Which rows, such as "D == 1e10".'),
    ] = None,
    noise_scale: Annotated[Any, typer.Option(**NOISE_SCALE)] = None,
    prior: Annotated[str | None, typer.Option(**PRIOR)] = None,
    level: Annotated[float, typer.Option(**LEVEL_OPTION)] = LEVEL,
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
    from scaling.numeric.tables import as_table

    from ..report.fit import document, explain, score_table

    check_outputs(save, plot)
    names: dict[str, Any] = {**columns}
    covariates = names.pop("covariate", [])
    table, believed = as_table(runs, study=study), read_prior(prior)
    with progress() as report, errors_name(table.source):
        found = fit_sweep(
            table,
            **names,
            covariates=covariates,
            where=where,
            noise_scale=noise_scale,
            prior=believed,
            progress=report,
        )
    # Before anything is printed: who reads it may close the pipe.
    if save is not None:
        save_law(found.law, save)
    if plot is not None:
        from scaling.plotting import save_figure, sweep_valleys

        save_figure(sweep_valleys(found), plot, title="Loss valleys of a sweep")
    if as_json:
        echo(json_text(document(found, level)))
    else:
        echo(explain(found, level))
        if found.scores:
            print_table(score_table(found))
