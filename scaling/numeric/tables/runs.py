"""The runs of a sweep, validated once, and the cells that they fall into."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError, InputError
from scaling.numeric.inputs.arrays import BoolArray, FloatArray, IntArray, as_array
from scaling.numeric.inputs.display import Shown

#: A loss this many times the best of its cell is no result but a run that broke.
DIVERGED = 1000.0


@dataclass(frozen=True, eq=False, repr=False)
class Runs(Shown):
    """The runs of a sweep: one batch size, learning rate and final loss each.

    Parameters
    ----------
    batch_size, learning_rate : array_like, shape (runs,)
        Positive; batch sizes in any unit, used consistently.
    loss : array_like, shape (runs,)
        Final loss, positive. NaN, infinite, or over 1000 times the best of its cell means that
        the run diverged.
    seed : array_like, shape (runs,), optional
        Which repetition; any labels. Without it, runs with the same settings are repetitions.
    eps : array_like, shape (runs,), optional
        Adam's epsilon, at least 0.
    covariates : mapping of str to array_like, optional
        What else was varied, such as model size and tokens; positive numbers.
    name : str, default "the runs"
        What to call the table in messages.
    row : callable, optional
        Describes the i-th row in messages; "the runs: row 1" and so on by default.
    unit : str, optional
        Of the batch sizes, where it is known: examples, sequences or tokens.

    Raises
    ------
    InputError
        If the columns are not vectors of one length.
    DataError
        Naming the row, if a value is out of its range, or if two rows have the same settings and
        seed but different losses.

    Examples
    --------
    >>> runs = Runs([32, 32, 64], [1e-3, 2e-3, 1e-3], [2.5, 2.4, float("nan")])
    >>> len(runs), int(runs.diverged.sum())
    (3, 1)
    """

    batch_size: FloatArray
    learning_rate: FloatArray
    loss: FloatArray
    seed: npt.NDArray[Any] | None = None
    eps: FloatArray | None = None
    covariates: Mapping[str, FloatArray] = field(default_factory=dict)
    name: str = "the runs"
    row: Callable[[int], str] | None = None
    unit: str | None = None

    def __post_init__(self) -> None:
        columns = {"batch_size": self.batch_size, "learning_rate": self.learning_rate}
        for name, column in (columns | dict(self.covariates)).items():
            checked = self._column(name, column)
            self._refuse(
                name, checked, ~((checked > 0) & (checked < np.inf)), "positive and finite"
            )
            if name in columns:
                object.__setattr__(self, name, checked)
            else:
                columns[name] = checked
        covariates = {name: columns[name] for name in self.covariates}
        object.__setattr__(self, "covariates", covariates)
        if self.eps is not None:
            eps = self._column("eps", self.eps)
            self._refuse("eps", eps, ~((eps >= 0) & (eps < np.inf)), "at least 0 and finite")
            object.__setattr__(self, "eps", eps)
        loss = self._column("loss", self.loss)
        self._refuse("loss", loss, np.isfinite(loss) & (loss <= 0), "positive, or not finite")
        object.__setattr__(self, "loss", loss)
        if self.seed is not None:
            seed = np.asarray(self.seed)
            if seed.shape != loss.shape:
                raise InputError("must be vectors of the same length", "seed")
            object.__setattr__(self, "seed", np.unique(seed, return_inverse=True)[1].reshape(-1))
        self._merge_repeats()

    def __len__(self) -> int:
        return int(self.loss.size)

    def summary(self) -> dict[str, str]:
        """How many runs there are, and what was varied."""
        varied = {"batch_size": self.batch_size, "learning_rate": self.learning_rate}
        varied |= dict(self.covariates) | ({} if self.eps is None else {"eps": self.eps})
        return {"runs": f"{len(self)}"} | {
            name: f"{column.min():.6g} to {column.max():.6g}" for name, column in varied.items()
        }

    @cached_property
    def cell(self) -> IntArray:
        """Number of the cell, covariates x eps x batch size, that each run belongs to."""
        keys = [*self.covariates.values(), *([] if self.eps is None else [self.eps])]
        return number_rows([*keys, self.batch_size])

    @cached_property
    def diverged(self) -> BoolArray:
        """Which runs diverged."""
        best = np.full(self.cell.max() + 1, np.inf)
        finite = np.isfinite(self.loss)
        np.minimum.at(best, self.cell[finite], self.loss[finite])
        return ~finite | ~(self.loss <= DIVERGED * best[self.cell])

    def _describe(self, i: int) -> str:
        return self.row(i) if self.row else f"{self.name}: row {i + 1}"

    def _column(self, name: str, values: npt.ArrayLike) -> FloatArray:
        column = as_array(values, name)
        if column.ndim != 1 or column.shape != np.shape(self.loss):
            raise InputError("must be vectors of the same length", name)
        if not column.size:
            raise DataError(f"{self.name}: there are no runs")
        return column

    def _refuse(self, name: str, column: FloatArray, bad: BoolArray, wanted: str) -> None:
        if bad.any():
            i = int(np.flatnonzero(bad)[0])
            raise DataError(f"{self._describe(i)}: {name} is {column[i]:g}; it must be {wanted}")

    def _merge_repeats(self) -> None:
        """Refuse rows that contradict each other; drop rows that are there twice."""
        if self.seed is None:
            return
        settings = number_rows(
            [self.cell.astype(float), self.learning_rate, self.seed.astype(float)]
        )
        order = np.argsort(settings, kind="stable")
        first, second = order[:-1], order[1:]
        repeated = settings[first] == settings[second]
        same = (self.loss[first] == self.loss[second]) | (
            ~np.isfinite(self.loss[first]) & ~np.isfinite(self.loss[second])
        )
        wrong = np.flatnonzero(repeated & ~same)
        if wrong.size:
            i, j = sorted((int(first[wrong[0]]), int(second[wrong[0]])))
            raise DataError(
                f"{self._describe(i)} and {self._describe(j)} contradict each other: the same "
                f"settings and seed, but losses {self.loss[i]:.10g} and {self.loss[j]:.10g}; "
                "remove one, or name the column in which they differ"
            )
        if repeated.any():
            self._keep(np.sort(np.concatenate([order[:1], second[~repeated]])))

    def _keep(self, rows: IntArray) -> None:
        object.__setattr__(self, "covariates", {n: v[rows] for n, v in self.covariates.items()})
        for name in ("batch_size", "learning_rate", "loss", "seed", "eps"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else value[rows])
        self.__dict__.pop("cell", None)


@dataclass(frozen=True, eq=False)
class Cells:
    """The runs by cell, padded to one length; C cells of up to n settings.

    Repetitions of a setting within one seed block are averaged, so that a million rows stay small.

    Attributes
    ----------
    batch_size : ndarray, shape (C,)
    eps : ndarray, shape (C,)
        0 without a column of eps.
    covariates : ndarray, shape (C, K)
    group : ndarray of int, shape (C,)
        Number of the combination of covariates and eps.
    log_rate, log_loss : ndarray, shape (C, n)
        NaN where there is no run.
    count : ndarray, shape (C, n)
        Runs behind each; 0 where there is none.
    block : ndarray of int, shape (C, n)
        Runs of one seed have one number.
    ceiling : ndarray, shape (C,)
        Log of the lowest learning rate from which on all runs diverged; infinite without.
    """

    batch_size: FloatArray
    eps: FloatArray
    covariates: FloatArray
    group: IntArray
    log_rate: FloatArray
    log_loss: FloatArray
    count: FloatArray
    block: IntArray
    ceiling: FloatArray

    def __len__(self) -> int:
        return int(self.batch_size.size)

    def take(self, rows: BoolArray) -> Self:
        """Some of the cells."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    @cached_property
    def rates(self) -> IntArray:
        """How many different learning rates each cell has, shape (C,)."""
        rows = (row[np.isfinite(row)] for row in self.log_rate)
        return np.array([np.unique(np.round(row, 6)).size for row in rows])


