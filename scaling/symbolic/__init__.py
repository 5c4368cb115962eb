"""The derivation of the laws with SymPy, every step checked.

Importing this package does no work: SymPy is imported when a name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .accuracy import ApproximationError
    from .assembly import Derivation, Verdict, check, derivation
    from .step import Step
    from .substitution import learning_rate, peak_batch_size, surge_ends

__all__ = [
    "ApproximationError",
    "Derivation",
    "Step",
    "Verdict",
    "check",
    "derivation",
    "learning_rate",
    "peak_batch_size",
    "surge_ends",
]


def __getattr__(name: str) -> Any:
    homes = {
        "ApproximationError": "accuracy",
        "Step": "step",
        "learning_rate": "substitution",
        "peak_batch_size": "substitution",
        "surge_ends": "substitution",
    }
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{homes.get(name, 'assembly')}", __name__), name)


def __dir__() -> list[str]:
    return __all__
