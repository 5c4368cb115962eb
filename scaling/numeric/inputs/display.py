"""How results show themselves: on one line at a prompt, as a small table in a notebook."""

from dataclasses import fields
from reprlib import repr as abbreviated
from typing import Any

_LONGEST = 280


class Shown:
    """A dataclass (with ``repr=False``) of which people see `summary` instead of every number."""

    def summary(self) -> dict[str, str]:
        """What matters, in a few words by name; by default every field, abbreviated."""
        # Asked of what is a dataclass only, which a base class cannot say.
        own: Any = self
        values = {field.name: getattr(own, field.name) for field in fields(own)}
        return {
            name: f"{value:.6g}" if isinstance(value, float) else abbreviated(value)
            for name, value in values.items()
        }

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={text}" for name, text in self.summary().items())
        said = f"{type(self).__name__}({said}"
        return f"{said})" if len(said) < _LONGEST else f"{said[:_LONGEST]}...)"

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(
            f"<tr><th>{escape(name.replace('_', ' '))}</th><td>{escape(text)}</td></tr>"
            for name, text in self.summary().items()
        )
        return f"<table><caption>{type(self).__name__}</caption>{rows}</table>"
