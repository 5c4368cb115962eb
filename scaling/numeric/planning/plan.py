"""Ask which runs to make next for the sake of one answer, and tell what came of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError, InputError
from scaling.numeric.inference.evidence.evidence import Evidence
from scaling.numeric.inference.law import PosteriorLaw, measured
from scaling.numeric.inference.posterior import Posterior, infer, quantiles
from scaling.numeric.inputs.arrays import FloatArray, positive
from scaling.numeric.inputs.display import Shown
from scaling.numeric.inputs.recipe import Recipe
from scaling.numeric.laws.law import Law
from scaling.numeric.planning.costs import POWERS, Cost, cost_of
from scaling.numeric.planning.outlook import Outlook, design_at
from scaling.numeric.planning.readings import read_careful
from scaling.numeric.planning.search import Cell, Purchase, Search
from scaling.numeric.planning.valley import Valley
from scaling.numeric.tables.run_tables import read_runs
from scaling.numeric.tables.runs import Runs

#: 1 % of loss is worth this share of the target run: loss falls as compute^-0.05 (Kaplan et al.
#: 2020, arXiv 2001.08361, eq. 1.3), so that 1 % less takes 20 % more compute.
WORTH = 0.2
LEVEL = 0.9
_MOST_BATCH_SIZES = 12
#: Middles of five equal parts of a normal distribution.
_NORMAL = np.array([-1.2816, -0.5244, 0.0, 0.5244, 1.2816])
#: Learning rates this near, in octaves, are one.
_SAME = 1e-3
#: A run is given up once more than this many times as many later ones have reported as are
#: outstanding.
_PATIENCE = 2
_COLUMNS = dict.fromkeys(("batch_size", "learning_rate", "loss", "eps", "seed"))


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
    saving : float
        What it is expected to save at the target, in target runs. Runs that need each other share
        what they save together.
    """

    batch_size: float
    learning_rate: float
    seed: int
    covariates: dict[str, float]
    cost: float
    low: float
    high: float
    excess_loss: float
    saving: float

    @property
    def pays(self) -> bool:
        """Whether it is expected to save more than it costs."""
        return self.saving > self.cost


@dataclass(frozen=True, eq=False)
class _Knowledge:
    """What there is: optima, runs, or only draws."""

    evidence: Evidence | None = None
    runs: Runs | None = None
    draws: Posterior | None = None

    @classmethod
    def of(cls, known: Any, covariates: tuple[str, ...]) -> Self:
        """Sort out what was given."""
        if isinstance(known, Evidence):
            return cls(evidence=known)
        if isinstance(known, Runs):
            return cls(runs=known)
        if isinstance(known, Recipe):
            return cls(Evidence([known.batch_size], [known.learning_rate]))
        if isinstance(known, PosteriorLaw) and (known.recipe is not None or known.optima):
            points = known.optima if known.recipe is None else (known.reference,)
            scale = measured(known.noise_scale)
            return cls(Evidence(*np.transpose(points), noise_scale=scale))
        draws = known if isinstance(known, Posterior) else getattr(known, "posterior", None)
        if draws is not None:
            return cls(draws=draws)
        if isinstance(known, Law):
            raise InputError("the law has no draws; plan from the runs, or from the tuned run")
        return cls(runs=read_runs(known, _COLUMNS, covariates)[0])

    def add(self, runs: Runs) -> Self:
        """Return it with further runs."""
        return replace(self, runs=runs if self.runs is None else _joined(self.runs, runs))


@dataclass(frozen=True, eq=False)
class _Belief:
    """What follows from the knowledge."""

    posterior: Posterior
    valley: Valley

    @classmethod
    def of(cls, known: _Knowledge) -> Self:
        valley, read = read_careful(known.runs)
        if known.draws is not None:
            return cls(known.draws, valley)
        parts = [*([] if known.evidence is None else [known.evidence]), *read]
        if not parts:
            raise DataError("no cell has two learning rates with a loss, nor is there an optimum")
        return cls(infer(reduce(add, parts)), valley)


