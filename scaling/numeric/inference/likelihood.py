"""What a law pays for the optima: T-K1, heavy-tailed departures, bounds, and effects of groups.

A cell says where its optimum lies, with an error above and one below; an infinite error makes it
a bound. About the law plus the effect u of its group the optimum departs by Student's t with 5
degrees of freedom, so that a cell that is plain wrong does not drag the law along. u, one per
setting of the covariates, is Gaussian and integrated out by Gauss and Hermite around its mode.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from scaling.numeric.inputs.arrays import FloatArray

DEGREES = 5.0
#: log of Student's density at 0: 8/(3 pi sqrt(5)).
LOG_TOP = float(np.log(8 / (3 * np.pi * np.sqrt(5))))
_LN2 = float(np.log(2))
#: Gauss and Hermite (probabilists').
_NODES, _WEIGHTS = (
    np.array([-2.3344142183389773, -0.7419637843027259, 0.7419637843027259, 2.3344142183389773]),
    np.array([0.04587585476806852, 0.45412414523193145, 0.45412414523193145, 0.04587585476806852]),
)
_NEWTON_STEPS = 3
#: Places, in widths from the mode, among which effects are drawn.
_GRID = np.linspace(-6, 6, 41)


def student_cdf(t: FloatArray) -> FloatArray:
    """Lower tail of Student's t with 5 degrees of freedom."""
    # The closed form 1/2 + (a + sin a cos a (1 + 2/3 cos^2 a))/pi, a = atan(t/sqrt 5), cancels
    # far out on the left, where the leading term of the tail takes over.
    angle = np.arctan(t / np.sqrt(DEGREES))
    cosine = np.cos(angle)
    inner = 0.5 + (angle + np.sin(angle) * cosine * (1 + 2 / 3 * cosine**2)) / np.pi
    far = np.minimum(t, -100.0)
    outer = np.exp(LOG_TOP) * DEGREES**2 / np.abs(far) ** 5 * (1 - 75 / 7 / far**2)
    return np.asarray(np.where(t < -100.0, outer, inner))


@dataclass(frozen=True, eq=False)
class Cells:
    """Optima by cell, sorted by group; octaves.

    Attributes
    ----------
    optimum : ndarray, shape (n,)
    below, above : ndarray, shape (n,)
        Errors; infinite on the side on which nothing is known.
    count : ndarray, shape (n,)
        How many equal cells a row stands for.
    start : ndarray of int, shape (G,)
        First row of each group.
    """

    optimum: FloatArray
    below: FloatArray
    above: FloatArray
    count: FloatArray
    start: npt.NDArray[np.intp]

    def take(self, rows: npt.NDArray[np.bool_]) -> "Cells":
        """Some of the rows; groups without any are gone."""
        start = np.flatnonzero(np.diff(self.group[rows], prepend=-1))
        optimum, below, above = self.optimum[rows], self.below[rows], self.above[rows]
        return Cells(optimum, below, above, self.count[rows], start)

    @cached_property
    def bound(self) -> FloatArray:
        """1 if the optimum is at least that, -1 at most, 0 if it is known."""
        return np.where(self.above == np.inf, 1.0, np.where(self.below == np.inf, -1.0, 0.0))

    @cached_property
    def group(self) -> npt.NDArray[np.intp]:
        """Number of each row's group."""
        return np.repeat(np.arange(self.start.size), np.diff([*self.start, self.optimum.size]))

    def scales(self, scatter: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Inverse scales of the t distributions below and above, (P, n); 0 where unknown."""
        square = scatter[:, None] ** 2
        return 1 / np.sqrt(square + self.below**2), 1 / np.sqrt(square + self.above**2)

    def log_likelihood(
        self, law: FloatArray, scatter: FloatArray, group_scatter: FloatArray | None
    ) -> FloatArray:
        """Log likelihood (P,) of laws (P, n) with scatters (P,)."""
        rest = law - self.optimum
        terms = _Terms(self, scatter)
        if group_scatter is None:
            return np.asarray(terms.log_density(rest).sum(axis=1))
        mode, width = self._mode(rest, terms, group_scatter)
        total = None
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            u = mode + width * node
            value = self._by_group(terms.log_density(rest + u[:, self.group]))
            value += (node**2 - (u / group_scatter[:, None]) ** 2) / 2 + np.log(weight)
            total = value if total is None else np.logaddexp(total, value)
        return np.asarray((total + np.log(width / group_scatter[:, None])).sum(axis=1))

    def draw_groups(
        self,
        law: FloatArray,
        scatter: FloatArray,
        group_scatter: FloatArray,
        rng: np.random.Generator,
    ) -> FloatArray:
        """Draw the groups' effects given the rest, shape (P, G), from a grid around the mode."""
        rest = law - self.optimum
        terms = _Terms(self, scatter)
        mode, width = self._mode(rest, terms, group_scatter)
        best = np.full(mode.shape, -np.inf)
        found = mode.copy()
        for z in _GRID:
            u = mode + width * z
            score = self._by_group(terms.log_density(rest + u[:, self.group]))
            score -= (u / group_scatter[:, None]) ** 2 / 2
            # The largest of score + Gumbel noise is a draw in proportion to exp(score).
            score += rng.gumbel(size=mode.shape)
            better = score > best
            best, found = np.where(better, score, best), np.where(better, u, found)
        step = _GRID[1] - _GRID[0]
        return np.asarray(found + width * step * rng.uniform(-0.5, 0.5, mode.shape))

    def _by_group(self, values: FloatArray) -> FloatArray:
        """Sums over the cells of each group, (P, G)."""
        return np.asarray(np.add.reduceat(values, self.start, axis=1))

    def _mode(
        self, rest: FloatArray, terms: "_Terms", group_scatter: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Mode and width of the groups' effects, (P, G), by reweighted least squares."""
        precision = group_scatter[:, None] ** -2.0
        u = np.zeros((rest.shape[0], self.start.size))
        for _ in range(_NEWTON_STEPS):
            weight = terms.weight(rest + u[:, self.group])
            total = self._by_group(weight) + precision
            u = -self._by_group(weight * rest) / total
        return u, 1 / np.sqrt(total)


class _Terms:
    """Densities of the cells at given scatters."""

    def __init__(self, cells: Cells, scatter: FloatArray) -> None:
        self.cells = cells
        self.below, self.above = cells.scales(scatter)
        self.bounds = np.flatnonzero(cells.bound)
        sign = cells.bound[self.bounds]
        self.signed = sign * np.where(
            sign > 0, self.below[:, self.bounds], self.above[:, self.bounds]
        )
        with np.errstate(divide="ignore"):
            mean = (1 / self.below + 1 / self.above) / 2
        self.top = cells.count * (LOG_TOP - np.log(mean))
        self.top[:, self.bounds] = 0.0

    def log_density(self, rest: FloatArray) -> FloatArray:
        """Log density of each cell (P, n) at the law minus the optimum."""
        t = rest * np.where(rest > 0, self.above, self.below)
        value = self.top - ((DEGREES + 1) / 2 * _LN2) * self.cells.count * np.log2(
            1 + t * t / DEGREES
        )
        if self.bounds.size:
            value[:, self.bounds] = self.cells.count[self.bounds] * np.log(
                student_cdf(rest[:, self.bounds] * self.signed)
            )
        return np.asarray(value)

    def weight(self, rest: FloatArray) -> FloatArray:
        """What each cell counts in the reweighted least squares."""
        scale = np.where(rest > 0, self.above, self.below)
        return np.asarray(
            self.cells.count * (DEGREES + 1) * scale**2 / (DEGREES + (rest * scale) ** 2)
        )
