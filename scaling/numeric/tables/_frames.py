"""Tables in memory: dicts of columns, data frames of any library, records."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scaling.errors import DataError, InputError
from scaling.numeric.tables._columns import Column, Columns, as_column, length
from scaling.numeric.tables._records import columns_of_records


def columns_of_data(data: Any, source: str) -> Columns:
    """Take apart whatever has named columns; no library is imported for it."""
    if isinstance(data, list | tuple) and all(isinstance(row, Mapping) for row in data):
        found = columns_of_records(data)
    else:
        names = _names(data)
        found = Columns(names, [_column(data, name, names, source) for name in names])
    lengths = {length(column) for column in found.columns}
    if len(lengths) > 1:
        raise DataError(f"{source}: its columns differ in length: {sorted(lengths)}")
    if lengths <= {0}:
        raise DataError(f"{source}: there is no row")
    return found


def _names(data: Any) -> list[Any]:
    """Names of the columns of a mapping, a structured array or a data frame."""
    names: list[Any] = []
    if isinstance(data, Mapping):
        names = list(data)
    elif isinstance(data, np.ndarray):
        names = list(data.dtype.names or ())
    elif hasattr(data, "collect"):  # polars
        raise InputError("is a plan of a table; call its method collect() first", "data")
    elif hasattr(data, "__getitem__"):  # pyarrow, pandas and polars
        names = list(getattr(data, "column_names", getattr(data, "columns", ())))
    if not names:
        raise InputError(
            "must be a mapping of names to columns, a data frame, a list of dicts or a path, "
            f"got {type(data).__name__}",
            "data",
        )
    return names


def _column(data: Any, name: Any, names: Sequence[Any], source: str) -> Column:
    if not isinstance(name, str):
        raise DataError(f"{source}: a column is named {name!r}, which is not a text")
    if names.count(name) > 1:
        raise DataError(f"{source}: there are {names.count(name)} columns {name!r}")
    try:
        return as_column(data[name])
    except (TypeError, ValueError):
        raise DataError(f"{source}: column {name!r} is not a vector") from None
