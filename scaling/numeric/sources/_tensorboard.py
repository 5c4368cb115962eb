"""TensorBoard's event files: hparams and the last value of each scalar, without TensorBoard.

A file is a sequence of records, each an Event of tensorflow/core/util/event.proto; what the
plugin hparams writes is in tensorboard/plugins/hparams/{plugin_data,api}.proto.
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from scaling.errors import DataError
from scaling.numeric.inputs.files import LARGEST, read_bytes
from scaling.numeric.sources.records import Source

_STATUS = {1: "FINISHED", 2: "FAILED", 3: "RUNNING"}


def read_events(folder: Path, files: Sequence[Path]) -> Source | None:
    """Read the event files below a folder: a run is a folder with hparams, and those below it."""
    events = [path for path in files if "tfevents" in path.name]
    if not events:
        return None
    hparams: dict[Path, dict[str, Any]] = {}
    scalars: dict[Path, dict[str, tuple[int, float]]] = {}
    for path in events:
        _read_file(path, hparams, scalars.setdefault(path.parent, {}))
    if not hparams:
        raise DataError(
            f"{folder}: event files of TensorBoard without hparams, so that nothing tells the "
            "learning rate; log them by SummaryWriter.add_hparams, or export a table"
        )
    records = [
        record
        | {
            f"{place.relative_to(run).as_posix()}/{tag}".removeprefix("./"): value
            for place in sorted(scalars)
            if place.is_relative_to(run)
            for tag, (_, value) in scalars[place].items()
        }
        for run, record in hparams.items()
    ]
    labels = tuple(run.relative_to(folder).as_posix() for run in hparams)
    return Source(records, labels, "hparams of TensorBoard")


def _read_file(
    path: Path, hparams: dict[Path, dict[str, Any]], scalars: dict[str, tuple[int, float]]
) -> None:
    """Note the hparams of a file, by its folder, and the last step and value of each scalar."""
    for tag, step, value in _values(path):
        if isinstance(value, dict):
            hparams.setdefault(path.parent, {}).update(value)
        elif tag not in scalars or step >= scalars[tag][0]:
            scalars[tag] = step, value


def _values(path: Path) -> Iterator[tuple[str, int, Any]]:
    """Yield tag, step and value: a float, or the hparams of the run as a dict."""
    try:
        for event in _records(read_bytes(path, LARGEST)):
            fields = dict(_fields(event))
            step = fields.get(2, 0)
            for number, value in _fields(fields.get(5, b"")):
                if number == 1:
                    found = dict(_fields(value))
                    hparams = _hparams(found.get(9, b""))
                    scalar = _scalar(found)
                    if hparams or scalar is not None:
                        yield found.get(1, b"").decode(), step, hparams or scalar
    except (ValueError, IndexError, struct.error, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a whole event file of TensorBoard: {error}") from None


def _records(data: bytes) -> Iterator[bytes]:
    """Yield the records of a TFRecord file; one that is still being written ends it."""
    place = 0
    while place + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        if place + 12 + length > len(data):
            return
        yield data[place + 12 : place + 12 + length]
        place += length + 16  # two checksums


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value of the fields of a message of protocol buffers."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, place = _varint(data, place)
            yield number, value
            continue
        size = {1: 8, 5: 4}.get(kind, -1)
        if kind == 2:
            size, place = _varint(data, place)
        if size < 0 or place + size > len(data):
            raise ValueError("a field is cut off")
        piece = data[place : place + size]
        place += size
        yield number, piece if kind == 2 else struct.unpack("<d" if kind == 1 else "<f", piece)[0]


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise ValueError("a number is too long")


def _scalar(value: dict[int, Any]) -> float | None:
    """Return a scalar, of the first or the second version of TensorBoard."""
    if 2 in value:
        return float(value[2])
    tensor = dict(_fields(value.get(8, b"")))
    for number, kind, size in ((5, "<f", 4), (6, "<d", 8)):
        if number in tensor:
            piece = tensor[number]
            return (
                float(piece) if isinstance(piece, float) else struct.unpack(kind, piece[:size])[0]
            )
    content, form = tensor.get(4, b""), {1: "<f", 2: "<d"}.get(tensor.get(1, 0), "")
    return (
        struct.unpack(form, content)[0] if form and len(content) == struct.calcsize(form) else None
    )


def _hparams(metadata: bytes) -> dict[str, Any]:
    """Return the hparams, or the state at the end, that a summary of the plugin holds."""
    plugin = dict(_fields(dict(_fields(metadata)).get(1, b"")))
    if plugin.get(1) != b"hparams":
        return {}
    content = dict(_fields(plugin.get(2, b"")))
    found: dict[str, Any] = {}
    for number, entry in _fields(content.get(3, b"")):
        if number == 1:
            pair = dict(_fields(entry))
            kinds = dict(_fields(pair.get(2, b"")))
            value = next((kinds[kind] for kind in (2, 3, 4) if kind in kinds), None)
            name = pair.get(1, b"").decode()
            found[f"hparam/{name}"] = value.decode() if isinstance(value, bytes) else value
    if 4 in content:
        status = dict(_fields(content[4])).get(1, 0)
        found["state"] = _STATUS.get(status, "")
    return found
