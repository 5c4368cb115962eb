"""Files that hold tables: CSV, JSON and Parquet, compressed by gzip or not."""

import csv
import gzip
import io
import os
import re
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from scaling.errors import DataError, MissingExtraError
from scaling.numeric.inputs.documents import parse_json
from scaling.numeric.inputs.files import LARGEST, decode, read_bytes
from scaling.numeric.tables._columns import Columns, TextsBuilder
from scaling.numeric.tables._frames import columns_of_data, columns_of_records

#: Rows that are held as separate texts at a time; few enough for a processor's cache.
_CHUNK = 256

#: A small Parquet file may hold any number of rows, and rows any number of bytes.
_MOST_CELLS = 20_000_000
_BATCH = 1024
_MOST_COLUMNS = 10_000

#: Between rows, lines that are blank or comments.
_IS_PASSED_OVER = re.compile(r"\s*(#|\Z)").match

_SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}

#: What some files that are no tables begin with, and what to do about them.
_FOREIGN = {
    b"PK\x03\x04": "a spreadsheet or an archive; export the table as CSV",
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
    if re.match(rb"(\xef\xbb\xbf)?\s*[\[{]", data):
        return _read_json(path, decode(path, data))
    try:
        if b"\0" not in data:
            return _read_csv(path, io.TextIOWrapper(io.BytesIO(data), "utf-8-sig"))
    except UnicodeDecodeError:
        pass
    raise DataError(f"{path}: not a text file in UTF-8; save it as one")


def _unpack(path: str | os.PathLike[str], data: bytes) -> bytes:
    """Undo gzip; a small file may hold any number of bytes."""
    try:
        with gzip.open(io.BytesIO(data)) as file:
            unpacked = file.read(LARGEST + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path}: not a whole gzip file: {error}") from None
    if len(unpacked) > LARGEST:
        raise DataError(f"{path}: not read: unpacked, it is larger than {LARGEST / 2**20:.10g} MiB")
    return unpacked


def _read_csv(path: str | os.PathLike[str], file: io.TextIOWrapper) -> Columns:
    rows = _rows(path, file)
    _, names = next(rows)
    if len(names) > _MOST_COLUMNS:
        raise DataError(f"{path}: not read: {len(names)} columns; at most {_MOST_COLUMNS} are")
    builders = [TextsBuilder() for _ in names]
    lines: list[int] = []
    while chunk := list(islice(rows, _CHUNK)):
        starts, cells = zip(*chunk, strict=True)
        lines.extend(starts)
        for builder, column in zip(builders, zip(*cells, strict=True), strict=True):
            builder.extend(column)
    if not lines:
        raise DataError(f"{path}: there is no row below the header")
    columns = [builder.column() for builder in builders]
    return Columns([name.strip() for name in names], [*columns], np.array(lines, dtype=np.intp))


def _rows(path: str | os.PathLike[str], file: io.TextIOWrapper) -> Iterator[tuple[int, list[str]]]:
    """Rows of equal length, the header first, and the line where each begins."""
    head = next((line for line in file if not _IS_PASSED_OVER(line)), None)
    if head is None:
        raise DataError(f"{path}: the file is empty; it needs a header and rows")
    separator = max(_SEPARATORS, key=re.sub(r'"[^"]*"', "", head).count)
    file.seek(0)
    between = True  # rows, and not within a quoted cell that runs over several lines

    def lines() -> Iterator[str]:
        nonlocal between
        for line in file:
            between = between and _IS_PASSED_OVER(line) is not None
            yield "\n" if between else line

    reader = csv.reader(lines(), delimiter=separator, strict=True)
    start, width, count = 1, 0, -1
    try:
        for row in reader:
            if row:
                count, width = count + 1, width or len(row)
                if len(row) != width:
                    problem = f"row {count} (line {start}) has {len(row)} cells, the header has"
                    raise DataError(f"{path}: {problem} {width}{_hint(row, width, separator)}")
                yield start, row
            start, between = reader.line_num + 1, True
    except csv.Error as error:
        raise DataError(f"{path}: not a CSV file: {error}, in line {start}") from None


def _hint(row: list[str], width: int, separator: str) -> str:
    if len(row) < width:
        return ""
    return f"; a text with {_SEPARATORS[separator]} in it needs quotes, a number has none"


def _read_json(path: str | os.PathLike[str], text: str) -> Columns:
    """Read records, in a list or one a line, or columns and rows as W&B's tables have them."""
    # One object a line: with a comma after each, a list in which errors keep their line.
    listed, count = re.subn(r"\}(?=\s*\n\s*\{)", "},", text)
    document = parse_json(path, f"[{listed}]" if count else text, nan=True)
    if isinstance(document, dict) and {"columns", "data"} <= document.keys():
        document = _records(path, document["columns"], document["data"])
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise DataError(
            f"{path}: not a table; JSON must be a list of objects, one for each run, an object on "
            'each line, or {"columns": [...], "data": [[...], ...]}'
        )
    if not document:
        raise DataError(f"{path}: there is no row")
    return columns_of_records(document)


def _records(path: str | os.PathLike[str], names: Any, rows: Any) -> Any:
    if not isinstance(names, list) or not isinstance(rows, list):
        return None
    for i, row in enumerate(rows, start=1):
        if not isinstance(row, list) or len(row) != len(names):
            raise DataError(f"{path}: row {i} must be a list of {len(names)} cells")
    return [dict(zip(map(str, names), row, strict=True)) for row in rows]


def _unpacked(column: Any) -> int:
    """Bytes of an Arrow array, of which a dictionary may hold each long text only once."""
    import pyarrow as pa
    from pyarrow import compute

    if not (pa.types.is_dictionary(column.type) and pa.types.is_string(column.type.value_type)):
        return int(column.nbytes)
    longest = compute.max(compute.binary_length(column.dictionary)).as_py() or 0
    return len(column) * int(longest)


def _read_parquet(path: str | os.PathLike[str], data: bytes) -> Columns:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("pyarrow", "sweeps") from None
    try:
        file = parquet.ParquetFile(io.BytesIO(data))
        rows, columns = file.metadata.num_rows, len(file.schema_arrow.names)
        if rows * columns > _MOST_CELLS:
            raise DataError(
                f"{path}: not read: it holds {rows} rows of {columns} columns, and at most "
                f"{_MOST_CELLS} cells are read; select some first"
            )
        batches, size = [], 0
        for batch in file.iter_batches(_BATCH):
            batches.append(batch)
            size += sum(map(_unpacked, batch.columns))
            if size > LARGEST:
                raise DataError(
                    f"{path}: not read: unpacked, it is larger than {LARGEST / 2**20:.10g} MiB"
                )
        return columns_of_data(pa.Table.from_batches(batches, file.schema_arrow), str(path))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise DataError(f"{path}: not a whole Parquet file: {problem}") from None
