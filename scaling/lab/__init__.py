"""Training runs that check the theory, many small models at once (extra ``torch``)."""

from typing import Any

import lazy_loader

from scaling.errors import MissingExtraError

_get, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for."""
    try:
        return _get(name)
    except ModuleNotFoundError as error:
        if error.name not in {"joblib", "sklearn", "torch"}:
            raise
        raise MissingExtraError(error.name, "torch") from None
