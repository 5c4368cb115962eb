"""Writing files: whole, or not at all."""

import os
from pathlib import Path

from scaling.errors import DataError


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
