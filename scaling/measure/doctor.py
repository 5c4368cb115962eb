"""What theory and arithmetic say about one setup of Adam: findings as numbers, without words."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from scaling.errors import InputError
from scaling.measure.checkpoints.checkpoint import Checkpoint, MeasuredGroup
from scaling.numeric.inputs.arrays import decay_rate, non_negative, positive
from scaling.numeric.inputs.display import Shown
from scaling.numeric.inputs.recipe import DEFAULT_EPS, GradientStatistics, Recipe
from scaling.numeric.laws.transfer import TransferLaw

Verdict: TypeAlias = Literal["fine", "note", "warning", "unknown"]

#: Of the floating-point types that optimizers keep their state in: half the smallest number, below
#: which a number becomes 0, and half the relative distance of neighbours.
PRECISIONS = {
    "float16": (2.0**-25, 2.0**-12),
    "bfloat16": (2.0**-134, 2.0**-9),
    "float32": (2.0**-150, 2.0**-25),
}
#: A learning rate that is wrong by less does not matter (a tenth of an octave).
_MATTERS = 2**0.1


@dataclass(frozen=True)
class Setup:
    """One setup of Adam; None where it is not known.

    Parameters
    ----------
    learning_rate, batch_size, eps, beta1, beta2, noise_scale : float, optional
        As in `Recipe` and `GradientStatistics`; the batch size is that of a step, in all.
    accumulation : int, default 1
        Micro-batches to a step.
    precision : {"float32", "bfloat16", "float16"}
        Of the optimizer's state.

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> Setup(batch_size=512, beta2=0.95).beta2
    0.95
    """

    learning_rate: float | None = None
    batch_size: float | None = None
    eps: float | None = None
    beta1: float | None = None
    beta2: float | None = None
    noise_scale: float | None = None
    accumulation: int = 1
    precision: str = "float32"

    def __post_init__(self) -> None:
        checks = {
            "learning_rate": positive,
            "batch_size": positive,
            "noise_scale": positive,
            "eps": non_negative,
            "beta1": decay_rate,
            "beta2": decay_rate,
        }
        for name, check in checks.items():
            if getattr(self, name) is not None:
                object.__setattr__(self, name, check(getattr(self, name), name))
        if not self.accumulation >= 1:
            raise InputError(f"must be at least 1, got {self.accumulation!r}", "accumulation")
        if self.precision not in PRECISIONS:
            raise InputError(
                f"must be one of {', '.join(PRECISIONS)}, got {self.precision!r}", "precision"
            )


@dataclass(frozen=True, repr=False)
class Finding(Shown):
    """One thing that can be said of a setup.

    Attributes
    ----------
    topic : str
        What it is about, such as ``"half-life of beta2"``.
    verdict : {"fine", "note", "warning", "unknown"}
    numbers : dict
        What was found.
    source : str
        The rule: a theory id, a paper, or arithmetic.
    """

    topic: str
    verdict: Verdict
    source: str
    numbers: dict[str, Any] = field(default_factory=dict)


def diagnose(setup: Setup, checkpoint: Checkpoint | None = None) -> tuple[Finding, ...]:
    """Look at one setup: epsilon, the memory of the averages, the batch, the next doubling.

    Parameters
    ----------
    setup : Setup
        What a checkpoint says as well is taken from there, from its first group.
    checkpoint : Checkpoint, optional
        Of the middle of a run.

    Returns
    -------
    tuple of Finding

    Raises
    ------
    InputError
        If the checkpoint says otherwise than the setup.

    Examples
    --------
    >>> found = diagnose(Setup(eps=1e-8, precision="float16"))
    >>> found[0].topic, found[0].verdict
    ('eps in precision', 'warning')
    """
    groups = checkpoint.groups if checkpoint else ()
    if groups:
        setup = _completed(setup, groups[0])
    findings = [_eps_against_v(group) for group in groups if not math.isnan(group.eps)]
    if setup.eps is not None:
        findings.append(_eps_in_precision(setup.eps, setup.precision))
    for name in ("beta1", "beta2"):
        beta = getattr(setup, name)
        if beta is not None:
            findings.append(_half_life(name, beta, setup))
    if setup.beta2:
        findings.append(_average_in_precision(setup.beta2, setup.precision))
    if setup.batch_size is not None:
        findings += [_batch_against_noise(setup), _doubling(setup, groups)]
    return tuple(findings)


def _completed(setup: Setup, group: MeasuredGroup) -> Setup:
    """What the checkpoint knows, too."""
    known = {}
    for name in ("learning_rate", "beta1", "beta2", "eps"):
        own, said = getattr(setup, name), getattr(group, name)
        if own is None:
            # A scheduler may have brought the learning rate down to 0.
            known[name] = (
                None if math.isnan(said) or (name == "learning_rate" and not said) else said
            )
        elif name != "learning_rate" and not math.isnan(said) and not math.isclose(own, said):
            raise InputError(f"the checkpoint says {said:g}; leave it out", name)
        else:
            known[name] = own
    return Setup(
        **known,
        batch_size=setup.batch_size,
        noise_scale=setup.noise_scale,
        accumulation=setup.accumulation,
        precision=setup.precision,
    )


def _eps_against_v(group: MeasuredGroup) -> Finding:
    found = eps_effect(group)
    acts = found["shift"] > _MATTERS
    return Finding("eps against sqrt(v)", "note" if acts else "fine", "T-J1", found)


def eps_effect(group: MeasuredGroup) -> dict[str, Any]:
    """Say what a group's epsilon does to its best learning rate (T-J1).

    Returns
    -------
    dict
        ``group``, ``eps``, ``mean_root`` (of sqrt(v_hat)), ``share_below`` (of parameters whose
        sqrt(v_hat) is below eps), ``shift`` (the factor on the best rate against eps = 0),
        ``to_default`` (that of going to eps = 1e-8), ``doubling_eps`` (which doubles the rate).
    """
    moments, eps = group.moments, group.eps
    return {
        "group": group.name,
        "eps": eps,
        "mean_root": moments.mean_root,
        "share_below": float(moments.share_below(eps)),
        "shift": float(moments.eps_shift(eps)),
        "to_default": float(moments.eps_shift(DEFAULT_EPS, eps)),
        "doubling_eps": float(moments.eps_for_shift(2.0)),
        "acts": bool(moments.eps_shift(eps) > _MATTERS),
    }


def _eps_in_precision(eps: float, precision: str) -> Finding:
    smallest, _ = PRECISIONS[precision]
    vanishes = eps <= smallest
    numbers = {"eps": eps, "precision": precision, "smallest": 2 * smallest}
    return Finding("eps in precision", "warning" if vanishes else "fine", "IEEE 754", numbers)


def _average_in_precision(beta2: float, precision: str) -> Finding:
    """An average that moves by less than half the distance of neighbours stands still."""
    _, half = PRECISIONS[precision]
    stuck = 1 - beta2 < half
    numbers = {"beta2": beta2, "precision": precision, "least": half}
    return Finding("v in precision", "warning" if stuck else "fine", "rounding", numbers)


def _half_life(name: str, beta: float, setup: Setup) -> Finding:
    """Steps, and examples, after which a gradient counts half; beta of a batch twice as large."""
    steps = math.log(2) / -math.log(beta) if beta else 0.0
    examples = None if setup.batch_size is None else steps * setup.batch_size
    numbers = {"beta": beta, "steps": steps, "examples": examples, "doubled": beta**2}
    return Finding(f"half-life of {name}", "note", "arXiv 2507.07101", numbers)


def _batch_against_noise(setup: Setup) -> Finding:
    batch_size, noise_scale = setup.batch_size, setup.noise_scale
    numbers: dict[str, Any] = {
        "batch_size": batch_size,
        "noise_scale": noise_scale,
        "accumulation": setup.accumulation,
    }
    if batch_size is None or noise_scale is None:
        return Finding("batch against noise", "unknown", "T-I2", numbers)
    law = _law(setup)
    numbers |= {
        "ratio": batch_size / noise_scale,
        "exponent": float(law.exponent(batch_size)),
        "regime": str(law.regime(batch_size)),
    }
    return Finding("batch against noise", "note", "T-I2, T-E5", numbers)


def _doubling(setup: Setup, groups: tuple[MeasuredGroup, ...]) -> Finding:
    """By how much the best learning rate changes when the batch doubles; with v by T-J3."""
    batch_size = setup.batch_size or 1.0
    numbers: dict[str, Any] = {"batch_size": 2 * batch_size, "learning_rate": setup.learning_rate}
    if setup.noise_scale is None:
        return Finding(
            "next doubling", "unknown", "T-I2, T-I3", numbers | {"at_most": math.sqrt(2)}
        )
    law = _law(setup)
    factor = float(law.learning_rate(2 * batch_size) / law.learning_rate(batch_size))
    source = "T-I2"
    if groups and setup.eps:
        moments = groups[0].moments
        doubled = moments.at_batch_size(2 * batch_size, batch_size, setup.noise_scale)
        factor *= float(doubled.eps_shift(setup.eps) / moments.eps_shift(setup.eps))
        source = "T-J3"
    return Finding("next doubling", "note", source, numbers | {"factor": factor})


def _law(setup: Setup) -> TransferLaw:
    """The transfer over many steps, in which momentum damps no noise (T-I2); eps enters by v."""
    recipe = Recipe(setup.learning_rate or 1.0, setup.batch_size or 1.0, beta1=0.0)
    return TransferLaw(recipe, GradientStatistics(noise_scale=setup.noise_scale or 1.0))
