"""Ask which runs to make next for the sake of one answer, and tell what came of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError
from scaling.numeric.facts import Fact, fact
from scaling.numeric.inference.family import Design
from scaling.numeric.inference.posterior import Posterior, quantiles
from scaling.numeric.inputs.arrays import FloatArray, as_array, positive
from scaling.numeric.inputs.display import Shown
from scaling.numeric.planning.choices import (
    POWERS,
    Choices,
    cost_of,
    places_of,
    prices_at,
    sort_out,
)
from scaling.numeric.planning.knowledge import Belief, Knowledge, check_covariates, eps_of
from scaling.numeric.planning.outlook import Outlook, design_at, optima_at, weighted_quantiles
from scaling.numeric.planning.search import Cell, Purchase, Search
from scaling.numeric.tables.runs import Runs

#: Share of its loss by which a run as dear as the target's is to lower it at least: what seeds
#: differ by (standard deviations of 0.4 and 0.9 % in our own trainings, at the median).
LEAST = 0.005
LEVEL = 0.9
#: Learning rates this near, in octaves, are one.
_SAME = 1e-3
#: A run is given up once more than this many times as many later ones have reported as are
#: outstanding.
_PATIENCE = 2


class Proposal(NamedTuple):
    """A run, and what it is expected to do.

    Attributes
    ----------
    batch_size, learning_rate : float
    seed : int
        How often the same was run or proposed before.
    covariates : dict of str to float
    cost : float
        In target runs.
    low, high : float
        90 % interval of the target's optimum once this run and those before it have reported, if
        the answer stays where it is.
    excess_loss : float
        Expected then; see `Plan.excess_loss`.
    gain : float
        By which share of its loss it is expected to lower the target's. Runs that need each other
        share what they gain together.
    pays : bool
        Whether that is enough for what it costs; see ``least`` of `plan`.
    """

    batch_size: float
    learning_rate: float
    seed: int
    covariates: dict[str, float]
    cost: float
    low: float
    high: float
    excess_loss: float
    gain: float
    pays: bool


class Plan(Shown):
    """What to run next for the sake of one answer; made by `plan`.

    Attributes
    ----------
    batch_size : float
        Of the target.
    covariates : dict of str to float
        Of the target.
    least : float
        Share of its loss by which a run as dear as the target's is to lower it.
    runs : Runs or None
        Those seen.
    posterior : Posterior
        What is known of the law.
    """

    def __init__(
        self,
        known: Knowledge,
        target: tuple[float, dict[str, float], float],
        choices: Choices,
        least: float,
    ) -> None:
        self.batch_size, self.covariates, self._eps = target
        self.least, self._choices, self._known = least, choices, known
        self._pending: list[tuple[int, Proposal]] = []
        self._reported: list[int] = []
        self._proposed = 0
        self._learn()

    @property
    def runs(self) -> Runs | None:
        """Those seen."""
        return self._known.runs

    @property
    def posterior(self) -> Posterior:
        """What is known of the law."""
        return self._belief.posterior

    @property
    def batch_sizes(self) -> list[float]:
        """At which runs may be made."""
        return sorted({cell.batch_size for cell in self._cells})

    @property
    def learning_rate(self) -> float:
        """Today's best guess for the target."""
        return float(np.exp2(self._guess))

    @property
    def interval(self) -> tuple[float, float]:
        """Today's 90 % interval of the optimum that a sweep at the target would find."""
        return self._interval(1.0)

    @property
    def excess_loss(self) -> float:
        """By which share the target's loss is expected to exceed its least, at today's guess."""
        return self._excess(1.0)

    def summary(self) -> dict[str, str]:
        """The target, today's answer, and what has been seen."""
        target = {"batch_size": self.batch_size, **self.covariates}
        low, high = self.interval
        return {
            "target": ", ".join(f"{name} {value:.6g}" for name, value in target.items()),
            "learning_rate": f"{self.learning_rate:.3g} ({low:.3g} to {high:.3g})",
            "excess_loss": f"{self.excess_loss:.2%}",
            "runs": f"{0 if self.runs is None else len(self.runs)}",
            "outstanding": f"{len(self._pending)}",
        }

    def ask(self, n: int = 1, *, batch_size: Sequence[float] = ()) -> list[Proposal]:
        """Propose runs, the most valuable first; they are outstanding until told.

        Parameters
        ----------
        n : int, default 1
        batch_size : sequence of float, optional
            Propose runs at these alone.

        Returns
        -------
        list of Proposal
            Fewer, if nothing else can be run.
        """
        found = self.preview(n, batch_size=batch_size)
        for run in found:
            self._pending.append((self._proposed, run))
            self._proposed += 1
        return found

    def preview(self, n: int = 1, *, batch_size: Sequence[float] = ()) -> list[Proposal]:
        """Propose runs as `ask` does, but leave them to be proposed again."""
        if n < 1:
            raise InputError(f"must be at least 1, got {n!r}", "n")
        cells = self._cells
        if len(batch_size):
            cells = tuple(c if c.batch_size in batch_size else _closed(c) for c in cells)
        search = _taken(Search(self._belief.valley, self._outlook, cells), self._outstanding())
        found: list[Proposal] = []
        while len(found) < n:
            best = search.best()
            if best is None:
                break
            found += self._steps(search, best, found)
        return found[:n]

    def _steps(self, search: Search, best: Purchase, found: list[Proposal]) -> list[Proposal]:
        """Take the runs of a purchase one by one, and say what each does."""
        start = self._outlook.spread
        before = self._excess(search.outlook.spread / start)
        ratios = []
        for rate in best.rates:
            search.take(best.cell, rate[None])
            ratios.append(search.outlook.spread / start)
        gain = (before - self._excess(ratios[-1])) / best.rates.size
        cell = search.cells[best.cell]
        steps: list[Proposal] = []
        for rate, ratio in zip(best.rates, ratios, strict=True):
            run = self._proposal(cell, float(rate), ratio, gain)
            seed = self._repeats(run, [*(r for _, r in self._pending), *found, *steps])
            steps.append(run._replace(seed=seed))
        return steps

    def expect(self, batch_size: float, learning_rate: float, **covariates: float) -> None:
        """Take note of a run that is under way, proposed elsewhere: it is not proposed again."""
        place = positive(batch_size, "batch_size"), positive(learning_rate, "learning_rate"), 0
        run = Proposal(*place, dict(covariates), 0.0, np.nan, np.nan, np.nan, 0.0, False)
        self._pending.append((self._proposed, run))
        self._proposed += 1

    def tell(self, runs: Any) -> None:
        """Take in runs that have ended, proposed here or not.

        Parameters
        ----------
        runs : Runs, or whatever `plan` reads runs from
            A loss that is not finite is a run that diverged or failed: lower rates are tried.

        Raises
        ------
        DataError
            If they are malformed, or the plan was made from a law's draws and none of them agrees.
        """
        told = Knowledge.of(runs, tuple(self.covariates)).runs
        if told is None:
            raise InputError("must be runs, with a loss each", "runs")
        self._known = self._known.add(told)
        for i in range(len(told)):
            place = {name: float(column[i]) for name, column in told.covariates.items()}
            key = (float(told.batch_size[i]), float(told.learning_rate[i]), place)
            same = [entry for entry in self._pending if _is(entry[1], *key)]
            if same:
                self._reported.append(same[0][0])
                self._pending.remove(same[0])
        self._learn()

    def bands(
        self, batch_size: npt.ArrayLike, runs: Sequence[Proposal]
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The law at the target's covariates, with 90 % intervals now and once runs have reported.

        Parameters
        ----------
        batch_size : array_like, shape (n,)
        runs : sequence of Proposal

        Returns
        -------
        middle : ndarray, shape (n,)
            Posterior medians.
        now, then : ndarray, shape (2, n)
            Lower and upper ends; ``then`` if the medians stay where they are.
        """
        sizes = as_array(batch_size, "batch_size").tolist()
        places = [(size, self.covariates) for size in sizes]
        here = self._design([*((c.batch_size, c.covariates) for c in self._cells), *places])
        outlook = Outlook.at(self.posterior, here, 0, self._belief.evidence)
        valley, count = self._belief.valley, len(self._cells)
        after = _taken(Search(valley, outlook, self._cells), [*self._outstanding(), *runs]).outlook
        spread = (np.diag(x.covariance)[count:] for x in (after, outlook))
        ratio = np.sqrt(np.divide(*spread))
        tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
        law = self.posterior.law(self._design(places))
        middle, *now = quantiles(law, [0.5, *tails])
        then = middle + ratio * (np.array(now) - middle)
        return np.exp2(middle), np.exp2(now), np.exp2(then)

    def facts(self) -> tuple[Fact, ...]:
        """State where the numbers come from."""
        valley = self._belief.valley
        known = {"curvature": 100 * valley.curvature, "noise": 100 * valley.noise}
        seen = fact("valleys seen", cells=valley.cells, **known)
        return (
            *self._known.said,
            seen if valley.cells else fact("valleys of others", **known),
            fact("cost", **self._choices.price),
            fact("least gain", share=100 * self.least),
        )

    def _outstanding(self) -> Iterator[Proposal]:
        """Runs that are still expected to report: later ones have not long overtaken them."""
        for number, run in self._pending:
            later = sum(other > number for other in self._reported)
            if later <= _PATIENCE * len(self._pending):
                yield run

    def _learn(self) -> None:
        """Infer anew from all that is known."""
        target = self.batch_size, self.covariates
        self._belief = Belief.of(self._known, (*target, self._eps))
        belief = self._belief
        self._cells = self._choices.cells(self.runs)
        places: list[tuple[float, dict[str, float]]] = [
            (c.batch_size, c.covariates) for c in self._cells
        ]
        if target not in places:
            places.append(target)
        design, there = self._design(places), places.index(target)
        found = belief.evidence, belief.likelihood
        self._outlook = Outlook.at(belief.posterior, design, there, *found)
        here = self._design([target])
        value, weight = optima_at(belief.posterior, here, found[0], 0, found[1])
        self._optima, self._weight = value.ravel(), weight.ravel()
        self._guess = float(weighted_quantiles(value, weight, np.array([0.5]))[0])
        # As a new sweep would read them.
        noise = np.random.default_rng(0).standard_normal(value.size)
        self._read = self._optima + belief.posterior.reading * noise

    def _design(self, places: Sequence[tuple[float, dict[str, float]]]) -> Design:
        sizes, around = zip(*places, strict=True)
        return design_at(self.posterior, sizes, around, self._eps)

    def _interval(self, ratio: float) -> tuple[float, float]:
        """Of what a sweep would find, were the spread so many times today's."""
        tails = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        found = self._guess + ratio * (self._optima - self._guess) + self._read - self._optima
        low, high = np.exp2(weighted_quantiles(found, self._weight, tails)).tolist()
        return low, high

    def _excess(self, ratio: float) -> float:
        rise = self._belief.valley.loss_rise(ratio * (self._guess - self._optima))
        return float(rise @ self._weight / self._weight.sum())

    def _proposal(self, cell: Cell, rate: float, ratio: float, gain: float) -> Proposal:
        learning_rate = float(np.exp2(rate))
        if cell.allowed is None:
            learning_rate = float(f"{learning_rate:.3g}")
        return Proposal(
            cell.batch_size,
            learning_rate,
            0,
            cell.covariates,
            cell.cost,
            *self._interval(ratio),
            self._excess(ratio),
            gain,
            gain > self.least * cell.cost,
        )

    def _repeats(self, run: Proposal, others: Sequence[Proposal]) -> int:
        """How often the same was run or proposed."""
        key = run.batch_size, run.learning_rate, run.covariates
        found = sum(_is(other, *key) for other in others)
        if self.runs is not None:
            same = self._choices.rows(self.runs, run.batch_size, run.covariates)
            near = np.abs(np.log2(self.runs.learning_rate / run.learning_rate)) < _SAME
            found += int((same & near).sum())
        return found


def plan(
    known: Any,
    batch_size: float,
    *,
    covariates: Mapping[str, float] | None = None,
    batch_sizes: Sequence[float] = (),
    cost: str | npt.ArrayLike = "runs",
    least: float = LEAST,
    eps: float | None = None,
    pool: Runs | None = None,
) -> Plan:
    """Plan which runs to make next, so as to know the best learning rate at one batch size.

    Parameters
    ----------
    known : Runs, path, mapping or data frame; or Evidence, Recipe, Law
        What there is: the runs of a sweep (their covariates are those of the target), optima, one
        tuned run, or a law with draws.
    batch_size : float
        Of the target.
    covariates : mapping of str to float, optional
        Of the target, such as model size. Runs are proposed at settings that were tried.
    batch_sizes : sequence of float, optional
        At which runs may be made; by default those tried, and powers of two from there to the
        target's.
    cost : {"runs", "steps", "examples"}, name of a covariate, or array_like, shape (runs,)
        What runs cost: all the same (default); 1/B, as steps where all runs see the same examples;
        B, as examples where all take the same steps; a covariate; or what those seen did cost, to
        which a product of powers is fitted. Runs at the target's own covariates, if those were not
        tried, are proposed only where a covariate or costs price them.
    least : float, default 0.005
        Share of its loss by which a run as dear as the target's is to lower it, so as to pay; of a
        cheaper one as much less.
    eps : float, optional
        Adam's epsilon for which the answer is wanted, where it was varied.
    pool : Runs, optional
        The only runs that can be made, each once; its losses are not looked at.

    Returns
    -------
    Plan
        ``ask(n)`` proposes, ``tell(runs)`` takes in what came.

    Raises
    ------
    InputError
        If an option is out of its range.
    DataError
        If there is nothing to begin from.

    Notes
    -----
    The value of runs is by how much they are expected to narrow the target's own optimum (theory.md
    T-K1), per cost. It is found in closed form, greedily, for all ways to add one, two or three
    runs to a cell; so the same knowledge gives the same plan.

    Examples
    --------
    >>> from scaling import Recipe
    >>> first = plan(Recipe(3e-4, 256), 4096, cost="examples")
    >>> runs = first.ask(3)
    >>> [run.batch_size for run in runs]
    [1024.0, 1024.0, 1024.0]
    """
    target = positive(batch_size, "batch_size"), dict(covariates or {})
    for name, value in target[1].items():
        positive(value, name)
    knowledge, cost, named = sort_out(known, tuple(target[1]), cost)
    check_covariates(knowledge, target[1])
    eps = eps_of(knowledge, eps)
    price = cost_of(cost, knowledge.runs, tuple(target[1]))
    sizes = [positive(size, "batch_sizes") for size in batch_sizes]
    places = places_of(knowledge, target, sizes, pool, priced=named not in POWERS)
    costs = prices_at(price, [*places, target])
    relative = tuple((costs[:-1] / costs[-1]).tolist())
    choices = Choices(places, relative, {"name": named, "target": float(costs[-1])}, pool, eps)
    return Plan(knowledge, (*target, eps), choices, positive(least, "least"))


def _taken(search: Search, runs: Iterable[Proposal]) -> Search:
    """Let a search go on as if runs had reported."""
    for run in runs:
        for k, cell in enumerate(search.cells):
            if (cell.batch_size, cell.covariates) == (run.batch_size, run.covariates):
                search.take(k, np.log2([run.learning_rate]))
    return search


def _closed(cell: Cell) -> Cell:
    """The cell, but no more runs."""
    return cell._replace(allowed=np.empty(0))


def _is(
    run: Proposal, batch_size: float, learning_rate: float, covariates: Mapping[str, float]
) -> bool:
    """Whether a proposal is of these settings."""
    near = abs(np.log2(run.learning_rate / learning_rate)) < _SAME
    return bool(near and run.batch_size == batch_size and run.covariates == dict(covariates))
