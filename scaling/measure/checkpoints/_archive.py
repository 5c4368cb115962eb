"""What `torch.save` wrote, without PyTorch: a zip archive of one pickle and the tensors' bytes."""

import io
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from scaling.errors import DataError
from scaling.measure.checkpoints._plain_pickle import Made, Named, read_pickle
from scaling.measure.checkpoints._tensors import DTYPES, StoredTensor, is_dense

#: Bytes of the description; a model of a thousand tensors has some hundred thousand.
_MOST_DESCRIPTION = 1 << 28
#: What nests deeper is no checkpoint.
_DEEPEST = 60
#: Bytes before a file's name in its local header, and where the lengths of name and extra stand.
_HEADER, _NAME_LENGTH, _EXTRA_LENGTH = 30, slice(26, 28), slice(28, 30)
#: What reading a damaged zip archive has been seen to raise.
_DAMAGE = (zipfile.BadZipFile, RuntimeError, EOFError, ValueError, struct.error, zlib.error)
_STORAGES = {
    "torch.DoubleStorage": "float64",
    "torch.FloatStorage": "float32",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
}


def read_archive(path: Path, start: int = 0, length: int | None = None) -> Any:
    """Return what was saved, with a `StoredTensor` for each tensor.

    Parameters
    ----------
    path : Path
        A regular file.
    start, length : int
        Where in it the archive lies; by default it is all of it.

    Raises
    ------
    DataError
        If it is cut short or not such an archive.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            part = _Part(file, start, size - start if length is None else length)
            return _Archive(path, start, part).content()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except DataError:
        raise
    except _DAMAGE:
        raise DataError(
            f"{path}: cut short, or not an archive of torch.save; save or copy it again"
        ) from None


class _Part(io.RawIOBase):
    """A stretch of a file, as a file."""

    def __init__(self, file: io.BufferedReader, start: int, length: int) -> None:
        self._file, self._start, self._length, self._at = file, start, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        if base + offset < 0:
            raise ValueError
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._start + self._at)
        data = self._file.read(max(0, min(len(buffer), self._length - self._at)))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class _Archive:
    """An open archive."""

    def __init__(self, path: Path, start: int, part: _Part) -> None:
        self._path, self._start, self._part = path, start, part
        self._zip = zipfile.ZipFile(part)
        self._records = {info.filename: info for info in self._zip.infolist()}
        descriptions = [name for name in self._records if name.split("/")[1:] == ["data.pkl"]]
        if len(descriptions) != 1:
            raise DataError(f"{path}: a zip archive, but not one of torch.save")
        self._top = descriptions[0].partition("/")[0]
        #: What has been resolved, by identity; the objects themselves live as long as the pickle.
        self._resolved: dict[int, Any] = {}

    def content(self) -> Any:
        if self._text("byteorder", "little") != "little":
            raise DataError(f"{self._path}: written on a big-endian machine; save it on another")
        info = self._records[f"{self._top}/data.pkl"]
        if info.file_size > _MOST_DESCRIPTION:
            raise DataError(f"{self._path}: its description takes {info.file_size / 1e6:.0f} MB")
        try:
            saved = read_pickle(self._zip.read(info))
        except DataError as error:
            raise DataError(f"{self._path}: {error}") from None
        return self._plain(saved, 0)

    def _text(self, name: str, default: str) -> str:
        info = self._records.get(f"{self._top}/{name}")
        return self._zip.read(info).decode() if info and info.file_size < 100 else default

    def _plain(self, value: Any, depth: int) -> Any:
        """Turn records of tensors into tensors, wherever they are."""
        if not isinstance(value, dict | list | tuple | Made):
            return value
        if depth > _DEEPEST:
            raise DataError(f"{self._path}: nested too deeply to be a checkpoint")
        if id(value) not in self._resolved:
            self._resolved[id(value)] = self._converted(value, depth + 1)
        return self._resolved[id(value)]

    def _converted(self, value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            return {key: self._plain(item, depth) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self._plain(item, depth) for item in value)
        if value.name == "torch._utils._rebuild_tensor_v2":
            return self._tensor(value.args)
        if value.name == "torch._utils._rebuild_parameter":
            return self._plain(value.args[0], depth)
        if value.name.startswith("torch.") and "rebuild" in value.name:
            # Sparse, quantised or distributed: refused where its values are asked for.
            return StoredTensor(self._path, 0, value.name, (), 0)
        return value

    def _tensor(self, args: tuple[Any, ...]) -> StoredTensor:
        """Find the tensor that these arguments would have rebuilt."""
        try:
            storage, first, shape, stride = args[:4]
            _, kind, key, *_ = storage.args
            info = self._records[f"{self._top}/data/{key}"]
            shape, stride = tuple(map(int, shape)), tuple(map(int, stride))
            name = _STORAGES.get(kind.name) if isinstance(kind, Named) else None
            width = int(DTYPES.get(name or "", "<u1")[-1])
            skipped = int(first) * width
            dense = is_dense(shape, stride)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise DataError(f"{self._path}: a tensor is described wrongly") from None
        if min(shape, default=0) < 0 or skipped < 0:
            raise DataError(f"{self._path}: a tensor is described wrongly")
        if info.compress_type != zipfile.ZIP_STORED:
            raise DataError(f"{self._path}: its tensors are compressed; torch.save does not do so")
        return StoredTensor(
            self._path,
            self._start + self._data_offset(info) + skipped,
            name or str(getattr(kind, "name", "an unknown type")).removeprefix("torch."),
            shape,
            info.file_size - skipped,
            dense,
        )

    def _data_offset(self, info: zipfile.ZipInfo) -> int:
        """Where a record's bytes begin, behind a header of variable length."""
        self._part.seek(info.header_offset)
        header = self._part.read(_HEADER)
        lengths = [int.from_bytes(header[at], "little") for at in (_NAME_LENGTH, _EXTRA_LENGTH)]
        return info.header_offset + _HEADER + sum(lengths)
