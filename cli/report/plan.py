"""A plan: what is known, the runs that are proposed, and when to stop."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from scaling.numeric.planning.plan import Plan, Proposal

from .prose import field, in_unit, wrap
from .sentences import say, say_all


def document(plan: Plan, runs: Sequence[Proposal], now: int, unit: str | None) -> dict[str, Any]:
    """Return everything as JSON values."""
    return {
        "target": {"batch_size": plan.batch_size, **plan.covariates},
        "unit": unit,
        "learning_rate": plan.learning_rate,
        "interval": list(plan.interval),
        "excess_loss": plan.excess_loss,
        "least": plan.least,
        "start_now": now,
        "paying": paying(runs),
        "runs": [run._asdict() for run in runs],
        "facts": say_all(plan.facts()),
    }


def as_csv(runs: Sequence[Proposal]) -> str:
    """Write the runs as a table whose losses are to be filled in."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    names = list(runs[0].covariates) if runs else []
    writer.writerow(["batch_size", "learning_rate", "seed", *names, "loss"])
    for run in runs:
        around = [f"{run.covariates[name]:.10g}" for name in names]
        settings = [f"{run.batch_size:.10g}", f"{run.learning_rate:.10g}", f"{run.seed}"]
        writer.writerow([*settings, *around, ""])
    return file.getvalue()


def paying(runs: Sequence[Proposal]) -> int:
    """How many of the first runs are expected to be worth what they cost."""
    return next((i for i, run in enumerate(runs) if not run.pays), len(runs))


def explain(plan: Plan, runs: Sequence[Proposal], now: int, unit: str | None) -> str:
    """Answer in words: today's best guess, what it loses, what to run."""
    low, high = plan.interval
    lines = wrap(
        f"learning rate {plan.learning_rate:.3g} at batch size {in_unit(plan.batch_size, unit)} is "
        f"today's best guess (90% of new sweeps: {low:.3g} to {high:.3g})",
        "",
        " " * 12,
    )
    lines += field("excess", _excess(plan))
    lines += field("next", _next(plan, runs, now))
    lines += ["", *_table(plan, runs, now), ""]
    lines += field("from", *map(say, plan.facts()))
    text = "each row holds once it and those above it have reported; x is the interval's width"
    lines += field("read", text)
    return "\n".join(lines)


def _excess(plan: Plan) -> str:
    return f"run so, the loss is expected to be {_percent(plan.excess_loss)} above its least"


def _next(plan: Plan, runs: Sequence[Proposal], now: int) -> str:
    """What to do, and when to stop."""
    count = paying(runs)
    if not runs:
        return "nothing can be run"
    if not count:
        return (
            f"stop: another run is expected to lower the loss by less than "
            f"{_percent(plan.least)} times its cost; those below tell most for what they cost"
        )
    first = min(now, count)
    many = "the first" if first == 1 else f"the first {first}"
    start = f"start {many} now, then plan again with what came"
    if count < len(runs):
        return f"{start}; beyond the first {count}, runs gain too little"
    return start


def _table(plan: Plan, runs: Sequence[Proposal], now: int) -> list[str]:
    """Columns that fit 80 characters."""
    names = list(plan.covariates)
    heads = ["", "batch size", *names, "lr", "seed", "cost", "interval", "x", "excess", "pays"]
    low, high = plan.interval
    rows = [["now", "", *("" for _ in names), "", "", "", *_end(low, high, plan.excess_loss), ""]]
    for i, run in enumerate(runs, start=1):
        around = (f"{run.covariates[name]:.4g}" for name in names)
        settings = f"{run.batch_size:.10g}", *around, f"{run.learning_rate:.3g}", f"{run.seed}"
        end = _end(run.low, run.high, run.excess_loss)
        row = [f"{i}", *settings, f"{run.cost:.3g}", *end, "yes" if run.pays else "no"]
        rows.append(row)
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    text = [
        "  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in [heads, *rows]
    ]
    if now < len(runs):
        text.insert(2 + now, "-- then, if what comes is as expected:")
    return text


def _end(low: float, high: float, excess: float) -> list[str]:
    return [f"{low:.2g} to {high:.2g}", f"{high / low:.2g}", _percent(excess)]


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
