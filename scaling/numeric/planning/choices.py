"""Where runs may be made, and what they cost there: in any unit, only ratios matter."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError, InputError
from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.planning.knowledge import COLUMNS, READY, Knowledge
from scaling.numeric.planning.search import Cell
from scaling.numeric.tables.run_tables import read_runs
from scaling.numeric.tables.runs import Runs

_MOST_BATCH_SIZES = 12

#: Cost of runs by their batch sizes and covariates.
Cost = Callable[[FloatArray, Mapping[str, FloatArray]], FloatArray]

#: Powers of the batch size: every run counts the same; runs see the same examples and steps are
#: paid; runs take the same steps and examples are paid.
POWERS = {"runs": 0.0, "steps": -1.0, "examples": 1.0}


def cost_of(cost: str | npt.ArrayLike, runs: Runs | None, names: tuple[str, ...]) -> Cost:
    """Return the cost by its name, a covariate, or what the runs seen did cost.

    Parameters
    ----------
    cost : str or array_like, shape (runs,)
        One of `POWERS`, a covariate, or the costs of the runs seen: a product of powers of batch
        size and covariates is fitted to them.
    runs : Runs, optional
    names : tuple of str
        The covariates.

    Raises
    ------
    InputError
        If there is no such cost.
    DataError
        If costs are not positive.
    """
    if isinstance(cost, str):
        if cost in POWERS:
            power = POWERS[cost]
            return lambda batch, _: batch**power
        if cost in names:
            return lambda _, covariates: covariates[cost]
        known = ", ".join([*POWERS, *names])
        raise InputError(f"must be one of {known}, or a column of the runs, got {cost!r}", "cost")
    paid: Any = np.asarray(cost, dtype=float)
    if runs is None or paid.shape != runs.batch_size.shape:
        raise InputError("must be a number for each of the runs seen", "cost")
    if not ((paid > 0) & np.isfinite(paid)).all():
        raise DataError("a cost is not positive")

    def columns(batch: FloatArray, covariates: Mapping[str, FloatArray]) -> FloatArray:
        return np.log(np.stack([batch, *(covariates[name] for name in names)], axis=1))

    seen = columns(runs.batch_size, runs.covariates)
    middle, level = seen.mean(axis=0), float(np.log(paid).mean())
    # What was not varied does not enter: of all solutions the smallest.
    powers = np.linalg.lstsq(seen - middle, np.log(paid) - level, rcond=1e-9)[0]
    return lambda batch, cov: np.exp(level + (columns(batch, cov) - middle) @ powers)


def sort_out(
    known: Any, covariates: tuple[str, ...], cost: str | npt.ArrayLike
) -> tuple[Knowledge, str | npt.ArrayLike, str]:
    """Sort out what is known, and what runs cost; a cost may be a column of their table."""
    if not isinstance(cost, str):
        return Knowledge.of(known, covariates), cost, "paid"
    if cost in POWERS or cost in covariates or isinstance(known, READY):
        return Knowledge.of(known, covariates), cost, cost
    runs, said = read_runs(known, COLUMNS, (*covariates, cost))
    paid = runs.covariates[cost]
    kept = {name: runs.covariates[name] for name in covariates}
    # Without what a run did cost, which is no setting of it.
    return Knowledge(runs=replace(runs, seed=None, covariates=kept), said=said), paid, cost


@dataclass(frozen=True, eq=False)
class Choices:
    """Where runs may be made, and what they cost."""

    places: tuple[tuple[float, dict[str, float]], ...]
    costs: tuple[float, ...]
    price: dict[str, Any]
    pool: Runs | None
    eps: float

    def cells(self, runs: Runs | None) -> tuple[Cell, ...]:
        """Return the cells, with what has been run in them."""
        return tuple(
            self._cell(runs, *place, cost)
            for place, cost in zip(self.places, self.costs, strict=True)
        )

    def rows(self, runs: Runs, batch_size: float, covariates: Mapping[str, float]) -> Any:
        """Which runs are of a cell."""
        same = runs.batch_size == batch_size
        for name, value in covariates.items():
            same = same & (runs.covariates[name] == value)
        return same if runs.eps is None else same & (runs.eps == self.eps)

    def _cell(
        self, runs: Runs | None, batch_size: float, covariates: dict[str, float], cost: float
    ) -> Cell:
        allowed, seen, ceiling = None, np.empty(0), np.inf
        if self.pool is not None:
            there = self.rows(self.pool, batch_size, covariates)
            allowed = np.unique(np.log2(self.pool.learning_rate[there]))
        if runs is not None:
            there = self.rows(runs, batch_size, covariates)
            rate, diverged = np.log2(runs.learning_rate[there]), runs.diverged[there]
            seen = rate[~diverged]
            ceiling = float(rate[diverged].min(initial=np.inf))
        return Cell(batch_size, covariates, cost, seen, ceiling, allowed)


def places_of(
    known: Knowledge,
    target: tuple[float, dict[str, float]],
    sizes: Sequence[float],
    pool: Runs | None,
    *,
    priced: bool,
) -> tuple[tuple[float, dict[str, float]], ...]:
    """Cells in which runs may be made: batch sizes at settings of the covariates."""
    names = tuple(target[1])
    if pool is not None:
        rows = np.unique(
            np.column_stack([pool.batch_size, *(pool.covariates[name] for name in names)]), axis=0
        )
        return tuple((row[0], dict(zip(names, row[1:], strict=True))) for row in rows.tolist())
    tried, settings = known.tried(names)
    if priced or not settings:
        settings.append(tuple(target[1].values()))
    return tuple(
        (size, dict(zip(names, setting, strict=True)))
        for setting in dict.fromkeys(settings)
        for size in sorted(sizes or _usual_sizes(tried, target[0]))
    )


def _usual_sizes(tried: Sequence[float], target: float) -> list[float]:
    """Batch sizes tried, and powers of two from there to the target's; not too many."""
    low, high = min(*tried, target), max(*tried, target)
    down = int(np.floor(np.log2(target / low) + 1e-9))
    up = int(np.floor(np.log2(high / target) + 1e-9))
    sizes = sorted({target * 2.0**k for k in range(-down, up + 1)} | set(tried))
    if len(sizes) <= _MOST_BATCH_SIZES:
        return sizes
    kept = np.linspace(0, len(sizes) - 1, _MOST_BATCH_SIZES).round().astype(int)
    return sorted({sizes[i] for i in kept} | {target})


def prices_at(cost: Cost, places: Sequence[tuple[float, dict[str, float]]]) -> FloatArray:
    """Return what a run costs at each place."""
    sizes, settings = zip(*places, strict=True)
    columns = {name: np.array([place[name] for place in settings]) for name in settings[0]}
    return np.asarray(cost(np.array(sizes), columns))
