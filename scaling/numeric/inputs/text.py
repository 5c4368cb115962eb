"""Reading text: numbers as users type them, and files as users keep them."""

import math
import os
import re
from collections.abc import Callable
from pathlib import Path

from scaling.errors import DataError, InputError
from scaling.numeric.inputs.files import write_whole

#: A plain decimal number.
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_SIZES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}


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
            "must be a positive, finite number or a product of such, as 32x8x16, got "
            f"{text!r:.80}{_hint(text)}"
        ) from None


def parse_size(text: str) -> float:
    """Read a positive size that may end in k, M, B or T (thousand to 10^12), in any case.

    Raises
    ------
    InputError
        If it is not one.

    Examples
    --------
    >>> parse_size("1.2B")
    1200000000.0
    """
    found = re.fullmatch(rf"({NUMBER})\s*([kmbt]?)", text.strip().lower(), re.ASCII)
    size = float(found[1]) * _SIZES[found[2]] if found else math.nan
    if not 0 < size < math.inf:
        raise InputError(
            "must be a positive, finite number, which may end in k, M, B or T, got "
            f"{text!r:.80}{_hint(text)}"
        )
    return size


def parse_setting(text: str) -> tuple[str, float]:
    """Read a name and its size, as ``model=3B``.

    Raises
    ------
    InputError
        If it is not so.

    Examples
    --------
    >>> parse_setting("N=1.2B")
    ('N', 1200000000.0)
    """
    name, sign, size = text.rpartition("=")
    if not sign or not name.strip():
        raise InputError(f"must be a name and a number, as model=3B, got {text!r:.80}")
    return name.strip(), parse_size(size)


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


def parse_finite(text: str) -> float:
    """Read a finite number.

    Raises
    ------
    InputError
        If it is not one.
    """
    return _parse(text, math.isfinite, "finite")


def parse_or_missing(text: str) -> float:
    """Read a number that may be missing (empty or nan, which give NaN) or infinite (inf, infinity).

    Raises
    ------
    InputError
        If it is neither.
    """
    word = text.strip().lower()
    if word in {"", "nan"}:
        return math.nan
    if word.lstrip("+-") in {"inf", "infinity"}:
        return -math.inf if word.startswith("-") else math.inf
    return _parse(text, lambda number: not math.isnan(number), "or empty, nan or inf")


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
    number = float(text) if re.fullmatch(NUMBER, text.strip(), re.ASCII) else math.nan
    if not accepts(number):
        raise InputError(f"must be a number, {wanted}, got {text!r:.80}{_hint(text)}")
    return number


def _hint(text: str) -> str:
    """Say what to do about 1,024 and 0,5 and 1_024 and 1 024."""
    if re.search(r"\d[,_'\s]\d", text):
        return "; write it without thousands separators, and with a decimal point"
    return ""


def read_text(path: str | os.PathLike[str]) -> str:
    """Return the text of a file, or raise an error that names it."""
    return decode(path, read_bytes(path))


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Return what is in a file, or raise an error that names it."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # a null byte in the name
        raise DataError(f"{path!r}: cannot be read: {error}") from None


def decode(path: str | os.PathLike[str], data: bytes) -> str:
    """Return the text that UTF-8 bytes spell, with or without a byte-order mark."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise DataError(f"{path}: not a text file in UTF-8")
    return text


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file whole or not at all: beside it first, then renamed.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    write_whole(path, text.encode())
