"""What a sweep tells: the law at its middle, how well it predicts, and what became of the runs."""

from collections.abc import Iterator
from typing import Any

from scaling.numeric.fits import SweepFit

from .answer import answers, describe
from .prose import field, formula, in_unit, landmarks, percent, wrap
from .sentences import say, say_all

_TITLES = {
    "batch_size": "batch size",
    "cell": "cell",
    "group": "group",
    "largest_third": "larger B",
}


def document(found: SweepFit, level: float) -> dict[str, Any]:
    """Return everything as JSON values."""
    middle = found.middle
    return {
        "middle": describe(middle, level) | {"definition": None},
        "setting": dict(middle.setting),
        "result": answers(middle, [middle.reference.batch_size], level)[0],
        "exponents": _exponents(found),
        **found.to_dict(),
        "said": say_all(found.said),
        "facts": say_all(found.facts()),
        "warnings": say_all(found.warnings()),
    }


def explain(found: SweepFit, level: float) -> str:
    """Answer in words: the law at the middle, how well it predicts, and where it comes from."""
    law = found.middle
    (batch, rate), (low, high) = law.reference, law.interval(law.reference.batch_size, level)
    lines = wrap(
        f"learning rate {rate:.3g} at batch size {in_unit(batch, law.provenance.unit)}, the "
        f"middle of what was tried ({100 * level:.4g}% of new sweeps: {low:.3g} to {high:.3g})",
        "",
        " " * 12,
    )
    if law.setting:
        lines += field("at", ", ".join(f"{name} = {value:.4g}" for name, value in law.setting))
    lines += list(_predicts(found))
    for fact in found.warnings():
        lines += field("WARNING", say(fact))
    lines += field("next", "lr query --law law.json --batch-size SIZE (--save law.json keeps it)")
    lines.append("")
    lines += field("law", law.provenance.description)
    lines += field("", formula(law))
    lines += landmarks(law, level)
    lines += field("varies", *_varies(found))
    lines += field("runs", *say_all((*found.said, *found.facts())))
    assumed = say_all(fact for fact in law.assumptions() if fact.key != "setting")
    lines += field("assumed", *assumed)
    return "\n".join(lines)


def _predicts(found: SweepFit) -> Iterator[str]:
    """How far optima that were left out lie from their predictions."""
    for by in ("group", "batch_size"):
        score = found.scores.get(by)
        if score is not None:
            best = score.best_baseline
            yield from field(
                "predicts",
                f"{score.count} optima, each of a {_TITLES[by]} that was left out, to "
                f"{score.rmse['law']:.2g} octave (root mean square; a factor of two is 1), the "
                f"best rule of thumb ({best}) to {score.rmse[best]:.2g}; {score.coverage:.0%} of "
                "them inside the 90% interval",
            )
            return


def _exponents(found: SweepFit) -> dict[str, dict[str, list[float]]]:
    """Median, and 90 % interval, of the exponents of each covariate."""
    return {
        quantity: {name: list(values) for name, values in by.items()}
        for quantity, by in found.law.covariate_exponents().items()
    }


def _varies(found: SweepFit) -> Iterator[str]:
    """How small batches' rates, and B_crit, vary with the covariates."""
    for quantity, by in found.law.covariate_exponents().items():
        for name, (middle, low, high) in by.items():
            yield f"{quantity} ~ {name}^{middle:+.2f} (90% interval {low:+.2f} to {high:+.2f})"


def score_table(found: SweepFit) -> Any:
    """Errors of the law and of the rules of thumb on what was left out, if anything was."""
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE,
        pad_edge=False,
        title="Errors in octaves (root mean square; a factor of two is 1) and excess loss",
        caption="Each predicts optima that it has not seen: what was left out is the column's "
        "title, larger B the largest third of the batch sizes. Excess loss: what the predictions "
        "would cost, in a valley as curved as the sweep's are.",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("", no_wrap=True)
    for by in found.scores:
        table.add_column(_TITLES[by], justify="right", no_wrap=True)
    for name in next(iter(found.scores.values())).rmse:
        cells = [
            f"{score.rmse[name]:.2f} {percent(score.excess[name], 2):>6}"
            for score in found.scores.values()
        ]
        law = name == "law"
        table.add_row("the law" if law else name, *cells, style="bold" if law else None)
    return table
