"""JSON documents, read strictly: no key twice, none missing, none unknown, nothing converted."""

import json
import os
from typing import Any, NoReturn, TypeVar

from scaling.errors import DataError

T = TypeVar("T")

#: Of a JSON text, of which Python's objects take ten times the memory.
_LONGEST = 5 * 10**7


class MalformedError(Exception):
    """A value is not what it should be; says which."""


def parse_json(path: str | os.PathLike[str], text: str, *, nan: bool = False) -> Any:
    """Read a JSON text in which no key stands twice, and NaN or infinity only if ``nan``."""
    if len(text) > _LONGEST:
        raise DataError(f"{path}: not read: as JSON, it is longer than {_LONGEST} characters")

    def refuse(constant: str) -> NoReturn:
        raise DataError(f"{path}: holds {constant}, which is no finite number; save it again")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise DataError(f"{path}: the key {twice!r} stands twice in one object")
        return result

    def finite(number: str) -> float:
        value = float(number)
        return value if abs(value) < float("inf") else refuse(number)

    strict: dict[str, Any] = {} if nan else {"parse_constant": refuse, "parse_float": finite}
    try:
        return json.loads(text, object_pairs_hook=unique, **strict)
    except json.JSONDecodeError as error:
        where = f"{error.msg.removesuffix(' at')} at line {error.lineno}"
        raise DataError(f"{path}: not a whole JSON file: {where}; save it again") from None
    except DataError:
        raise
    except (RecursionError, ValueError):
        raise DataError(f"{path}: nested too deeply, or a number too long") from None


def open_document(
    path: str | os.PathLike[str], text: str, *, form: str, newest: int, missing: str
) -> tuple[dict[str, Any], int]:
    """Read an object that says its format and version; return the rest of it, and the version.

    Parameters
    ----------
    path : path-like
        Where the text comes from, for the errors.
    text : str
        JSON with the keys ``format`` and ``version``, which are taken out.
    form, newest : str, int
        The format, and the newest version of it.
    missing : str
        What to say of a text in another format.

    Raises
    ------
    DataError
        If it is not such an object.
    """
    document = parse_json(path, text)
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
    return document, version


def convert(value: Any, kind: type[T]) -> T:
    """Make a dataclass or a typed dict of JSON values, or raise `MalformedError` that says where.

    Keys that the kind does not know are passed over, for `compare_keys` to find.
    """
    import msgspec  # a few milliseconds, for those who read a document only

    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$")
        where = place.strip(".`")
        raise MalformedError(f"{where}: {what}" if where else what) from None


def compare_keys(given: Any, written: Any, where: str = "") -> None:
    """Refuse a document that has other keys than what would be written of it."""
    if isinstance(given, dict) and isinstance(written, dict):
        for key in sorted(given.keys() ^ written.keys()):
            name = f"{where}{key}"
            shown = name if name.isprintable() else ascii(name)
            raise MalformedError(f"{shown} is {'unknown' if key in given else 'missing'}")
        for key, value in given.items():
            compare_keys(value, written[key], f"{where}{key}.")
    elif isinstance(given, list) and isinstance(written, list):
        for i, (one, other) in enumerate(zip(given, written, strict=True)):
            compare_keys(one, other, f"{where.removesuffix('.')}[{i}].")
