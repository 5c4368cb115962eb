"""The answers of `lr measure` and `lr doctor` for people."""

from collections.abc import Callable
from typing import Any

from .prose import field, percent, size, wrap

#: What T-J1 was off by on trainings of four kinds, in octaves (theory J).
_OFF = "off by 0.1 to 0.4 octave on trainings of four kinds"
_MISLEADS = (
    "take a checkpoint from the middle of the tuned run: at the start or after convergence, v "
    "misleads"
)
_NO_NOISE = (
    "a checkpoint does not tell the noise scale, which says what the batch size does: measure it "
    "while training (scaling.measure.NoiseScale)"
)


def say_checkpoint(answer: dict[str, Any]) -> str:
    """Say what epsilon does in each group of a checkpoint."""
    values = sum(group["values"] for group in answer["groups"])
    head = f"Adam's second moments in {printable(answer['source'])}: {values} values"
    if answer["batch_size"] is not None:
        head += f", at batch size {_given(answer['batch_size'])}"
    lines = wrap(head, "", "")
    for group in answer["groups"]:
        lines += field(f"group {printable(group['group'])}", _settings(group))
        lines += field("", effect(group))
        if group["zeros"] or group["left_out"]:
            lines += field("left out", _left_out(group))
    if answer["others"]:
        count = answer["others"]
        lines += field("others", f"{count} parameters have no second moment: frozen or not Adam's")
    notes = [_MISLEADS, _NO_NOISE]
    if answer["batch_size"] is not None:
        notes.insert(
            1,
            "sqrt(v) holds at this batch size; where noise dominates, it falls as 1/sqrt(B) (T-J2)",
        )
    return "\n".join([*lines, *field("note", *notes)])


def effect(group: dict[str, Any]) -> str:
    """Say what a group's epsilon does to its learning rate."""
    root = f"sqrt(v) is {group['mean_root']:.3g} on average"
    if group["eps"] is None:
        return f"{root}; what eps does needs eps (--eps)"
    share = percent(group["share_below"]) if group["share_below"] else "none"
    share += f" of the parameters have sqrt(v) below eps = {group['eps']:g}"
    if group["acts"]:
        verdict = f"eps acts; 1e-8 would want {group['to_default']:.2f} x this learning rate"
    else:
        verdict = f"eps does nothing; {group['doubling_eps']:.2g} would double the learning rate"
    return f"{root}; {share}: {verdict} (T-J1, {_OFF})"


def _settings(group: dict[str, Any]) -> str:
    names = {"lr": "learning_rate", "beta1": "beta1", "beta2": "beta2", "eps": "eps"}
    said = [f"{name} {group[key]:g}" for name, key in names.items() if group[key] is not None]
    first, last = group["steps"]
    steps = f"step {first:g}" if first == last else f"steps {first:g} to {last:g}"
    return ", ".join([*said, steps, f"{group['values']} values"])


def _left_out(group: dict[str, Any]) -> str:
    parts = []
    if group["zeros"]:
        parts.append(f"{group['zeros']} values that are 0, which never had a gradient")
    if group["left_out"]:
        parts.append(f"{group['left_out']} values that are negative, infinite or not a number")
    return " and ".join(parts)


def say_findings(findings: list[dict[str, Any]]) -> str:
    """Say each finding with its rule and how sure it is."""
    lines: list[str] = []
    for finding in findings:
        text, sure = _FINDINGS[finding["topic"]](finding["numbers"])
        mark = "WARNING: " if finding["verdict"] == "warning" else ""
        lines += wrap(finding["topic"], "", "")
        lines += wrap(mark + text, "  ", "  ")
        lines += wrap(f"({finding['source']}; {sure})", "  ", "  ")
    return "\n".join(lines)


def _eps_against_v(numbers: dict[str, Any]) -> tuple[str, str]:
    text, _, _ = effect(numbers).rpartition(" (T-J1")
    return f"In group {printable(numbers['group'])}, {text}.", _OFF


def _eps_in_precision(numbers: dict[str, Any]) -> tuple[str, str]:
    text = (
        f"The smallest number of {numbers['precision']} is {numbers['smallest']:.2g}: "
        f"eps = {numbers['eps']:g} "
    )
    if numbers["eps"] == 0:
        return "eps is 0: where v is 0, so is the denominator.", "certain"
    if numbers["eps"] <= numbers["smallest"] / 2:
        return text + "becomes 0, and where v is 0, so is the denominator.", "certain"
    return text + "is a number in it.", "certain"


def _v_in_precision(numbers: dict[str, Any]) -> tuple[str, str]:
    text = f"A step moves v by 1 - beta2 = {1 - numbers['beta2']:.2g} of its distance to the square"
    if 1 - numbers["beta2"] < numbers["least"]:
        return (
            f"{text}; {numbers['precision']} rounds away less than {numbers['least']:.2g} of v: "
            "v may rise, but never falls.",
            "certain, unless rounding is stochastic",
        )
    return f"{text}, which {numbers['precision']} resolves.", "certain"


def _half_life(numbers: dict[str, Any]) -> tuple[str, str]:
    text = f"{numbers['beta']:g} halves the weight of a gradient in {numbers['steps']:.3g} steps"
    if numbers["examples"] is not None:
        text += f", or {size(numbers['examples'])} examples at this batch size"
    return (
        f"{text}. To keep it in examples, a batch twice as large wants {numbers['doubled']:.6g}.",
        "the half-life is arithmetic; that keeping it in examples helps was seen for beta2 in "
        "language models, at small batches",
    )


def _batch_against_noise(numbers: dict[str, Any]) -> tuple[str, str]:
    if numbers["noise_scale"] is None:
        if numbers["accumulation"] > 1:
            how = f"your {numbers['accumulation']} micro-batches a step tell it for free"
        else:
            how = "two micro-batches a step, or two ranks, tell it"
        return (
            f"The noise scale is not known (--noise-scale); {how} (scaling.measure.NoiseScale).",
            "no checkpoint tells it",
        )
    return (
        f"The batch is {numbers['ratio']:.2g} x the noise scale: the best learning rate goes about "
        f"as B^{numbers['exponent']:.2f} here.",
        "about as good as the square root rule, and where that flattens; an own sweep is better",
    )


def _doubling(numbers: dict[str, Any]) -> tuple[str, str]:
    rate = numbers["learning_rate"]
    if "factor" not in numbers:
        at_most = f"at most {numbers['at_most']:.2f} x the learning rate"
        if rate is not None:
            at_most += f", {numbers['at_most'] * rate:.3g}"
        return (
            f"Batch size {_given(numbers['batch_size'])} wants {at_most}; the noise scale says how "
            "much less.",
            "where the batch is below the noise scale, and eps does not act",
        )
    text = f"Batch size {_given(numbers['batch_size'])} wants "
    text += f"{numbers['factor']:.2f} x the learning rate"
    if rate is not None:
        text += f", {numbers['factor'] * rate:.3g}"
    return f"{text}.", "0.65 octave over wide ranges of B and eps; one doubling is less far"


_FINDINGS: dict[str, Callable[[dict[str, Any]], tuple[str, str]]] = {
    "eps against sqrt(v)": _eps_against_v,
    "eps in precision": _eps_in_precision,
    "v in precision": _v_in_precision,
    "half-life of beta1": _half_life,
    "half-life of beta2": _half_life,
    "batch against noise": _batch_against_noise,
    "next doubling": _doubling,
}


def _given(batch_size: float) -> str:
    """A batch size as the user gave it, or twice that."""
    return f"{batch_size:.10g}"


def printable(text: str) -> str:
    """Text from a file, without what would steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)[:200]
