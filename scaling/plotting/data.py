"""The measurements that come with the package; see their README for the sources."""

import numpy as np

from scaling.data import load, path
from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.tables.table import Table, as_table, read_optima


def published_optima() -> tuple[list[float], list[float]]:
    """Batch sizes and best learning rates of Marek et al. (2025), arXiv 2507.07101."""
    return read_optima(path("marek_adam_1d"))


def steps_to_target() -> dict[str, tuple[FloatArray, FloatArray]]:
    """Batch sizes and steps to a loss by model, Zhang et al. (2024), arXiv 2410.21676."""
    table = load("zhang_steps_to_target")
    models = np.array(table.texts("model"))
    batch_size, steps = table.numbers("batch_size"), table.numbers("steps")
    return {
        model: (batch_size[models == model], steps[models == model])
        for model in dict.fromkeys(models.tolist())
    }


def digits_sweep() -> Table:
    """Runs of a small network on scikit-learn's digits: batch size, rate, eps, seed and loss."""
    table = load("digits_sweep")
    # Named for what it is rather than for where it is installed.
    columns = {name: table.numbers(name, missing=True) for name in table.names}
    return as_table(columns, source="the sweep")
