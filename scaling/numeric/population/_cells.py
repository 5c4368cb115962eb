"""Log-spaced cells of (|gradient|, noise) that keep the exact means of what lies in them.

A cell is a rectangle of the (|g|, sigma) plane, 2^k to an octave each way. It keeps ten sums or
less: how many coordinates lie in it, the sums of r, s, r^2, r s and s^2, where r and s are |g|
and sigma in units of the octave's lower end, and with a curvature the sums of H, H r and H s.
These add up when populations are merged, and they say all that a smooth function's sum over
the cell depends on, up to third order in the cell's width: see `Cells.points`.

How fine the cells are follows from the coordinates alone and not from their order: the finest
level at which no more than `MOST_NUMBERS` numbers are kept. A level is a union of the one before.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError
from scaling.numeric.inputs.arrays import FloatArray

IntArray: TypeAlias = npt.NDArray[np.int64]

#: 2^3 cells per octave each way at level 0; every further level halves one of the two.
FINEST_BITS = 3
#: At this level a cell is an octave each way; at the last, all of float64 fits into few cells.
OCTAVE_LEVEL = 2 * FINEST_BITS
COARSEST_LEVEL = 2 * (FINEST_BITS + 6)
#: Numbers kept at most, so that their text stays under 1 MB: 13,333 cells without a curvature,
#: 8,888 with one.
MOST_NUMBERS = 80_000
#: Index of the cells of exact zeros, which are at no logarithm.
ZERO = -(2**31)
#: Powers of r and s in the columns of the sums; the last three are those of H, H r and H s.
POWERS = np.array([[0, 0], [1, 0], [0, 1], [2, 0], [1, 1], [0, 2], [0, 0], [1, 0], [0, 1]])
COLUMNS = 6
COLUMNS_WITH_CURVATURE = 9
#: Variances within a cell below this, relative to the squared mean, are rounding.
_ROUNDING = 1e-13
#: No point is put below this part of its cell's mean.
_NEAREST_TO_ZERO = 0.05


class Points(NamedTuple):
    """Weighted points that stand for the coordinates, as arrays of shape (P,).

    ``gradient`` and ``noise`` are binary logarithms of |g| and sigma, -inf for exact zeros;
    ``number`` and ``curvature`` are how many coordinates and how much of the trace of H (of the
    count, where no H is known) each point carries.
    """

    gradient: FloatArray
    noise: FloatArray
    number: FloatArray
    curvature: FloatArray


def level_bits(level: int) -> tuple[int, int]:
    """Binary logarithm of the number of cells per octave, for the gradient and the noise."""
    return FINEST_BITS - level // 2, FINEST_BITS - (level + 1) // 2


def most_cells(columns: int) -> int:
    """Return how many cells of so many sums are kept at most."""
    return MOST_NUMBERS // columns


@dataclass(frozen=True, eq=False)
class Cells:
    """Occupied cells, in ascending order of row and column.

    Parameters
    ----------
    level : int
        How coarse they are, see `level_bits`.
    rows, columns : ndarray of int64, shape (C,)
        Cell along |g| and along sigma: index 0 begins at 1, `ZERO` is that of exact zeros.
    sums : ndarray, shape (C, 6) or (C, 9)
        Sums over the coordinates in the cell, see `POWERS`.
    """

    level: int
    rows: IntArray
    columns: IntArray
    sums: FloatArray

    @classmethod
    def empty(cls, columns: int = COLUMNS) -> "Cells":
        """No cells."""
        nothing = np.empty(0, dtype=np.int64)
        return cls(0, nothing, nothing, np.empty((0, columns)))

    @property
    def has_curvature(self) -> bool:
        """Whether H is known."""
        return bool(self.sums.shape[1] == COLUMNS_WITH_CURVATURE)

    @property
    def octaves(self) -> tuple[IntArray, IntArray]:
        """Binary exponents of the units of r and s."""
        bits = level_bits(self.level)
        return _octave(self.rows, bits[0]), _octave(self.columns, bits[1])

    def count(self, *, zero_gradient: bool, zero_noise: bool) -> int:
        """Number of coordinates by what is exactly zero."""
        chosen = ((self.rows == ZERO) == zero_gradient) & ((self.columns == ZERO) == zero_noise)
        return int(self.sums[chosen, 0].sum())

    def squares(self, axis: int) -> tuple[float, int]:
        """Sum of the squares of the gradients (axis 0) or the noise (1), divided by 2^n, and n."""
        squares, octave = self.sums[:, (3, 5)[axis]], self.octaves[axis]
        largest = int(np.max(octave[squares > 0], initial=-(2**12)))
        return float(np.ldexp(squares, 2 * (octave - largest)).sum()), 2 * largest

    def at_level(self, level: int) -> "Cells":
        """Return the same coordinates in cells of a coarser level."""
        cells = self
        while cells.level < level:
            cells = cells._coarser()
        return cells

    def points(self) -> Points:
        """Four weighted points for each cell, with all the sums that the cell keeps.

        They are mean +- L1 +- L2, with L the Cholesky factor of the covariance in the cell, so
        that sums of 1, |g|, sigma, their squares and their product come out exactly, whatever
        the distribution in the cell. H is distributed over them so that the sums of H, H |g|
        and H sigma do too. (In cells wider than an octave, which only populations over more
        than some 50 octaves have, points are kept positive at the expense of the squares.)
        """
        count, r, s = self.sums[:, 0], *(self.sums[:, 1:3].T / self.sums[:, 0])
        row, cross, column = self.sums[:, 3:6].T / count
        spread_r = _root(row - r**2, r**2)
        shared = np.divide(cross - r * s, spread_r, out=np.zeros_like(r), where=spread_r > 0)
        spread_s = _root(column - s**2, s**2)
        shared = np.clip(shared, -spread_s, spread_s)
        own = _root(spread_s**2 - shared**2, s**2)
        signs = np.array([[1, 1, -1, -1], [1, -1, 1, -1]])[:, :, None]
        curvature = self._curvature(r, s, spread_r, shared, own, signs)
        room_r = _room(r, spread_r)
        room_s = _room(s, np.abs(shared) + own)
        points_r = r + room_r * spread_r * signs[0]
        points_s = s + room_s * (shared * signs[0] + own * signs[1])
        octave_r, octave_s = self.octaves
        with np.errstate(divide="ignore"):  # exact zeros are at -inf
            gradient, noise = np.log2(points_r) + octave_r, np.log2(points_s) + octave_s
        weight = np.broadcast_to(count / 4, gradient.shape)
        return Points(gradient.ravel(), noise.ravel(), weight.ravel(), curvature.ravel())

    def _curvature(
        self,
        r: FloatArray,
        s: FloatArray,
        spread_r: FloatArray,
        shared: FloatArray,
        own: FloatArray,
        signs: FloatArray,
    ) -> FloatArray:
        """H at the four points: its mean there, and a slope along each axis of the covariance."""
        if not self.has_curvature:
            return np.broadcast_to(self.sums[:, 0] / 4, (4, r.size))
        total, with_r, with_s = self.sums[:, 6:9].T
        along_r = _quotient(with_r - total * r, spread_r)
        along_s = _quotient(with_s - total * s - shared * along_r, own)
        curvature: FloatArray = (total + along_r * signs[0] + along_s * signs[1]) / 4
        return curvature

    def _coarser(self) -> "Cells":
        """Return the cells of the next level, of which each is two of these."""
        bits = level_bits(self.level)
        halve_columns = self.level % 2 == 0
        indices = [self.rows, self.columns]
        old = indices[halve_columns]
        new = np.where(old == ZERO, ZERO, old >> 1)
        indices[halve_columns] = new
        bit = bits[halve_columns]
        # From an octave on, the unit is that of the lower of the two.
        step = _octave(old, bit) - _octave(new, bit - 1)
        powers = POWERS[: self.sums.shape[1], int(halve_columns)]
        with np.errstate(over="ignore"):  # refused by `combine`
            sums = np.ldexp(self.sums, step[:, None] * powers)
        return _collect(self.level + 1, indices[0], indices[1], sums)


def combine(parts: Iterable[Cells]) -> Cells:
    """Merge cells, at the finest level at which they do not exceed `MOST_NUMBERS`.

    The cells are the same whatever the order of the parts and however they are grouped (what is
    too many in a part is too many in the whole); the sums may differ by rounding.

    Raises
    ------
    DataError
        If a sum overflows.
    """
    parts = list(parts)
    level = max(part.level for part in parts)
    aligned = [part.at_level(level) for part in parts]
    cells = _collect(
        level,
        np.concatenate([part.rows for part in aligned]),
        np.concatenate([part.columns for part in aligned]),
        np.concatenate([part.sums for part in aligned]),
    )
    while cells.rows.size > most_cells(cells.sums.shape[1]):
        cells = cells.at_level(cells.level + 1)
    if not np.isfinite(cells.sums).all():
        raise DataError("curvature: too large to be added up; scale it down")
    return cells


def _collect(level: int, rows: IntArray, columns: IntArray, sums: FloatArray) -> Cells:
    """Sort cells, and add up those that are the same."""
    order = np.lexsort((columns, rows))
    rows, columns, sums = rows[order], columns[order], sums[order]
    if not rows.size:
        return Cells(level, rows, columns, sums)
    is_new = np.append(True, (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1]))
    first = np.flatnonzero(is_new)
    return Cells(level, rows[first], columns[first], np.add.reduceat(sums, first))


def _octave(index: IntArray, bits: int) -> IntArray:
    """Binary exponent of the octave in which a cell begins."""
    octave = index >> bits if bits >= 0 else index << -bits
    return np.where(index == ZERO, 0, octave)


def _root(variance: FloatArray, square: FloatArray) -> FloatArray:
    """Square root of a variance, 0 where it is rounding."""
    root: FloatArray = np.sqrt(np.where(variance > _ROUNDING * square, variance, 0.0))
    return root


def _quotient(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Divide, with 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)


def _room(mean: FloatArray, spread: FloatArray) -> FloatArray:
    """By how much a spread must be shortened for mean - spread to stay well above 0."""
    wide = spread > (1 - _NEAREST_TO_ZERO) * mean
    return np.where(wide, (1 - _NEAREST_TO_ZERO) * _quotient(mean, spread), 1.0)
