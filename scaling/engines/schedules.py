"""Schedules along a batch-size ramp, as PyTorch and optax take them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from scaling.engines._engine import engine
from scaling.errors import InputError
from scaling.numeric.recipes.schedule import LearningRateSchedule

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LambdaLR


def lambda_lr(
    optimizer: "Optimizer", schedule: LearningRateSchedule, last_epoch: int = -1
) -> "LambdaLR":
    """Make PyTorch's scheduler that sets the schedule's learning rate; call its `step` each step.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Whatever learning rate it was made with, the schedule's replaces it. All of its parameter
        groups must have been made with the same one; otherwise use
        ``LambdaLR(optimizer, schedule.factor)``, which scales each group's own.
    schedule : LearningRateSchedule
        Made by `scaling.schedule`.
    last_epoch : int, default -1
        As in PyTorch: the last step done, to resume; -1 to begin.

    Returns
    -------
    torch.optim.lr_scheduler.LambdaLR

    Raises
    ------
    InputError
        If the parameter groups have different learning rates.
    MissingExtraError
        If PyTorch is not installed.
    """
    lr_scheduler = engine("torch.optim.lr_scheduler", "torch", "torch")
    rates = {float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups}
    if len(rates) > 1:
        raise InputError(
            f"has parameter groups with different learning rates, {sorted(rates)}; use "
            "LambdaLR(optimizer, schedule.factor), which scales each of them",
            "optimizer",
        )
    (own,) = rates
    if own == 0:
        raise InputError("was made with learning rate 0, which no factor can change", "optimizer")

    # A function and not the schedule itself: LambdaLR would save an object's attributes with its
    # state, where nothing of ours belongs.
    def factor(step: int) -> float:
        return float(schedule(step)) / own

    scheduler: LambdaLR = lr_scheduler.LambdaLR(optimizer, factor, last_epoch)
    return scheduler


def optax_schedule(schedule: LearningRateSchedule) -> Callable[[Any], Any]:
    """Make an optax schedule, a function of the step count that JAX can trace.

    Parameters
    ----------
    schedule : LearningRateSchedule
        Made by `scaling.schedule`.

    Returns
    -------
    callable
        For ``optax.adam(learning_rate=...)`` and its kin; values in JAX's default precision.

    Raises
    ------
    MissingExtraError
        If JAX is not installed.
    """
    numpy = engine("jax.numpy", "jax", "optax")
    steps, rates = numpy.asarray(schedule.steps), numpy.asarray(schedule.learning_rates)

    def rate(count: Any) -> Any:
        return rates[numpy.searchsorted(steps, count, side="right") - 1]

    return rate
