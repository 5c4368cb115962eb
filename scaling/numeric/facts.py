"""Facts about a result, without sentences: a key and the values that belong to it.

Sentences are written once, in `cli.report.sentences`. Where there is no report (a warning of an
engine's adapter, a notebook), ``str`` of a fact is one plain line.
"""

from dataclasses import dataclass
from typing import Any

#: Beyond this factor outside the fitted range, an answer carries a warning.
EXTRAPOLATION_LIMIT = 8.0


@dataclass(frozen=True, repr=False)
class Fact:
    """A key, such as ``"extrapolated"``, and its values by name; made by `fact`.

    Examples
    --------
    >>> (found,) = extrapolation("batch_size", 1e6, (16, 4096))
    >>> print(found)
    extrapolated: quantity batch_size, value 1000000, times 244.140625, low 16, high 4096
    >>> found["high"]
    4096
    """

    key: str
    values: tuple[tuple[str, Any], ...]

    def __getitem__(self, name: str) -> Any:
        """Return one of the values."""
        return dict(self.values)[name]

    def __str__(self) -> str:
        """Write the key and the values on one line."""
        return f"{self.key}: {', '.join(f'{name} {_short(x)}' for name, x in self.values)}"

    def __repr__(self) -> str:
        """Write the same between angle brackets: short in tuples of facts."""
        return f"<{self}>"


def fact(key: str, /, **values: Any) -> Fact:
    """Make a fact."""
    return Fact(key, tuple(values.items()))


def extrapolation(quantity: str, value: float, fitted: tuple[float, float]) -> tuple[Fact, ...]:
    """State how far a value lies outside the range of a fit, if it is far."""
    low, high = fitted
    outside = max(low / value, value / high)
    if outside <= EXTRAPOLATION_LIMIT:
        return ()
    return (
        fact("extrapolated", quantity=quantity, value=value, times=outside, low=low, high=high),
    )


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return " | ".join(map(_short, value))
    return f"{value:.10g}" if isinstance(value, float) else str(value)
