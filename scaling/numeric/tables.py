"""Tables of optima as users keep them: CSV files."""

import csv
import os
import re

from scaling.errors import DataError, InputError
from scaling.numeric._text import parse_batch_size, parse_positive, read_text


def read_optima(path: str | os.PathLike[str]) -> tuple[list[float], list[float]]:
    """Read the columns ``batch_size`` and ``learning_rate`` of a CSV file.

    Parameters
    ----------
    path : path-like
        UTF-8 text with a header, separated by commas, semicolons or tabs. Other columns, blank
        lines and lines that begin with ``#`` are passed over. Batch sizes may be products.

    Returns
    -------
    batch_size, learning_rate : list of float

    Raises
    ------
    DataError
        Naming the file, and the row where one is at fault.
    """
    lines = [
        (number, line)
        for number, line in enumerate(re.split(r"\r\n|\r|\n", read_text(path)), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise DataError(f"{path}: the file is empty; it needs columns batch_size, learning_rate")
    separator = max(",;\t", key=lines[0][1].count)
    try:
        header, *rows = csv.reader((line for _, line in lines), delimiter=separator, strict=True)
    except csv.Error as error:
        raise DataError(f"{path}: not a CSV file: {error}") from None
    names = [name.strip() for name in header]
    columns = [_find_column(path, names, name) for name in ("batch_size", "learning_rate")]
    if not rows:
        raise DataError(f"{path}: there is no row below the header")
    if len(rows) != len(lines) - 1:
        raise DataError(f"{path}: a quoted cell runs over several lines")
    batch_sizes, learning_rates = [], []
    for row, ((number, _), cells) in enumerate(zip(lines[1:], rows, strict=True), start=1):
        where = f"{path}: row {row} (line {number})"
        if len(cells) != len(names):
            raise DataError(f"{where} has {len(cells)} cells, the header has {len(names)}")
        try:
            batch_sizes.append(parse_batch_size(cells[columns[0]]))
        except InputError as error:
            raise DataError(f"{where}: batch_size {error}") from None
        try:
            learning_rates.append(parse_positive(cells[columns[1]]))
        except InputError as error:
            raise DataError(f"{where}: learning_rate {error}") from None
    return batch_sizes, learning_rates


def _find_column(path: str | os.PathLike[str], names: list[str], wanted: str) -> int:
    """Index of the one column of that name."""
    count = names.count(wanted)
    if count != 1:
        found = "there is no column" if not count else f"there are {count} columns"
        raise DataError(f"{path}: {found} {wanted!r}; the header has {', '.join(names)}")
    return names.index(wanted)