class Plan(Shown):
    """What to run next for the sake of one answer; made by `plan`.

    Attributes
    ----------
    batch_size : float
        Of the target.
    covariates : dict of str to float
        Of the target.
    worth : float
        What 1 % of the target's loss is worth, in target runs.
    runs : Runs or None
        Those seen.
    posterior : Posterior
        What is known of the law.
    """

    def __init__(
        self,
        known: _Knowledge,
        target: tuple[float, dict[str, float], float],
        choices: "_Choices",
        worth: float,
    ) -> None:
        self.batch_size, self.covariates, self._eps = target
        self.worth, self._choices, self._known = worth, choices, known
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
    def cells_seen(self) -> int:
        """Cells that told how losses rise and scatter; without any it is as in other sweeps."""
        return self._belief.valley.cells

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
        search = Search(self._belief.valley, self._outlook, cells)
        for run in self._outstanding():
            for k, cell in enumerate(cells):
                if (cell.batch_size, cell.covariates) == (run.batch_size, run.covariates):
                    search.take(k, np.log2([run.learning_rate]))
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
        gain = before - self._excess(ratios[-1])
        saving = 100 * gain * self.worth / best.rates.size
        cell, steps = search.cells[best.cell], []
        for rate, ratio in zip(best.rates, ratios, strict=True):
            run = self._proposal(cell, float(rate), ratio, saving)
            seed = self._repeats(run, [*(r for _, r in self._pending), *found, *steps])
            steps.append(run._replace(seed=seed))
        return steps

    def tell(self, runs: Any) -> None:
        """Take in runs that have ended, proposed here or not.

        Parameters
        ----------
        runs : Runs, or whatever `plan` reads runs from
            A loss that is not finite is a run that diverged or failed: lower rates are tried.

        Raises
        ------
        InputError
            If the plan was made from a law's draws, to which no runs can be added.
        DataError
            If they are malformed.
        """
        if self._known.draws is not None:
            raise InputError("a law holds no runs to which others could be added; plan from them")
        told = _Knowledge.of(runs, tuple(self.covariates)).runs
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

    def _outstanding(self) -> Iterator[Proposal]:
        """Runs that are still expected to report: later ones have not long overtaken them."""
        for number, run in self._pending:
            later = sum(other > number for other in self._reported)
            if later <= _PATIENCE * len(self._pending):
                yield run

    def _learn(self) -> None:
        """Infer anew from all that is known."""
        self._belief = _Belief.of(self._known)
        posterior = self._belief.posterior
        self._cells = self._choices.cells(self)
        places = [*((c.batch_size, c.covariates) for c in self._cells)]
        places.append((self.batch_size, self.covariates))
        sizes, around = zip(*places, strict=True)
        design = design_at(posterior, sizes, self._eps, around)
        self._outlook = Outlook.at(posterior, design)
        target = design_at(posterior, sizes[-1:], self._eps, around[-1:])
        self._law = posterior.law(target)
        self._guess = float(quantiles(self._law, [0.5])[0, 0])

    def _law_at(self, ratio: float) -> FloatArray:
        """Draws of the law at the target, were their spread so many times today's."""
        return self._guess + ratio * (self._law - self._guess)

    def _interval(self, ratio: float) -> tuple[float, float]:
        tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
        ends = np.exp2(quantiles(self.posterior.new_optimum(self._law_at(ratio)), tails))
        return float(ends[0, 0]), float(ends[1, 0])

    def _excess(self, ratio: float) -> float:
        optimum = self._law_at(ratio) + self._outlook.scatter * _NORMAL
        return float(self._belief.valley.loss_rise(self._guess - optimum).mean())

    def _proposal(self, cell: Cell, rate: float, ratio: float, saving: float) -> Proposal:
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
            saving,
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


