"""A .safetensors file: the length of a header, the header in JSON, then the tensors' bytes."""

import json
from pathlib import Path
from typing import Any

from scaling.errors import DataError
from scaling.measure.checkpoints._tensors import StoredTensor

#: Bytes of the header, as the format allows.
_MOST_HEADER = 100_000_000
_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
}


def read_safetensors(path: Path) -> dict[str, Any]:
    """Return the tensors of a file by their names.

    Raises
    ------
    DataError
        If it is cut short, or not one.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            # A longer header is cut off, and then is no JSON.
            header = json.loads(file.read(min(length, _MOST_HEADER)))
        room = path.stat().st_size - 8 - length
        return {
            name: _tensor(path, 8 + length, room, entry)
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DataError(f"{path}: not a whole .safetensors file; copy it again") from None


def _tensor(path: Path, start: int, room: int, entry: dict[str, Any]) -> StoredTensor:
    first, end = map(int, entry["data_offsets"])
    if not 0 <= first <= end <= room:
        raise ValueError
    shape = tuple(map(int, entry["shape"]))
    dtype = _DTYPES.get(entry["dtype"], str(entry["dtype"]))
    return StoredTensor(path, start + first, dtype, shape, end - first)
