"""What a transfer law takes for granted, and when not to trust it, in words."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scaling.numeric.laws.transfer import TransferLaw

_POPULATIONS = {
    "uniform": "every coordinate alike",
    "gaussian": "gradients of the coordinates drawn from a Gaussian, equal noise",
}


def assumptions(law: "TransferLaw") -> tuple[str, ...]:
    """Say where the statistics come from, and what the update and its epsilon are."""
    statistics, model, eps = law.statistics, law.model, law.eps or 0.0
    said = [
        f"noise scale {statistics.noise_scale:g}: {law.provenance.source}, with no error bar, "
        "hence no interval",
        f"{_coordinates(law)}, curvature ratio R0 = {statistics.curvature_ratio:g}"
        + (" (diagonal Hessian)" if statistics.curvature_ratio == 1 else ""),
        f"{_decay_rates(law)}; update: {model.summary} ({model.theory})",
    ]
    if model.eps == "absent":
        said.append(why_eps_is_left_out(law))
    elif not law.eps_enters:
        said.append(
            f"eps -> 0: eps = {eps:g} cannot enter, {why_eps_is_left_out(law)}; "
            "that is harmless while eps is far below the gradient's RMS"
        )
    else:
        said.append(
            f"eps = {eps:g} {model.eps} the root, {law.eps_ratio(eps):.3g} times the gradient's "
            f"RMS {statistics.grad_rms:g}"
        )
    return tuple(said)


def eps_warnings(law: "TransferLaw", batch_size: float) -> list[str]:
    """Say where a change of epsilon is left out, and where epsilon is large."""
    target, reference = law.eps or 0.0, law.recipe.eps
    said = []
    if target != reference and not law.eps_enters:
        said.append(
            f"the change of eps from {reference:g} to {target:g} is left out: "
            f"{why_eps_is_left_out(law)}"
        )
    said += _large_eps(law, "eps", target, batch_size)
    if target != reference:
        said += _large_eps(law, "the reference's eps", reference, law.recipe.batch_size)
    return said


def why_eps_is_left_out(law: "TransferLaw") -> str:
    """Say why epsilon does not enter."""
    if law.model.eps == "absent":
        return f"moments '{law.moments}' have no eps"
    return "the gradient's RMS is not given"


def _large_eps(law: "TransferLaw", name: str, eps: float, batch_size: float) -> list[str]:
    """Say what it means that eps is as large as the gradient, if it is."""
    ratio = float(law.eps_ratio(eps))
    if ratio < 1:
        return []
    # What eps competes with is the batch gradient, noise included.
    noisy = ratio / float(np.hypot(1, np.sqrt(law.statistics.noise_scale / batch_size)))
    said = f"{name} is {ratio:.3g} times the gradient's RMS"
    if noisy >= 1:
        return [
            f"{said}: Adam divides by little else and acts as SGD with momentum, its best "
            "learning rate growing in proportion to eps"
        ]
    return [
        f"{said}, though only {noisy:.2g} times that of the noisy batch gradient: with larger "
        "batches Adam comes to act as SGD with momentum"
    ]


def _coordinates(law: "TransferLaw") -> str:
    """Say how the coordinates differ."""
    if isinstance(law.population, str):
        return _POPULATIONS[law.population]
    return "; ".join(law.population.describe())


def _decay_rates(law: "TransferLaw") -> str:
    """Say the optimizer, but for its epsilon."""
    said = f"beta1 = {law.beta1:g}"
    if law.beta2 is not None and law.step is not None:
        when = "stationary averages" if np.isinf(law.step) else f"step {law.step:.10g}"
        said += f", beta2 = {law.beta2:g}, {when}"
    return said
