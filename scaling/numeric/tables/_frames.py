"""Tables in memory: dicts of columns, data frames of any library, records."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from scaling.errors import DataError, InputError, MissingExtraError
from scaling.numeric.tables._columns import Column, Columns, column_of_array, column_of_cells


def columns_of_data(data: Any, source: str) -> Columns:
    """Take apart whatever has named columns."""
    if isinstance(data, list | tuple) and all(isinstance(row, Mapping) for row in data):
        found = columns_of_records(data)
    else:
        columns = _named_columns(data, source)
        found = Columns(list(columns), [_column(columns, name, source) for name in columns])
    lengths = {len(column) for column in found.columns}
    if len(lengths) > 1:
        raise DataError(f"{source}: its columns differ in length: {sorted(lengths)}")
    if lengths <= {0}:
        raise DataError(f"{source}: there is no row")
    return found


def columns_of_records(records: Sequence[Mapping[str, Any]]) -> Columns:
    """Make columns of mappings, one for each row; inner mappings are named as outer.inner."""
    rows = [dict(_flat(record)) for record in records]
    names = list(dict.fromkeys(name for row in rows for name in row))
    return Columns(names, [column_of_cells([row.get(name) for row in rows]) for name in names])


def _flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _named_columns(data: Any, source: str) -> Mapping[Any, Any]:
    """Columns of a mapping, a structured array or a data frame, by name."""
    if isinstance(data, Mapping) and data:
        return data
    if isinstance(data, np.ndarray) and data.dtype.names:
        return {name: data[name] for name in data.dtype.names}
    if hasattr(type(data), "columns"):
        nw = _narwhals()
        try:
            frame = nw.from_native(data, eager_only=True)
            return {column.name: column for column in frame.iter_columns()}
        except nw.exceptions.DuplicateError as error:
            raise DataError(f"{source}: {' '.join(str(error).split())}") from None
        except TypeError:  # a lazy frame, or something else
            pass
    raise InputError(
        "must be a mapping of names to columns, a data frame (a lazy one after collect()), a list "
        f"of dicts or a path, got {type(data).__name__}",
        "data",
    )


def _column(columns: Mapping[Any, Any], name: Any, source: str) -> Column:
    if not isinstance(name, str):
        raise DataError(f"{source}: a column is named {name!r}, which is not a text")
    values = columns[name]
    if isinstance(values, list | tuple):
        return column_of_cells(values)
    try:
        if hasattr(values, "to_numpy"):
            return _column_of_series(_narwhals().from_native(values, series_only=True))
        return column_of_array(np.asarray(values))
    except (TypeError, ValueError):
        raise DataError(f"{source}: column {name!r} is not a vector") from None


def _column_of_series(series: Any) -> Column:
    nw = _narwhals()
    if series.dtype.is_numeric():
        numbers = series.cast(nw.Float64).to_numpy()
        return column_of_array(numbers.astype("f4") if series.dtype == nw.Float32 else numbers)
    missing = series.is_null()
    return column_of_cells(
        [None if gone else cell for cell, gone in zip(series.to_list(), missing, strict=True)]
    )


def _narwhals() -> Any:
    """The library that knows every other library's frames."""
    try:
        import narwhals
    except ImportError:
        raise MissingExtraError("narwhals", "sweeps") from None
    return narwhals
