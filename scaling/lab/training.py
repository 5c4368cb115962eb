"""Training all learning rates and seeds of a setting at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scaling.lab.adam import Adam, AdamSettings
from scaling.lab.problems.problem import Problem
from scaling.lab.schedule import Schedule
from scaling.numeric.inputs.display import Shown

FloatArray: TypeAlias = npt.NDArray[np.float64]

#: Steps after which learning rates that diverged are dropped.
_CHECKED = 32
#: Numbers of examples that are drawn at a time.
_DRAWN = 2**16
#: A run to a target is looked at whenever its steps have grown by this factor.
_LOOKED = 1.02


@dataclass(frozen=True)
class Budget:
    """How long to train.

    Attributes
    ----------
    steps : int
        How many steps; with a target, how many at most.
    target : float, optional
        Loss at which a run ends.
    """

    steps: int
    target: float | None = None


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The first seed's runs at some point, for the learning rates that have not diverged.

    Attributes
    ----------
    fraction : float
        Share of the run that has passed.
    step : int
    which : Tensor of int, shape (L',)
        Numbers of the learning rates.
    weights, second_moment : Tensor, shape (L', P)
        Second moment: Adam's v_hat.
    """

    fraction: float
    step: int
    which: Tensor
    weights: Tensor
    second_moment: Tensor


@dataclass(frozen=True, eq=False, repr=False)
class Trained(Shown):
    """How runs ended.

    Attributes
    ----------
    loss : ndarray, shape (S, L)
        Final loss by seed and learning rate; NaN where a run diverged.
    steps : ndarray, shape (S, L)
        Steps taken; NaN where a run did not come to the target.
    snapshots : tuple of Snapshot
    """

    loss: FloatArray
    steps: FloatArray
    snapshots: tuple[Snapshot, ...]


def train(
    problem: Problem,
    batch_size: int,
    learning_rate: Sequence[float],
    seeds: Sequence[int],
    budget: Budget,
    adam: AdamSettings = AdamSettings(),  # noqa: B008 - it is frozen
    schedule: Schedule = Schedule(),  # noqa: B008
    fractions: Sequence[float] = (),
) -> Trained:
    """Train all learning rates from all seeds.

    Runs of one seed start from the same weights and see the same batches.

    Parameters
    ----------
    problem : Problem
    batch_size : int
        B, in examples.
    learning_rate : sequence of float, length L
        At the peak of the schedule.
    seeds : sequence of int, length S
    budget, adam, schedule
    fractions : sequence of float
        At which shares of the run to take a snapshot.

    Returns
    -------
    Trained

    Examples
    --------
    >>> from scaling.lab.problems.quadratic import Quadratic
    >>> trained = train(Quadratic(), 16, [1e-3, 1e-2, 1e30], [0, 1], Budget(200))
    >>> trained.loss.round(1).tolist()
    [[1.8, 0.7, nan], [1.8, 0.7, nan]]
    """
    runs = _Runs(problem, learning_rate, seeds, budget, adam)
    points = {max(1, round(fraction * budget.steps)): fraction for fraction in fractions}
    looked_at = set() if budget.target is None else _growing(budget.steps)
    snapshots = []
    for step, batch in enumerate(_batches(problem, batch_size, seeds, budget.steps), start=1):
        runs.step(batch, schedule.factor(step, budget.steps))
        if step in points:
            snapshots.append(runs.snapshot(points[step]))
        if step in looked_at:
            runs.look()
        elif step % _CHECKED == 0:
            runs.drop_diverged()
        if not len(runs.which):
            break
    return Trained(*runs.finish(), tuple(snapshots))


class _Runs:
    """Runs that train together; those that need no more steps are dropped, by learning rate."""

    def __init__(
        self,
        problem: Problem,
        learning_rate: Sequence[float],
        seeds: Sequence[int],
        budget: Budget,
        adam: AdamSettings,
    ) -> None:
        start = torch.stack([problem.start(np.random.default_rng([seed, 0])) for seed in seeds])
        rates = torch.tensor(learning_rate, dtype=torch.float64)
        self.problem, self.budget = problem, budget
        self.optimizer = Adam(start[:, None].repeat(1, len(rates), 1), rates, adam)
        #: Numbers of the learning rates that still train.
        self.which = torch.arange(len(rates))
        self.loss = torch.full((len(seeds), len(rates)), torch.nan, dtype=torch.float64)
        self.steps = torch.full_like(
            self.loss, budget.steps if budget.target is None else torch.nan
        )

    def step(self, batch: Tensor, factor: float) -> None:
        self.optimizer.step(self.problem.gradient(self.optimizer.weights, batch), factor)

    def snapshot(self, fraction: float) -> Snapshot:
        weights = self.optimizer.weights[0].clone()
        moment = self.optimizer.second_moment()[0]
        return Snapshot(fraction, self.optimizer.steps, self.which, weights, moment)

    def look(self) -> None:
        """End the runs that have come to the target."""
        found = self.problem.loss(self.optimizer.weights).double()
        loss, steps = self.loss[:, self.which], self.steps[:, self.which]
        reached = (found <= (self.budget.target or 0)) & steps.isnan()
        self.loss[:, self.which] = torch.where(reached, found, loss)
        steps = torch.where(reached, float(self.optimizer.steps), steps)
        self.steps[:, self.which] = steps
        self._keep((steps.isnan() & found.isfinite()).any(dim=0))

    def drop_diverged(self) -> None:
        self._keep(self.optimizer.weights.sum(dim=2).isfinite().any(dim=0))

    def finish(self) -> tuple[FloatArray, FloatArray]:
        """Final loss, of what was not ended at the target, and steps."""
        if len(self.which):
            found = self.problem.loss(self.optimizer.weights).double()
            loss = self.loss[:, self.which]
            self.loss[:, self.which] = torch.where(loss.isnan(), found, loss)
        self.loss[~self.loss.isfinite()] = torch.nan
        return self.loss.numpy(), self.steps.numpy()

    def _keep(self, going: Tensor) -> None:
        if not going.all():
            self.optimizer.keep(going)
            self.which = self.which[going]


def _batches(
    problem: Problem, batch_size: int, seeds: Sequence[int], steps: int
) -> Iterator[Tensor]:
    """Batches of each seed, step by step; the first axis is the seed."""
    generators = [np.random.default_rng([seed, 1]) for seed in seeds]
    at_a_time = max(1, _DRAWN // batch_size)
    for start in range(0, steps, at_a_time):
        count = min(at_a_time, steps - start)
        drawn = [problem.draw(generator, batch_size, count) for generator in generators]
        yield from torch.stack(drawn, dim=1)


def _growing(steps: int) -> set[int]:
    """Whole numbers up to steps that grow by a factor, the last included."""
    count = int(np.log(steps) / np.log(_LOOKED)) + 1
    return {int(_LOOKED**i) for i in range(count)} | {steps}
