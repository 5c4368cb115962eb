"""``lr plan``: which runs to make next, for the sake of one learning rate."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling.errors import InputError

from ..options import BATCH_SIZE, NON_NEGATIVE, NUMBER, PlanOptions, takes
from ..terminal import echo, json_text

if TYPE_CHECKING:
    from scaling.numeric.planning.plan import Plan


#: More would take minutes, and be proposed from knowledge that is out of date by then.
_MOST_RUNS = 256


@takes("given", PlanOptions)
def plan(
    given: PlanOptions,
    target_batch_size: Annotated[
        float | None,
        typer.Option(help="Batch size of the run that matters; may be a product.", **BATCH_SIZE),
    ] = None,
    budget: Annotated[
        int, typer.Option(metavar="RUNS", help="How many runs to propose.", min=1, max=_MOST_RUNS)
    ] = 8,
    batch_size: Annotated[
        list[float] | None,
        typer.Option(
            help="Batch size at which runs may be made; repeatable (default: those tried, and "
            "powers of two from there to the target's).",
            **BATCH_SIZE,
        ),
    ] = None,
    cost: Annotated[
        str,
        typer.Option(
            "--cost",  # or typer 0.27 takes the metavar for its name
            metavar="COST",
            help="What runs cost: runs (all the same), steps (same examples, 1/B), examples (same "
            "steps, B), or a column of the runs.",
        ),
    ] = "runs",
    least: Annotated[
        float,
        typer.Option(
            help="Stop when a run is expected to lower the target's loss by less than this, in "
            "percent; one that costs half as much as the target's, by half of it (0.5 is about "
            "what seeds differ by).",
            **NUMBER,
        ),
    ] = 0.5,
    eps: Annotated[
        float | None, typer.Option(help="Adam's epsilon, where it was varied.", **NON_NEGATIVE)
    ] = None,
    at_once: Annotated[
        int | None,
        typer.Option(
            metavar="RUNS", help="How many runs start before any reports (default: all).", min=1
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the runs as CSV too.")
    ] = None,
    enqueue: Annotated[
        str | None,
        typer.Option(metavar="STORAGE", help="Enqueue those that start now in an Optuna study."),
    ] = None,
    study: Annotated[str | None, typer.Option(metavar="NAME", help="Its name.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Propose the runs that tell most about one learning rate, for what they cost.

    From one tuned run, or from the runs so far; add what came to the table, and call again.

    lr plan --ref-lr 3e-4 --ref-batch-size 256 --target-batch-size 4096 --cost examples

    lr plan --law runs.csv --target-batch-size 4096 --budget 4
    """
    if target_batch_size is None:
        raise InputError("missing; say for which batch size", "target_batch_size")
    if (enqueue is None) != (not study):
        raise InputError("--enqueue and --study go together", "study")
    from scaling import plan as make_plan
    from scaling.numeric.inputs.files import check_writable, write_text

    from ..report.plan import as_csv, document, explain

    check_writable(out)  # before the work
    known, around = _known(given)
    found: Plan = make_plan(
        known,
        target_batch_size,
        covariates=around,
        batch_sizes=batch_size or (),
        cost=cost,
        eps=eps,
        least=least / 100,
    )
    runs = found.preview(budget)
    now = runs[: at_once or budget]
    if out is not None:
        write_text(out, as_csv(runs))
    if enqueue is not None and study is not None:
        from scaling.engines.optuna import enqueue_runs

        enqueue_runs(now, enqueue, study)
    unit = known.provenance.unit if found.runs is None else found.runs.unit
    if as_json:
        echo(json_text(document(found, runs, len(now), unit)))
    else:
        echo(explain(found, runs, len(now), unit))


def _known(given: PlanOptions) -> tuple[Any, dict[str, float]]:
    """What there is to plan from, and the target's covariates."""
    from scaling.numeric.inputs.text import parse_settings

    source = next((name for name in ("points", "law", "ref_lr") if name in given), None)
    if source is None:
        raise InputError(
            "nothing to plan from; give a tuned run (--ref-lr, --ref-batch-size), runs or a law "
            "(--law), or a table of optima (--points)"
        )
    from ..options import make_law

    around = parse_settings(given.get("covariate", []), "covariate")
    if source != "law":
        return make_law(given), around  # type: ignore[arg-type] # a part of a law's options
    for name in given:
        if name not in {"law", "covariate"}:
            raise InputError("cannot be combined with --law; leave one out", name)
    from scaling.numeric.storage import is_law, load_law

    path = given["law"]
    return (load_law(path) if is_law(path) else path), around
