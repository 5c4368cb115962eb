"""A law and its answers, as JSON values."""

import math
import sys
from typing import Any

from scaling.numeric.inputs.text import csv_cell
from scaling.numeric.laws import Law, rules_of_thumb
from scaling.numeric.laws.law import finite_or_none

from .sentences import say_all


def describe(law: Law, level: float) -> dict[str, Any]:
    """Describe the law itself."""
    intervals, peak, end = law.parameter_intervals(level), law.peak, law.surge_end
    return {
        "source": law.provenance.source,
        "description": law.provenance.description,
        "unit": law.provenance.unit,
        "moments": law.model.name if law.model else None,
        "reference": law.reference._asdict(),
        "noise_batch_size": law.noise_batch_size,
        "critical_batch_size": law.critical_batch_size,
        "learning_rate_limit": law.learning_rate_limit,
        "peak_batch_size": peak.batch_size if peak else None,
        "surge_end_eps": end,  # null: unknown, or at every eps
        "peak_learning_rate": peak.learning_rate if peak else None,
        "intervals": intervals,
        "level": level,
        "verdicts": say_all(law.verdicts()),
        "assumptions": say_all(law.assumptions()),
        # Draws are for files, which --save writes.
        "definition": {name: x for name, x in law.to_dict().items() if name != "posterior"},
    }


def answers(law: Law, batch_sizes: list[float], level: float) -> list[dict[str, Any]]:
    """Answer for each batch size."""
    rates = law.learning_rate(batch_sizes)
    exponents = law.exponent(batch_sizes)
    steps, examples = law.steps_factor(batch_sizes), law.examples_factor(batch_sizes)
    intervals = {
        "interval": law.interval(batch_sizes, level),
        "law_interval": law.law_interval(batch_sizes, level),
    }
    rules = rules_of_thumb(law, batch_sizes)
    return [
        {
            "batch_size": batch,
            "eps": law.effective_eps,
            "learning_rate": positive(rates[i]),
            **{
                name: [finite(bound[i]) for bound in bounds] if bounds else None
                for name, bounds in intervals.items()
            },
            "level": level,
            "ratio": positive(rates[i] / law.reference.learning_rate),
            "exponent": finite(exponents[i]),
            "regime": str(law.regime(batch)),
            "steps_factor": finite_or_none(steps[i]),
            "examples_factor": finite_or_none(examples[i]),
            "rules": {name: positive(rules[name][i]) for name in ("sqrt", "linear")},
            "warnings": say_all(law.warnings(batch)),
        }
        for i, batch in enumerate(batch_sizes)
    ]


def finite(number: float) -> float:
    """Return a number that has to be finite; `main` says what it means if it is not."""
    if not math.isfinite(number):
        raise ArithmeticError
    return float(number)


def positive(number: float) -> float:
    """Return a number that has to be positive, and neither overflow nor underflow."""
    if not sys.float_info.min <= number < math.inf:
        raise ArithmeticError
    return float(number)


def csv_text(rows: list[dict[str, Any]]) -> str:
    """Write rows as comma-separated values under the names of the longest.

    A cell is empty where JSON has null: for what is infinite or absent.
    """
    import csv
    import io

    text = io.StringIO()
    writer = csv.DictWriter(text, max(rows, key=len), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        known = {name: x for name, x in row.items() if not (isinstance(x, float) and math.isinf(x))}
        writer.writerow({name: csv_cell(value) for name, value in known.items()})
    return text.getvalue()
