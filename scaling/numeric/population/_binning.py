"""Counting coordinates into the cells of `scaling.numeric.population._cells`, a block at a time.

The leading bits of a floating-point number, its exponent and the top of its mantissa, are the
index of a cell: no logarithm is taken. The rest of the mantissa says where in the cell it lies.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError, InputError
from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.population._cells import (
    COLUMNS,
    COLUMNS_WITH_CURVATURE,
    OCTAVE_LEVEL,
    ZERO,
    Cells,
    combine,
    level_bits,
)
from scaling.numeric.population._coordinates import BLOCK, Block, Chunk, blocks

#: A box of more cells than this would leave the processor's cache.
_LARGEST_BOX = 1 << 18
#: Power of two by which subnormal numbers are made normal.
_LIFT = 64

#: Whether the gradient is zero, and whether the noise is.
_Kind: TypeAlias = tuple[bool, bool]
_REGULAR: _Kind = (False, False)
#: First row, last row, first column, last column.
_Bounds: TypeAlias = tuple[int, int, int, int]


class _Format(NamedTuple):
    """Layout of a floating-point format: its integer, bits of mantissa, bias of the exponent."""

    integer: type[np.signedinteger[Any]]
    mantissa: int
    bias: int


_FORMATS = {
    np.dtype(np.float32): _Format(np.int32, 23, 127),
    np.dtype(np.float64): _Format(np.int64, 52, 1023),
}


class _Part(NamedTuple):
    """Some coordinates of a block, with |g|."""

    gradient: npt.NDArray[Any]
    noise: npt.NDArray[Any]
    curvature: npt.NDArray[Any] | None

    def only(self, chosen: npt.NDArray[np.bool_]) -> "_Part":
        """Return the chosen coordinates."""
        where = np.flatnonzero(chosen)  # several times faster than indexing by the mask
        curvature = None if self.curvature is None else self.curvature[where]
        return _Part(self.gradient[where], self.noise[where], curvature)


class Counter:
    """Counts blocks of coordinates into cells.

    Attributes
    ----------
    nans, infinities : int
        Coordinates left out because a number is NaN, or else infinite.
    has_curvature : bool
        Whether the blocks have a curvature.
    """

    def __init__(self, *, has_curvature: bool) -> None:
        self.nans = self.infinities = 0
        self._cells = Cells.empty(COLUMNS_WITH_CURVATURE if has_curvature else COLUMNS)
        self._boxes: dict[_Kind, _Box] = {}
        self.has_curvature = has_curvature
        self._level = 0
        self._counted, self._until = 0, BLOCK

    def add(self, block: Block) -> None:
        """Count a block.

        Raises
        ------
        DataError
            If a noise is negative.
        """
        for kind, part in self._by_kind(block):
            self._add(kind, part)
        self._counted += block.gradient.size
        if self._counted >= self._until:  # seldom, and early, to learn how fine cells can be
            self._empty_boxes()
            self._level = min(self._cells.level, OCTAVE_LEVEL)
            self._until *= 2

    def cells(self) -> Cells:
        """Return what was counted so far."""
        self._empty_boxes()
        return self._cells

    def _empty_boxes(self) -> None:
        """Move what the boxes hold to the cells."""
        self._cells = combine([self._cells, *(box.cells() for box in self._boxes.values())])
        self._boxes.clear()

    def _add(self, kind: _Kind, part: _Part) -> None:
        binned = _bin(kind, part, self._level)
        box = self._boxes.get(kind)
        if box is None or not box.holds(binned.bounds):
            bounds = binned.bounds
            if box is not None:
                self._cells = combine([self._cells, box.cells()])
                bounds = _widened(_union(box.bounds, bounds))
            box = self._boxes[kind] = _Box(self._level, bounds, self._cells.sums.shape[1])
        box.add(binned)

    def _by_kind(self, block: Block) -> Iterator[tuple[_Kind, _Part]]:
        """Sort a block by what is zero, and leave out what is not finite."""
        part = _Part(np.abs(block.gradient), block.noise, block.curvature)
        smallest = part.gradient.min(), part.noise.min()  # NaN, if there is one
        if smallest[1] < 0 or np.isnan(smallest[1]):
            _refuse_negative(block)
        if not all(np.isfinite(values).all() for values in part if values is not None):
            part = self._finite(part)
            if not part.gradient.size:
                return
            smallest = part.gradient.min(), part.noise.min()
        if smallest[0] > 0 and smallest[1] > 0:
            yield _REGULAR, part
            return
        zeros = part.gradient == 0, part.noise == 0
        kinds: list[_Kind] = [(False, False), (False, True), (True, False), (True, True)]
        for kind in kinds:
            chosen = (zeros[0] == kind[0]) & (zeros[1] == kind[1])
            if chosen.any():
                yield kind, part.only(chosen)

    def _finite(self, part: _Part) -> _Part:
        """Count what is NaN or infinite, and return the rest."""
        given = [values for values in part if values is not None]
        nan = np.any([np.isnan(values) for values in given], axis=0)
        finite = np.all([np.isfinite(values) for values in given], axis=0)
        self.nans += int(nan.sum())
        self.infinities += int((~finite & ~nan).sum())
        return part.only(finite)


def count_chunks(chunks: Iterable[Chunk]) -> Counter:
    """Count a stream of chunks; see `scaling.GradientPopulation.from_chunks`.

    Raises
    ------
    InputError
        If what is given is no chunk, or the curvature is there for some chunks only.
    """
    counter: Counter | None = None
    for chunk in chunks:
        if not isinstance(chunk, tuple | list) or len(chunk) not in {2, 3}:
            raise InputError("must be (gradient, noise) or (gradient, noise, curvature)", "chunks")
        gradient, noise, curvature = (*chunk, None)[:3]
        has_curvature = curvature is not None
        counter = counter or Counter(has_curvature=has_curvature)
        if counter.has_curvature != has_curvature:
            raise InputError("must be given for all coordinates or for none", "curvature")
        for block in blocks(gradient, noise, curvature):
            counter.add(block)
    return counter or Counter(has_curvature=False)


class _Binned(NamedTuple):
    """Coordinates with their cells: indices, positions r and s in the octave, and H."""

    rows: npt.NDArray[Any]
    columns: npt.NDArray[Any]
    r: FloatArray
    s: FloatArray
    curvature: FloatArray | None
    bounds: _Bounds


class _Box:
    """Sums of all cells of a rectangle, occupied or not."""

    def __init__(self, level: int, bounds: _Bounds, columns: int) -> None:
        self.level, self.bounds = level, bounds
        self._shape = bounds[1] - bounds[0] + 1, bounds[3] - bounds[2] + 1
        # Too large a box is kept as the cells that are occupied.
        self._dense = self._shape[0] * self._shape[1] <= _LARGEST_BOX
        self._sums = np.zeros((columns, self._shape[0] * self._shape[1] if self._dense else 0))
        self._parts: list[Cells] = []

    def holds(self, bounds: _Bounds) -> bool:
        """Whether a rectangle lies within this one."""
        return _union(self.bounds, bounds) == self.bounds

    def add(self, binned: _Binned) -> None:
        """Add coordinates that lie within."""
        rows = binned.rows - self.bounds[0]
        if self._dense:
            rows *= self._shape[1]
            rows += binned.columns
            rows -= self.bounds[2]
            _sum_up(rows.astype(np.intp), binned, self._sums)
            return
        index = rows.astype(np.int64) * self._shape[1] + (binned.columns - self.bounds[2])
        occupied, index = np.unique(index, return_inverse=True)
        sums = np.zeros((self._sums.shape[0], occupied.size))
        _sum_up(index, binned, sums)
        self._parts = [combine([*self._parts, self._at(occupied, sums)])]

    def cells(self) -> Cells:
        """Return the cells that are occupied."""
        if not self._dense:
            return combine([Cells.empty(self._sums.shape[0]), *self._parts])
        occupied = np.flatnonzero(self._sums[0])
        return self._at(occupied, self._sums[:, occupied])

    def _at(self, index: npt.NDArray[np.intp], sums: FloatArray) -> Cells:
        rows, columns = np.divmod(index, self._shape[1])
        return Cells(self.level, rows + self.bounds[0], columns + self.bounds[2], sums.T)


def _sum_up(index: npt.NDArray[np.intp], binned: _Binned, sums: FloatArray) -> None:
    """Add to the sums of each cell, of shape (6 or 9, cells), in the order of `POWERS`."""
    size, r, s = sums.shape[1], binned.r, binned.s
    weights = [r, s, r * r, r * s, s * s]
    if binned.curvature is not None:
        weights += [binned.curvature, binned.curvature * r, binned.curvature * s]
    sums[0] += np.bincount(index, minlength=size)
    with np.errstate(over="ignore", invalid="ignore"):  # refused when cells are combined
        for row, weight in enumerate(weights, start=1):
            sums[row] += np.bincount(index, weight, minlength=size)


def _bin(kind: _Kind, part: _Part, level: int) -> _Binned:
    bits = level_bits(level)
    axes = [
        _split(values, bit) if not is_zero else (np.full(values.size, ZERO), np.zeros(values.size))
        for values, is_zero, bit in zip(part[:2], kind, bits, strict=True)
    ]
    (rows, r), (columns, s) = axes
    bounds = int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())
    curvature = None if part.curvature is None else part.curvature.astype(np.float64)
    return _Binned(rows, columns, r, s, curvature, bounds)


def _split(values: npt.NDArray[Any], bits: int) -> tuple[npt.NDArray[Any], FloatArray]:
    """Split positive numbers into the index of a cell and the mantissa in [1, 2)."""
    small = None
    if values.min() < np.finfo(values.dtype).tiny:  # subnormal: without a leading 1
        values = values.astype(np.float64)
        small = values < np.finfo(np.float64).tiny
        values = np.where(small, np.minimum(values, 1.0) * 2.0**_LIFT, values)
    form = _FORMATS[values.dtype]
    raw = values.view(form.integer)
    index = raw >> (form.mantissa - bits)
    index -= form.bias << bits
    if small is not None:
        index -= np.where(small, _LIFT << bits, 0)
    mantissa = raw & ((1 << form.mantissa) - 1)
    mantissa |= form.bias << form.mantissa
    return index, mantissa.view(values.dtype).astype(np.float64)


def _refuse_negative(block: Block) -> None:
    """Raise an error if a noise is negative."""
    where = np.flatnonzero(block.noise < 0)
    if where.size:
        raise DataError(
            f"noise[{block.start + where[0]}] is {block.noise[where[0]]:g}; it is a standard "
            "deviation, at least 0"
        )


def _union(one: _Bounds, other: _Bounds) -> _Bounds:
    return (
        min(one[0], other[0]),
        max(one[1], other[1]),
        min(one[2], other[2]),
        max(one[3], other[3]),
    )


def _widened(bounds: _Bounds) -> _Bounds:
    """A larger rectangle, so that boxes need not grow often."""
    rows, columns = ((bounds[i + 1] - bounds[i]) // 8 for i in (0, 2))
    return bounds[0] - rows, bounds[1] + rows, bounds[2] - columns, bounds[3] + columns
