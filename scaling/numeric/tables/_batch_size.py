"""The batch size is what one step of the optimizer sees: which column tells it, or which product.

Trackers hold per-device sizes, accumulated batches and devices in columns of their own, and a
column ``batch_size`` beside them may or may not include them. What is in doubt is not guessed.
"""

import re
from collections.abc import Callable, Sequence

from scaling.errors import DataError, InputError
from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.inputs.text import NUMBER
from scaling.numeric.tables.roles import ROLES, is_whole

_FACTOR = r"(?:\s*`[^`]+`\s*|[^*`]+)"
_IS_PRODUCT = re.compile(rf"{_FACTOR}(?:\*{_FACTOR})+").fullmatch


def factors_of(text: str, names: Sequence[str]) -> list[str | float] | None:
    """Split a product of columns and numbers, ``per_device*accumulation*8``; None if it is none.

    Names with a ``*`` go in backticks.
    """
    if text in names or not _IS_PRODUCT(text):
        return None
    found: list[str | float] = []
    for part in re.findall(_FACTOR, text):
        name = part.strip().strip("`")
        is_number = name not in names and re.fullmatch(NUMBER, name, re.ASCII)
        found.append(float(name) if is_number else name)
    return found


def product_of(names: Sequence[str]) -> str:
    """Write a product of columns, which `factors_of` splits."""
    return "*".join(f"`{name}`" if "*" in name else name for name in names)


def guess_batch_size(
    source: str, best: Callable[[str], list[str]], read: Callable[[str], FloatArray]
) -> str | None:
    """Name the column or the product that is the batch size of one step.

    Parameters
    ----------
    source : str
        What to call the table.
    best : callable
        Of a role, the columns that may have it.
    read : callable
        Of a column, its positive numbers; raises `DataError` where there are others.

    Returns
    -------
    str or None
        None where the columns of batch sizes are not in doubt because of others.

    Raises
    ------
    InputError
        If it is in doubt whether accumulated batches and devices are included.
    """
    found = best("batch_size")
    per_device, accumulation, devices = map(best, ("per_device", "accumulation", "devices"))
    counts = [name for name in (*accumulation, *devices) if not _is_one(name, read)]
    if any(map(is_whole, found)) or not (counts or per_device):
        return None
    if len(per_device) == len(devices) == 1 and len(accumulation) < 2:
        return product_of([*per_device, *accumulation, *devices])
    if per_device:
        doubt = f"nothing tells on how many devices {per_device[0]!r} was"
        factors, eight = [per_device[0], *accumulation[:1]], "*8"
    elif found:
        doubt = f"{found[0]!r} may or may not include {' and '.join(map(repr, counts))}"
        factors, eight = [found[0], *counts], "" if devices else "*8"
    else:
        return None
    raise InputError(
        f"in {source} {doubt}; say what one step of the optimizer sees, as a column or a product "
        f"such as {product_of(factors) + eight!r}{', for 8 devices' if eight else ''}",
        ROLES["batch_size"].parameter,
    )


def _is_one(name: str, read: Callable[[str], FloatArray]) -> bool:
    try:
        return bool((read(name) == 1).all())
    except DataError:
        return False
