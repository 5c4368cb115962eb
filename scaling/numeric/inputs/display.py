"""How results show themselves: on one line at a prompt, as a small table in a notebook."""

from dataclasses import fields
from reprlib import repr as abbreviated
from typing import Any

import numpy as np

_LONGEST = 280


def one_line(owner: Any, values: dict[str, str] | None = None) -> str:
    """Write a result on one line of at most 300 characters: its class, and values by name."""
    said = ", ".join(f"{name}={text}" for name, text in (values or _brief(owner)).items())
    said = f"{type(owner).__name__}({said}"
    return f"{said})" if len(said) < _LONGEST else f"{said[:_LONGEST]}...)"


def _brief(owner: Any) -> dict[str, str]:
    """Every field of a dataclass or a named tuple, abbreviated."""
    names = getattr(owner, "_fields", None) or [one.name for one in fields(owner)]
    return {name: _short(getattr(owner, name)) for name in names}


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if not isinstance(value, np.ndarray):
        return abbreviated(value)
    text = np.array2string(value, threshold=6, edgeitems=2, precision=4, separator=", ")
    return " ".join(text.split())


class Shown:
    """A dataclass (with ``repr=False``) of which people see `summary` instead of every number."""

    def summary(self) -> dict[str, str]:
        """What matters, in a few words by name; by default every field, abbreviated."""
        return _brief(self)

    def __repr__(self) -> str:
        return one_line(self, self.summary())

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(
            f"<tr><th>{escape(name.replace('_', ' '))}</th><td>{escape(text)}</td></tr>"
            for name, text in self.summary().items()
        )
        return f"<table><caption>{type(self).__name__}</caption>{rows}</table>"
