"""The published measurements that come with the package, see their README for the sources."""

import csv
from importlib.resources import files

from scaling.numeric.tables import read_optima


def published_optima() -> tuple[list[float], list[float]]:
    """Batch sizes and best learning rates of Marek et al. (2025), arXiv 2507.07101."""
    return read_optima(str(files("scaling.data") / "marek_adam_1d.csv"))


def steps_to_target() -> dict[str, tuple[list[float], list[float]]]:
    """Batch sizes and steps to a loss by model, Zhang et al. (2024), arXiv 2410.21676."""
    return {
        model: (batch_size, steps)
        for model, (batch_size, steps) in _columns(
            "zhang_steps_to_target.csv", "model", "batch_size", "steps"
        ).items()
    }


def digits_sweep() -> dict[float, tuple[list[float], list[float], list[float]]]:
    """Batch sizes, learning rates and losses by eps, of a sweep on scikit-learn's digits."""
    names = ("batch_size", "learning_rate", "loss")
    return {
        float(eps): (batch_size, learning_rate, loss)
        for eps, (batch_size, learning_rate, loss) in _columns(
            "digits_sweep.csv", "eps", *names
        ).items()
    }


def _columns(name: str, group: str, *columns: str) -> dict[str, tuple[list[float], ...]]:
    """Columns of a table of the package, by the values of another column."""
    found: dict[str, tuple[list[float], ...]] = {}
    with (files("scaling.data") / name).open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            cells = found.setdefault(row[group], tuple([] for _ in columns))
            for cell, column in zip(cells, columns, strict=True):
                cell.append(float(row[column]))
    return found
