"""Tables as records, one object for each run: JSON files and lists of dicts."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scaling.errors import DataError
from scaling.numeric.tables._columns import Columns, column_of_cells


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


def read_json(path: str | os.PathLike[str], text: str) -> Columns:
    """Read records, in a list or one a line, or columns and rows as W&B's tables have them."""
    document = _parse(path, text)
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


def _parse(path: str | os.PathLike[str], text: str) -> Any:
    try:
        try:
            return _load(text)
        except json.JSONDecodeError as error:
            if error.msg != "Extra data":
                raise
        # One object a line: with a comma after each, a list in which errors keep their line.
        return _load("[" + re.sub(r"\n(?=\s*\{)", ",\n", text.strip()) + "]")
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}: not a whole JSON file: {error.msg} at line {error.lineno}"
        ) from None
    except _TwiceError as error:
        raise DataError(f"{path}: the key {str(error)!r} stands twice in one object") from None
    except (RecursionError, ValueError):
        raise DataError(f"{path}: nested too deeply, or a number too long") from None


class _TwiceError(Exception):
    """A key that stands twice in an object."""


def _load(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            keys = [key for key, _ in pairs]
            raise _TwiceError(next(key for key in keys if keys.count(key) > 1))
        return result

    return json.loads(text, object_pairs_hook=unique)