#: A cell with more learning rates than this has them joined in steps of an eighth of an octave.
_MOST_RATES = 48
_BIN = float(np.log(2)) / 8
#: More repetitions of a setting than this are averaged in as many blocks.
_BLOCKS = 16


def cells_of(runs: Runs) -> Cells:
    """Sort the runs into cells; cells in which every run diverged are left out."""
    alive = ~runs.diverged
    if not alive.any():
        raise DataError(f"{runs.name}: every one of the {len(runs)} runs diverged")
    kept, cell = np.unique(runs.cell[alive], return_inverse=True)
    rate, loss = np.log(runs.learning_rate[alive]), np.log(runs.loss[alive])
    nearby = _bins(cell, rate)
    block = _blocks(runs, alive, cell, nearby)
    settings = number_rows([cell.astype(float), nearby, block.astype(float)])
    _, first, inverse, count = np.unique(
        settings, return_index=True, return_inverse=True, return_counts=True
    )
    mean = np.bincount(inverse, loss) / count
    # The middle of a bin, by all that fell into it, whatever the block.
    places = number_rows([cell.astype(float), nearby])
    middle = np.bincount(places, rate) / np.bincount(places)
    exact = nearby == rate
    rate = np.where(exact, rate, middle[places])
    cell, rate, block = cell[first], rate[first], block[first]
    order = np.lexsort((block, rate, cell))
    cell, rate, block = cell[order], rate[order], block[order]
    sizes = np.bincount(cell)
    column = np.arange(cell.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)

    def pad(values: npt.NDArray[Any], filler: float) -> npt.NDArray[Any]:
        result = np.full((kept.size, sizes.max()), filler, dtype=values.dtype)
        result[cell, column] = values
        return result

    where = np.full(runs.cell.max() + 1, -1)
    where[runs.cell] = np.arange(len(runs))
    example = where[kept]
    eps = np.zeros(len(runs)) if runs.eps is None else runs.eps
    covariates = np.stack([*runs.covariates.values()], axis=1) if runs.covariates else None
    table = np.empty((kept.size, 0)) if covariates is None else covariates[example]
    return Cells(
        runs.batch_size[example],
        eps[example],
        table,
        number_rows([*table.T, eps[example]]),
        pad(rate, np.nan),
        pad(mean[order], np.nan),
        pad(count[order].astype(float), 0.0),
        pad(block, -1),
        _ceilings(runs, kept),
    )


