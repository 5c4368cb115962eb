"""Tables of runs as users keep them: files, data frames, dicts of columns."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scaling.errors import DataError, InputError
from scaling.numeric.inputs.arrays import BoolArray, FloatArray, IntArray
from scaling.numeric.inputs.display import Shown
from scaling.numeric.sources.records import without_password
from scaling.numeric.sources.source import read_source
from scaling.numeric.tables import _columns
from scaling.numeric.tables._batch_size import factors_of, guess_batch_size
from scaling.numeric.tables._columns import BadCellError, Column, Columns, Reading
from scaling.numeric.tables._conditions import Comparison, parse_condition
from scaling.numeric.tables._files import read_columns
from scaling.numeric.tables._frames import columns_of_data, columns_of_records
from scaling.numeric.tables._unpack import unpack
from scaling.numeric.tables.roles import ROLES, best_candidates, candidates

#: How many columns an error message lists.
_LISTED = 20
#: So many different learning rates at a batch size, over so many octaves, are runs: optima of
#: several seeds lie closer together.
_RATES_OF_RUNS, _OCTAVES_OF_RUNS = 3, 2.0


@dataclass(frozen=True, eq=False, repr=False)
class Table(Shown):
    """Named columns of runs; made by `read_table_file` or `as_table`.

    Cells are read when a column is asked for, strictly: what is no number is never guessed, and
    errors name the row.

    Attributes
    ----------
    source : str
        What to call the table in messages: its path, if it has one.
    names : tuple of str
        Of the columns.
    columns : tuple
        Their cells, numbers or texts.
    rows : ndarray of int
        Which rows of the columns are in the table.
    lines : ndarray of int or None
        For each row of the columns, the line of the file where it begins.
    in_file : bool
        Whether messages count rows from 1, as people count below a header.
    labels : tuple of str or None
        For each row of the columns, what its source calls it, as ``trial 3``.
    kind : str
        What its source holds, as ``trials of Ray Tune``; empty where that is plain.

    Examples
    --------
    >>> table = as_table({"bs": [64, 128, 256], "lr": [1e-3, 1.5e-3, 2e-3], "D": [1e9, 1e9, 1e10]})
    >>> table.where("D == 1e9").numbers("lr")
    array([0.001 , 0.0015])
    >>> table.guess("batch_size")
    'bs'
    """

    source: str
    names: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: IntArray
    lines: IntArray | None = None
    in_file: bool = False
    labels: tuple[str, ...] | None = None
    kind: str = ""

    def __len__(self) -> int:
        return self.rows.size

    def summary(self) -> dict[str, str]:
        """What the table is called, and what is in it."""
        return {"source": self.source, "rows": f"{len(self)}", "columns": _listed(self.names)}

    def numbers(self, name: str, *, missing: bool = False) -> FloatArray:
        """Read a column of numbers.

        Parameters
        ----------
        name : str
            Of the column, or a product of columns and numbers, as ``per_device*accumulation*8``;
            so in the methods below.
        missing : bool, default False
            Whether cells may be missing (empty, null or nan, which give NaN) or infinite, as the
            losses of runs that diverged are.

        Returns
        -------
        ndarray, shape (rows,)

        Raises
        ------
        DataError
            Naming the row of the first cell that is no such number.
        """
        return self._read(name, _columns.OR_MISSING if missing else _columns.FINITE)

    def positive(self, name: str) -> FloatArray:
        """Read a column of positive, finite numbers."""
        return self._read(name, _columns.POSITIVE)

    def batch_sizes(self, name: str) -> FloatArray:
        """Read a column of batch sizes, which are sizes."""
        return self.sizes(name)

    def sizes(self, name: str) -> FloatArray:
        """Read a column of sizes: numbers that may end in k, M, B or T, or products: ``32x8``."""
        return self._read(name, _columns.SIZE)

    def texts(self, name: str) -> list[str]:
        """Read a column as texts; a missing cell is an empty text."""
        if factors_of(name, self.names):
            return _columns.read_texts(self.positive(name), np.arange(len(self)))
        return _columns.read_texts(self._column(name), self.rows)

    def numbered(self, name: str, least: int) -> IntArray | None:
        """Number the different cells of a column; None if one is there fewer times than that."""
        return _columns.number_cells(self._column(name), self.rows, least)

    def missing(self, name: str) -> BoolArray:
        """Say which cells of a column are missing."""
        return _columns.are_missing(self._column(name), self.rows)

    def where(self, condition: str) -> "Table":
        """Select rows.

        Parameters
        ----------
        condition : str
            Comparisons of a column with a number or a text in quotes, by ``== != < <= > >=``,
            joined by ``and``, such as ``"64 <= bs and model == '85M'"``; names that are no plain
            words go in backticks. A missing number satisfies ``!=`` only.

        Returns
        -------
        Table
            With at least one row, each still described as where it stood.

        Raises
        ------
        InputError
            If the condition is not understood, or names a column that is not there.
        DataError
            If no row satisfies it, or a cell cannot be compared.
        """
        keep = np.full(len(self), True)
        for comparison in parse_condition(condition):
            keep &= self._satisfies(comparison)
        if not keep.any():
            raise DataError(f"{self.source}: no row satisfies {condition}")
        return self.take(np.flatnonzero(keep))

    def take(self, rows: IntArray) -> "Table":
        """Return the table of some rows, given by their positions."""
        return replace(self, rows=self.rows[rows])

    def guess(self, role: str) -> str:
        """Name the only column that may have a role, or the best of several.

        Parameters
        ----------
        role : {"batch_size", "learning_rate", "loss", "eps", "seed", "steps", "group"}
            Columns are known by the names that sweeps use, such as ``bs``, ``params_lr`` and
            ``config.batch_size``. A validation loss is better than a training loss. The batch size
            may be a product of columns.

        Raises
        ------
        InputError
            If there is none, or more than one, or a batch size of which it is in doubt whether it
            is that of a whole step; its parameter is the caller's that chooses.
        """
        if role == "batch_size":
            whole = guess_batch_size(self.source, self._best, self.positive)
            if whole is not None:
                return whole
        found = self._best(role)
        if len(set(found)) < len(found):
            raise DataError(
                f"{self.source}: {len(found)} columns are called {_shown(found[0])}; rename those "
                "that are not meant"
            )
        if len(found) == 1:
            return found[0]
        if found:
            problem = f"{_listed(found)} may all be meant; say which one is the {ROLES[role].title}"
        else:
            problem = (
                f"no column has a usual name of a {ROLES[role].title}; say which one it is of "
                f"{_listed(self.names)}"
            )
        raise InputError(f"in {self.source} {problem}", ROLES[role].parameter)

    def candidates(self, role: str) -> list[str]:
        """Name all columns that may have a role; see `guess`."""
        return candidates(role, self.names)

    def _best(self, role: str) -> list[str]:
        """Name the best candidates that hold something, of equal ones the first."""
        all_of_them = self.candidates(role)
        held = [name for name in all_of_them if not self._is_empty(name)]
        found: list[str] = []
        for name in best_candidates(role, held or all_of_them):
            if not any(self._are_equal(name, other) for other in found):
                found.append(name)
        return found

    def _is_empty(self, name: str) -> bool:
        return self.names.count(name) == 1 and bool(self.missing(name).all())

    def _are_equal(self, name: str, other: str) -> bool:
        """Whether two columns hold the same, as a setting does that a tracker stores twice."""
        if 1 not in {self.names.count(name), self.names.count(other)}:
            return False
        try:
            one, two = (self.numbers(column, missing=True) for column in (name, other))
            return bool(np.array_equal(one, two, equal_nan=True))
        except DataError:
            return False

    def describe_row(self, row: int) -> str:
        """Say where a row, given by its position, stands: ``runs.csv: row 3 (line 4)``."""
        original = int(self.rows[row])
        if self.labels is not None:
            return f"{self.source}: {_shown(self.labels[original])}"
        if not self.in_file:
            return f"{self.source}: index {original}"
        line = f" (line {self.lines[original]})" if self.lines is not None else ""
        return f"{self.source}: row {original + 1}{line}"

    def _read(self, name: str, reading: Reading) -> FloatArray:
        if factors := factors_of(name, self.names):
            columns = [f if isinstance(f, float) else self.positive(f) for f in factors]
            return np.asarray(np.prod(np.broadcast_arrays(*columns), axis=0))
        try:
            return _columns.read_numbers(self._column(name), self.rows, reading)
        except BadCellError as error:
            raise DataError(f"{self.describe_row(error.row)}: {_shown(name)} {error}") from None

    def _column(self, name: str) -> Column:
        count = self.names.count(name)
        if count != 1:
            found = "there is no column" if not count else f"there are {count} columns"
            raise DataError(
                f"{self.source}: {found} {name!r}; the header has {_listed(self.names)}"
            )
        return self.columns[self.names.index(name)]

    def _satisfies(self, comparison: Comparison) -> Any:
        name, compare, value = comparison
        if name not in self.names:
            raise InputError(
                f"{self.source} has no column {name!r}; it has {_listed(self.names)}", "where"
            )
        if isinstance(value, str):
            return compare(np.array(self.texts(name), dtype=object), value)
        return compare(self._read(name, _columns.ANY_NUMBER), value)


def _listed(names: Sequence[str]) -> str:
    """List names in a message."""
    more = [f"and {len(names) - _LISTED} more"] if len(names) > _LISTED else []
    return ", ".join([_shown(name) for name in names[:_LISTED]] + more)


def _shown(name: str) -> str:
    """Show a name as it is, if that can be seen."""
    return name if name.isprintable() and name.strip() == name != "" else repr(name)


def read_table_file(path: str | os.PathLike[str], study: str | None = None) -> Table:
    """Read a table from a file, or from where a tracker keeps its runs.

    Parameters
    ----------
    path : path-like
        What `read_source` reads: the storage of an Optuna study, MLflow's runs, TensorBoard's
        hparams, results of Ray, a folder of trainings or logs. Or a file: CSV in UTF-8 with a
        header, separated by commas, semicolons or tabs, as W&B and Optuna
        (``study.trials_dataframe().to_csv()``) export it; blank lines and lines that begin with
        ``#`` are passed over. Or JSON: a list of objects or an object on each line (inner ones
        give columns as ``config.lr``), or W&B's ``{"columns": [...], "data": [[...]]}``. Or
        Parquet of at most 20 million cells, which needs the extra ``sweeps``.
    study : str, optional
        Which study or experiment, where a source holds several.

    Returns
    -------
    Table

    Raises
    ------
    DataError
        If it is none of these, or is damaged; naming the row where one is at fault.
    """
    found = read_source(path, study)
    if found is None:
        source = "standard input" if path == "-" else str(path)
        return _table(source, read_columns(path), in_file=True)
    name = without_password(str(path))
    table = _table(name, columns_of_records(found.records), in_file=False)
    return replace(table, labels=found.labels, kind=found.kind)


def as_table(data: Any, *, source: str = "the table", study: str | None = None) -> Table:
    """Make a table of whatever has named columns.

    Parameters
    ----------
    data : Table, path-like, mapping, data frame or list of dict
        A mapping of names to arrays or lists, a data frame (pandas, polars, pyarrow), a structured
        array, records (a list of dicts), or the path of a file. Frames need the extra ``sweeps``.
    source : str, default "the table"
        What to call it in messages; a file is called by its path.

    Returns
    -------
    Table

    Raises
    ------
    DataError
        If columns differ in length, have the same name, or there is no row.
    InputError
        If it is no table.

    Examples
    --------
    >>> as_table([{"lr": 1e-3, "loss": 3.2}, {"lr": 2e-3, "loss": None}]).numbers("lr")
    array([0.001, 0.002])
    """
    if isinstance(data, Table):
        return data
    if isinstance(data, str | os.PathLike):
        return read_table_file(data, study)
    if study is not None:
        raise InputError("needs the storage of a study, as a path or a URL", "study")
    return _table(source, columns_of_data(data, source), in_file=False)


def _table(source: str, found: Columns, *, in_file: bool) -> Table:
    found = unpack(found)
    rows = np.arange(len(found.columns[0]))
    return Table(source, tuple(found.names), tuple(found.columns), rows, found.lines, in_file)


def read_optima(path: str | os.PathLike[str] | Table) -> tuple[list[float], list[float]]:
    """Read the batch sizes and the learning rates of a file of optima.

    Parameters
    ----------
    path : path-like or Table
        As for `read_table_file`. The columns are known by their names, as `Table.guess` knows
        them; others are passed over. Batch sizes may be products.

    Returns
    -------
    batch_size, learning_rate : list of float

    Raises
    ------
    DataError
        Naming the file, and the row where one is at fault; also if the rows are runs, three
        learning rates or more at a typical batch size and their losses, or differ in eps.
    """
    table = as_table(path)
    try:
        names = [table.guess(role) for role in ("batch_size", "learning_rate")]
    except InputError as error:
        problem = error.message.removeprefix(f"in {table.source} ")
        raise DataError(f"{table.source}: {problem}, by renaming the columns") from None
    batch, rate = table.batch_sizes(names[0]), table.positive(names[1])
    if table.candidates("loss") and _are_runs(batch, rate):
        raise DataError(
            f"{table.source}: these are the runs of a sweep, many learning rates at one batch "
            "size and their losses; fit them with lr fit, or keep the best run of each batch size"
        )
    for eps in table.candidates("eps"):
        if len(values := set(table.texts(eps))) > 1:
            raise DataError(
                f"{table.source}: the optima are at {len(values)} values of {_shown(eps)}; keep "
                "those of one, or give all runs to lr fit"
            )
    return batch.tolist(), rate.tolist()


def _are_runs(batch: FloatArray, rate: FloatArray) -> bool:
    """Whether a typical batch size has many learning rates, far apart."""
    pairs = np.unique(np.column_stack([batch, rate]), axis=0)
    _, first, count = np.unique(pairs[:, 0], return_index=True, return_counts=True)
    octaves = np.log2(pairs[first + count - 1, 1] / pairs[first, 1])
    return bool(np.median(count) >= _RATES_OF_RUNS and np.median(octaves) >= _OCTAVES_OF_RUNS)
