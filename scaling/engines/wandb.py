"""W&B sweeps: a multiplier of the law's learning rate, swept together with the batch size.

A W&B sweep has no parameters whose range depends on another's. So the law gives the learning rate
of each batch size, and the sweep searches the factor by which the best differs from it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from scaling.engines._engine import as_size, engine, space_of
from scaling.errors import InputError
from scaling.numeric.laws.law import Law
from scaling.numeric.laws.search_space import SearchSpace


def sweep_configuration(
    law: Law, batch_sizes: Sequence[float], *, level: float = 0.9
) -> dict[str, Any]:
    """Sweep configuration for ``wandb.sweep``.

    Parameters
    ----------
    law : Law
        A law with intervals.
    batch_sizes : sequence of float
        In the unit of the law.
    level : float, default 0.9
        Confidence level of the intervals.

    Returns
    -------
    dict
        Its parameter ``lr_multiplier`` has the smallest range that holds the interval of every
        batch size. ``program`` and ``metric`` are those of W&B's own examples; set yours.

    Raises
    ------
    DataError
        If the law has no interval that can be searched.

    Warns
    -----
    UserWarning
        If a batch size is far outside the law's range.
    """
    return _configuration([space_of(law, batch, level) for batch in batch_sizes])


def learning_rate(config: Mapping[str, Any], law: Law) -> float:
    """Learning rate of a run: ``lr_multiplier`` times the law's at ``batch_size``.

    It is also written into the configuration as ``lr``, so that the export of the sweep tells it
    and can be fitted; a multiplier alone says nothing without the law.

    Parameters
    ----------
    config : mapping
        ``wandb.config``, or anything with these two keys; one that cannot be changed is left.
    law : Law
        The law from which the sweep was made.

    Returns
    -------
    float

    Examples
    --------
    >>> from scaling import BatchSizeLaw
    >>> law = BatchSizeLaw(256, 1e-3, noise_batch_size=8000, critical_batch_size=1000)
    >>> round(learning_rate({"batch_size": 256, "lr_multiplier": 1.2}, law), 6)
    0.0012
    """
    lr = float(config["lr_multiplier"] * law.learning_rate(config["batch_size"]))
    if hasattr(config, "update"):
        config.update({"lr": lr})
    return lr


def form(spaces: Sequence[SearchSpace]) -> str:
    """Write ranges as the YAML of a W&B sweep."""
    yaml = engine("yaml", "PyYAML", "sweeps")
    lines = [
        "# lr = lr_multiplier x the law's learning rate at batch_size; log it as config.lr. It is"
    ]
    for space in spaces:
        size = as_size(space.batch_size)
        lines.append(f"#   {space.learning_rate:.6g} at batch_size {size}")
    lines += ["# Set program and metric to yours.", ""]
    text: str = yaml.safe_dump(_configuration(spaces), sort_keys=False)
    return "\n".join(lines) + text


def _configuration(spaces: Sequence[SearchSpace]) -> dict[str, Any]:
    if not spaces:
        raise InputError("must be at least one", "batch_size")
    return {
        "program": "train.py",
        "method": "bayes",
        "metric": {"name": "val_loss", "goal": "minimize"},
        "parameters": {
            "batch_size": {"values": [as_size(space.batch_size) for space in spaces]},
            "lr_multiplier": {
                "distribution": "log_uniform_values",
                "min": min(space.low / space.learning_rate for space in spaces),
                "max": max(space.high / space.learning_rate for space in spaces),
            },
        },
    }
