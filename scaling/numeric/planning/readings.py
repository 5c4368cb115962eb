"""What runs say of the law, read with more care than those of a whole sweep.

A plan begins with cells of two or three runs, whose noise and shape they cannot tell themselves:
those are read by what is usual (`Valley.read`), the others as `read_valleys` has it. A cell in
which all that is known are runs that diverged gives a bound.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scaling.numeric.inference.evidence.evidence import READING, Evidence
from scaling.numeric.inference.evidence.valleys import read_valleys
from scaling.numeric.inputs.arrays import BoolArray, FloatArray
from scaling.numeric.planning.valley import Reading, Valley
from scaling.numeric.tables.runs import Cells, Runs, cells_of

#: So many learning rates tell a cell's valley by themselves; and among other cells like it.
_ENOUGH, _ENOUGH_AMONG_OTHERS = 13, 6
#: Cells that it takes to outweigh how optima are usually read.
_CELLS = 5
#: Variances of log k and log(noise/k) as read from many runs.
_KNOWN = 0.04
_LOG2E = float(np.log2(np.e))

#: Batch size, covariates, epsilon.
Place = tuple[float, dict[str, float], float]


class Findings(NamedTuple):
    """What valleys are like; optima and bounds of cells; and what the target's own cell says."""

    valley: Valley
    elsewhere: list[Evidence]
    here: Evidence | None = None
    likelihood: tuple[FloatArray, FloatArray] | None = None


def read_careful(runs: Runs | None, target: Place) -> Findings:
    """Read runs.

    Parameters
    ----------
    runs : Runs or None
    target : tuple of (float, dict, float)
        Batch size, covariates and epsilon.
    """
    if runs is None:
        return Findings(Valley(), [])
    if runs.diverged.all():
        return Findings(Valley(), list(_bounds(runs, [])))
    cells = cells_of(runs)
    many = cells.rates >= _ENOUGH_AMONG_OTHERS
    if many.sum() < _CELLS:
        many = cells.rates >= _ENOUGH
    found, reading = _read_many(cells.take(many)) if many.any() else ([], READING)
    usual = Valley().learned(found)
    few = [_runs_of(cells, k) for k in np.flatnonzero(~many).tolist()]
    alone = [usual.read(*cell) for cell in few]
    told = [reading for reading, cell in zip(alone, few, strict=True) if len(cell[0]) > 1]
    # Each cell once more, by what the others are like.
    others = ([r for r in told if r is not own] for own in alone)
    among = [usual.learned(r).read(*cell) for r, cell in zip(others, few, strict=True)]
    every = np.empty((len(cells), 3))
    for rows, part in ((many, found), (~many, among)):
        every[rows] = np.reshape([reading[:3] for reading in part], (-1, 3))
    optimum, below, above = every.T
    rows = np.isfinite(below) | np.isfinite(above)
    bounds = _bounds(runs, np.unique(runs.cell[~runs.diverged])[rows])
    valley = usual.learned(told)

    def evidence(some: BoolArray) -> Iterator[Evidence]:
        if some.any():
            columns = {name: cells.covariates[some, k] for k, name in enumerate(runs.covariates)}
            known = below[some], above[some], columns, cells.eps[some], reading
            yield Evidence(cells.batch_size[some], np.exp2(optimum[some]), *known)

    own = _cell_of(cells, target, tuple(runs.covariates))
    here = next(evidence(rows & own), None)
    likelihood = (
        valley.read(*_runs_of(cells, int(np.argmax(own)))).likelihood if own.any() else None
    )
    return Findings(valley, [*evidence(rows & ~own), *bounds], here, likelihood)


def _cell_of(cells: Cells, target: Place, names: tuple[str, ...]) -> BoolArray:
    """Which of the cells is the target's."""
    batch_size, covariates, eps = target
    wanted = [covariates[name] for name in names]
    same = (cells.covariates == wanted).all(axis=1)
    return np.asarray(same & (cells.batch_size == batch_size) & (cells.eps == eps))


def _read_many(cells: Cells) -> tuple[list[Reading], float]:
    """Read cells of many runs, and how far vertices are off there."""
    found = read_valleys(cells)
    noise = np.log(found.noise / found.curvature)
    columns = found.optimum, found.below, found.above, np.log(found.curvature), noise
    readings = [
        Reading(*row[:3], (row[3], _KNOWN), (row[4], _KNOWN)) for row in zip(*columns, strict=True)
    ]
    own = np.nan_to_num(found.reading) ** 2 * len(cells)
    return readings, float(np.sqrt((own + _CELLS * READING**2) / (len(cells) + _CELLS)))


def _runs_of(cells: Cells, k: int) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    there = cells.count[k] > 0
    rate, loss, count = (x[k, there] for x in (cells.log_rate, cells.log_loss, cells.count))
    return _LOG2E * rate, loss, count, float(_LOG2E * cells.ceiling[k])


def _bounds(runs: Runs, read: npt.ArrayLike) -> Iterator[Evidence]:
    """Of the cells that were not read: the optimum is below where runs diverged."""
    bound = runs.diverged & ~np.isin(runs.cell, read)
    for cell in np.unique(runs.cell[bound]):
        there = np.flatnonzero(bound & (runs.cell == cell))
        lowest = there[np.argmin(runs.learning_rate[there])][None]
        one = np.ones(1)
        yield Evidence(
            runs.batch_size[lowest],
            runs.learning_rate[lowest],
            np.inf * one,
            READING * one,
            {name: column[lowest] for name, column in runs.covariates.items()},
            0.0 * one if runs.eps is None else runs.eps[lowest],
        )
