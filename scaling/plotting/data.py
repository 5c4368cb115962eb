"""The measurements that come with the package; see their README for the sources."""

from importlib.resources import files

import numpy as np

from scaling.numeric._arrays import FloatArray
from scaling.numeric.tables import Table, as_table, read_optima, read_table_file


def published_optima() -> tuple[list[float], list[float]]:
    """Batch sizes and best learning rates of Marek et al. (2025), arXiv 2507.07101."""
    return read_optima(_path("marek_adam_1d.csv"))


def steps_to_target() -> dict[str, tuple[FloatArray, FloatArray]]:
    """Batch sizes and steps to a loss by model, Zhang et al. (2024), arXiv 2410.21676."""
    table = read_table_file(_path("zhang_steps_to_target.csv"))
    models = np.array(table.texts("model"))
    batch_size, steps = table.numbers("batch_size"), table.numbers("steps")
    return {
        model: (batch_size[models == model], steps[models == model])
        for model in dict.fromkeys(models.tolist())
    }


def digits_sweep() -> Table:
    """Runs of a small network on scikit-learn's digits: batch size, rate, eps, seed and loss."""
    table = read_table_file(_path("digits_sweep.csv"))
    # Named for what it is rather than for where it is installed.
    columns = {name: table.numbers(name, missing=True) for name in table.names}
    return as_table(columns, source="the sweep")


def _path(name: str) -> str:
    return str(files("scaling.data") / name)
