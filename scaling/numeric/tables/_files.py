"""Files that hold tables: CSV, JSON, Parquet, and what gzip has made of them."""

import csv
import gzip
import io
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from scaling.errors import DataError
from scaling.numeric.inputs.text import decode, read_bytes
from scaling.numeric.tables._columns import Columns, TextsBuilder, as_column
from scaling.numeric.tables._records import read_json

#: Rows that are held as separate texts at a time; few enough for a processor's cache.
_CHUNK = 256

_SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}

#: Bytes; a small compressed file may hold any number of them.
_MOST_UNPACKED = 2**29

#: What some files that are no tables begin with, and what to do about them.
_FOREIGN = {
    b"PK\x03\x04": "a spreadsheet or an archive; export the table as CSV",
    b"SQLite format 3": "a database; for an Optuna study, write study.trials_dataframe().to_csv()",
}


def read_columns(path: str | os.PathLike[str]) -> Columns:
    """Read a file, whose form is told by what it begins with."""
    data = read_bytes(path)
    if data.startswith(b"\x1f\x8b"):
        data = _unpack(path, data)
    for beginning, what in _FOREIGN.items():
        if data.startswith(beginning):
            raise DataError(f"{path}: not a table but {what}")
    if data.startswith(b"PAR1"):
        return _read_parquet(path, data)
    text = decode(path, data)
    return read_json(path, text) if text.lstrip()[:1] in ("[", "{") else _read_csv(path, text)


def _unpack(path: str | os.PathLike[str], data: bytes) -> bytes:
    """Undo gzip, within a bound."""
    try:
        with gzip.open(io.BytesIO(data)) as file:
            unpacked = file.read(_MOST_UNPACKED + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path}: not a whole gzip file: {error}") from None
    if len(unpacked) > _MOST_UNPACKED:
        raise DataError(f"{path}: not read: unpacked, it is larger than 512 MiB")
    return unpacked


class _Rows:
    """Lines of a CSV file without the blank lines and the comments between its rows."""

    def __init__(self, text: str) -> None:
        self._lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        #: The line where each row begins, the header being the first.
        self.starts: list[int] = []

    def __iter__(self) -> Iterator[str]:
        self.starts.clear()
        inside = False  # a quoted cell, which may run over several lines
        for number, line in enumerate(self._lines, start=1):
            if not inside:
                if not line.strip() or line.lstrip().startswith("#"):
                    continue
                self.starts.append(number)
            inside ^= line.count('"') % 2 == 1
            yield line + "\n"


def _read_csv(path: str | os.PathLike[str], text: str) -> Columns:
    lines = _Rows(text)
    head = next(iter(lines), None)
    if head is None:
        raise DataError(f"{path}: the file is empty; it needs a header and rows")
    separator = max(_SEPARATORS, key=re.sub(r'"[^"]*"', "", head).count)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    count = 0
    try:
        names = [name.strip() for name in next(reader)]
        builders = [TextsBuilder() for _ in names]
        while rows := list(islice(reader, _CHUNK)):
            if len(lines.starts) != 1 + count + len(rows):
                # A quote in a cell that does not begin with one: where rows begin is in doubt.
                raise DataError(
                    f"{path}: not a CSV file: a quote within a cell that has none around it, "
                    f"in or after line {lines.starts[count]}"
                )
            if set(map(len, rows)) != {len(names)}:
                problem = _ragged(rows, len(names), lines.starts[count + 1 :], separator, count)
                raise DataError(f"{path}: {problem}")
            for builder, cells in zip(builders, zip(*rows, strict=True), strict=True):
                builder.extend(cells)
            count += len(rows)
    except csv.Error as error:
        raise DataError(f"{path}: not a CSV file: {error}, in line {lines.starts[-1]}") from None
    if not count:
        raise DataError(f"{path}: there is no row below the header")
    starts = np.array(lines.starts[1:], dtype=np.intp)
    return Columns(names, [builder.column() for builder in builders], starts)


def _ragged(
    rows: Sequence[list[str]], width: int, starts: list[int], separator: str, before: int
) -> str:
    """Say which row has too many cells or too few."""
    row, cells = next((i, len(row)) for i, row in enumerate(rows) if len(row) != width)
    said = f"row {before + row + 1} (line {starts[row]}) has {cells} cells, the header has {width}"
    if cells < width:
        return said
    return f"{said}; a text with {_SEPARATORS[separator]} in it needs quotes, a number has none"


def _read_parquet(path: str | os.PathLike[str], data: bytes) -> Columns:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise DataError(
            f"{path}: a Parquet file needs pyarrow: pip install 'adam-lr-scaling[sweeps]'; "
            "or export the table as CSV"
        ) from None
    try:
        table = parquet.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: not a whole Parquet file: {' '.join(str(error).split())}"
        ) from None
    if not table.num_rows:
        raise DataError(f"{path}: there is no row")
    return Columns(table.column_names, [as_column(column) for column in table.columns])
