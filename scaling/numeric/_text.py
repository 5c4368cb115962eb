"""Reading text: numbers as users type them, and files as users keep them."""

import math
import os
import re
from collections.abc import Callable
from pathlib import Path

from scaling.errors import DataError, InputError

_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"


def parse_batch_size(text: str) -> float:
    """Read a batch size, which may be a product: per-device x devices x accumulation.

    Parameters
    ----------
    text : str
        Such as ``"1024"`` or ``"32x8x16"``; every factor positive and finite.

    Returns
    -------
    float

    Raises
    ------
    InputError
        If it is not such a number or product.

    Examples
    --------
    >>> parse_batch_size("32x8x16")
    4096.0
    """
    try:
        return parse_positive(str(math.prod(parse_positive(f) for f in text.lower().split("x"))))
    except InputError:
        raise InputError(
            f"must be a positive, finite number or a product of such, as 32x8x16, got {text!r}"
        ) from None


def parse_positive(text: str) -> float:
    """Read a positive, finite number.

    Raises
    ------
    InputError
        If it is not one.
    """
    return _parse(text, lambda number: 0 < number < float("inf"), "positive and finite")


def parse_non_negative(text: str) -> float:
    """Read a finite number that is at least 0.

    Raises
    ------
    InputError
        If it is not one.
    """
    return _parse(text, lambda number: 0 <= number < float("inf"), "at least 0 and finite")


def parse_decay_rate(text: str) -> float:
    """Read a number in [0, 1).

    Raises
    ------
    InputError
        If it is not one.
    """
    return _parse(text, lambda number: 0 <= number < 1, "at least 0 and less than 1")


def _parse(text: str, accepts: Callable[[float], bool], wanted: str) -> float:
    """Read a plain decimal number: float() alone would take 1_000 and digits of any script."""
    number = float(text) if re.fullmatch(_NUMBER, text.strip(), re.ASCII) else math.nan
    if not accepts(number):
        raise InputError(f"must be a number, {wanted}, got {text!r}")
    return number


def read_text(path: str | os.PathLike[str]) -> str:
    """Return the text of a file, or raise an error that names it."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # a null byte in the name
        raise DataError(f"{path!r}: cannot be read: {error}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise DataError(f"{path}: not a text file in UTF-8")
    return text


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a file whole or not at all: beside it first, then renamed; errors name it."""
    target = Path(os.path.realpath(path))  # through links, not over them
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        if target.exists() and not target.is_file():
            raise DataError(f"{path}: cannot be written: it is not a regular file")
        with beside.open("x", encoding="utf-8") as file:
            file.write(text)
        beside.replace(target)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        beside.unlink(missing_ok=True)
