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
    optimizer: "Optimizer",
    schedule: LearningRateSchedule,
    last_epoch: int = -1,
    *,
    own_rates: bool = False,
) -> "LambdaLR":
    """Make PyTorch's scheduler that sets the schedule's learning rate; call its `step` each step.

    It sets the rate and does not multiply what another scheduler left: give warm-up and decay to
    `scaling.schedule` as ``multiply``.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Whatever learning rate it was made with, the schedule's replaces it.
    schedule : LearningRateSchedule
        Made by `scaling.schedule`.
    last_epoch : int, default -1
        As in PyTorch: the last step done, to resume; -1 to begin.
    own_rates : bool, default False
        Whether each parameter group keeps its own learning rate, as that of step 0 before any
        warm-up, and only moves with the schedule. Needed where the groups differ.

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
    if len(rates) > 1 and not own_rates:
        raise InputError(
            f"has parameter groups with different learning rates, {sorted(rates)}; "
            "own_rates=True moves each of them with the schedule",
            "optimizer",
        )
    own = float(schedule.learning_rates[0]) if own_rates else rates.pop()
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
        Made by `scaling.schedule`; what it multiplies by must be written for JAX, as optax's own
        schedules are.

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
    multiply = schedule.multiply or (lambda _count: 1)

    def rate(count: Any) -> Any:
        return rates[numpy.searchsorted(steps, count, side="right") - 1] * multiply(count)

    return rate
