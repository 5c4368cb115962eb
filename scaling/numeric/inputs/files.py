"""Files, read with a bound and written whole or not at all."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from scaling.errors import DataError

#: Bytes; no file of ours comes near, and what is larger is not read into memory.
LARGEST = 2**29

#: Numbers that open files of this process may have; a path may lead to one, as /dev/stdout does.
_DESCRIPTORS = range(64)


def read_bytes(path: str | os.PathLike[str], largest: int = LARGEST) -> bytes:
    """Return what is in a file or a pipe of at most so many bytes; ``-`` is standard input."""
    try:
        with Path("/dev/stdin" if path == "-" else path).open("rb") as file:
            found = os.fstat(file.fileno())
            is_device = stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)
            # Files of the kernel's claim to be empty, and some of them never end.
            is_empty = stat.S_ISREG(found.st_mode) and not found.st_size
            is_own = stat.S_ISFIFO(found.st_mode) and any(map(_is_written, _descriptors(found)))
            unread = is_device or is_empty or is_own or found.st_size > largest
            data = b"" if unread else file.read(largest + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # a null byte in the name
        raise DataError(f"{path!r}: cannot be read: {error}") from None
    if is_device:
        raise DataError(f"{path}: cannot be read: it is a device, not a file")
    if is_own:  # reading would wait for ourselves
        raise DataError(f"{path}: cannot be read: it is where the answer is written to")
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


def check_writable(path: str | os.PathLike[str] | None) -> None:
    """Raise the error that writing there would, before the work whose result it is to hold.

    Raises
    ------
    DataError
        If nothing can be written there; naming the path. None is no path, and no error.
    """
    if path is not None:
        with _place(path) as target:
            beside = _beside(target)
            os.close(_open(beside))
            beside.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file in UTF-8."""
    write_whole(path, text.encode())


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file whole or not at all, through links, with the mode that it had.

    Only regular files are replaced. Whoever kills the process finds the old file or the new one,
    and, where the system has files without a name, nothing else.

    Raises
    ------
    DataError
        If it cannot be written; naming the path.
    """
    with _place(path) as target:
        beside = _beside(target)
        try:
            with os.fdopen(_open(beside), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                if target.exists() and hasattr(os, "fchmod"):
                    os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
                if not beside.exists():  # it has no name yet
                    own = f"/proc/self/fd/{file.fileno()}"
                    os.link(own, beside, src_dir_fd=file.fileno())
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)


@contextmanager
def _place(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give the file that a path leads to, if it may be written; errors within name the path."""
    try:
        target = Path(os.path.realpath(path))  # through links, not over them
        if not target.name or (Path(path).exists() and not _may_be_replaced(target)):
            raise DataError(f"{path}: cannot be written: it is not a regular file")
        yield target
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from None
    except ValueError as error:  # a null byte in the name
        if isinstance(error, DataError):
            raise
        raise DataError(f"{str(path)!r}: cannot be written: {error}") from None


def _may_be_replaced(target: Path) -> bool:
    """Whether it is a regular file, and none that this process writes to, as a log by ``>>``."""
    return target.is_file() and not any(True for _ in _descriptors(target.stat()))


def _descriptors(found: os.stat_result) -> Iterator[int]:
    """Numbers by which this process has a file open."""
    for descriptor in _DESCRIPTORS:
        with suppress(OSError):
            if os.path.samestat(found, os.fstat(descriptor)):
                yield descriptor


def _is_written(descriptor: int) -> bool:
    """Whether an open file may be written to; only Unix has the pipes of which this is asked."""
    from fcntl import F_GETFL, fcntl

    return fcntl(descriptor, F_GETFL) & os.O_ACCMODE != os.O_RDONLY


def _beside(target: Path) -> Path:
    """Return a name in the same folder that no other process has."""
    return target.with_name(f".{token_hex(8)}.part")


def _open(path: Path) -> int:
    """Open a new file for writing: one without a name if the system has such, to be linked."""
    if hasattr(os, "O_TMPFILE") and Path("/proc/self/fd").exists():
        with suppress(OSError):  # not on every file system
            return os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666)