def _bins(cell: IntArray, rate: FloatArray) -> FloatArray:
    """Round log learning rates where a cell has so many that no two need be told apart."""
    _, first = np.unique(number_rows([cell.astype(float), rate]), return_index=True)
    crowded = np.bincount(cell[first], minlength=cell.max() + 1) > _MOST_RATES
    return np.where(crowded[cell], np.round(rate / _BIN) * _BIN, rate)


def _blocks(runs: Runs, alive: BoolArray, cell: IntArray, rate: FloatArray) -> IntArray:
    """Number the repetitions: by seed where it is given, else in the order of the rows."""
    if runs.seed is not None:
        labels: IntArray = runs.seed[alive]
    else:
        settings = number_rows([cell.astype(float), rate])
        order = np.argsort(settings, kind="stable")
        counts = np.bincount(settings)
        labels = np.empty_like(settings)
        labels[order] = np.arange(settings.size) - np.repeat(np.cumsum(counts) - counts, counts)
    return labels % _BLOCKS if labels.size and labels.max() >= _BLOCKS else labels


def _ceilings(runs: Runs, kept: IntArray) -> FloatArray:
    """Log of the lowest learning rate above every run that did not diverge, by cell."""
    rate, diverged = np.log(runs.learning_rate), runs.diverged
    highest = np.full(runs.cell.max() + 1, -np.inf)
    np.maximum.at(highest, runs.cell[~diverged], rate[~diverged])
    above = diverged & (rate > highest[runs.cell])
    ceiling = np.full(highest.size, np.inf)
    np.minimum.at(ceiling, runs.cell[above], rate[above])
    return ceiling[kept]


def number_rows(columns: Sequence[npt.NDArray[Any]]) -> IntArray:
    """Number the different rows of some columns; rows sort as their columns do."""
    size = columns[0].size if columns else 0
    result = np.zeros(size, dtype=np.intp)
    for column in columns:
        values, inverse = np.unique(column, return_inverse=True)
        combined = result * values.size + inverse.reshape(-1)
        result = np.unique(combined, return_inverse=True)[1].reshape(-1)
    return result
