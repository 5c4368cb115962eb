"""The derivation of the laws with SymPy, every step checked.

Importing this package does no work: SymPy is imported when a name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scaling.symbolic.assembly import Derivation, Verdict, check, derivation
    from scaling.symbolic.closed_forms import learning_rate, peak_batch_size, surge_ends
    from scaling.symbolic.proofs.accuracy import ApproximationError
    from scaling.symbolic.step import Step

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
        "ApproximationError": "proofs.accuracy",
        "Step": "step",
        "learning_rate": "closed_forms",
        "peak_batch_size": "closed_forms",
        "surge_ends": "closed_forms",
    }
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{homes.get(name, 'assembly')}", __name__), name)


def __dir__() -> list[str]:
    return __all__
