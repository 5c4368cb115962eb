"""Files, read with a bound and written whole or not at all."""

import os
import stat
from pathlib import Path

from scaling.errors import DataError

#: Bytes; no file of ours comes near, and what is larger is not read into memory.
LARGEST = 2**29


def read_bytes(path: str | os.PathLike[str], largest: int = LARGEST) -> bytes:
    """Return what is in a file or a pipe of at most so many bytes."""
    try:
        with Path(path).open("rb") as file:
            found = os.fstat(file.fileno())
            is_device = stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)
            data = b"" if is_device or found.st_size > largest else file.read(largest + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # a null byte in the name
        raise DataError(f"{path!r}: cannot be read: {error}") from None
    if is_device:
        raise DataError(f"{path}: cannot be read: it is a device, not a file")
    if found.st_size > largest or len(data) > largest:
        raise DataError(f"{path}: not read: it is larger than {largest / 2**20:.10g} MiB")
    return data


def read_text(path: str | os.PathLike[str], largest: int = LARGEST) -> str:
    """Return the text of a file in UTF-8, with or without a byte-order mark."""
    return decode(path, read_bytes(path, largest))


def decode(path: str | os.PathLike[str], data: bytes) -> str:
    """Return the text that the bytes of a file spell in UTF-8."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise DataError(f"{path}: not a text file in UTF-8")
    return text


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file in UTF-8."""
    write_whole(path, text.encode())


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file beside its place first, then rename it; raise an error that names it."""
    try:
        target = Path(os.path.realpath(path))  # through links, not over them
        beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    except ValueError as error:  # a null byte in the name, or no name at all
        raise DataError(f"{str(path)!r}: cannot be written: {error}") from None
    try:
        if target.exists() and not target.is_file():
            raise DataError(f"{path}: cannot be written: it is not a regular file")
        with beside.open("xb") as file:
            file.write(data)
        beside.replace(target)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        beside.unlink(missing_ok=True)
