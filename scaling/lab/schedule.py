"""How the learning rate changes over a run."""

from dataclasses import dataclass
from math import cos, pi
from typing import Literal, TypeAlias

Decay: TypeAlias = Literal["constant", "linear", "cosine"]


@dataclass(frozen=True)
class Schedule:
    """How the learning rate changes over a run, relative to its peak.

    Attributes
    ----------
    decay : {"constant", "linear", "cosine"}
        What follows the warm-up; linear and cosine go to zero, which the step after the last
        would have.
    warm_up : float
        Share of the steps over which the learning rate rises linearly.
    """

    decay: Decay = "constant"
    warm_up: float = 0.0

    def factor(self, step: int, steps: int) -> float:
        """Learning rate at a step, from 1 to steps, relative to the peak.

        Examples
        --------
        >>> schedule = Schedule("linear", 0.5)
        >>> [schedule.factor(step, 4) for step in (1, 2, 3, 4)]
        [0.5, 1.0, 1.0, 0.5]
        """
        rising = round(self.warm_up * steps)
        if step <= rising:
            return step / rising
        passed = (step - rising - 1) / (steps - rising)
        if self.decay == "linear":
            return 1 - passed
        return (1 + cos(pi * passed)) / 2 if self.decay == "cosine" else 1.0
