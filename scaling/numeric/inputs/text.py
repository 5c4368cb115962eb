"""Numbers as users type them; whatever is not one is an `InputError` that shows it."""

import math
import re
from collections.abc import Callable, Iterable, Mapping

from scaling.errors import InputError

#: A plain decimal number.
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_SIZES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
_IS_SIZE = re.compile(rf"\s*({NUMBER})\s*([kmbt]?)\s*", re.ASCII).fullmatch

#: No quantity of a training run lies beyond; within, products of several do not overflow.
SMALLEST, GREATEST = 1e-50, 1e50


def parse_size(text: str) -> float:
    """Read a size: a number that may end in k, M, B or T, or a product of such, in any case.

    Examples
    --------
    >>> parse_size("1.2B"), parse_size("4k"), parse_size("32x8x16")
    (1200000000.0, 4000.0, 4096.0)
    """
    found = [_IS_SIZE(factor) for factor in text.lower().split("x")]
    size = math.prod(float(one[1]) * _SIZES[one[2]] if one else math.nan for one in found)
    if not 0 < size < math.inf:
        raise InputError(
            "must be a positive, finite number or a product of such, as 4k, 1.2B or 32x8, got "
            f"{text!r:.80}{_hint(text)}"
        )
    return _within_reach(size, text)


def parse_settings(
    texts: Iterable[str],
    parameter: str | None = None,
    parsers: Mapping[str, Callable[[str], float]] | None = None,
) -> dict[str, float]:
    """Read NAME=NUMBER, each name once.

    Parameters
    ----------
    texts : iterable of str
    parameter : str, optional
        What errors call the argument.
    parsers : mapping of str to callable, optional
        The names that are known, and how the number of each is read; by default any name and a
        size as `parse_size` reads it.

    Examples
    --------
    >>> parse_settings(["N=1.2B", "D=3e10"])
    {'N': 1200000000.0, 'D': 30000000000.0}
    """
    found: dict[str, float] = {}
    for text in texts:
        name, sign, number = (part.strip() for part in text.partition("="))
        parse = parse_size if parsers is None else parsers.get(name)
        if not (sign and name) or parse is None:
            known = ", ".join(parsers or ()) or "(none)"
            which = ", as model=3B" if parsers is None else f" with NAME one of {known}"
            raise InputError(f"must be NAME=NUMBER{which}, got {text.strip()!r:.80}", parameter)
        if name in found:
            raise InputError(f"{name} is given twice", parameter)
        try:
            found[name] = parse(number)
        except InputError as error:
            raise InputError(f"{name} {error.message}", parameter) from None
    return found


def parse_positive(text: str) -> float:
    """Read a positive, finite number."""
    number = _parse(text, lambda number: 0 < number < math.inf, "positive and finite")
    return _within_reach(number, text)


def parse_range(text: str) -> float | tuple[float, float]:
    """Read a size, or two in order between which it lies.

    Examples
    --------
    >>> parse_range("4k"), parse_range("1e3..1e4")
    (4000.0, (1000.0, 10000.0))
    """
    first, dots, last = text.partition("..")
    if not dots:
        return parse_size(text)
    low, high = parse_size(first), parse_size(last)
    if not low < high:
        raise InputError(f"must be a number or LOW..HIGH, with LOW < HIGH, got {text!r:.60}")
    return low, high


def parse_non_negative(text: str) -> float:
    """Read a finite number that is at least 0."""
    number = _parse(text, lambda number: 0 <= number < math.inf, "at least 0 and finite")
    return number and _within_reach(number, text)


def parse_finite(text: str) -> float:
    """Read a finite number."""
    return _parse(text, math.isfinite, "finite")


def parse_decay_rate(text: str) -> float:
    """Read a number in [0, 1)."""
    return _parse(text, lambda number: 0 <= number < 1, "at least 0 and less than 1")


def parse_or_missing(text: str) -> float:
    """Read a number that may be missing (empty or nan, which give NaN) or infinite."""
    word = text.strip().lower()
    if re.fullmatch(r"|nan|[+-]?inf(inity)?", word):
        return float(word or "nan")
    return _parse(text, lambda number: not math.isnan(number), "or empty, nan or inf")


def _parse(text: str, accepts: Callable[[float], bool], wanted: str) -> float:
    """Read a plain decimal number: float() alone would take 1_000 and digits of any script."""
    bare = text.strip()  # of more than float() strips, such as separators of records
    number = float(bare) if re.fullmatch(NUMBER, bare, re.ASCII) else math.nan
    if not accepts(number):
        raise InputError(f"must be a number, {wanted}, got {text!r:.80}{_hint(text)}")
    return number


def _within_reach(number: float, text: str) -> float:
    """Refuse what is positive and so large or small that arithmetic would fail on it."""
    if not SMALLEST <= number <= GREATEST:
        raise InputError(f"must be from {SMALLEST:g} to {GREATEST:g}, got {text!r:.80}")
    return number


def _hint(text: str) -> str:
    """Say what to do about 1,024 and 0,5 and 1_024 and 1 024."""
    if re.search(r"\d[,_'\s]\d", text):
        return "; write it without thousands separators, and with a decimal point"
    return ""


def csv_cell(value: object) -> object:
    """Return what is to stand in a cell of a CSV file.

    A text that a spreadsheet would take for a formula is marked as a text.

    Examples
    --------
    >>> csv_cell("=1+1"), csv_cell(-1.5), csv_cell("-1.5")
    ("'=1+1", -1.5, '-1.5')
    """
    is_formula = (
        isinstance(value, str)
        and value.startswith(("=", "+", "-", "@", "\t", "\r"))
        and not re.fullmatch(NUMBER, value, re.ASCII)
    )
    return f"'{value}" if is_formula else value