@dataclass(frozen=True, eq=False)
class _Choices:
    """Where runs may be made, and what they cost."""

    places: tuple[tuple[float, dict[str, float]], ...]
    costs: tuple[float, ...]
    pool: Runs | None
    eps: float

    def cells(self, plan: Plan) -> tuple[Cell, ...]:
        """Return the cells, with what has been run in them."""
        return tuple(
            self._cell(plan.runs, *place, cost)
            for place, cost in zip(self.places, self.costs, strict=True)
        )

    def rows(self, runs: Runs, batch_size: float, covariates: Mapping[str, float]) -> Any:
        """Which runs are of a cell."""
        same = runs.batch_size == batch_size
        for name, value in covariates.items():
            same = same & (runs.covariates[name] == value)
        return same if runs.eps is None else same & (runs.eps == self.eps)

    def _cell(
        self, runs: Runs | None, batch_size: float, covariates: dict[str, float], cost: float
    ) -> Cell:
        allowed, seen, ceiling = None, np.empty(0), np.inf
        if self.pool is not None:
            there = self.rows(self.pool, batch_size, covariates)
            allowed = np.unique(np.log2(self.pool.learning_rate[there]))
        if runs is not None:
            there = self.rows(runs, batch_size, covariates)
            rate, diverged = np.log2(runs.learning_rate[there]), runs.diverged[there]
            seen = rate[~diverged]
            ceiling = float(rate[diverged].min(initial=np.inf))
        return Cell(batch_size, covariates, cost, seen, ceiling, allowed)


def plan(
    known: Any,
    batch_size: float,
    *,
    covariates: Mapping[str, float] | None = None,
    batch_sizes: Sequence[float] = (),
    cost: str | npt.ArrayLike = "runs",
    worth: float = WORTH,
    eps: float | None = None,
    pool: Runs | None = None,
) -> Plan:
    """Plan which runs to make next, so as to know the best learning rate at one batch size.

    Parameters
    ----------
    known : Runs, path, mapping or data frame; or Evidence, Recipe, Law
        What there is: the runs of a sweep (their covariates are those of the target), optima, one
        tuned run, or a law with draws, to which nothing can be told.
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
    worth : float, default 0.2
        What 1 % of the target's loss is worth, in target runs: 1 % less takes 20 % more compute
        (Kaplan et al. 2020, arXiv 2001.08361, eq. 1.3).
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
    The value of runs is by how much they are expected to lower the variance of log lr* at the
    target (theory.md T-K1), per cost. It is found in closed form, greedily, for all ways to add
    one, two or three runs to a cell; so the same knowledge gives the same plan.

    Examples
    --------
    >>> from scaling import Recipe
    >>> first = plan(Recipe(3e-4, 256), 4096, cost="examples")
    >>> runs = first.ask(3)
    >>> [run.batch_size for run in runs]
    [256.0, 256.0, 256.0]
    """
    target = positive(batch_size, "batch_size"), dict(covariates or {})
    for name, value in target[1].items():
        positive(value, name)
    positive(worth, "worth")
    knowledge = _Knowledge.of(known, tuple(target[1]))
    _check_covariates(knowledge, target[1])
    eps = _eps(knowledge.runs, eps)
    price = cost_of(cost, knowledge.runs)
    sizes = [positive(size, "batch_sizes") for size in batch_sizes]
    places = _places(knowledge, target, sizes, pool, priced=cost not in POWERS)
    costs = _prices(price, [*places, target])
    choices = _Choices(places, tuple((costs[:-1] / costs[-1]).tolist()), pool, eps)
    return Plan(knowledge, (*target, eps), choices, worth)


def _check_covariates(known: _Knowledge, given: Mapping[str, float]) -> None:
    """Refuse a target that names other covariates than there are."""
    has: set[str] = set()
    for source in (known.evidence, known.runs, known.draws):
        has |= set(source.covariates) if source is not None else set()
    for name in sorted(has ^ set(given)):
        wrong = "missing; say it for the target" if name in has else "is not in what is known"
        raise InputError(f"{name} {wrong}", "covariate")


def _eps(runs: Runs | None, eps: float | None) -> float:
    """Epsilon that is meant: the only one tried, unless said."""
    if runs is None or runs.eps is None:
        return 0.0 if eps is None else eps
    tried = sorted(set(runs.eps.tolist()))
    if eps is None and len(tried) > 1:
        listed = ", ".join(f"{x:g}" for x in tried)
        raise InputError(f"missing; the runs have {listed}", "eps")
    return tried[0] if eps is None else eps


