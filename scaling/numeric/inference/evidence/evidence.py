"""What a user has, read once: optima with errors, bounds, a noise scale, second moments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError, InputError
from scaling.numeric.inputs.arrays import FloatArray, as_array

if TYPE_CHECKING:
    from scaling.numeric.inference.evidence.valleys import Valleys
    from scaling.numeric.tables.runs import Cells, Runs

#: Error, in octaves, of an optimum of which nothing more is said: what vertices of three losses are
#: off by in the sweeps of tests/evidence (0.1 to 0.4).
READING = 0.2


@dataclass(frozen=True)
class Measured:
    """A positive number, known up to a factor.

    Attributes
    ----------
    value : float
    factor : float, default 2
        One standard error, as a factor; over 1.
    batch_size : float, optional
        At which it was measured, where that matters.
    """

    value: float
    factor: float = 2.0
    batch_size: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.value < np.inf:
            raise InputError(f"must be positive and finite, got {self.value!r}", "value")
        if not 1 < self.factor < np.inf:
            raise InputError(f"must be over 1 and finite, got {self.factor!r}", "factor")


@dataclass(frozen=True, eq=False)
class Evidence:
    """Best learning rates, with what is known besides; any part may be all there is.

    Parameters
    ----------
    batch_size, learning_rate : array_like, shape (n,)
        Positive; one optimum a row. A tuned run is one row.
    below, above : array_like, optional
        Errors of the optima in octaves. An infinite one makes a bound: the optimum is at most
        (``below``) or at least (``above``) the learning rate, to within the other error.
    covariates : mapping of str to array_like, optional
        Positive numbers, such as model size and tokens.
    eps : array_like, optional
        Adam's epsilon, outside the root; 0 without.
    reading : float, default 0.2
        Error in octaves of optima as a new sweep would read them.
    noise_scale : Measured, optional
        B_n of T-E2, at the middle of the covariates.
    root_second_moment : Measured, optional
        Mean of sqrt(v) over the coordinates (T-J1) at its batch size, eps being small.

    Raises
    ------
    InputError
        If the arguments are not vectors of one length.
    DataError
        Naming the row, if a value is out of its range.

    Examples
    --------
    >>> tuned = Evidence([256], [3e-4], noise_scale=Measured(4000))
    >>> more = tuned + Evidence([1024], [5e-4])
    >>> len(more), more.noise_scale.value
    (2, 4000)
    """

    batch_size: FloatArray
    learning_rate: FloatArray
    below: FloatArray = READING  # type: ignore[assignment] # numbers are for all rows
    above: FloatArray = READING  # type: ignore[assignment]
    covariates: Mapping[str, FloatArray] = field(default_factory=dict)
    eps: FloatArray = 0.0  # type: ignore[assignment]
    reading: float = READING
    noise_scale: Measured | None = None
    root_second_moment: Measured | None = None

    def __post_init__(self) -> None:
        size = np.shape(self.batch_size)
        if len(size) != 1 or np.shape(self.learning_rate) != size:
            raise InputError("must be vectors of the same length", "batch_size")
        for name in ("batch_size", "learning_rate", "below", "above", "eps"):
            object.__setattr__(self, name, _column(name, getattr(self, name), size))
        for name in ("batch_size", "learning_rate"):
            _require(name, getattr(self, name), "positive and finite")
        for name in ("below", "above"):
            _require(name, getattr(self, name), "positive")
        both = np.flatnonzero(np.isinf(self.below) & np.isinf(self.above))
        if both.size:
            raise DataError(f"row {both[0] + 1}: an optimum that is nowhere bounded says nothing")
        _require("eps", self.eps, "at least 0 and finite")
        columns = {n: _column(n, v, size) for n, v in self.covariates.items()}
        for name, column in columns.items():
            _require(name, column, "positive and finite")
        object.__setattr__(self, "covariates", columns)
        moment = self.root_second_moment
        if moment is not None and moment.batch_size is None:
            raise InputError("needs the batch size at which it was measured", "root_second_moment")

    def __len__(self) -> int:
        return int(np.size(self.batch_size))

    def __add__(self, other: "Evidence") -> Self:
        """Both together; the rows must have the same covariates."""
        if set(self.covariates) != set(other.covariates):
            raise InputError("must be the same in both", "covariates")
        for name in ("noise_scale", "root_second_moment"):
            if getattr(self, name) is not None and getattr(other, name) is not None:
                raise InputError("is given twice", name)

        def joined(name: str) -> FloatArray:
            return np.concatenate([getattr(self, name), getattr(other, name)])

        return type(self)(
            joined("batch_size"),
            joined("learning_rate"),
            joined("below"),
            joined("above"),
            {n: np.concatenate([v, other.covariates[n]]) for n, v in self.covariates.items()},
            joined("eps"),
            max(self.reading, other.reading),
            self.noise_scale or other.noise_scale,
            self.root_second_moment or other.root_second_moment,
        )

    @classmethod
    def from_runs(cls, runs: "Runs") -> Self:
        """Read the optimum of every cell of a sweep, with its error or as a bound.

        Parameters
        ----------
        runs : Runs

        Raises
        ------
        DataError
            If every run diverged, or no cell has two learning rates.
        """
        # Late, for a tuned run has none of it and is to be answered fast.
        from scaling.numeric.inference.evidence.valleys import read_valleys, that_tell
        from scaling.numeric.tables.runs import cells_of

        cells = that_tell(cells_of(runs))
        return cls.from_cells(cells, read_valleys(cells), tuple(runs.covariates))

    @classmethod
    def from_cells(cls, cells: "Cells", valleys: "Valleys", covariates: tuple[str, ...]) -> Self:
        """Take the optima that were read of the cells of a sweep.

        Parameters
        ----------
        cells : Cells
        valleys : Valleys
            See `read_valleys`.
        covariates : tuple of str
            Names of the cells' covariates.
        """
        return cls(
            cells.batch_size,
            np.exp2(valleys.optimum),
            valleys.below,
            valleys.above,
            {name: cells.covariates[:, k] for k, name in enumerate(covariates)},
            cells.eps,
            max(valleys.reading, READING / 2) if np.isfinite(valleys.reading) else READING,
        )


def _column(name: str, values: npt.ArrayLike, size: tuple[int, ...]) -> FloatArray:
    column = as_array(values, name)
    if column.shape not in ((), size):
        raise InputError("must be vectors of the same length", name)
    return np.broadcast_to(column, size)


_RANGES = {
    "positive and finite": lambda x: (x > 0) & (x < np.inf),
    "positive": lambda x: x > 0,
    "at least 0 and finite": lambda x: (x >= 0) & (x < np.inf),
}


def _require(name: str, column: FloatArray, wanted: str) -> None:
    bad = np.flatnonzero(~_RANGES[wanted](column))
    if bad.size:
        raise DataError(f"row {bad[0] + 1}: {name} is {column[bad[0]]:g}; it must be {wanted}")
