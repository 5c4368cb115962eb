"""The learning rate along a batch-size ramp: lr(t) = lr*(B(t))."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError, InputError
from scaling.numeric.facts import Fact
from scaling.numeric.inputs.arrays import FloatArray, Real, as_array, positive
from scaling.numeric.inputs.display import Shown
from scaling.numeric.laws.law import Law


@dataclass(frozen=True, eq=False, repr=False)
class LearningRateSchedule(Shown):
    """Learning rate as a function of the step, along a batch-size ramp; see `schedule`.

    It is called with a step, or an array of steps, counted from 0. Each batch size holds from its
    step to the next, the last one for ever.

    Attributes
    ----------
    steps : ndarray of int64, shape (changes,)
        First steps of the batch sizes, ascending from 0.
    batch_sizes : ndarray, shape (changes,)
        B at these steps.
    learning_rates : ndarray, shape (changes,)
        The law's answers there.
    warnings : tuple of Fact
        Why they should not be trusted, if so.
    multiply : callable or None
        Of a step, what the law's answer is multiplied by: a warm-up or a decay.
    """

    steps: npt.NDArray[np.int64]
    batch_sizes: FloatArray
    learning_rates: FloatArray
    warnings: tuple[Fact, ...] = ()
    multiply: Callable[[Any], Any] | None = None

    def __call__(self, step: npt.ArrayLike) -> Real:
        """Learning rate of a step; NaN for negative steps and NaN."""
        rate = self._at(step, self.learning_rates)
        if self.multiply is None:
            return rate
        steps = np.asarray(step)
        factors = [self.multiply(one) if one >= 0 else np.nan for one in steps.ravel().tolist()]
        return (rate * as_array(factors, "multiply").reshape(steps.shape))[()]

    def batch_size(self, step: npt.ArrayLike) -> Real:
        """Batch size of a step; NaN for negative steps and NaN."""
        return self._at(step, self.batch_sizes)

    def factor(self, step: npt.ArrayLike) -> Real:
        """Learning rate of a step relative to the law's at step 0."""
        return self(step) / self.learning_rates[0]

    def _at(self, step: npt.ArrayLike, values: FloatArray) -> Real:
        steps = as_array(step, "step")
        place = np.searchsorted(self.steps, steps, side="right") - 1
        return np.where(steps >= 0, values[place], np.nan)[()]


def schedule(
    law: Law,
    ramp: Mapping[int, float] | Callable[[int], float],
    steps: int | None = None,
    *,
    extrapolate: bool = False,
    multiply: Callable[[Any], Any] | None = None,
) -> LearningRateSchedule:
    """Learning rate of each step when the batch size ramps during training.

    Parameters
    ----------
    law : Law
        Any law.
    ramp : dict or callable
        B(t): batch sizes by the first step at which they hold, as ``{0: 256, 1000: 512}``, or a
        function of one step, counted from 0.
    steps : int, optional
        For a function: how many steps to ask it for; the last batch size holds from there on.
    extrapolate : bool, default False
        Whether the ramp may leave the batch sizes that the law was fitted on. A law that was not
        fitted to a range has none to leave.
    multiply : callable, optional
        Warm-up and decay: a function of one step, counted from 0, by which the law's answer is
        multiplied, as ``lambda step: min(1, (step + 1) / 100)``.

    Returns
    -------
    LearningRateSchedule
        The law at each step's batch size, as if training had been at that batch size all along:
        a ramp's history does not enter (T-G). It holds the optimizer's other parameters as they
        are.

    Raises
    ------
    InputError
        If the ramp is not of either form, or does not begin at step 0.
    DataError
        If a batch size is not positive and finite, or lies outside the law's range.

    Examples
    --------
    >>> from scaling import BatchSizeLaw
    >>> law = BatchSizeLaw(256, 1e-3, noise_batch_size=8000, critical_batch_size=1000)
    >>> rate = schedule(law, {0: 256, 1000: 512, 4000: 1024})
    >>> rate([0, 999, 1000, 10_000]).round(6).tolist()
    [0.001, 0.001, 0.001193, 0.001298]
    >>> double = schedule(law, lambda step: 256 * 2 ** (step // 1000), steps=3000)
    >>> float(double.batch_size(2999))
    1024.0
    >>> warm = schedule(law, {0: 256}, multiply=lambda step: min(1, (step + 1) / 100))
    >>> warm([0, 49, 99, 500]).round(6).tolist()
    [1e-05, 0.0005, 0.001, 0.001]
    """
    if multiply is not None and not callable(multiply):
        raise InputError("must be a function of the step", "multiply")
    if isinstance(ramp, Mapping):
        if steps is not None:
            raise InputError("only a function of the step needs it; leave it out", "steps")
        first, sizes = _stages(ramp)
    elif callable(ramp):
        first, sizes = _sampled(ramp, steps)
    else:
        raise InputError(
            "must be a dict of batch sizes by first step, as {0: 256, 1000: 512}, or a function",
            "ramp",
        )
    bad = np.flatnonzero(~((sizes > 0) & (sizes < np.inf)))
    if bad.size:
        raise DataError(
            f"the batch size at step {first[bad[0]]} is {sizes[bad[0]]:g}; it must be positive "
            "and finite"
        )
    if not extrapolate:
        _check_range(law, first, sizes)
    changes = np.flatnonzero(np.diff(sizes, prepend=np.nan) != 0)
    kept = sizes[changes]
    facts = (found for batch in (kept.min(), kept.max()) for found in law.warnings(float(batch)))
    rates = np.asarray(law.learning_rate(kept))
    return LearningRateSchedule(first[changes], kept, rates, tuple(dict.fromkeys(facts)), multiply)


def _stages(ramp: Mapping[Any, Any]) -> tuple[npt.NDArray[np.int64], FloatArray]:
    if not ramp or not all(type(step) is int and step >= 0 for step in ramp) or 0 not in ramp:
        raise InputError("must give batch sizes by whole steps, the first of them 0", "ramp")
    items = sorted(ramp.items())
    sizes = as_array([size for _, size in items], "ramp")
    if sizes.ndim != 1:
        raise InputError("must give one batch size for each step", "ramp")
    return np.array([step for step, _ in items], dtype=np.int64), sizes


def _sampled(
    ramp: Callable[[int], Any], steps: int | None
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    if steps is None:
        raise InputError("missing; a function of the step is asked for so many steps", "steps")
    if type(steps) is not int or positive(steps, "steps") < 1:
        raise InputError(f"must be a whole number from 1, got {steps!r}", "steps")
    sizes = as_array([ramp(step) for step in range(steps)], "ramp")
    if sizes.ndim != 1:
        raise InputError("must return one batch size for one step", "ramp")
    return np.arange(steps), sizes


def _check_range(law: Law, steps: npt.NDArray[np.int64], sizes: FloatArray) -> None:
    if law.provenance.batch_size_range is None:
        return
    low, high = law.provenance.batch_size_range
    outside = np.flatnonzero((sizes < low) | (sizes > high))
    if outside.size:
        raise DataError(
            f"the ramp leaves the law's range at step {steps[outside[0]]}: batch size "
            f"{sizes[outside[0]]:.10g} is outside {low:.10g} to {high:.10g}, the batch sizes that "
            "it was fitted on; shorten the ramp, or pass extrapolate=True"
        )
