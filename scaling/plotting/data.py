"""The measurements that come with the package; see their README for the sources."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scaling.data import load, names, path
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


@dataclass(frozen=True, eq=False)
class LabOptima:
    """What the laboratory found about one problem, a row for each setting.

    Attributes
    ----------
    settings : dict of str to ndarray, each of shape (C,)
        Columns of the table of runs: texts, or numbers.
    log_rate : ndarray, shape (C,)
        log2 of the best learning rate; NaN where there is none.
    error : ndarray, shape (C,)
        Its standard error in octaves, by the jackknife over seeds.
    noise_scale : ndarray, shape (C,)
        Measured half-way through the best run; infinite where the gradient was lost in its noise,
        NaN where it was not measured.
    second_moments : tuple of str, length C
        Likewise, as `scaling.SecondMoments.to_json`; empty where it was not measured.
    """

    settings: dict[str, npt.NDArray[Any]]
    log_rate: FloatArray
    error: FloatArray
    noise_scale: FloatArray
    second_moments: tuple[str, ...]

    def __len__(self) -> int:
        return self.log_rate.size

    @property
    def batch_size(self) -> FloatArray:
        """Batch sizes, shape (C,)."""
        return self.settings["batch_size"]

    def where(self, **setting: float | str) -> "LabOptima":
        """Select by settings, ascending in the batch size; what is not said is as in `LAB_BASE`."""
        wanted = LAB_BASE | setting
        rows = np.all([self.settings[name] == value for name, value in wanted.items()], axis=0)
        order = np.flatnonzero(rows & np.isfinite(self.log_rate))
        order = order[np.argsort(self.batch_size[order])]
        return LabOptima(
            {name: column[order] for name, column in self.settings.items()},
            self.log_rate[order],
            self.error[order],
            self.noise_scale[order],
            tuple(self.second_moments[i] for i in order),
        )


#: What `LabOptima.where` selects unless it is told otherwise.
LAB_BASE: dict[str, float | str] = {
    "decay": "linear",
    "warm_up": 0.0,
    "weight_decay": 0.0,
    "eps_inside": "False",
    "beta1": 0.9,
    "beta2": 0.999,
    "eps": 1e-8,
}
_TEXTS = ("budget", "decay", "eps_inside")
_SETTINGS = ("budget", *LAB_BASE, "batch_size")


def lab_problems() -> tuple[str, ...]:
    """Problems of the laboratory whose tables come with the package."""
    known = set(names())
    return tuple(name for name in LAB_PROBLEMS if f"lab_{name}" in known)


#: In the order in which they are shown.
LAB_PROBLEMS = ("logistic", "network", "transformer")


def lab_optima(problem: str) -> LabOptima:
    """Read the best learning rates of all settings off the laboratory's runs.

    Parameters
    ----------
    problem : str
        One of `lab_problems`.

    Returns
    -------
    LabOptima

    Notes
    -----
    An optimum is the vertex of a parabola through the log of the mean loss (or of the steps to the
    target) at the best learning rate and the two on each side, half an octave apart.

    Examples
    --------
    >>> found = lab_optima("logistic").where(budget="examples")
    >>> found.batch_size[:4].tolist()
    [1.0, 2.0, 4.0, 8.0]
    """
    table = load(f"lab_{problem}")
    rows: dict[tuple[str, ...], list[int]] = {}
    for row, setting in enumerate(_settings_of(table)):
        rows.setdefault(setting, []).append(row)
    rate, seed = np.log2(table.numbers("learning_rate")), table.numbers("seed")
    by_steps = np.array(table.texts("budget")) == "target"
    loss, steps = (table.numbers(name, missing=True) for name in ("loss", "steps"))
    value = np.log(np.where(by_steps, steps, loss))
    optima = np.array([_optimum(rate[at], seed[at], value[at]) for at in rows.values()])
    half = load(f"lab_{problem}_measured").where("fraction == 0.5")
    scale, moments = half.numbers("noise_scale"), half.texts("second_moments")
    measured = dict(zip(_settings_of(half), zip(scale, moments, strict=True), strict=True))
    found = [measured.get(setting, (np.nan, "")) for setting in rows]
    return LabOptima(
        {
            name: np.array(column, dtype=str if name in _TEXTS else float)
            for name, column in zip(_SETTINGS, zip(*rows, strict=True), strict=True)
        },
        optima[:, 0],
        optima[:, 1],
        np.array([np.inf if scale <= 0 else scale for scale, _ in found]),
        tuple(text for _, text in found),
    )


def _settings_of(table: Table) -> list[tuple[str, ...]]:
    return list(zip(*(table.texts(name) for name in _SETTINGS), strict=True))


def _optimum(rate: FloatArray, seed: FloatArray, value: FloatArray) -> tuple[float, float]:
    """Vertex of one setting's valley, log2, and its standard error."""
    rates, column = np.unique(rate, return_inverse=True)
    seeds, row = np.unique(seed, return_inverse=True)
    grid = np.full((seeds.size, rates.size), np.inf)
    grid[row, column] = np.where(np.isfinite(value), value, np.inf)
    left_out = [_vertex(rates, np.delete(grid, i, axis=0).mean(axis=0)) for i in range(seeds.size)]
    return _vertex(rates, grid.mean(axis=0)), float(np.std(left_out)) * (seeds.size - 1) ** 0.5


def _vertex(rate: FloatArray, value: FloatArray) -> float:
    """Where a parabola through the lowest value and two neighbours on each side is least."""
    best = int(np.argmin(value))
    for reach in (2, 1):  # one neighbour where the next is missing or diverged
        near = slice(max(0, best - reach), best + reach + 1)
        if value[near].size == 2 * reach + 1 and np.isfinite(value[near]).all():
            x = rate[near] - rate[best]
            curvature, slope, _ = np.polyfit(x, value[near], 2)
            return float(rate[best] + np.clip(-slope / (2 * curvature), x[0], x[-1]))
    return float("nan")
