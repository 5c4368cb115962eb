"""Averages over the steps of a run, with errors from the scatter of blocks of steps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError

FloatArray = npt.NDArray[np.float64]

#: When there are so many blocks, neighbours are merged.
_MOST_BLOCKS = 64
#: Blocks to a half-life of an exponential average, and half-lives after which one is forgotten.
_PER_HALF_LIFE, _HALF_LIVES = 8, 8


@dataclass(frozen=True)
class NoiseEstimate:
    """Gradient, noise and noise scale, averaged over the steps measured.

    |g|^2 and tr(Sigma) are unbiased and as they come: lost in noise, |g|^2 may be negative, and
    then so is the noise scale.

    Attributes
    ----------
    gradient_square, gradient_square_error : float
        |g|^2 of the true gradient, and its standard error (infinity from one block of steps).
    trace, trace_error : float
        tr(Sigma) of the gradient of one example.
    noise_scale : float
        The ratio of the averages, tr(Sigma)/|g|^2 (T-C2), in the unit of the batch size.
    interval : tuple of float
        Where the noise scale lies with probability ``level``, by Fieller's theorem; up to infinity
        where |g|^2 is not told from 0.
    level : float
    steps : int
        Steps that entered.
    """

    gradient_square: float
    gradient_square_error: float
    trace: float
    trace_error: float
    noise_scale: float
    interval: tuple[float, float]
    level: float
    steps: int

    @property
    def resolved(self) -> bool:
        """Whether the interval is bounded."""
        return self.interval[1] < math.inf


class _Block(NamedTuple):
    """Some steps in a row: their number, the weight of each, and their sums."""

    steps: int
    weight: float
    sums: FloatArray


class BlockAverage:
    """Averages of |g|^2 and tr(Sigma) of several groups of parameters.

    Parameters
    ----------
    half_life : float, optional
        Steps after which a step counts half; by default all count alike.
    """

    def __init__(self, half_life: float | None = None) -> None:
        self._half_life = half_life
        self.length = 1 if half_life is None else max(1, round(half_life / _PER_HALF_LIFE))
        self.blocks: list[_Block] = []

    def add(self, values: FloatArray) -> None:
        """Count a step: |g|^2 and tr(Sigma), shape (groups, 2)."""
        if self.blocks and self.blocks[-1].steps < self.length:
            steps, weight, sums = self.blocks[-1]
            self.blocks[-1] = _Block(steps + 1, weight, sums + values)
            return
        if self._half_life is not None:
            factor = 2 ** (-self.length / self._half_life)
            faded = [block._replace(weight=block.weight * factor) for block in self.blocks]
            self.blocks = [block for block in faded if block.weight > 2**-_HALF_LIVES]
        elif len(self.blocks) >= _MOST_BLOCKS:
            self.blocks = _paired(self.blocks)
            self.length *= 2
        self.blocks.append(_Block(1, 1.0, values))

    def merge(self, other: "BlockAverage") -> None:
        """Count the steps of another run, or of another rank, as well."""
        self.blocks = [*other.blocks, *self.blocks]
        self.length = max(self.length, other.length)
        while self._half_life is None and len(self.blocks) > _MOST_BLOCKS:
            self.blocks = _paired(self.blocks)
            self.length *= 2

    def estimate(self, groups: Sequence[int], level: float) -> NoiseEstimate | None:
        """Estimate for some groups together; None if no step was counted."""
        if not self.blocks:
            return None
        steps = np.array([block.steps for block in self.blocks], float)
        weight = steps * [block.weight for block in self.blocks]
        weight /= weight.sum()
        sums = np.array([block.sums[list(groups)].sum(axis=0) for block in self.blocks])
        means = sums / steps[:, None]
        mean = weight @ means
        covariance = _covariance(weight, steps, means - mean)
        errors = np.sqrt(np.diag(covariance))
        square, trace = map(float, mean)
        return NoiseEstimate(
            square,
            float(errors[0]),
            trace,
            float(errors[1]),
            trace / square if square else math.inf,
            _interval(mean, covariance, 1 / float(weight @ weight) - 1, level),
            level,
            int(steps.sum()),
        )

    def state(self) -> dict[str, Any]:
        """Return plain numbers, from which `from_state` makes this average again."""
        blocks = [[steps, weight, sums.tolist()] for steps, weight, sums in self.blocks]
        return {"half_life": self._half_life, "length": self.length, "blocks": blocks}

    @classmethod
    def from_state(cls, state: dict[str, Any], groups: int) -> "BlockAverage":
        """Make an average from what `state` returned.

        Raises
        ------
        InputError
            If it is malformed.
        """
        try:
            average = cls(state["half_life"])
            average.length = int(state["length"])
            average.blocks = [
                _Block(int(steps), float(weight), np.array(sums, float).reshape(groups, 2))
                for steps, weight, sums in state["blocks"]
            ]
        except (KeyError, TypeError, ValueError):
            raise InputError("not what state_dict() returned", "state") from None
        return average


def _paired(blocks: list[_Block]) -> list[_Block]:
    """Merge neighbours."""
    pairs = zip(blocks[::2], blocks[1::2], strict=False)
    merged = [_Block(a.steps + b.steps, a.weight, a.sums + b.sums) for a, b in pairs]
    return merged + blocks[len(blocks) & ~1 :]


def _covariance(weight: FloatArray, steps: FloatArray, deviations: FloatArray) -> FloatArray:
    """Covariance of the weighted mean of blocks, whose own varies as 1/steps.

    With weights u that sum to 1, E sum u (x - mean)^2 = s^2 sum u (1 - u)/steps and
    var(mean) = s^2 sum u^2/steps.
    """
    if weight.size < 2:
        return np.diag([np.inf, np.inf])
    scatter = (weight[:, None] * deviations).T @ deviations
    within = (weight * (1 - weight) / steps).sum()
    covariance: FloatArray = scatter * ((weight**2 / steps).sum() / within)
    return covariance


def _interval(
    mean: FloatArray, covariance: FloatArray, degrees: float, level: float
) -> tuple[float, float]:
    """Fieller's interval of the inverse noise scale q = |g|^2/tr(Sigma), inverted.

    It is where (|g|^2 - q tr)^2 <= t^2 var(|g|^2 - q tr). tr(Sigma) is far from 0, so that these q
    are a bounded interval, of which the positive ones have an inverse.
    """
    from scipy.special import stdtrit

    if degrees <= 0 or not np.isfinite(covariance).all():
        return 0.0, math.inf
    quantile = float(stdtrit(degrees, (1 + level) / 2))
    square, trace = mean
    variance = covariance * quantile**2
    a = trace**2 - variance[1, 1]
    b = square * trace - variance[0, 1]
    c = square**2 - variance[0, 0]
    if not (trace > 0 and a > 0):
        return 0.0, math.inf
    root = math.sqrt(max(b * b - a * c, 0.0))
    low, high = float((b - root) / a), float((b + root) / a)
    return (1 / high if high > 0 else math.inf), (1 / low if low > 0 else math.inf)
