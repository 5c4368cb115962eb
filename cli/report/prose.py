"""A law and its answers for people, in lines that fit the terminal."""

import math
import shutil
import textwrap
from typing import Any

from scaling.data.track_record import track_record
from scaling.numeric.laws import Law

from .sentences import say

_WIDEST = 88
_MARGIN = 10

_REGIMES = {
    "sqrt": "the rate grows {} the square root of the batch",
    "linear": "the rate grows about in proportion to the batch",
    "flat": "the rate hardly changes with the batch",
    "falling": "a larger batch wants a smaller rate",
}

_ROUTES = {
    "fitted": "fitted to optima of real runs, the most reliable route",
    "measured": "from measured gradients, less reliable than a fit to a sweep",
    "assumed": "from numbers as given; a fit to a sweep (--points, lr fit) is more reliable",
}

_TRANSFER = "lr = lr_ref f(B, eps, beta1) / f(reference)"

#: The formulas of laws, by what the theory calls them.
_FORMULAS = {
    ("T-E2",): "lr = lr_inf sqrt(B (B + B_n)) / (B + B_crit)",
    ("T-E6",): f"{_TRANSFER}, uniform population",
    ("T-E6", "T-F5"): f"{_TRANSFER}, gaussian population",
    ("T-A1", "T-A2"): f"{_TRANSFER}, sketched population",
    ("T-E7",): "lr ~ (sqrt(gamma^2 + sigma^2/B) + eps) B / (B + B_crit)",
    ("T-J3",): "lr = lr_ref f(B)/f(B_ref) J1(t(B), eps)/J1(t(B_ref), eps_ref)",
    ("T-I4", "T-K1"): "lr ~ C B^(1/2) (1 + (B/B_n)^s)^(1/2s) / (1 + (B/B_crit)^s)^(1/s), by draws",
    ("T-F3",): "lr ~ tau h1(eps/tau)/h2(eps/tau) B / (B + B_crit), tau^2 = gamma^2 + sigma^2/B",
}

#: What laws rest on whose answers come from draws.
_BY_DRAWS = ("T-I4", "T-K1")

_LEFT_OUT = (
    "the theory has a quadratic loss, independent coordinates and a steady gradient, and neither "
    "weight decay nor schedule nor budget"
)


def explain(law: Law, results: list[dict[str, Any]], level: float) -> str:
    """Answer in words: each batch size, then the law, then what is taken for granted."""
    answer = _answer_by_draws if law.theory == _BY_DRAWS else _answer
    lines = [line for result in results for line in answer(law, result)]
    lines += field("route", _ROUTES[law.provenance.source])
    if law.route is not None:
        lines += field("record", say(track_record(law.route)))
    lines += field("law", law.provenance.description)
    lines += field("", formula(law))
    lines += landmarks(law, level)
    lines += field("assumed", *map(say, law.assumptions()))
    lines += field("left out", _LEFT_OUT)
    return "\n".join(lines)


def formula(law: Law) -> str:
    """Write the formula of a law, with its place in the theory."""
    return f"{_FORMULAS[law.theory]} (theory {', '.join(law.theory)})"


def _answer_by_draws(law: Law, result: dict[str, Any]) -> list[str]:
    """What to do: the rate, how to narrow it, what the rules of thumb would say."""
    low, high = result["interval"]
    head = (
        f"learning rate {result['learning_rate']:.2g} at batch size "
        f"{in_unit(result['batch_size'], law.provenance.unit)} "
        f"({100 * result['level']:.4g}% of new sweeps: {low:.2g} to {high:.2g})"
    )
    lines = wrap(head, "", " " * (_MARGIN + 2))
    lines += _eps(law, result)
    for advice in law.advice():
        lines += field("narrow", say(advice))
    return [*lines, *_rules(result), *_regime(result), *_warnings(result), ""]


def _answer(law: Law, result: dict[str, Any]) -> list[str]:
    reference = law.reference
    batch = in_unit(result["batch_size"], law.provenance.unit)
    head = f"learning rate {result['learning_rate']:.3g} at batch size {batch}"
    known = "the tuned run" if law.recipe else "the law"
    lines = wrap(head, "", " " * (_MARGIN + 2))
    lines += field(
        "ratio",
        f"{result['ratio']:.3g} x {known} at batch size {reference.batch_size:.10g} "
        f"({reference.learning_rate:.3g})",
    )
    lines += [*_eps(law, result), *_regime(result), *_rules(result)]
    lines += field(
        "cost",
        f"{_times(result['steps_factor'])} the steps of a huge batch, "
        f"{_times(result['examples_factor'])} the examples of a tiny one (by theory, T-E4)",
    )
    return [*lines, *_warnings(result), ""]


