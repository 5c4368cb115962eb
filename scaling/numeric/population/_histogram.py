"""A histogram of (|gradient|, noise) on binary logarithms, whose cells keep their exact moments.

Each octave, from 2^k to 2^(k+1), is cut into four equal parts along either axis. A cell
keeps the number of coordinates in it, the sums of r, s, r^2, r s and s^2, where r and s are |g|
and sigma in units of the octave's lower end, and with a curvature the sums of H, H r and H s.
They add up when histograms are merged, and three points stand for all of them: see `points`.

How fine the cells are follows from the coordinates and not from their order: the finest level
at which no more than `_MOST_NUMBERS` numbers are kept. A cell is a union of two of the level
before.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError
from scaling.numeric.inputs.arrays import FloatArray, IntArray
from scaling.numeric.population._coordinates import Block

#: 2^3 parts to an octave each way at level 0; every further level halves one of the two.
_FINEST_BITS = 3
#: The last level, where a cell is an octave each way.
COARSEST_LEVEL = 2 * _FINEST_BITS
#: Coordinates are counted in 2^2 parts to an octave; earlier versions counted in 2^3.
_BITS = 2
_LEVEL = 2 * (_FINEST_BITS - _BITS)
#: Numbers kept at most, so that their text stays under 1 MB: 13,333 cells without a curvature,
#: 8,888 with one.
_MOST_NUMBERS = 80_000
#: Index of the cells of exact zeros, which are at no logarithm.
ZERO = -(2**31)
#: Powers of r and s in the columns of the sums; the last three are those of H, H r and H s.
_POWERS = np.array([[0, 0], [1, 0], [0, 1], [2, 0], [1, 1], [0, 2], [0, 0], [1, 0], [0, 1]])
_PLAIN, _CURVED = 6, 9
#: Variances within a cell below this, relative to the squared mean, are rounding.
_ROUNDING = 1e-13
#: Corners of an equilateral triangle of mean 0 and unit covariance: the fewest points that have
#: the means, variances and covariance of a cell.
_TRIANGLE = np.array([[2.0, -1.0, -1.0], [0.0, 3**0.5, -(3**0.5)]])[:, :, None] / 2**0.5

#: Exponents of numbers and of zero, -1074 to 1024, are counted from here.
_LOWEST, _EXPONENTS = -1100, 2200
_CELLS = 4**_BITS  # of an octave by an octave


class Points(NamedTuple):
    """Weighted points that stand for the coordinates, arrays of shape (P,).

    ``gradient`` and ``noise`` are in units of 2 to the power of ``gradient_octave`` and
    ``noise_octave``; ``number`` and ``curvature`` are how many coordinates and how much of the
    trace of H (of the count, where no H is known) each point carries.
    """

    gradient: FloatArray
    gradient_octave: IntArray
    noise: FloatArray
    noise_octave: IntArray
    number: FloatArray
    curvature: FloatArray


@dataclass(frozen=True, eq=False)
class Histogram:
    """Occupied cells, in ascending order of row and column.

    Parameters
    ----------
    level : int
        How coarse they are, see `parts`.
    rows, columns : ndarray of int, shape (C,)
        Cell along |g| and along sigma: index 0 begins at 1, `ZERO` is that of exact zeros.
    sums : ndarray, shape (C, 6) or (C, 9)
        Sums over the coordinates in the cell, see `_POWERS`.
    """

    level: int
    rows: IntArray
    columns: IntArray
    sums: FloatArray

    @property
    def has_curvature(self) -> bool:
        """Whether H is known."""
        return bool(self.sums.shape[1] == _CURVED)

    @property
    def bits(self) -> tuple[int, int]:
        """Binary logarithm of the number of parts of an octave, for the gradient and the noise."""
        return _FINEST_BITS - self.level // 2, _FINEST_BITS - (self.level + 1) // 2

    @property
    def octaves(self) -> tuple[IntArray, IntArray]:
        """Binary exponents of the units of r and s."""
        row, column = (
            np.where(index == ZERO, 0, index >> bit)
            for index, bit in zip((self.rows, self.columns), self.bits, strict=True)
        )
        return row, column

    def count(self, *, zero_gradient: bool, zero_noise: bool) -> int:
        """Number of coordinates by what is exactly zero."""
        chosen = ((self.rows == ZERO) == zero_gradient) & ((self.columns == ZERO) == zero_noise)
        return int(self.sums[chosen, 0].sum())

    def squares(self, axis: int) -> tuple[float, int]:
        """Sum of the squares of the gradients (axis 0) or the noise (1), divided by 4^n, and n."""
        squares, octave = self.sums[:, (3, 5)[axis]], self.octaves[axis]
        largest = int(np.max(octave[squares > 0], initial=_LOWEST))
        return float(np.ldexp(squares, 2 * (octave - largest)).sum()), largest

    def coarser(self) -> "Histogram":
        """Return the cells of the next level."""
        indices = [self.rows, self.columns]
        halved = int(self.level % 2 == 0)
        indices[halved] = np.where(indices[halved] == ZERO, ZERO, indices[halved] >> 1)
        return _collect(self.level + 1, indices[0], indices[1], self.sums)

    def points(self) -> Points:
        """Return three weighted points for each cell, with all the sums that it keeps.

        They are mean + L v for the corners v of a triangle, with L the Cholesky factor of the
        covariance in the cell, so that sums of 1, |g|, sigma, their squares and their product
        come out exactly; H is spread over them so that the sums of H, H |g| and H sigma do too.
        """
        count, r, s = self.sums[:, 0], *(self.sums[:, 1:3].T / self.sums[:, 0])
        row, cross, column = self.sums[:, 3:6].T / count
        spread = _root(row - r**2, r**2)
        shared = _quotient(cross - r * s, spread)
        own = _root(column - s**2 - shared**2, s**2)
        # Turned about from cell to cell, so that its skewness averages out.
        first, second = _TRIANGLE * np.where((self.rows + self.columns) % 2, 1.0, -1.0)
        curvature = np.broadcast_to(count / 3, (3, r.size))
        if self.has_curvature:
            total, with_r, with_s = self.sums[:, 6:9].T
            along = _quotient(with_r - total * r, spread)
            across = _quotient(with_s - total * s - shared * along, own)
            curvature = (total + along * first + across * second) / 3
        # Where all coordinates of a cell are equal, one point is enough.
        alone = np.flatnonzero((spread == 0) & (own == 0) & (shared == 0))
        use = np.ones(curvature.shape, dtype=bool)
        use[1:, alone] = False
        share = np.where(use.all(axis=0), 1.0, 3.0)
        octaves = [np.broadcast_to(octave, use.shape)[use] for octave in self.octaves]
        return Points(
            (r + spread * first)[use],
            octaves[0],
            (s + shared * first + own * second)[use],
            octaves[1],
            np.broadcast_to(count / 3 * share, use.shape)[use],
            (curvature * share)[use],
        )


def most_cells(columns: int) -> int:
    """Return how many cells of so many sums are kept at most."""
    return _MOST_NUMBERS // columns


def combine(parts: Iterable[Histogram]) -> Histogram:
    """Merge histograms, at the finest level that is not too fine for any or all of them.

    The cells are the same whatever the order of the parts and however they are grouped (what is
    too many in a part is too many in the whole); the sums may differ by rounding.

    Raises
    ------
    DataError
        If a sum overflows, or the coordinates are spread too widely.
    """
    aligned = list(parts)
    level = max(part.level for part in aligned)
    for i, part in enumerate(aligned):
        while part.level < level:
            part = part.coarser()  # noqa: PLW2901 - it is the same part
        aligned[i] = part
    merged = _collect(
        level,
        np.concatenate([part.rows for part in aligned]),
        np.concatenate([part.columns for part in aligned]),
        np.concatenate([part.sums for part in aligned]),
    )
    while merged.rows.size > most_cells(merged.sums.shape[1]):
        if merged.level == COARSEST_LEVEL:
            _refuse_width(merged.sums.shape[1])
        merged = merged.coarser()
    if not np.isfinite(merged.sums).all():
        raise DataError("curvature: too large to be added up; scale it down")
    return merged


class Counter:
    """Counts blocks of coordinates.

    The octaves of gradient times noise that occur are numbered as they come, and each has all
    its cells, occupied or not; so the numbers of a coordinate's octaves and of its parts of them
    are the index of its sums.

    Attributes
    ----------
    nans, infinities : int
        Coordinates left out because a number is NaN, or else infinite.
    """

    def __init__(self, *, has_curvature: bool) -> None:
        self.nans = self.infinities = 0
        self._number = np.zeros(_EXPONENTS**2, dtype=np.int32)  # from 1; 0 where none occurred
        self._known = np.empty(0, dtype=np.intp)
        self._sums = np.zeros((_CURVED if has_curvature else _PLAIN, 0))

    @property
    def has_curvature(self) -> bool:
        """Whether the blocks have a curvature."""
        return len(self._sums) == _CURVED

    def add(self, block: Block) -> None:
        """Count a block.

        Raises
        ------
        DataError
            If a noise is negative, or the coordinates are spread too widely.
        """
        negative = np.flatnonzero(block.noise < 0)
        if negative.size:
            raise DataError(
                f"noise[{block.start + negative[0]}] is {block.noise[negative[0]]:g}; it is a "
                "standard deviation, at least 0"
            )
        gradient, noise, *rest = self._finite(np.abs(block.gradient), block.noise, block.curvature)
        # Most is done in place: fresh memory costs more than the arithmetic.
        index, part, r = _split(gradient)
        column, column_part, s = _split(noise)
        index *= _EXPONENTS
        index += column
        part <<= _BITS
        part += column_part
        index = self._octave_number(index)
        index *= _CELLS
        index += part
        h = rest[0].astype(np.float64) if rest else s
        product, size = np.empty_like(r), self._sums.shape[1]
        pairs = [None, r, s, (r, r), (r, s), (s, s), h, (h, r), (h, s)]
        with np.errstate(over="ignore", invalid="ignore"):  # refused by `combine`
            for kind, pair in enumerate(pairs[: len(self._sums)]):
                weight = np.multiply(*pair, out=product) if isinstance(pair, tuple) else pair
                self._sums[kind] += np.bincount(index, weight, minlength=size)

    def histogram(self) -> Histogram:
        """Return what was counted so far."""
        occupied = np.flatnonzero(self._sums[0])
        octaves, parts = np.divmod(occupied, _CELLS)
        indices = (
            np.where(exponent == 0, ZERO, ((exponent + _LOWEST - 1) << _BITS) + part)
            for exponent, part in zip(
                np.divmod(self._known[octaves], _EXPONENTS),
                np.divmod(parts, 2**_BITS),
                strict=True,
            )
        )
        return combine([Histogram(_LEVEL, next(indices), next(indices), self._sums[:, occupied].T)])

    def _octave_number(self, octaves: IntArray) -> IntArray:
        """Return the numbers, from 0, of octaves of gradient times noise."""
        number = self._number.take(octaves)
        if not number.all():
            new = np.unique(octaves[number == 0])
            self._known = np.append(self._known, new)
            if self._known.size > most_cells(len(self._sums)):
                _refuse_width(len(self._sums))
            self._number[new] = 1 + self._known.size - new.size + np.arange(new.size)
            more = np.zeros((len(self._sums), new.size * _CELLS))
            self._sums = np.concatenate([self._sums, more], axis=1)
            number = self._number.take(octaves)
        number -= 1
        return number.astype(np.intp)

    def _finite(self, *values: npt.NDArray[Any] | None) -> list[npt.NDArray[Any]]:
        """Count what is NaN or infinite, and return the rest."""
        given = [each for each in values if each is not None]
        if all(np.isfinite(each).all() for each in given):
            return given
        nan = np.any([np.isnan(each) for each in given], axis=0)
        finite = np.all([np.isfinite(each) for each in given], axis=0)
        self.nans += int(nan.sum())
        self.infinities += int((~finite & ~nan).sum())
        return [each[finite] for each in given]


def _split(values: npt.NDArray[Any]) -> tuple[IntArray, IntArray, FloatArray]:
    """Exponent, counted from `_LOWEST`, part of the octave, and position in it, from 1 to 2.

    Of zero they are 0.
    """
    mantissa, exponent = np.frexp(values)  # in [1/2, 1)
    exponent -= _LOWEST
    if not values.all():
        exponent[values == 0] = 0
    mantissa *= 2
    part = (mantissa * 2**_BITS).astype(np.int32)
    part &= 2**_BITS - 1
    return exponent, part, mantissa.astype(np.float64, copy=False)


def _collect(level: int, rows: IntArray, columns: IntArray, sums: FloatArray) -> Histogram:
    """Sort cells, and add up those that are the same."""
    order = np.lexsort((columns, rows))
    rows, columns, sums = rows[order], columns[order], sums[order]
    is_new = np.ones(rows.size, dtype=bool)
    is_new[1:] = (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])
    first = np.flatnonzero(is_new)
    if first.size < rows.size:
        sums = np.add.reduceat(sums, first)
    return Histogram(level, rows[first], columns[first], sums)


def _refuse_width(columns: int) -> NoReturn:
    raise DataError(
        f"gradients and noise are spread over more than {most_cells(columns)} octaves of gradient "
        "times noise, far more than a model's are; summarise parts of them apart"
    )


def _root(variance: FloatArray, square: FloatArray) -> FloatArray:
    """Square root of a variance, 0 where it is rounding."""
    root: FloatArray = np.sqrt(np.where(variance > _ROUNDING * square, variance, 0.0))
    return root


def _quotient(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Divide, with 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
