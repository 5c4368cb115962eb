"""What a law says, as JSON values."""

import math
from typing import TYPE_CHECKING, Any, TypeGuard

from scaling import TransferLaw
from scaling.errors import InputError
from scaling.numeric.laws import Law, rules_of_thumb
from scaling.numeric.laws.law import finite_or_none

if TYPE_CHECKING:
    from scaling.numeric.inference import SweepLaw


def is_swept(law: Law) -> "TypeGuard[SweepLaw]":
    """Whether a law came from the runs of a sweep; its class is imported only where it may have."""
    if isinstance(law, TransferLaw):
        return False
    from scaling.numeric.inference import SweepLaw

    return isinstance(law, SweepLaw)


def describe(law: Law) -> dict[str, Any]:
    """Describe the law itself; null stands for infinite or absent."""
    intervals = law.parameter_intervals()
    return {
        "source": law.provenance.source,
        "description": law.provenance.description,
        "moments": law.moments if isinstance(law, TransferLaw) else None,
        "reference": law.reference._asdict(),
        "noise_batch_size": finite_or_none(law.noise_batch_size),
        "critical_batch_size": finite_or_none(law.critical_batch_size),
        "learning_rate_limit": finite_or_none(law.learning_rate_limit),
        "peak_batch_size": law.peak.batch_size if law.peak else None,
        "surge_end_eps": _surge_end(law),
        "peak_learning_rate": law.peak.learning_rate if law.peak else None,
        "intervals": intervals
        and {name: [finite_or_none(x) for x in bounds] for name, bounds in intervals.items()},
        "assumptions": list(law.assumptions()),
        "definition": law.to_dict(),
    }


def _surge_end(law: Law) -> float | None:
    """Eps beyond which the optimum no longer falls with the batch; null: unknown or infinite."""
    end = law.surge_end if isinstance(law, TransferLaw) else None
    return None if end is None else finite_or_none(end)


def answers(law: Law, batch_sizes: list[float]) -> list[dict[str, Any]]:
    """Answer for each batch size."""
    rates = law.learning_rate(batch_sizes)
    exponents = law.exponent(batch_sizes)
    steps, examples = law.steps_factor(batch_sizes), law.examples_factor(batch_sizes)
    interval = law.interval(batch_sizes)
    rules = rules_of_thumb(law, batch_sizes)
    return [
        {
            "batch_size": batch,
            "eps": _eps(law),
            "learning_rate": finite(rates[i]),
            "interval": [finite_or_none(bound[i]) for bound in interval] if interval else None,
            "ratio": finite(rates[i] / law.reference.learning_rate),
            "exponent": finite(exponents[i]),
            "regime": str(law.regime(batch)),
            "steps_factor": finite_or_none(steps[i]),
            "examples_factor": finite_or_none(examples[i]),
            "rules": {name: finite(rules[name][i]) for name in ("sqrt", "linear")},
            "warnings": list(law.warnings(batch)),
        }
        for i, batch in enumerate(batch_sizes)
    ]


def _eps(law: Law) -> float | None:
    """Eps that entered, or None where the law knows of none."""
    if isinstance(law, TransferLaw):
        return law.effective_eps
    return dict(law.setting).get("eps") if is_swept(law) and law.eps_form else None


def finite(number: float) -> float:
    """Return a number that has to be finite."""
    if not math.isfinite(number):
        raise InputError("the numbers given are so large or so small that arithmetic fails on them")
    return float(number)


def csv_text(rows: list[dict[str, Any]]) -> str:
    """Write rows as comma-separated values under the names of the longest."""
    import csv
    import io

    text = io.StringIO()
    writer = csv.DictWriter(text, max(rows, key=len), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