def _eps(law: Law, result: dict[str, Any]) -> list[str]:
    effect = law.eps_effect(result["batch_size"])
    return [] if effect is None else field("eps", say(effect))


def _regime(result: dict[str, Any]) -> list[str]:
    regime, exponent = result["regime"], result["exponent"]
    pace = "more slowly than" if exponent < 0.4 else "faster than" if exponent > 0.6 else "about as"
    slope = f"{exponent:+.2f}"
    said = _REGIMES["flat" if slope == "-0.00" else regime].format(pace)
    return field("regime", f"{regime}, locally lr ~ B^{slope}: {said}")


def _rules(result: dict[str, Any]) -> list[str]:
    rules = result["rules"]
    return field(
        "rules", f"sqrt would say {rules['sqrt']:.3g}, linear would say {rules['linear']:.3g}"
    )


def _warnings(result: dict[str, Any]) -> list[str]:
    return [line for text in result["warnings"] for line in field("WARNING", text)]


def landmarks(law: Law, level: float) -> list[str]:
    """Peak, critical and noise batch size, with their intervals where they are known."""
    intervals = law.parameter_intervals(level) or {}

    def known(name: str, value: float) -> str:
        return format_interval(value, intervals.get(name), level)

    peak = law.peak
    return [
        *field("shape", *map(say, law.verdicts())),
        *field(
            "peak",
            f"learning rate {peak.learning_rate:.3g} at batch size "
            + known("peak_batch_size", peak.batch_size)
            if peak
            else "none",
        ),
        *field(
            "B_crit",
            known("critical_batch_size", law.critical_batch_size)
            + ": critical batch size, where more batch begins to cost more than it saves",
        ),
        *field(
            "B_n",
            known("noise_batch_size", law.noise_batch_size)
            + ": where noise stops dominating the update",
        ),
        *_surge(law),
        *field("lr_inf", f"{law.learning_rate_limit:.3g}: the limit for a huge batch"),
    ]


def _surge(law: Law) -> list[str]:
    """Say beyond which eps the optimum no longer falls with the batch, where eps enters."""
    end = law.surge_end
    if end is None or law.statistics is None:
        return []
    if end == 0:
        return field("surge", "none at any eps")
    if math.isinf(end):
        return field("surge", "at every eps")
    multiple = end / (law.statistics.grad_rms or math.nan)
    return field(
        "surge",
        f"up to eps = {end:.3g}, {multiple:.3g} times the gradient's RMS; beyond, the best rate "
        "no longer falls as the batch grows",
    )


def format_interval(batch_size: float, interval: tuple[float, float] | None, level: float) -> str:
    """Write a batch size with its interval, if there is one."""
    if interval is None:
        return size(batch_size)
    ends = f"{size(interval[0])} to {size(interval[1])}"
    return f"{size(batch_size)} ({100 * level:.4g}% interval {ends})"


def in_unit(batch_size: float, unit: str | None) -> str:
    """Write a batch size that was given, with what it counts where that is known."""
    return f"{batch_size:.10g} {unit}" if unit else f"{batch_size:.10g}"


def percent(share: float, digits: int = 3) -> str:
    """Write a share in percent, in words where it is beyond all use."""
    if not share < 1:
        return ">100%"
    return f"{100 * share:.{digits}g}%" if share >= 1e-4 else "<0.01%"


def size(batch_size: float) -> str:
    """Three digits, and no exponent where batch sizes are usually written without."""
    if math.isinf(batch_size):
        return "infinity"
    rounded = float(f"{batch_size:.3g}")
    return f"{rounded:.10g}" if 1e-3 <= rounded < 1e9 else f"{rounded:.3g}"


def _times(factor: float | None) -> str:
    return "infinitely many times" if factor is None else f"{factor:.3g} x"


def field(name: str, *texts: str) -> list[str]:
    """Lines of paragraphs, indented; the first is named."""
    rest = " " * (_MARGIN + 2)
    named = [f"  {name}".ljust(_MARGIN + 2), *[rest] * len(texts)]
    return [
        line for text, first in zip(texts, named, strict=False) for line in wrap(text, first, rest)
    ]


def wrap(text: str, first: str, rest: str) -> list[str]:
    """Wrap to the terminal, with a prefix for the first line and for the rest."""
    width = max(min(shutil.get_terminal_size().columns, _WIDEST), 2 * _MARGIN)
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
