"""Training a cell: its learning rates, more where the best is at the edge, and measurements."""

from dataclasses import dataclass, field

import numpy as np
import torch
from msgspec import Struct

from scaling.lab.adam import AdamSettings
from scaling.lab.configuration import RATES_PER_OCTAVE, Cell, Measure
from scaling.lab.measuring import NoiseScale, measure_noise, summarise
from scaling.lab.problems.problem import Problem
from scaling.lab.schedule import Schedule
from scaling.lab.training import Budget, Snapshot, Trained, train

#: A best learning rate with fewer neighbours than this on a side is at the edge.
_NEIGHBOURS = 2
#: Learning rates that are added at an edge, and how often.
_ADDED, _TIMES = 4, 5


class Run(Struct, frozen=True, array_like=True):
    """One training run.

    Attributes
    ----------
    exponent : int
        The learning rate is 2^(exponent/2).
    seed : int
    loss : float or None
        None if it diverged.
    steps : int or None
        None if it did not come to the target.
    """

    exponent: int
    seed: int
    loss: float | None
    steps: int | None

    @property
    def learning_rate(self) -> float:
        """Peak of the schedule."""
        return float(2.0 ** (self.exponent / RATES_PER_OCTAVE))


class Measured(Struct, frozen=True):
    """What was measured at one point of a run; second moments as `SecondMoments.to_json`."""

    learning_rate: float
    seed: int
    fraction: float
    step: int
    noise: NoiseScale
    second_moments: str


class Result(Struct, frozen=True):
    """All that a cell gave."""

    cell: Cell
    runs: tuple[Run, ...]
    measured: tuple[Measured, ...]


@dataclass
class _Sweep:
    """Runs of a cell by the exponent of their learning rate."""

    loss: dict[int, np.ndarray] = field(default_factory=dict)
    steps: dict[int, np.ndarray] = field(default_factory=dict)
    snapshots: dict[int, list[tuple[Snapshot, int]]] = field(default_factory=dict)

    def add(self, exponents: list[int], trained: Trained) -> None:
        for i, k in enumerate(exponents):
            self.loss[k], self.steps[k] = trained.loss[:, i], trained.steps[:, i]
            self.snapshots[k] = [
                (snapshot, int(row))
                for snapshot in trained.snapshots
                for row in (snapshot.which == i).nonzero()[:, 0]
            ]

    def best(self, *, by_steps: bool) -> int:
        """Exponent of the best mean over seeds; of the lowest where none is finite."""
        measured = self.steps if by_steps else self.loss
        mean = {k: np.nan_to_num(measured[k].mean(), nan=np.inf) for k in sorted(measured)}
        return min(mean, key=mean.__getitem__)


def make_problem(name: str) -> Problem:
    """Make a problem, data included, by its name in configurations."""
    if name == "quadratic":
        from scaling.lab.problems.quadratic import Quadratic

        return Quadratic()
    if name == "transformer":
        from scaling.lab.problems.transformer import Transformer

        return Transformer()
    from scaling.lab.problems.digits import Logistic, Network

    return Network() if name == "network" else Logistic()


def run_cell(cell: Cell) -> Result:
    """Train a cell, on one thread; the result depends on nothing but the cell.

    Parameters
    ----------
    cell : Cell

    Returns
    -------
    Result
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # else small second moments take ten times as long
    try:
        return _run(cell)
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


def _run(cell: Cell) -> Result:
    problem = make_problem(cell.problem)
    by_steps = cell.target is not None
    first = cell.middle - cell.rates // 2
    exponents = list(range(first, first + cell.rates))
    sweep = _Sweep()
    for _ in range(1 + _TIMES):
        sweep.add(exponents, _train(problem, cell, exponents))
        if by_steps and all(np.isnan(steps).any() for steps in sweep.steps.values()):
            break  # the target is too low for this setting
        best = sweep.best(by_steps=by_steps)
        low, high = min(sweep.loss), max(sweep.loss)
        if best - low < _NEIGHBOURS:
            exponents = list(range(low - _ADDED, low))
        elif high - best < _NEIGHBOURS:
            exponents = list(range(high + 1, high + 1 + _ADDED))
        else:
            break
    measured = () if cell.measure is None else _measure(problem, cell, cell.measure, sweep)
    return Result(cell, tuple(_runs(cell, sweep)), measured)


def _train(problem: Problem, cell: Cell, exponents: list[int]) -> Trained:
    return train(
        problem,
        cell.batch_size,
        [2.0 ** (k / RATES_PER_OCTAVE) for k in exponents],
        cell.seeds,
        Budget(cell.steps, cell.target),
        AdamSettings(cell.eps, cell.beta1, cell.beta2, cell.weight_decay, cell.eps_inside),
        Schedule(cell.decay, cell.warm_up),
        cell.measure.fractions if cell.measure else (),
    )


def _measure(problem: Problem, cell: Cell, measure: Measure, sweep: _Sweep) -> tuple[Measured, ...]:
    """Measure along the first seed's run at the best learning rate."""
    best = sweep.best(by_steps=False)
    generator = np.random.default_rng([cell.seeds[0], 2])
    return tuple(
        Measured(
            2.0 ** (best / RATES_PER_OCTAVE),
            cell.seeds[0],
            snapshot.fraction,
            snapshot.step,
            measure_noise(
                problem,
                snapshot.weights[row],
                generator,
                measure.small,
                measure.parts,
                measure.draws,
            ),
            summarise(snapshot.second_moment[row]).to_json(),
        )
        for snapshot, row in sweep.snapshots[best]
    )


def _runs(cell: Cell, sweep: _Sweep) -> list[Run]:
    """Runs by learning rate and seed; losses rounded to what a table shows."""
    return [
        Run(
            k,
            seed,
            float(f"{loss:.6g}") if np.isfinite(loss) else None,
            int(steps) if np.isfinite(steps) else None,
        )
        for k in sorted(sweep.loss)
        for seed, loss, steps in zip(cell.seeds, sweep.loss[k], sweep.steps[k], strict=True)
    ]
