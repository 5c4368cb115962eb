"""The records that every source returns, and how files are read with bounds."""

import ast
import json
import os
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from scaling.errors import DataError, InputError, MissingExtraError
from scaling.numeric.inputs.documents import parse_json
from scaling.numeric.inputs.files import read_text

#: The start of a file by which it is known.
_HEAD = 2**16
#: Bytes of one file of a run, files of a folder, levels of folders, settings of a run.
_LARGEST, _MOST_FILES, _DEEPEST, _MOST_SETTINGS = 2**26, 50_000, 8, 10_000

#: A cell longer than this is left as it is.
_LONGEST = 2**20
#: What Python writes for a float that is no number, which its own reader does not know.
_NOT_FINITE = re.compile(r"(?<=[:\[,(]\s)(-?inf|nan)(?=\s*[,}\])])")


class Source(NamedTuple):
    """Runs: the settings and results of each, what it is called there, and what all are."""

    records: list[dict[str, Any]]
    labels: tuple[str, ...]
    kind: str = ""


def without_password(url: str) -> str:
    """Return a URL as it may be shown and kept."""
    return re.sub(r"(://[^:@/]*):[^@/]*@", r"\1:***@", url)


def files_below(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the files of a folder and those below, in order.

    Links to folders are not followed, nor is what lies on another file system: some hold files
    that never end.

    Raises
    ------
    DataError
        If there are so many that it can hardly be the folder of a sweep.
    """
    for number, path in enumerate(_walk(Path(folder))):
        if number == _MOST_FILES:
            raise DataError(
                f"{folder}: not read: it holds more than {_MOST_FILES} files; give the folder of "
                "the runs alone"
            )
        yield path


def _walk(folder: Path) -> Iterator[Path]:
    device = folder.stat().st_dev

    def is_there(path: Path) -> bool:
        try:
            return path.stat().st_dev == device
        except OSError:  # a broken link, or gone
            return False

    for name, folders, files in os.walk(folder):
        here = Path(name)
        deep = len(here.relative_to(folder).parts) >= _DEEPEST
        folders[:] = [] if deep else sorted(inner for inner in folders if is_there(here / inner))
        yield from (here / inner for inner in sorted(files) if is_there(here / inner))


def head_of(path: Path) -> bytes:
    """Return the start of a file, by which its kind is known; nothing where it is no file."""
    try:
        if not path.is_file() or not path.stat().st_size:  # of the kernel's, some never end
            return b""
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def read_small(path: Path) -> str:
    """Return the text of one file of a run."""
    return read_text(path, _LARGEST)


def read_mapping(path: Path) -> dict[str, Any]:
    """Read an object of JSON or YAML; inner ones give keys as outer.inner."""
    text = read_small(path)
    found = parse_json(path, text, nan=True) if path.suffix == ".json" else _parse_yaml(path, text)
    if not isinstance(found, Mapping):
        raise DataError(f"{path}: not an object of settings or results")
    return flatten(found, path)


def flatten(found: Mapping[Any, Any], path: object) -> dict[str, Any]:
    """Name inner settings as outer.inner; a folder of links could hold them without end."""
    settings = dict(islice(_leaves(found, ""), _MOST_SETTINGS + 1))
    if len(settings) > _MOST_SETTINGS:
        raise DataError(f"{path}: not read: more than {_MOST_SETTINGS} settings")
    return settings


def _leaves(found: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in found.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _parse_yaml(path: Path, text: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise MissingExtraError("PyYAML", "sweeps") from None
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise DataError(
                f"{path}: not read: it has aliases, by which small files grow without end"
            )
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise DataError(f"{path}: not a whole YAML file: {' '.join(str(error).split())}") from None


def choose(found: Mapping[str, Any], study: str | None, source: object, what: str) -> Any:
    """Return the study that is asked for, or the only one."""
    names = ", ".join(sorted(found)[:20])
    if study is not None and study not in found:
        raise InputError(f"{source} has no {what} {study!r}; it has {names or 'none'}", "study")
    if study is None and len(found) != 1:
        problem = f"has several: {names}; choose one" if found else "holds none"
        raise InputError(f"{source} {problem} ({what})", "study")
    return found[study if study is not None else next(iter(found))]


def read_lines_of_json(path: Path) -> list[dict[str, Any]]:
    """Read one object a line; a last line that is cut off is passed over."""
    rows = []
    lines = read_small(path).splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            if number == len(lines):
                break
            raise DataError(f"{path}: line {number} is not JSON") from None
        if isinstance(row, dict):
            rows.append(row)
    return rows


def parse_dict(text: str) -> dict[str, Any] | None:
    """Read a dict of texts, numbers, lists and dicts; None where it is not understood."""
    if len(text) > _LONGEST or not (text.startswith("{") and text.endswith("}")):
        return None
    for read in (json.loads, lambda text: ast.literal_eval(_NOT_FINITE.sub(r"'\1'", text))):
        try:
            found = read(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        return (
            {str(key): value for key, value in found.items()} if isinstance(found, dict) else None
        )
    return None
