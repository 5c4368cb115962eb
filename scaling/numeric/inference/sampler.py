"""Draws from a posterior by sequential Monte Carlo (Del Moral, Doucet, Jasra 2006), vectorised.

Draws of the prior are led to the posterior by raising the likelihood to powers from almost 0 to
1: reweighted, resampled, and moved by differential evolution of some of the parameters (ter Braak
2006, Vrugt et al. 2009), which takes its scales from the draws themselves. Most moves redraw the
linear parameters given the new others, for where the scatter is small those are held so closely by
the rest that they could not move alone. With little evidence the first power is 1 already, and all
that is done is importance resampling. The marginal likelihood comes along.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from scaling.numeric.inputs.arrays import FloatArray

#: First draws, of which most are given up, for each draw that is wanted.
_PROPOSED = 4
#: Smallest share of the draws that the weights may leave.
_KEPT = 0.5
#: The same of the first draws.
_FIRST = 0.1
#: Moves are made so many at a time, of which one redraws nothing, as often as need be.
_MOVES = 5
#: Correlation of draws with what they were before the moves of a stage, and of the last, that is
#: small enough, and how many times moves are made at most (Buchholz, Chopin and Jacob 2021).
_FORGOTTEN, _MOST = 0.6, 2
_LAST_FORGOTTEN, _LAST_MOST = 0.3, 8
#: Probability that a move displaces a parameter.
_CROSSOVER = 0.5
#: Share of moves that is best accepted.
_WANTED = 0.27
_JITTER = 1e-4
_SMALLEST = 1e-5
#: Fewer independent draws, or a longer tail of their weights (Vehtari et al. 2024), are no ground
#: for an interval.
_FEWEST, _LONGEST_TAIL = 100.0, 0.7


class Diagnostics(NamedTuple):
    """How draws came about.

    Attributes
    ----------
    effective : float
        How many independent draws they are worth.
    stages : int
        Powers of the likelihood; 1 is importance resampling.
    acceptance : float
        Share of the last moves that were accepted; 1 if none was needed.
    pareto_k : float
        Shape of the tail of the first stage's weights: over 0.7 they should not be trusted.
    log_evidence : float
        Log marginal likelihood, up to a constant that is the same for every prior.
    """

    effective: float
    stages: int
    acceptance: float
    pareto_k: float
    log_evidence: float

    @property
    def trusted(self) -> bool:
        """Whether the draws are worth enough, and no few of them had most of the weight."""
        return self.effective > _FEWEST and (self.stages > 1 or self.pareto_k < _LONGEST_TAIL)


@dataclass(frozen=True, eq=False)
class Sampled:
    """Draws (P, d), equally weighted."""

    draws: FloatArray
    diagnostics: Diagnostics


class Problem(Protocol):
    """What is sampled; draws are (P, d), their first columns linear parameters."""

    def propose(
        self, power: float, size: int, rng: np.random.Generator, /
    ) -> tuple[FloatArray, FloatArray]:
        """First draws for a power of the likelihood, and their log density (P,)."""

    def redraw(
        self, draws: FloatArray, power: float, rng: np.random.Generator, /
    ) -> tuple[FloatArray, FloatArray]:
        """Linear parameters (P, L) given the others, and their log density (P,)."""

    def redraw_density(self, draws: FloatArray, power: float, /) -> FloatArray:
        """Log density (P,) with which `redraw` makes the linear parameters of draws."""

    def log_density(self, draws: FloatArray, power: float, /) -> tuple[FloatArray, FloatArray]:
        """Log prior and log likelihood, each (P,); only their sum counts where the power is 1."""


def effective(log_weight: FloatArray) -> float:
    """How many equal draws the weights are worth (Kish)."""
    weight = np.exp(log_weight - log_weight.max())
    return float(weight.sum() ** 2 / (weight**2).sum())


def sample(
    problem: Problem, size: int, rng: np.random.Generator, last_moves: int = _LAST_MOST
) -> Sampled:
    """Draw from prior times likelihood.

    Parameters
    ----------
    problem : Problem
    size : int
        Number of draws.
    rng : Generator
    last_moves : int
        How many times moves are made, at most, after the last stage.
    """
    power, state, weight = _first(problem, size, rng)
    evidence, tail, kept = _log_mean(weight), pareto_k(weight), effective(weight)
    state = _resample(state, weight, size, rng)
    kept = min(kept, size)
    if power == 1.0 and kept > size / 2 and tail < _LONGEST_TAIL:
        return Sampled(state[0], Diagnostics(kept, 1, 1.0, tail, evidence))
    stages = 1
    mover = _Mover(problem, rng)
    while True:
        last = power == 1.0
        most = last_moves if last else _MOST
        state, stuck = mover.move_on(state, power, most, _LAST_FORGOTTEN if last else _FORGOTTEN)
        if last:
            break
        increase = _increase(state[2], 1.0 - power)
        if power + increase <= power:
            raise ArithmeticError("the likelihood is no number: the prior has absurd scales")
        weight = increase * state[2]
        evidence, kept = evidence + _log_mean(weight), effective(weight)
        power = 1.0 if increase == 1.0 - power else power + increase
        stages += 1
        state = _resample(state, weight, size, rng)
    # Draws that have not moved since are worth what the weights left of them.
    worth = kept * stuck + size * (1 - stuck)
    return Sampled(state[0], Diagnostics(worth, stages, mover.acceptance, tail, evidence))


#: Draws, log prior, log likelihood.
State = tuple[FloatArray, FloatArray, FloatArray]


def _first(
    problem: Problem, size: int, rng: np.random.Generator
) -> tuple[float, State, FloatArray]:
    """Power to begin with, draws, and their log weights."""
    power = 1.0
    while True:
        draws, density = problem.propose(power, _PROPOSED * size, rng)
        prior, likelihood = problem.log_density(draws, power)
        weight = prior + power * likelihood - density
        if effective(weight) > _FIRST * len(draws) or power < _SMALLEST:
            return power, (draws, prior, likelihood), weight
        power /= 2


class _Mover:
    """Moves of all draws, with step lengths that follow the share that is accepted."""

    def __init__(self, problem: Problem, rng: np.random.Generator) -> None:
        self.problem, self.rng = problem, rng
        self.steps = {True: 0.6, False: 0.6}
        self.acceptance = 1.0

    def move_on(
        self, state: State, power: float, most: int, forgotten: float
    ) -> tuple[State, float]:
        """Move all draws until they have forgotten where they were, and say how far they have."""
        draws, prior, likelihood = (part.copy() for part in state)
        density = self.problem.redraw_density(draws, power)
        for _ in range(most):
            for number in range(_MOVES):
                self.move((draws, prior, likelihood, density), power, redraw=number > 0)
            likeness = _likeness(state[0], draws)
            if likeness < forgotten:
                break
        return (draws, prior, likelihood), likeness

    def move(
        self,
        parts: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
        power: float,
        *,
        redraw: bool,
    ) -> None:
        """Move each half of the draws along differences within the other, in place.

        The last part is the density with which the linear parameters would be redrawn.
        """
        draws, prior, likelihood, density = parts
        size = len(draws)
        order = self.rng.permutation(size)
        halves = order[: size // 2], order[size // 2 :]
        accepted = 0
        for mine, others in (halves, halves[::-1]):
            trial = self._along(draws[mine], draws[others], redraw=redraw)
            gain = -prior[mine] - power * likelihood[mine]
            if redraw:
                linear, found_density = self.problem.redraw(trial, power, self.rng)
                trial[:, : linear.shape[1]] = linear
                gain += density[mine] - found_density
            found = self.problem.log_density(trial, power)
            gain += found[0] + power * found[1]
            taken = np.log(self.rng.uniform(size=mine.size)) < gain
            rows = mine[taken]
            draws[rows], prior[rows], likelihood[rows] = (x[taken] for x in (trial, *found))
            if redraw:
                density[rows] = found_density[taken]
            elif rows.size:
                density[rows] = self.problem.redraw_density(draws[rows], power)
            accepted += rows.size
        self.acceptance = accepted / size
        step = self.steps[redraw] * np.exp(self.acceptance - _WANTED)
        self.steps[redraw] = float(np.clip(step, 0.02, 2.0))

    def _along(self, old: FloatArray, others: FloatArray, *, redraw: bool) -> FloatArray:
        """Old draws, some parameters displaced by some share of the difference of two others."""
        first, second = self.rng.integers(len(others), size=(2, len(old)))
        scale = self.steps[redraw] * np.exp(0.5 * self.rng.standard_normal((len(old), 1)))
        jitter = _JITTER * others.std(axis=0) * self.rng.standard_normal(old.shape)
        moved = old + scale * (others[first] - others[second]) + jitter
        if redraw:
            # Without it the linear parameters would be torn from what holds them.
            moved = np.where(self.rng.uniform(size=old.shape) < _CROSSOVER, moved, old)
        return np.asarray(moved)


def _increase(likelihood: FloatArray, most: float) -> float:
    """By how much the power may rise so that the weights leave enough draws (bisection)."""
    low, high = 0.0, most
    if effective(most * likelihood) >= _KEPT * likelihood.size:
        return most
    for _ in range(40):
        middle = (low + high) / 2
        enough = effective(middle * likelihood) >= _KEPT * likelihood.size
        low, high = (middle, high) if enough else (low, middle)
    return low


def _resample(state: State, log_weight: FloatArray, size: int, rng: np.random.Generator) -> State:
    """Systematic resampling."""
    weight = np.exp(log_weight - log_weight.max())
    edges = np.cumsum(weight) / weight.sum()
    edges[-1] = 1.0
    rows = np.searchsorted(edges, (np.arange(size) + rng.uniform()) / size)
    return state[0][rows], state[1][rows], state[2][rows]


def _likeness(before: FloatArray, after: FloatArray) -> float:
    """Largest correlation of a parameter with itself, from 0 to 1."""
    before, after = (x - x.mean(axis=0) for x in (before, after))
    product = (before * after).sum(axis=0)
    norm = np.sqrt((before**2).sum(axis=0) * (after**2).sum(axis=0))
    return float(np.clip(np.max(product / np.maximum(norm, 1e-300)), 0, 1))


def _log_mean(values: FloatArray) -> float:
    top = values.max()
    return float(top + np.log(np.mean(np.exp(values - top))))


def pareto_k(log_weight: FloatArray) -> float:
    """Shape of the generalised Pareto tail of the weights (Zhang and Stephens 2009).

    Below 0.5 the weights have a finite variance, above 0.7 they should not be trusted
    (Vehtari et al. 2024).
    """
    size = log_weight.size
    count = int(min(size / 5, 3 * np.sqrt(size)))
    ordered = np.exp(np.sort(log_weight)[-count - 1 :] - log_weight.max())
    excess = ordered[1:] - ordered[0]
    if count < 5 or excess[-1] <= 1e-12:
        return -np.inf
    excess = np.maximum(excess, 1e-300)
    number = 30 + int(np.sqrt(count))
    quarter = excess[(count + 2) // 4 - 1]
    theta = 1 / excess[-1] + (1 - np.sqrt(number / (np.arange(1, number + 1) - 0.5))) / (
        3 * max(quarter, 1e-12)
    )
    k = np.log1p(-theta[:, None] * excess).mean(axis=1)
    profile = count * (np.log(-theta / k) - k - 1)
    weights = 1 / np.exp(profile - profile[:, None]).sum(axis=1)
    best = float(theta @ weights)
    shape = float(np.log1p(-best * excess).mean())
    return (shape * count + 0.5 * 10) / (count + 10)
