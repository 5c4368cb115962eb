"""What the laboratory writes: a journal while it works, tables when it is done."""

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from scaling.errors import DataError
from scaling.lab.cells import Result
from scaling.numeric.inputs.files import write_whole

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
        try:
            data = path.read_bytes() if path.exists() else b""
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from None
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
    """Write the runs as a table that `lr fit` reads, and what was measured beside it.

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
    results = list(results)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_SETTINGS, "steps", "learning_rate", "seed", "loss"])
    for result in results:
        settings = [_field(getattr(result.cell, name)) for name in _SETTINGS]
        for run in result.runs:
            loss = "nan" if run.loss is None else _field(run.loss)
            writer.writerow(
                [*settings, _field(run.steps), f"{run.learning_rate:.8g}", run.seed, loss]
            )
    lines = []
    for result in results:
        setting = {name: getattr(result.cell, name) for name in (*_SETTINGS, "steps")}
        lines += [
            msgspec.json.encode(setting | msgspec.structs.asdict(measured)) + b"\n"
            for measured in result.measured
        ]
    if lines:
        write_whole(measured_path(path), b"".join(lines))
    write_whole(path, text.getvalue().encode())


def measured_path(path: Path) -> Path:
    """Where what was measured along the runs of a table lies: ``runs.measured.jsonl``."""
    return path.with_suffix(".measured.jsonl")


def _field(value: object) -> object:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else value
