# ruff: noqa: D102 - a method is named after the type that it reads
"""Reading JSON strictly: no NaN, no key twice, none missing and none unknown."""

import json
import os
from typing import Any

from scaling.errors import DataError


def open_document(
    path: str | os.PathLike[str], text: str, *, form: str, newest: int, missing: str
) -> "Reader":
    """Open a JSON object of a format and a version that this program reads.

    Parameters
    ----------
    path : path-like
        Where the text comes from, for the errors.
    text : str
        JSON with the keys ``format`` and ``version``, which are read here.
    form, newest : str, int
        The format, and the newest version of it.
    missing : str
        What to say of a text in another format.

    Raises
    ------
    DataError
        If it is not such an object.
    """
    document = _parse(path, text)
    if not isinstance(document, dict) or document.pop("format", None) != form:
        raise DataError(f"{path}: {missing}")
    version = document.pop("version", None)
    if type(version) is not int or version < 1:
        raise DataError(f"{path}: the version must be a whole number, got {version!r}")
    if version > newest:
        raise DataError(
            f"{path}: written in version {version}, this program reads up to {newest}; "
            "update adam-lr-scaling"
        )
    return Reader(document, version=version)


def _parse(path: str | os.PathLike[str], text: str) -> Any:
    """Read JSON, strictly: no NaN, no key twice."""

    def refuse(constant: str) -> None:
        raise DataError(f"{path}: holds {constant}, which is not a number; save it again")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            raise DataError(f"{path}: a key stands twice among {', '.join(k for k, _ in pairs)}")
        return result

    try:
        return json.loads(text, parse_constant=refuse, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        where = f"{error.msg.removesuffix(' at')} at line {error.lineno}"
        raise DataError(f"{path}: not a whole JSON file: {where}; save it again") from None
    except DataError:
        raise
    except (RecursionError, ValueError):
        raise DataError(f"{path}: nested too deeply, or a number too long") from None


class MalformedError(Exception):
    """A JSON value that is not what it should be; says where."""


class Reader:
    """A JSON object read key by key; every key must be there, and be read.

    ``version`` is that of the document, 0 in the objects inside it.
    """

    def __init__(self, document: Any, where: str = "", version: int = 0) -> None:
        if not isinstance(document, dict):
            raise MalformedError(f"{where or 'the file'} must be an object")
        self.document, self.where, self.version = dict(document), where, version

    def value(self, key: str) -> Any:
        if key not in self.document:
            raise MalformedError(f"{self.where}{key} is missing")
        return self.document.pop(key)

    def text(self, key: str) -> str:
        value = self.value(key)
        if not isinstance(value, str):
            raise MalformedError(f"{self.where}{key} must be a text, got {value!r}")
        return value

    def number(self, key: str) -> float:
        value = self.value(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise MalformedError(f"{self.where}{key} must be a number, got {value!r}")
        try:
            number = float(value)
        except OverflowError:
            number = float("inf")
        if not abs(number) < float("inf"):
            raise MalformedError(f"{self.where}{key} is too large for a number")
        return number

    def optional_number(self, key: str) -> float | None:
        if self.document.get(key, 0) is not None:
            return self.number(key)
        del self.document[key]
        return None

    def number_or_infinity(self, key: str) -> float:
        value = self.optional_number(key)
        return float("inf") if value is None else value

    def optional_pair(self, key: str) -> tuple[float, float] | None:
        value = self.value(key)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != 2:
            raise MalformedError(f"{self.where}{key} must be null or two numbers")
        pair = Reader(dict(zip("01", value, strict=True)), f"{self.where}{key}.")
        return pair.number("0"), pair.number("1")

    def object(self, key: str) -> "Reader":
        return Reader(self.value(key), f"{self.where}{key}.")

    def objects(self, key: str) -> "list[Reader]":
        values = self.value(key)
        if not isinstance(values, list):
            raise MalformedError(f"{self.where}{key} must be a list")
        return [Reader(value, f"{self.where}{key}[{i}].") for i, value in enumerate(values)]

    def optional_text(self, key: str) -> str | None:
        if self.document.get(key, "") is not None:
            return self.text(key)
        del self.document[key]
        return None

    def numbers(self, key: str) -> tuple[float, ...]:
        values = self.value(key)
        if not isinstance(values, list):
            raise MalformedError(f"{self.where}{key} must be a list of numbers")
        inner = Reader(dict(zip(map(str, range(len(values))), values, strict=True)))
        inner.where = f"{self.where}{key}."
        return tuple(inner.number(str(i)) for i in range(len(values)))

    def end(self) -> None:
        for key in self.document:
            raise MalformedError(f"{self.where}{key} is unknown")
