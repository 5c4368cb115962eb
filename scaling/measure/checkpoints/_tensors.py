"""Tensors that lie in files: read some millions of values at a time, never mapped, never whole."""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError

FloatArray = npt.NDArray[np.float64]

#: Values held at a time.
_PIECE = 1 << 21

#: NumPy's types by PyTorch's name; bfloat16 is the upper half of a float32.
DTYPES = {
    "float64": "<f8",
    "float32": "<f4",
    "float16": "<f2",
    "bfloat16": "<u2",
    "int64": "<i8",
    "int32": "<i4",
    "int16": "<i2",
    "int8": "<i1",
    "uint8": "<u1",
}


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file.

    Attributes
    ----------
    path : Path
    offset : int
        Where its first value lies, in bytes.
    dtype : str
        PyTorch's name.
    shape : tuple of int
    room : int
        Bytes that the file has for it from the offset on.
    dense : bool
        Whether its values lie side by side, in whatever order.
    """

    path: Path
    offset: int
    dtype: str
    shape: tuple[int, ...]
    room: int
    dense: bool = True

    def pieces(self) -> Iterator[FloatArray]:
        """Return its values in the order of the file.

        Raises
        ------
        DataError
            If the file does not hold them, or not in a way that is read here.
        """
        dtype = DTYPES.get(self.dtype)
        if dtype is None:
            raise DataError(
                f"{self.path}: tensors of {self.dtype} are not read; save plain ones of float32"
            )
        if not self.dense:
            raise DataError(f"{self.path}: a tensor is a view with gaps; save a copy of it")
        size, width = math.prod(self.shape), np.dtype(dtype).itemsize
        if size * width > self.room:
            raise DataError(f"{self.path}: a tensor is cut short; save the file again")
        for start in range(0, size, _PIECE):
            count = min(_PIECE, size - start)
            yield self._read(dtype, count, self.offset + start * width)

    def __float__(self) -> float:
        """Its value, if it has only one."""
        if math.prod(self.shape) != 1:
            raise ValueError("more values than one, or none")
        return float(next(self.pieces())[0])

    def _read(self, dtype: str, count: int, offset: int) -> FloatArray:
        try:
            values = np.fromfile(self.path, dtype, count, offset=offset)
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read: {error.strerror or error}") from None
        if values.size < count:
            raise DataError(f"{self.path}: a tensor is cut short; save the file again")
        if self.dtype == "bfloat16":
            values = (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(np.float64)


@dataclass(frozen=True)
class ShardedTensor:
    """A tensor of which parts lie in several places."""

    parts: tuple[StoredTensor, ...]

    def pieces(self) -> Iterator[FloatArray]:
        """Return the values of all parts, in turn."""
        for part in self.parts:
            yield from part.pieces()

    def __float__(self) -> float:
        (part,) = self.parts
        return float(part)


def regular_file(path: str | os.PathLike[str]) -> Path:
    """Return the path of a regular file, or raise an error: a device may have no end.

    Raises
    ------
    DataError
        If it is not there, or not one.
    """
    file = Path(path)
    try:
        exists, regular = file.exists(), file.is_file()
    except (OSError, ValueError) as error:  # such as a null byte in the name
        raise DataError(f"{str(path)!r}: cannot be read: {error}") from None
    if not exists:
        raise DataError(f"{path}: there is no such file")
    if not regular:
        raise DataError(f"{path}: not a regular file; give a checkpoint")
    return file


def is_dense(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether a view's values lie side by side: its strides are those of some order of its axes."""
    expected = 1
    for step, length in sorted(zip(stride, shape, strict=True)):
        if length != 1 and step != expected:
            return False
        expected *= length
    return True
