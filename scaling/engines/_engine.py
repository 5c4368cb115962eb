"""What the adapters share: importing an engine, and passing on what is wrong with a range."""

import warnings
from functools import lru_cache
from importlib import import_module
from typing import Any

from scaling.errors import MissingExtraError
from scaling.numeric.laws.law import Law
from scaling.numeric.laws.search_space import SearchSpace


def engine(module: str, distribution: str, extra: str) -> Any:
    """Import an engine's module, or raise an error that names the extra.

    A library that is there but lacks one of its own dependencies keeps its own error.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != module.partition(".")[0]:
            raise
        raise MissingExtraError(distribution, extra) from None


def space_of(law: Law, batch_size: float, level: float) -> SearchSpace:
    """Ask the law where to search, and warn the caller of an adapter as the law does."""
    space = _search_space(law, batch_size, level)
    for fact in space.warnings:
        warnings.warn(str(fact), UserWarning, stacklevel=3)
    return space


@lru_cache(maxsize=64)
def _search_space(law: Law, batch_size: float, level: float) -> SearchSpace:
    """Compute the range once for all trials of a study."""
    return law.search_space(batch_size, level)


def as_size(batch_size: float) -> float:
    """Return a whole batch size as an integer, as configuration files have it."""
    return int(batch_size) if float(batch_size).is_integer() else batch_size
