"""From evidence to the likelihood's cells: octaves, repeats merged, long tables thinned."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError
from scaling.numeric.inference.evidence.evidence import Evidence
from scaling.numeric.inference.family import Design
from scaling.numeric.inference.likelihood import Cells
from scaling.numeric.inputs.arrays import FloatArray

#: More cells than this are joined with their neighbours.
_MOST = 256
#: Cells that stand for all those of one place, where there are more.
_QUANTILES = 8
_FINEST = 1 / 16
#: Errors, in octaves, below this are none.
_SMALLEST = 1e-3


class Gathered(NamedTuple):
    """Cells, where they are, and the settings of their groups (covariates, eps), in octaves.

    ``ranges`` are the smallest and largest batch size and covariates, as they are.
    """

    cells: Cells
    design: Design
    center: float
    middles: FloatArray
    groups: FloatArray
    names: tuple[str, ...]
    ranges: FloatArray
    reading: float


class _Table(NamedTuple):
    place: FloatArray  # (n, K + 2): covariates, eps, batch
    optimum: FloatArray
    below: FloatArray
    above: FloatArray
    number: FloatArray


def gather(evidence: Evidence) -> Gathered:
    """Bring evidence into the form that the likelihood wants.

    The order of the rows does not matter. Optima of one setting (seeds) are measurements of the
    same optimum, whose error shrinks; optima of different settings scatter each by itself.
    """
    if not (np.isfinite(evidence.below) & np.isfinite(evidence.above)).any():
        raise DataError(
            "there are bounds only, and no optimum between two learning rates; try lower and "
            "higher learning rates"
        )
    with np.errstate(divide="ignore"):
        columns = [*evidence.covariates.values(), evidence.eps, evidence.batch_size]
        place = np.log2(np.column_stack(columns))
    ones = np.ones(len(evidence))
    below, above = (np.maximum(x, _SMALLEST) for x in (evidence.below, evidence.above))
    table = _Table(place, np.log2(evidence.learning_rate), below, above, ones)
    table = _merged(_sorted(table))
    if table.optimum.size > _MOST:
        table = _thinned(table)
    tried = evidence.batch_size, *evidence.covariates.values()
    setting = table.place[:, :-1]
    fresh = np.ones(len(setting), dtype=bool)
    fresh[1:] = (setting[1:] != setting[:-1]).any(axis=1)
    start = np.flatnonzero(fresh)
    batch, covariates, eps = table.place[:, -1], table.place[:, :-2], table.place[:, -2]
    center = float(batch.min() + batch.max()) / 2
    middles = covariates.mean(axis=0)
    return Gathered(
        Cells(table.optimum, table.below, table.above, table.number, start),
        Design(batch - center, covariates - middles, eps),
        center,
        middles,
        setting[start],
        tuple(evidence.covariates),
        np.array([[column.min(), column.max()] for column in tried]),
        evidence.reading,
    )


def _sorted(table: _Table) -> _Table:
    """Rows by place, what is known before bounds, then by optimum."""
    bound = np.isinf(table.above) - 1.0 * np.isinf(table.below)
    order = np.lexsort((table.optimum, bound, *table.place.T[::-1]))
    return _Table(*(column[order] for column in table))


def _merged(table: _Table) -> _Table:
    """One row for the optima of one place; bounds are left as they are."""
    key = np.column_stack([table.place, np.isinf(table.below), np.isinf(table.above)])
    bound = np.isinf(table.below) | np.isinf(table.above)
    fresh = np.ones(len(key), dtype=bool)
    fresh[1:] = (key[1:] != key[:-1]).any(axis=1) | bound[1:]
    label = np.cumsum(fresh) - 1
    number = np.bincount(label)
    mean = np.bincount(label, table.optimum) / number
    square = np.bincount(label, (table.optimum - mean[label]) ** 2) / np.maximum(number - 1, 1)

    def error(column: FloatArray) -> FloatArray:
        said = np.bincount(label, column**2) / number
        return np.asarray(np.sqrt(np.maximum(said, square) / number))

    return _Table(
        table.place[fresh], mean, error(table.below), error(table.above), np.ones(mean.size)
    )


def _thinned(table: _Table) -> _Table:
    """Join neighbouring cells, as few as need be; a row then counts for several.

    In every bin of places the optima are sorted and averaged in consecutive parts, so that
    their scatter is kept.
    """
    width = _FINEST
    while True:
        bins = np.where(np.isfinite(table.place), np.round(table.place / width), -np.inf)
        bound = np.isinf(table.above) - 1.0 * np.isinf(table.below)
        label = _labels(np.column_stack([bins, bound]))
        if np.minimum(np.bincount(label), _QUANTILES).sum() <= _MOST:
            break
        width *= 2
    order = np.lexsort((table.optimum, label))
    number = np.bincount(label)
    rank = np.empty_like(label)
    rank[order] = np.arange(label.size) - np.repeat(np.cumsum(number) - number, number)
    part = rank * np.minimum(number, _QUANTILES)[label] // number[label]
    part = _labels(np.column_stack([label, part]))
    total = np.bincount(part, table.number)
    # Batch size and optimum are averaged per part, covariates per bin: a group is one bin.
    weights = np.bincount(label, table.number)

    def mean(column: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(part, column * table.number) / total)

    def over_bin(column: FloatArray) -> FloatArray:
        return np.asarray((np.bincount(label, column * table.number) / weights)[label])

    setting = _labels(bins[:, :-1])
    place = [
        (np.bincount(setting, c * table.number) / np.bincount(setting, table.number))[setting]
        for c in table.place.T[:-1]
    ]
    joined = _Table(
        np.column_stack([*(mean(c) for c in place), mean(over_bin(table.place[:, -1]))]),
        mean(table.optimum),
        np.sqrt(mean(table.below**2)),
        np.sqrt(mean(table.above**2)),
        total.astype(float),
    )
    return _sorted(joined)


def _labels(rows: FloatArray) -> npt.NDArray[np.intp]:
    """Number the different rows."""
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
