"""Where a sweep should look for the best learning rate: a law's interval, made searchable."""

from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Self

from scaling.errors import DataError
from scaling.numeric.laws.facts import Fact, fact

#: What the local exponent d log lr / d log B lies between in every law of T-E2 (T-E5).
_EXPONENTS = (-0.5, 1.0)

#: A search needs more room than rounding leaves.
_NARROWEST = 1e-9


@dataclass(frozen=True)
class SearchSpace:
    """A range of learning rates to search log-uniformly; made by `Law.search_space`.

    Within the batch sizes that a law was fitted on, it is the law's interval. Outside, the law's
    slope is a guess, but no law of T-E2 rises faster than B or falls faster than 1/sqrt(B)
    (T-E5): x times outside, the range also holds all that can be reached at such slopes from the
    interval at the nearest fitted batch size, so it is a factor x^(3/2) wider than there.

    Attributes
    ----------
    batch_size : float
        Where it holds.
    learning_rate : float
        The law's own answer.
    low, high : float
        The range.
    level : float
        Confidence level of the interval from which it was made.
    warnings : tuple of Fact
        Why it should not be trusted, if so.
    """

    batch_size: float
    learning_rate: float
    low: float
    high: float
    level: float
    warnings: tuple[Fact, ...] = ()

    @property
    def first_points(self) -> tuple[float, ...]:
        """What to try first: the law's answer, then halfway (in logs) to either end."""
        if not self.low < self.learning_rate < self.high:
            return (sqrt(self.low) * sqrt(self.high),)
        center = sqrt(self.learning_rate)
        return self.learning_rate, sqrt(self.low) * center, center * sqrt(self.high)

    def with_warnings(self, *facts: Fact) -> Self:
        """Return the same range with further warnings."""
        return replace(self, warnings=(*self.warnings, *facts))

    def checked(self) -> Self:
        """Return the range if it can be searched, or raise an error."""
        if not (0 < self.low <= self.high < inf and 0 < self.learning_rate < inf):
            raise DataError(
                f"the interval of the learning rate at batch size {self.batch_size:.10g} has no "
                f"finite width ({self.low:.3g} to {self.high:.3g}); a lower level or more optima "
                "would give one that can be searched"
            )
        if self.high / self.low < 1 + _NARROWEST:
            raise DataError(
                f"the interval of the learning rate at batch size {self.batch_size:.10g} has zero "
                f"width: {self.low:.3g} is known already, there is nothing to search"
            )
        return self


def widen(space: SearchSpace, edge: float, at_edge: tuple[float, float]) -> SearchSpace:
    """Widen a range outside the fitted batch sizes, and say so.

    Parameters
    ----------
    space : SearchSpace
        The law's own interval there.
    edge : float
        The nearest fitted batch size.
    at_edge : tuple of float
        The interval there.

    Returns
    -------
    SearchSpace
        That holds both the law's interval and all that T-E5 allows from the edge.
    """
    reach = space.batch_size / edge
    factors = [reach**exponent for exponent in _EXPONENTS]
    low = min(space.low, at_edge[0] * min(factors))
    high = max(space.high, at_edge[1] * max(factors))
    return replace(space, low=low, high=high).with_warnings(
        fact(
            "search widened",
            batch_size=space.batch_size,
            times=max(reach, 1 / reach),
            edge=edge,
            from_low=space.low,
            from_high=space.high,
            low=low,
            high=high,
        )
    )
