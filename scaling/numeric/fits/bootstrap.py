"""Replicates of a fitted law: what it might have been, had the runs come out otherwise.

Each replicate is a whole new sweep under the fitted law. The losses are the fitted valleys plus
errors drawn anew from those seen: by seed, where there are seeds (all runs of a seed in a cell
change sign together), else run by run. The optima lie about the law as the real ones do, each
cell and each group with a departure of its own; how large departures are is itself drawn, from
its likelihood. A law that is wrong departs from its cells by more than they can err, so it gets
wider intervals.
"""

from collections.abc import Iterator

import numpy as np

from scaling.numeric.fits.fitting import Fitted
from scaling.numeric.fits.likelihood import SCATTERS, TAILS, best_of, fold, minimise
from scaling.numeric.inputs.arrays import FloatArray

#: Replicates that are made at once.
CHUNK = 20
_SEED = 20240611
_FEWEST_GROUPS = 4


def resample(fitted: Fitted, count: int) -> Iterator[FloatArray]:
    """Yield replicates of the parameters, shape (R, P), in chunks of at most `CHUNK`.

    Parameters
    ----------
    fitted : Fitted
    count : int
        How many in all.
    """
    rng = np.random.default_rng(_SEED)
    starts = np.concatenate([fitted.theta[None], fitted.starts()])
    among = group_scatter(fitted)
    valleys, predicted = fitted.valleys, fitted.predicted
    _, group = np.unique(valleys.cells.group, return_inverse=True)
    for first in range(0, count, CHUNK):
        rows = min(CHUNK, count - first)
        level = rng.choice(SCATTERS.size, rows, p=fitted.scatter_weights)
        total = SCATTERS[level]
        freedom = max(group.max() - fitted.design.z.shape[1], 1)
        between = among * np.sqrt(freedom / rng.chisquare(freedom, rows))
        between = np.minimum(between, total)
        within = np.sqrt(np.maximum(total**2 - between**2, (0.2 * total) ** 2))
        moved = within[:, None] * rng.standard_t(TAILS, (rows, predicted.size))
        moved += between[:, None] * rng.normal(size=(rows, group.max() + 1))[:, group]
        # A bound stays where the grid ends; a known optimum moves to the law, and off it.
        shift = np.where(valleys.known, predicted + moved - valleys.optimum, 0.0)
        theta = np.empty((rows, fitted.theta.size))
        cost = valleys.replicate_costs(rng, rows)
        for number in np.unique(level):
            chosen = np.flatnonzero(level == number)
            tables = fold(
                valleys.grid, cost[chosen].reshape(-1, valleys.grid.size), total[chosen[:1]]
            )
            tables = tables.split(chosen.size)
            table = np.repeat(np.arange(chosen.size), len(starts))
            found = minimise(
                fitted.form,
                fitted.design,
                tables,
                np.tile(starts, (chosen.size, 1)),
                table=table,
                shift=shift[chosen][table],
            )
            theta[chosen] = best_of(found, len(starts)).theta
        yield theta


def group_scatter(fitted: Fitted) -> float:
    """Standard deviation of the groups' common departures from the law, in log lr."""
    valleys = fitted.valleys
    known, covariates = valleys.known, fitted.design.z.shape[1]
    group = valleys.cells.group[known]
    number = np.unique(group).size
    if number - covariates - 1 < _FEWEST_GROUPS:
        return 0.0
    rest = (valleys.optimum - fitted.predicted)[known]
    weight = 1 / (valleys.standard_error[known] ** 2 + fitted.scatter**2)
    # Outliers among the cells count less.
    weight /= 1 + weight * rest**2 / TAILS
    total = np.bincount(group, weight)
    there = total > 0
    mean = np.bincount(group, weight * rest)[there] / total[there]
    excess = float(np.mean(mean**2 * number / (number - covariates - 1) - 1 / total[there]))
    return float(np.sqrt(max(excess, 0.0)))
