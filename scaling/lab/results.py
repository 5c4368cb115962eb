"""What the laboratory writes: a journal while it works, tables when it is done."""

import csv
import io
import os
from collections.abc import Iterable
from dataclasses import astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from scaling.errors import DataError
from scaling.lab.cells import Measured, Result, Run
from scaling.lab.measuring import NoiseScale
from scaling.numeric.inputs.files import read_bytes, write_whole

if TYPE_CHECKING:
    from scaling.lab.configuration import Cell

#: Settings of a cell that are columns of the table, before what is of each run.
_SETTINGS = (
    "problem",
    "budget",
    "target",
    "decay",
    "warm_up",
    "weight_decay",
    "eps_inside",
    "beta1",
    "beta2",
    "eps",
    "batch_size",
)
_OF_RUNS = (*_SETTINGS, "steps", "learning_rate", "seed")
_OF_MEASURED = (
    *_OF_RUNS,
    "fraction",
    "step",
    *(field.name for field in fields(NoiseScale)),
    "second_moments",
)


class Journal:
    """The cells that are finished, a line each, so that work may be cut off at any moment.

    A line is written at once and reaches the disk before the next cell counts as begun; one that
    was cut off is dropped when the journal is opened again.

    Parameters
    ----------
    path : path
        The file; made when first written to.

    Raises
    ------
    DataError
        If the file is no journal, or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.results: dict[Cell, Result] = {}
        data = read_bytes(path) if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                result = msgspec.json.decode(line, type=Result)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise DataError(f"{path}: line {number} is no record of a cell: {error}") from None
            self.results[result.cell] = result
        if len(whole) < len(data):
            os.truncate(path, len(whole))

    def add(self, result: Result) -> None:
        """Record a finished cell."""
        try:
            with self.path.open("ab") as file:
                file.write(msgspec.json.encode(result) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise DataError(f"{self.path}: cannot be written: {error.strerror}") from None
        self.results[result.cell] = result


def write_tables(results: Iterable[Result], path: Path) -> None:
    """Write the runs as a table that `lr fit` reads, and what was measured as one beside it.

    Parameters
    ----------
    results : iterable of Result
        In the order in which they are to stand.
    path : path
        Of the table; what was measured goes to `measured_path`.

    Raises
    ------
    DataError
        If a file cannot be written.

    Notes
    -----
    A run that diverged has ``nan`` as its loss, one that did not come to its target an empty field
    of steps.
    """
    runs, measured = [], []
    for result in results:
        settings = [_field(getattr(result.cell, name)) for name in _SETTINGS]
        for run in result.runs:
            loss = "nan" if run.loss is None else _field(run.loss)
            runs.append([*settings, _field(run.steps), _rate(run), run.seed, loss])
        for found in result.measured:
            noise = [f"{value:.5g}" for value in astuple(found.noise)]
            when = [_rate(found), found.seed, _field(found.fraction), found.step]
            measured.append([*settings, result.cell.steps, *when, *noise, found.second_moments])
    if measured:
        _write(measured_path(path), _OF_MEASURED, measured)
    _write(path, (*_OF_RUNS, "loss"), runs)


def measured_path(path: Path) -> Path:
    """Where what was measured along the runs of a table lies: ``runs.measured.csv``."""
    return path.with_suffix(".measured.csv")


def _write(path: Path, names: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())


def _rate(of: Run | Measured) -> str:
    return f"{of.learning_rate:.8g}"


def _field(value: object) -> object:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else value
