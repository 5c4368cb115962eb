"""Which runs are worth most per cost, in closed form: nothing is simulated.

A purchase is one, two or three runs in one cell, for a single loss says nothing without others.
What it is worth is by how much it narrows the target's optimum, on average over where the cell's
optimum may lie: between the runs it is read as well as they allow (`Valley`), beyond them all that
is learned is on which side it lies. The best purchase per cost is taken, again and again, as if
those before it had reported.
"""

from functools import cache
from itertools import combinations
from typing import NamedTuple

import numpy as np

from scaling.numeric.inputs.arrays import FloatArray, IntArray
from scaling.numeric.planning.outlook import Outlook
from scaling.numeric.planning.valley import Valley

#: Octaves between learning rates that may be proposed, and beyond the 90 % interval of an optimum.
_STEP, _MARGIN, _WIDTH = 0.5, 0.5, 1.645
_FARTHEST = 3.0
_MOST, _MOST_TOGETHER = 13, 3
#: So near one that was tried, in octaves, that is repeated instead.
_NEAR = 0.2
#: Octaves beyond the runs within which an optimum is still read.
_EDGE = 0.25


class Cell(NamedTuple):
    """A place where runs may be made; learning rates as log2.

    Attributes
    ----------
    batch_size : float
    covariates : dict of str to float
    cost : float
    seen : ndarray
        Learning rates whose losses are known.
    ceiling : float
        Lowest at which runs diverged.
    allowed : ndarray or None
        The only ones that can be run, each once.
    """

    batch_size: float
    covariates: dict[str, float]
    cost: float
    seen: FloatArray
    ceiling: float = np.inf
    allowed: FloatArray | None = None


class Purchase(NamedTuple):
    """Runs of one cell, as log2 of their learning rates, the middle one first."""

    cell: int
    rates: FloatArray
    gain: float


class Search:
    """What is expected to be known while runs are bought."""

    def __init__(self, valley: Valley, outlook: Outlook, cells: tuple[Cell, ...]) -> None:
        self.valley, self.outlook, self.cells = valley, outlook, cells
        self._taken = [cell.seen for cell in cells]

    def take(self, cell: int, rates: FloatArray) -> None:
        """Go on as if these runs had reported."""
        told = self._told(cell, rates, np.arange(rates.size)[None])[0]
        self.outlook = self.outlook.after(cell, told)
        self._taken[cell] = np.append(self._taken[cell], rates)

    def best(self) -> Purchase | None:
        """The purchase that tells most per cost; None if nothing can be run."""
        costs = np.array([cell.cost for cell in self.cells])
        # No run tells more than the cell's optimum itself would.
        known = np.array([1e6])
        limit = np.array([self.outlook.told(k, known) for k in range(costs.size)]) / costs
        found: Purchase | None = None
        rate = -np.inf
        for k in np.argsort(-limit, kind="stable").tolist():
            if limit[k] <= rate:
                break
            best = self._best_in(k)
            if best is not None and best.gain / (best.rates.size * costs[k]) > rate:
                found, rate = best, best.gain / (best.rates.size * costs[k])
        return found

    def _best_in(self, k: int) -> Purchase | None:
        """The best purchase in one cell, per run."""
        rates = self._candidates(k)
        found: Purchase | None = None
        for size in range(1, min(_MOST_TOGETHER, rates.size) + 1):
            sets = _subsets(rates.size, size)
            gain = self.outlook.told(k, self._told(k, rates, sets))
            i = int(np.argmax(gain))
            if found is None or gain[i] / size > found.gain / found.rates.size:
                away = np.abs(rates[sets[i]] - self.outlook.middle(k))
                found = Purchase(k, rates[sets[i]][np.argsort(away, kind="stable")], float(gain[i]))
        return found

    def _candidates(self, k: int) -> FloatArray:
        """Learning rates that may be tried: about the predicted optimum, by half-octaves."""
        cell, taken, middle = self.cells[k], self._taken[k], self.outlook.middle(k)
        reach = min(_WIDTH * float(np.sqrt(self.outlook.variance(k))) + _MARGIN, _FARTHEST)
        if cell.allowed is None:
            steps = int(reach / _STEP)
            rates = middle + _STEP * np.arange(-steps, steps + 1)
            distance = np.abs(rates[:, None] - taken)
            near = distance.min(axis=1, initial=np.inf) < _NEAR
            if near.any():
                rates[near] = taken[np.argmin(distance[near], axis=1)]
            rates = np.unique(rates)
        else:
            rates = cell.allowed[np.abs(cell.allowed[:, None] - taken).min(1, initial=1.0) > 0]
            rates = rates[np.abs(rates - middle) <= reach]
            if rates.size > _MOST:
                rates = rates[np.linspace(0, rates.size - 1, _MOST).round().astype(int)]
        return np.asarray(rates[rates < cell.ceiling])

    def _told(self, k: int, rates: FloatArray, sets: IntArray) -> FloatArray:
        """Precision that sets of runs add, wherever the optimum lies, (S, nodes)."""
        taken, optimum = self._taken[k], self.outlook.optima[k]
        base = self.valley.terms(taken[:, None] - optimum).sum(axis=0)
        terms = self.valley.terms(rates[:, None] - optimum)
        before = self._left(k, base[None], np.reshape(taken, (1, -1)))
        runs = np.hstack([rates[sets], np.broadcast_to(taken, (len(sets), taken.size))])
        after = self._left(k, base + terms[sets].sum(axis=1), runs)
        variance = self.outlook.variance(k)
        return np.maximum(_precision(after, variance) - _precision(before, variance), 0.0)

    def _left(self, k: int, terms: FloatArray, runs: FloatArray) -> FloatArray:
        """Variance of the cell's optimum once runs (S, n) are made, wherever it lies."""
        optimum, variance = self.outlook.optima[k], self.outlook.variance(k)
        if not runs.shape[1]:
            return np.full((len(runs), optimum.size), variance)
        low, high = runs.min(axis=1)[:, None], runs.max(axis=1)[:, None]
        error = self.valley.error(terms)
        left = variance * error / (variance + error)
        lower, upper = low - _EDGE, high + _EDGE
        if not self.valley.cells:
            # Of two losses, while the usual rise is not known, one can only say which is less.
            order = np.sort(runs, axis=1)
            two = (np.diff(order, axis=1) > _NEAR).sum(axis=1)[:, None] < 2
            lower, upper = (np.where(two, (low + high) / 2, x) for x in (lower, upper))
        for side in (optimum < lower, optimum > upper):
            number = np.maximum(side.sum(axis=1), 1)
            mean = (side * optimum).sum(axis=1) / number
            spread = (side * (optimum - mean[:, None]) ** 2).sum(axis=1) / number
            left = np.where(side, np.maximum(spread[:, None], left), left)
        return np.where(high - low > _NEAR, left, variance)


def _precision(left: FloatArray, variance: float) -> FloatArray:
    """Of a reading that leaves an optimum so much of its variance."""
    return np.maximum(1 / left - 1 / variance, 1e-9)


@cache
def _subsets(count: int, size: int) -> IntArray:
    """All choices of so many out of a number, (choices, size)."""
    return np.array(list(combinations(range(count), size)), dtype=np.intp)
