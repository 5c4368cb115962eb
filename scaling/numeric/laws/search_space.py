"""Where a sweep should look for the best learning rate: a law's interval, made searchable."""

from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Self

from scaling.errors import DataError
from scaling.numeric.facts import Fact
from scaling.numeric.inputs.display import Shown

#: A search needs more room than rounding leaves.
_NARROWEST = 1e-9


@dataclass(frozen=True, repr=False)
class SearchSpace(Shown):
    """A range of learning rates to search log-uniformly; made by `Law.search_space`.

    It is the law's interval of the optimum that a new sweep would find, which widens by itself
    outside the batch sizes that the law was fitted on.

    Attributes
    ----------
    batch_size : float
        Where it holds.
    learning_rate : float
        The law's own answer.
    low, high : float
        The range.
    level : float
        Of the interval.
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
