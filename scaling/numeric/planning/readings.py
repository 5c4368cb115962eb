"""What runs say of the law, read with more care than those of a whole sweep.

A plan begins with cells of two or three runs, whose noise and shape they cannot tell themselves:
those are read by what is usual (`Valley.read`), the others as `read_valleys` has it. A cell in
which all that is known are runs that diverged gives a bound.
"""

from collections.abc import Iterator

import numpy as np

from scaling.numeric.inference.evidence.evidence import READING, Evidence
from scaling.numeric.inference.evidence.valleys import read_valleys
from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.planning.valley import Valley
from scaling.numeric.tables.runs import Runs, cells_of

#: So many learning rates tell a cell's valley by themselves; and among other cells like it.
_ENOUGH, _ENOUGH_AMONG_OTHERS = 13, 6
#: And so many something of its curvature and noise.
_SOME = 3
#: Cells that it takes to outweigh how optima are usually read.
_CELLS = 5.0
_LOG2E = float(np.log2(np.e))


def read_careful(runs: Runs | None) -> tuple[Valley, list[Evidence]]:
    """Read runs: what valleys are like, and the optima and bounds.

    Parameters
    ----------
    runs : Runs or None
    """
    if runs is None:
        return Valley.learned(None, None), []
    if runs.diverged.all():
        return Valley.learned(None, None), list(_bounds(runs, np.empty(0, dtype=np.intp)))
    cells = cells_of(runs)
    tried = cells.rates
    optimum, below, above = np.full((3, len(cells)), np.inf)
    valley, reading = Valley.learned(None, None), READING
    told = tried >= _SOME
    if told.any():
        found = read_valleys(cells.take(told))
        valley = Valley.learned(cells.take(told), found)
        optimum[told], below[told], above[told] = found.optimum, found.below, found.above
        own = np.nan_to_num(found.reading) ** 2 * valley.cells
        reading = float(np.sqrt((own + _CELLS * READING**2) / (valley.cells + _CELLS)))
    enough = _ENOUGH if valley.cells < _CELLS else _ENOUGH_AMONG_OTHERS
    for k in np.flatnonzero(tried < enough):
        there = cells.count[k] > 0
        rate, loss, count = (x[k, there] for x in (cells.log_rate, cells.log_loss, cells.count))
        optimum[k], below[k], above[k] = valley.read(_LOG2E * rate, loss, count)
    rows = np.isfinite(below) | np.isfinite(above)
    evidence = list(_bounds(runs, np.unique(runs.cell[~runs.diverged])[rows]))
    if rows.any():
        columns = {name: cells.covariates[rows, k] for k, name in enumerate(runs.covariates)}
        rate = np.exp2(optimum[rows])
        known = below[rows], above[rows], columns, cells.eps[rows], reading
        evidence.insert(0, Evidence(cells.batch_size[rows], rate, *known))
    return valley, evidence


def _bounds(runs: Runs, read: FloatArray) -> Iterator[Evidence]:
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
