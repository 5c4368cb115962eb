"""Which runs are worth most per cost, the closed form of it: nothing is simulated.

A purchase is one, two or three runs in one cell, for a single loss says nothing without the
others. What it is worth is by how much the target's variance falls (`Outlook.told`), where the
information of the runs (`Valley`) is averaged over where the cell's optimum may lie. The best
purchase is taken, again and again, as if those before it had reported.
"""

from functools import cache
from itertools import combinations
from typing import NamedTuple

import numpy as np

from scaling.numeric.inputs.arrays import FloatArray, IntArray
from scaling.numeric.planning.outlook import Outlook
from scaling.numeric.planning.valley import Valley

#: Octaves between learning rates that may be proposed, and beyond the 90 % interval of an optimum.
_STEP, _MARGIN, _WIDTH = 0.5, 1.0, 1.645
_MOST_STEPS = 6
_MOST_TOGETHER = 3
#: Middles of 15 equal parts of a normal distribution.
_UPPER = (0.1679, 0.3407, 0.5244, 0.7279, 0.9674, 1.2816, 1.8339)
NORMAL = np.array([*(-x for x in reversed(_UPPER)), 0.0, *_UPPER])


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

    @property
    def spread(self) -> float:
        """Standard deviation of the law at the target."""
        return float(np.sqrt(max(self.outlook.covariance[-1, -1], 0.0)))

    def take(self, cell: int, rates: FloatArray) -> None:
        """Go on as if these runs had reported."""
        base, added = self._terms(cell, rates)
        told = self._precision(base + added.sum(axis=0)) - self._precision(base)
        self.outlook = self.outlook.after(cell, max(float(told), 0.0))
        self._taken[cell] = np.append(self._taken[cell], rates)

    def best(self) -> Purchase | None:
        """The purchase that tells most per cost; None if nothing can be run."""
        scatter = max(self.outlook.scatter, 1e-3)
        costs = np.array([cell.cost for cell in self.cells])
        places = range(len(self.cells))
        limit = [float(self.outlook.told(k, np.array(scatter**-2.0))) for k in places]
        found: Purchase | None = None
        rate = -np.inf
        for k in np.argsort(-np.array(limit) / costs, kind="stable").tolist():
            # No single run tells more than the cell's optimum itself would.
            if limit[k] / costs[k] <= rate:
                break
            best = self._best_in(k)
            if best is not None and best.gain / (best.rates.size * costs[k]) > rate:
                found, rate = best, best.gain / (best.rates.size * costs[k])
        return found

    def _best_in(self, k: int) -> Purchase | None:
        """The best purchase in one cell."""
        rates = self._candidates(k)
        if not rates.size:
            return None
        base, terms = self._terms(k, rates)
        before = self._precision(base)
        best = Purchase(k, rates[:0], 0.0)
        rate = -np.inf
        for size in range(1, min(_MOST_TOGETHER, rates.size) + 1):
            sets = _subsets(rates.size, size)
            told = self._precision(base + terms[sets].sum(axis=1)) - before
            gain = self.outlook.told(k, np.maximum(told, 0.0))
            i = int(np.argmax(gain))
            if gain[i] / size > rate:
                chosen = rates[sets[i]]
                middle = chosen[np.argsort(np.abs(chosen - self.outlook.mean[k]), kind="stable")]
                best, rate = Purchase(k, middle, float(gain[i])), gain[i] / size
        return best

    def _candidates(self, k: int) -> FloatArray:
        """Learning rates that may be tried: about the predicted optimum, by half-octaves."""
        cell = self.cells[k]
        reach = _WIDTH * float(np.sqrt(self._variance(k))) + _MARGIN
        away = _STEP * np.arange(-_MOST_STEPS, _MOST_STEPS + 1)
        rates = self.outlook.mean[k] + away[np.abs(away) <= reach]
        if cell.allowed is not None:
            taken = np.abs(cell.allowed[:, None] - self._taken[k]).min(axis=1, initial=np.inf)
            rates = cell.allowed[taken > 1e-3]
            nearest = np.argsort(np.abs(rates - self.outlook.mean[k]), kind="stable")
            rates = np.sort(rates[nearest[: away.size]])
        return np.asarray(rates[rates < cell.ceiling - 1e-3])

    def _variance(self, k: int) -> float:
        """Of the cell's optimum."""
        return float(max(self.outlook.covariance[k, k], 0.0) + self.outlook.scatter**2)

    def _terms(self, k: int, rates: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Terms of the runs there are, (15, 6), and of others, (n, 15, 6), wherever it lies."""
        optimum = self.outlook.mean[k] + np.sqrt(self._variance(k)) * NORMAL
        base = self.valley.terms(self._taken[k][:, None] - optimum).sum(axis=0)
        return base, self.valley.terms(rates[:, None] - optimum)

    def _precision(self, terms: FloatArray) -> FloatArray:
        return np.asarray(self.valley.precision(terms, self.outlook.scatter).mean(axis=-1))


@cache
def _subsets(count: int, size: int) -> IntArray:
    """All choices of so many out of a number, (choices, size)."""
    return np.array(list(combinations(range(count), size)), dtype=np.intp)
