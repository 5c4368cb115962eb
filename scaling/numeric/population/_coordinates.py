"""Gradients, noise and curvature, read in pieces from whatever holds them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError, InputError

#: Coordinates in a block: what is computed from one stays in the processor's cache.
BLOCK = 1 << 17

#: An array, something NumPy can see as one, or the path of a .npy file.
Coordinates: TypeAlias = npt.ArrayLike | str | os.PathLike[str]
#: Gradient and noise, with or without the curvature.
Chunk: TypeAlias = (
    tuple[Coordinates, Coordinates] | tuple[Coordinates, Coordinates, Coordinates | None]
)


class Block(NamedTuple):
    """Some coordinates: vectors of the same length, of float32 or float64 each.

    ``start`` is where the block begins in the arrays that it comes from.
    """

    gradient: npt.NDArray[Any]
    noise: npt.NDArray[Any]
    curvature: npt.NDArray[Any] | None
    start: int


def blocks(
    gradient: Coordinates, noise: Coordinates, curvature: Coordinates | None
) -> Iterator[Block]:
    """Cut arrays of one shape, or files of such, into blocks.

    Raises
    ------
    InputError
        If the shapes differ or an array does not hold numbers.
    DataError
        If a file cannot be read.
    """
    names = ("gradient", "noise", "curvature")
    given = (gradient, noise) if curvature is None else (gradient, noise, curvature)
    arrays = [_open(values, name) for values, name in zip(given, names, strict=False)]
    for array, name in zip(arrays[1:], names[1:], strict=False):
        if array.shape != arrays[0].shape:
            raise InputError(
                f"has shape {array.shape}, the gradient has {arrays[0].shape}; they must agree",
                name,
            )
    vectors = _flat(arrays)
    for start in range(0, arrays[0].size, BLOCK):
        parts = [_floats(vector[start : start + BLOCK]) for vector in vectors]
        yield Block(parts[0], parts[1], parts[2] if len(parts) > 2 else None, start)


class _OpenFile(np.memmap[Any, Any]):
    """A .npy file that this module has opened, and may therefore read by other means."""


def _open(values: Coordinates, name: str) -> npt.NDArray[Any]:
    """Return an array of numbers, which for a file is a memory map."""
    if isinstance(values, str | os.PathLike):
        return _checked(_map(Path(values)), f"{name} ({values})")
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"cannot be seen as a NumPy array ({said}); of a torch tensor give "
            "tensor.detach().float().cpu().numpy()",
            name,
        ) from None
    return _checked(array, name)


def _map(path: Path) -> npt.NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, EOFError):
        raise DataError(f"{path}: not a .npy file of numbers; numpy.save writes one") from None
    if not isinstance(array, np.ndarray):
        array.close()
        raise DataError(f"{path}: holds several arrays (.npz); give one .npy file for each")
    return array.view(_OpenFile) if isinstance(array, np.memmap) else array


class _FileVector:
    """The numbers of a file, read a stretch at a time: a map would pile up in memory."""

    def __init__(self, array: np.memmap[Any, Any]) -> None:
        self._array = array

    def __getitem__(self, part: slice) -> npt.NDArray[Any]:
        start, stop, _ = part.indices(self._array.size)
        array = self._array
        return np.fromfile(
            str(array.filename),
            array.dtype,
            stop - start,
            offset=array.offset + start * array.dtype.itemsize,
        )


def _checked(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    if array.dtype.kind not in "iuf" and not _is_bfloat16(array) and array.size:
        raise InputError(f"must hold real numbers, got an array of {array.dtype}", name)
    return array


def _flat(arrays: list[npt.NDArray[Any]]) -> list[Any]:
    """Views of the arrays as vectors, all in the same order, without a copy."""
    if all(array.flags.c_contiguous for array in arrays):
        return [_vector(array) for array in arrays]
    if all(array.flags.f_contiguous for array in arrays):
        return [_vector(array.T) for array in arrays]
    return [array.flat for array in arrays]


def _vector(array: npt.NDArray[Any]) -> Any:
    return _FileVector(array) if isinstance(array, _OpenFile) else array.reshape(-1)


def _floats(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Upcast to float32 or float64, whichever holds every value exactly (an integer: nearly)."""
    if _is_bfloat16(values):  # the upper half of a float32
        return (values.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    if values.dtype in (np.float16, np.float32):
        return np.ascontiguousarray(values, dtype=np.float32)
    return np.ascontiguousarray(values, dtype=np.float64)


def _is_bfloat16(array: npt.NDArray[Any]) -> bool:
    """Whether these are the bfloat16 of ml_dtypes, which NumPy itself does not have."""
    return array.dtype.name == "bfloat16"


def stretches(values: Coordinates, name: str) -> Iterator[npt.NDArray[Any]]:
    """Cut one array, or a file of one, into vectors of its own type.

    Raises
    ------
    InputError
        If it does not hold numbers.
    DataError
        If a file cannot be read.
    """
    array = _open(values, name)
    (vector,) = _flat([array])
    for start in range(0, array.size, BLOCK):
        yield vector[start : start + BLOCK]