def _places(
    known: _Knowledge,
    target: tuple[float, dict[str, float]],
    sizes: Sequence[float],
    pool: Runs | None,
    *,
    priced: bool,
) -> tuple[tuple[float, dict[str, float]], ...]:
    """Cells in which runs may be made: batch sizes at settings of the covariates."""
    names = tuple(target[1])
    if pool is not None:
        rows = np.unique(
            np.column_stack([pool.batch_size, *(pool.covariates[name] for name in names)]), axis=0
        )
        return tuple((row[0], dict(zip(names, row[1:], strict=True))) for row in rows.tolist())
    tried, settings = _tried(known, names)
    if priced or not settings:
        settings.append(tuple(target[1].values()))
    return tuple(
        (size, dict(zip(names, setting, strict=True)))
        for setting in dict.fromkeys(settings)
        for size in sorted(sizes or _usual_sizes(tried, target[0]))
    )


def _tried(
    known: _Knowledge, names: tuple[str, ...]
) -> tuple[list[float], list[tuple[float, ...]]]:
    """Batch sizes and settings of the covariates that were tried."""
    if known.draws is not None:
        ends = known.draws.ranges[0].tolist()
        settings = np.exp2(known.draws.groups[:, : len(names)]).tolist()
        return ends, [tuple(float(f"{x:.12g}") for x in row) for row in settings]
    sizes: list[float] = []
    rows: list[tuple[float, ...]] = []
    for source in (known.evidence, known.runs):
        if source is not None:
            sizes += source.batch_size.tolist()
            columns = [source.covariates[name].tolist() for name in names]
            rows += zip(*columns, strict=True) if names else [()]
    return sorted(set(sizes)), sorted(set(rows))


def _usual_sizes(tried: Sequence[float], target: float) -> list[float]:
    """Batch sizes tried, and powers of two from there to the target's; not too many."""
    low, high = min(*tried, target), max(*tried, target)
    down = int(np.floor(np.log2(target / low) + 1e-9))
    up = int(np.floor(np.log2(high / target) + 1e-9))
    sizes = sorted({target * 2.0**k for k in range(-down, up + 1)} | set(tried))
    if len(sizes) <= _MOST_BATCH_SIZES:
        return sizes
    kept = np.linspace(0, len(sizes) - 1, _MOST_BATCH_SIZES).round().astype(int)
    return sorted({sizes[i] for i in kept} | {target})


def _prices(cost: Cost, places: Sequence[tuple[float, dict[str, float]]]) -> FloatArray:
    """Return what a run costs at each place."""
    sizes, settings = zip(*places, strict=True)
    columns = {name: np.array([place[name] for place in settings]) for name in settings[0]}
    return np.asarray(cost(np.array(sizes), columns))


def _joined(one: Runs, other: Runs) -> Runs:
    """Both tables; seeds are only repetitions."""
    if set(one.covariates) != set(other.covariates) or (one.eps is None) != (other.eps is None):
        raise InputError("must have the columns of those seen", "runs")

    def both(name: str) -> FloatArray:
        return np.concatenate([getattr(one, name), getattr(other, name)])

    covariates = {n: np.concatenate([v, other.covariates[n]]) for n, v in one.covariates.items()}
    eps = None if one.eps is None else both("eps")
    columns = (both(name) for name in ("batch_size", "learning_rate", "loss"))
    return Runs(*columns, None, eps, covariates)


def _closed(cell: Cell) -> Cell:
    """The cell, but no more runs."""
    return cell._replace(allowed=np.empty(0))


def _is(
    run: Proposal, batch_size: float, learning_rate: float, covariates: Mapping[str, float]
) -> bool:
    """Whether a proposal is of these settings."""
    near = abs(np.log2(run.learning_rate / learning_rate)) < _SAME
    return bool(near and run.batch_size == batch_size and run.covariates == dict(covariates))
