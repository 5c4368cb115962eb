"""What a training run tells: the noise scale, and what epsilon does."""

from typing import Any

import lazy_loader

from scaling.errors import MissingExtraError

_get, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for."""
    try:
        return _get(name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("torch", "torch") from None
