"""The best learning rate of one step of Adam, measured: what the exact laws are held to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from scaling.lab.adam import Adam, AdamSettings
from scaling.lab.problems.problem import Problem

FloatArray: TypeAlias = npt.NDArray[np.float64]

#: Replicas at a time.
_BLOCK = 512
#: Draws by which an optimum is found roughly, before all are asked.
_FEW = 32
#: Relative distance at which the loss is differentiated by the learning rate: that of a quadratic
#: exactly, whatever the distance.
_DISTANCE = 0.03
#: Newton's steps end at this relative size, far below a standard error, or after so many.
_STILL, _MOST_STEPS = 1e-4, 20


@dataclass(frozen=True)
class OneStepOptimum:
    """Where the expected loss after one step is least.

    Attributes
    ----------
    learning_rate : float
    error : float
        Its standard error.
    loss_decrease : float
        Mean decrease of the loss at this learning rate.
    """

    learning_rate: float
    error: float
    loss_decrease: float


def one_step_optimum(
    problem: Problem,
    weights: Tensor,
    batch_size: int,
    adam: AdamSettings,
    generator: np.random.Generator,
    *,
    step: int = 1,
    draws: int = 1024,
) -> OneStepOptimum:
    """Measure the best learning rate of a step by trying: E[L(w - lr phi)] over many updates phi.

    Adam has seen the gradients of ``step - 1`` other batches at the same weights.

    Parameters
    ----------
    problem : Problem
    weights : Tensor, shape (P,)
        w, preferably of float64.
    batch_size : int
    adam : AdamSettings
        Without weight decay.
    generator : numpy.random.Generator
    step : int, default 1
        The number of the step, which decides the bias corrections.
    draws : int, default 1024
        How many updates.

    Returns
    -------
    OneStepOptimum

    Notes
    -----
    T-A1 is the same for a quadratic loss. The optimum is a root of the mean slope of the loss,
    found by Newton's method, which needs one step if the loss is quadratic; its error is that of
    the slope divided by the curvature.

    Examples
    --------
    >>> from scaling.lab.problems.quadratic import Quadratic
    >>> problem = Quadratic(dtype=torch.float64)
    >>> found = one_step_optimum(
    ...     problem, problem.origin, 16, AdamSettings(eps=1.0), np.random.default_rng(0)
    ... )
    >>> 0 < found.error < found.learning_rate / 20
    True
    """
    sizes = [min(_BLOCK, draws - start) for start in range(0, draws, _BLOCK)]
    updates = torch.cat(
        [_updates(problem, weights, batch_size, adam, generator, step, size) for size in sizes]
    )
    before = float(problem.loss(weights[None, None])[0, 0])

    def losses(learning_rate: float, count: int = draws) -> FloatArray:
        after = weights - learning_rate * updates[:count]
        return np.concatenate(
            [problem.loss(block[None])[0].double().numpy() for block in torch.split(after, _BLOCK)]
        )

    few = min(_FEW, draws)
    best = float(np.exp(_minimum(lambda log_rate: float(losses(np.exp(log_rate), few).mean()))))
    for _ in range(_MOST_STEPS):
        h = _DISTANCE * best
        below, here, above = losses(best - h), losses(best), losses(best + h)
        slope, curvature = (above - below) / (2 * h), (above - 2 * here + below).mean() / h**2
        move = float(np.clip(-slope.mean() / curvature, -best / 2, best))
        if abs(move) < _STILL * best:
            break
        best += move
    error = slope.std(ddof=1) / np.sqrt(draws) / curvature
    return OneStepOptimum(best, float(error), before - float(here.mean()))


def _updates(
    problem: Problem,
    weights: Tensor,
    batch_size: int,
    adam: AdamSettings,
    generator: np.random.Generator,
    step: int,
    count: int,
) -> Tensor:
    """Draw updates phi, shape (count, P), each from batches of its own."""
    replicas = weights.expand(count, 1, -1)
    # At a learning rate of -1 from zero, Adam's weights become the update itself.
    optimizer = Adam(torch.zeros_like(replicas), torch.zeros(1), adam)
    for number in range(1, step + 1):
        if number == step:
            optimizer.learning_rate -= 1
        batch = problem.draw(generator, batch_size, count)
        optimizer.step(problem.gradient(replicas, batch))
    return optimizer.weights[:, 0]


def _minimum(mean: Callable[[float], float]) -> float:
    """Where a mean is least, as a function of a logarithm."""
    low = -20.0
    # It falls like the learning rate while that is small.
    while mean(low + 1) < mean(low):
        low += 1
    return float(minimize_scalar(mean, bounds=(low - 2, low + 2), options={"xatol": 0.1}).x)
