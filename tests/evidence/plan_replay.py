"""Runs of complete sweeps revealed one by one: the plan beside random, a grid, and Optuna.

    python tests/evidence/plan_replay.py [folder of the shared data]

prints Markdown, kept in PLAN.md.
"""

import csv
import gzip
import sys
import warnings
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from copy import copy
from pathlib import Path

import numpy as np
import optuna
from sweeps import OURS, SHARED, vertex

from scaling import plan
from scaling.numeric.inference.evidence.evidence import Evidence
from scaling.numeric.inference.evidence.valleys import read_valleys
from scaling.numeric.planning.valley import Valley
from scaling.numeric.tables.runs import Runs, cells_of

SEEDS = 30
MOST = 14
#: Models of the mixture of experts, evenly among all.
MODELS = 5
GOOD = 0.25
COLUMNS = ("batch_size", "learning_rate", "loss")
LAB = {"eps": "1e-08", "beta1": "0.9", "beta2": "0.999", "warm_up": "0", "weight_decay": "0"}


class Pool:
    """Mean losses by batch size and learning rate of one model; truth at every batch size."""

    def __init__(self, name, runs):
        found = defaultdict(lambda: defaultdict(list))
        for batch, rate, loss in zip(runs.batch_size, runs.learning_rate, runs.loss, strict=True):
            found[float(batch)][round(float(np.log2(rate)), 6)].append(loss)
        self.name = name
        self.losses = {
            b: {x: float(np.mean(v)) for x, v in cell.items()} for b, cell in found.items()
        }
        self.optima = {}
        for batch, cell in self.losses.items():
            rates = sorted(x for x in cell if np.isfinite(cell[x]))
            if len(rates) > 4:
                self.optima[batch] = vertex(rates, [cell[x] for x in rates])
        self.optima = {b: x for b, x in self.optima.items() if np.isfinite(x)}

        self.target = max(self.optima)
        self.fixed_steps = name.endswith("steps")

    def firm(self):
        """The same for the largest batch size whose optimum does not hang on one run, if another.

        It moves by a quarter of an octave at most when any of the three runs it is read from is
        left out.
        """
        other = copy(self)
        other.target = max((b for b in self.optima if self._hangs_by(b) <= GOOD), default=None)
        return other if other.target not in (None, self.target) else None

    def _hangs_by(self, batch):
        cell = self.losses[batch]
        rates = sorted(x for x in cell if np.isfinite(cell[x]))
        k = rates.index(min(rates, key=cell.get))
        without = [[x for x in rates if x != out] for out in rates[max(k - 1, 0) : k + 2]]
        moved = [vertex(x, [cell[i] for i in x]) - self.optima[batch] for x in without]
        return np.nan_to_num(np.abs(moved), nan=np.inf).max()

    def runs(self, rows=None):
        rows = rows or [(b, x) for b, cell in self.losses.items() for x in cell]
        b, x = np.array(rows).T
        return Runs(b, np.exp2(x), [self.losses[i][round(float(j), 6)] for i, j in rows])

    def excess(self, rate):
        """Loss at the target above its least, percent."""
        cell = self.losses[self.target]
        rates = np.array(sorted(x for x in cell if np.isfinite(cell[x])))
        losses = np.array([cell[x] for x in rates])
        return 100 * (np.interp(rate, rates, losses) / losses.min() - 1)


def table(path, where=None):
    """Rows of a CSV."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt") as file:
        rows = csv.DictReader(file)
        return [row for row in rows if not where or all(row[k] == v for k, v in where.items())]


def runs_of(rows, batch, rate, loss, covariates=()):
    """Runs from rows of texts."""

    def column(name):
        return np.array([float(row[name]) for row in rows])

    around = {name: column(name) for name in covariates}
    return Runs(column(batch), column(rate), column(loss), covariates=around)


def sweeps(shared):
    """Sweeps that are there: name, and runs; the mixture of experts with its covariates."""
    if (shared / "steplaw_moe.csv").is_file():
        rows = table(shared / "steplaw_moe.csv")
        yield "moe", runs_of(rows, "bs", "lr", "smooth loss", ("Na", "D"))
    if (shared / "deepseek_1e17.csv").is_file():
        rows = table(shared / "deepseek_1e17.csv")
        yield "deepseek", runs_of(rows, "batch_tokens", *COLUMNS[1:])
    yield "digits", runs_of(table(OURS / "digits_sweep.csv", {"eps": "1e-08"}), *COLUMNS)
    for lab in ("logistic", "transformer"):
        for budget in ("examples", "steps"):
            rows = table(OURS / f"lab_{lab}.csv.gz", {**LAB, "budget": budget, "decay": "linear"})
            yield f"lab {lab}, {budget}", runs_of(rows, *COLUMNS)


def pools(shared):
    """A pool for each model of every sweep with three optima or more."""
    for kin, runs in sweeps(shared):
        settings = np.column_stack([np.zeros(len(runs)), *runs.covariates.values()])
        found = np.unique(settings, axis=0)
        for setting in found[:: max(1, len(found) // MODELS)]:
            own = (settings == setting).all(axis=1)
            pool = Pool(kin, Runs(runs.batch_size[own], runs.learning_rate[own], runs.loss[own]))
            if len(pool.optima) > 2:
                yield kin, pool
                firm = pool.firm()
                if firm is not None:
                    yield f"{kin}, firm", firm


def start_of(pool, seed):
    """The batch size whose optimum is known: any but the target."""
    others = sorted(set(pool.optima) - {pool.target})
    return others[np.random.default_rng(seed).integers(len(others))]


def ours(pool, start, cost):
    """Octaves, excess and cost after each run; deterministic, given the start."""
    tuned = Evidence([start], [np.exp2(pool.optima[start])])
    state = plan(tuned, pool.target, pool=pool.runs(), cost=cost)
    path = [(np.log2(state.learning_rate), 0.0)]
    for _ in range(MOST):
        asked = state.ask()
        if not asked:
            break
        (run,) = asked
        state.tell(pool.runs([(run.batch_size, np.log2(run.learning_rate))]))
        path.append((np.log2(state.learning_rate), path[-1][1] + run.cost))
    path += [path[-1]] * (MOST + 1 - len(path))
    return path


def first_guess(pool, start):
    return pool.optima[start] + np.log2(pool.target / start) / 2


def best_of(pool, start, order):
    """Answers of who goes through learning rates in some order and keeps the best."""
    cell, path, best = pool.losses[pool.target], [(first_guess(pool, start), 0.0)], np.inf
    for i, rate in enumerate(order[:MOST]):
        loss = cell[rate]
        better = np.isfinite(loss) and loss < best
        path.append((rate if better else path[-1][0], i + 1.0))
        best = loss if better else best
    return path + [path[-1]] * (MOST + 1 - len(path))


def random(pool, start, seed):
    rates = np.array(sorted(pool.losses[pool.target]))
    return best_of(pool, start, np.random.default_rng(seed).permutation(rates).tolist())


def grid(pool, start, _seed):
    """Half-octaves about the guess, outwards."""
    rates, guess = np.array(sorted(pool.losses[pool.target])), first_guess(pool, start)
    steps = [guess + 0.5 * (-1) ** i * ((i + 1) // 2) for i in range(60)]
    order = [rates[np.argmin(np.abs(rates - x))] for x in steps]
    return best_of(pool, start, list(dict.fromkeys(float(x) for x in order)))


def by_optuna(sampler):
    def search(pool, start, seed):
        rates = np.array(sorted(pool.losses[pool.target])).tolist()
        study = optuna.create_study(sampler=sampler(seed))
        order = []
        for _ in range(MOST):
            trial = study.ask()
            x = trial.suggest_float("lr", rates[0], rates[-1])
            rate = rates[int(np.argmin(np.abs(np.array(rates) - x)))]
            order.append(rate)
            loss = pool.losses[pool.target][rate]
            study.tell(trial, loss if np.isfinite(loss) else 1e3)
        return best_of(pool, start, order)

    return search


RIVALS = {
    "random": random,
    "grid": grid,
    "TPE": by_optuna(lambda seed: optuna.samplers.TPESampler(seed=seed, n_startup_trials=3)),
    "GP": by_optuna(lambda seed: optuna.samplers.GPSampler(seed=seed, n_startup_trials=3)),
}


def replay(pool):
    """Answers (log2) after each run and what was paid, (seeds, runs + 1) each, by method."""
    starts = [start_of(pool, seed) for seed in range(SEEDS)]
    found = {
        name: np.array([rival(pool, start, seed) for seed, start in enumerate(starts)])
        for name, rival in RIVALS.items()
    }
    prices = {"plan": "runs", "plan, by cost": "examples"} if pool.fixed_steps else {"plan": "runs"}
    for name, cost in prices.items():
        own = {start: ours(pool, start, cost) for start in set(starts)}
        found = {name: np.array([own[start] for start in starts]), **found}
    return {name: (path[..., 0], path[..., 1]) for name, path in found.items()}


def until_good(away, *, stays=True):
    """Runs after which the answer is within a quarter of an octave; beyond all if never."""
    good = away <= GOOD
    if stays:
        good = np.logical_and.accumulate(good[:, ::-1], axis=1)[:, ::-1]
    return np.where(good.any(axis=1), np.argmax(good, axis=1), MOST + 1)


def in_parallel(pool):
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return replay(pool)


def replayed(shared):
    """Octaves, excess loss, cost, (seeds, runs + 1) each, by kin and method."""
    names, chosen = zip(*pools(shared), strict=True)
    found = defaultdict(lambda: defaultdict(list))
    with ProcessPoolExecutor() as workers:
        for kin, pool, methods in zip(names, chosen, workers.map(in_parallel, chosen), strict=True):
            for name, (answers, cost) in methods.items():
                away = np.abs(answers - pool.optima[pool.target])
                found[kin][name].append((away, pool.excess(answers), cost))
    return {
        kin: {
            name: [np.concatenate(x) for x in zip(*parts, strict=True)] for name, parts in m.items()
        }
        for kin, m in found.items()
    }


def quartiles(values, digits=2):
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def by_runs(found):
    """Table of runs needed, octaves and excess loss, by kin."""
    print(
        f"{'':16}{'good, to stay':>20}{'good at all':>14}"
        f"{'octaves after 0, 2, 3, 6 runs':>34}{'excess, %':>36}"
    )
    medians = defaultdict(dict)
    for kin, methods in found.items():
        print(kin)
        for name, (octaves, lost, _) in methods.items():
            if name == "plan, by cost":
                continue
            needed, first = until_good(octaves), until_good(octaves, stays=False)
            medians[name][kin] = np.median(needed), needed.mean(), np.median(first)
            at = [0, 2, 3, 6]
            said = " ".join(f"{x:8.2f}" for x in np.median(octaves[:, at], axis=0))
            loss = " ".join(f"{x:8.3f}" for x in np.median(lost[:, at], axis=0))
            print(
                f"  {name:14}{quartiles(needed, 1):>20}{np.median(first):>12.1f}"
                f"{said:>36}{loss:>38}"
            )
    asked = [kin for kin in found if not kin.endswith("firm")]
    firm = [kin for kin in found if f"{kin}, firm" not in found]
    for kins, what in ((asked, "as asked"), (firm, "firm truths")):
        print(f"mean over {what}: runs to stay good by medians, by means; at all by medians")
        for name, each in medians.items():
            print(
                f"  {name:14}"
                + "".join(f"{x:8.2f}" for x in np.mean([each[k] for k in kins], axis=0))
            )
    share = {k: [np.mean(m["plan"][0][:, n] <= GOOD) for n in range(5)] for k, m in found.items()}
    print("share of starts from which the plan is good after 0, 1, 2, 3, 4 runs")
    for kin, shares in share.items():
        print(f"  {kin:30}" + "".join(f"{x:6.2f}" for x in shares))


def by_cost(found):
    """Octaves and excess loss against what was paid, each sweep counting the same."""
    budgets = [0, 1, 2, 3, 4, 6, 10]
    asked = [kin for kin in found if not kin.endswith("firm")]
    for title, place in (("octaves", 0), ("excess, %", 1)):
        print(f"{title:16}" + "".join(f"{n:>24}" for n in budgets))
        for name in ("plan", "random", "grid", "TPE", "GP"):
            cells = []
            for budget in budgets:
                parts = []
                for kin in asked:
                    own = "plan, by cost" if name == "plan" and "steps" in kin else name
                    values, paid = found[kin][own][place], found[kin][own][2]
                    last = (paid <= budget + 1e-9).sum(axis=1) - 1
                    values = values[np.arange(len(values)), last]
                    parts.append(np.quantile(values, (np.arange(SEEDS) + 0.5) / SEEDS))
                cells.append(quartiles(np.concatenate(parts)))
            print(f"  {name:14}" + "".join(f"{x:>24}" for x in cells))


def unseen_group(shared):
    """An unseen (Na, D) at the largest batch size, by runs of the others: plan and random order."""
    rows = table(shared / "steplaw_moe.csv")
    numbers = {n: np.array([float(row[n]) for row in rows]) for n in ("bs", "lr", "Na", "D")}
    loss = np.array([float(row["smooth loss"]) for row in rows])
    cost = numbers["Na"] * numbers["D"]
    settings = sorted(set(zip(numbers["Na"], numbers["D"], strict=True)))
    errors = defaultdict(list)
    for na, d in settings:
        own = (numbers["Na"] == na) & (numbers["D"] == d)
        group = Pool("", Runs(numbers["bs"][own], numbers["lr"][own], loss[own]))
        others = np.flatnonzero(~own)
        pool = Runs(
            numbers["bs"][others], numbers["lr"][others], loss[others],
            covariates={n: numbers[n][others] for n in ("Na", "D")},
        )  # fmt: skip
        first = others[np.argmin(loss[others] + 1e9 * (cost[others] > cost[others].min()))]
        start = {n: numbers[n][[first]] for n in ("bs", "lr", "Na", "D")}
        tuned = Evidence(start["bs"], start["lr"], covariates={n: start[n] for n in ("Na", "D")})
        for name in ("plan", "random"):
            state = plan(tuned, group.target, covariates={"Na": na, "D": d}, pool=pool, cost="D")
            rng, bought, spent = np.random.default_rng(0), [], 0.0
            order = rng.permutation(others)
            for i in range(UNSEEN[-1]):
                row = order[i]
                if name == "plan":
                    run = state.ask()[0]
                    same = (numbers["bs"] == run.batch_size) & (
                        numbers["Na"] == run.covariates["Na"]
                    )
                    same &= numbers["D"] == run.covariates["D"]
                    row = np.flatnonzero(same)[
                        np.argmin(np.abs(np.log(numbers["lr"][same] / run.learning_rate)))
                    ]
                bought.append(row)
                spent += cost[row] / (na * d)
                one = [row]
                state.tell(Runs(
                    numbers["bs"][one], numbers["lr"][one], loss[one],
                    covariates={n: numbers[n][one] for n in ("Na", "D")},
                ))  # fmt: skip
                if i + 1 in UNSEEN:
                    away = abs(np.log2(state.learning_rate) - group.optima[group.target])
                    errors[name, i + 1].append((away, spent))
    print(f"{'':10}" + "".join(f"{n:>4} runs: octaves (cost)" for n in UNSEEN))
    for name in ("plan", "random"):
        said = []
        for n in UNSEEN:
            away, spent = np.array(errors[name, n]).T
            low, middle, high = np.quantile(away, [0.25, 0.5, 0.75])
            said.append(f"{middle:6.2f} ({low:.2f} to {high:.2f}; {np.median(spent):.2f})")
        print(f"  {name:8}" + "".join(said))


UNSEEN = (3, 6, 12)


def readings(shared):
    """How good readings of a cell by some of its runs are, by what `Valley` takes shapes to be."""
    rng, found = np.random.default_rng(1), defaultdict(list)
    for kin, pool in pools(shared):
        for batch, optimum in [] if kin.endswith("firm") else pool.optima.items():
            cell = pool.losses[batch]
            rates = np.array(sorted(x for x in cell if np.isfinite(cell[x])))
            for count in (2, 3, 4, 6, rates.size):
                middle, reach = optimum + rng.normal(), rng.uniform(1, 3)
                near = rates if count > 6 else rates[np.abs(rates - middle) < reach]
                if near.size < count:
                    continue
                some = np.sort(rng.choice(near, count, replace=False))
                losses = np.log([cell[x] for x in some])
                read = Valley().read(some, losses, np.ones(count))
                error = read.optimum - optimum
                grid, log = read.likelihood
                density = np.exp(log) / np.exp(log).sum() / (grid[1] - grid[0])
                # The vertex itself is known to a tenth of an octave.
                blurred = np.exp(-(((grid - optimum) / 0.1) ** 2) / 2)
                score = np.log(max((density * blurred).sum() / blurred.sum(), 1e-4))
                inside = abs(error) <= 1.645 * (read.below if error > 0 else read.above)
                known = np.isfinite([read.below, read.above]).all()
                found[min(count, 7)].append((known, inside if known else np.nan, error, score))
    for count, rows in sorted(found.items()):
        known, inside, error, score = np.array(rows, dtype=float).T
        name = count if count < 7 else "all"
        off = np.median(np.abs(error[known > 0])) if known.any() else np.nan
        print(
            f"  {name} runs: {len(rows)} cells, read in {known.mean():.2f}, 90 % holds in "
            f"{np.nanmean(inside):.2f}, off by {off:.2f} octave; log score {score.mean():.2f}"
        )


def valleys(shared):
    """What valleys are like, which `Valley` starts from."""
    means, within, noises = [], [], []
    for _, runs in sweeps(shared):
        cells = cells_of(runs)
        found = read_valleys(cells)
        log_k = np.log(found.curvature[found.known])
        means.append(log_k.mean())
        within.append(log_k.std())
        noises.append(np.log(found.noise[found.known]).mean() - log_k.mean())
    print(
        f"log k: mean {np.mean(means):.2f}, between sweeps {np.std(means, ddof=1):.2f}, "
        f"within {np.sqrt(np.mean(np.square(within))):.2f}; "
        f"log noise/k {np.mean(noises):.2f}, between sweeps {np.std(noises, ddof=1):.2f}"
    )


INTRODUCTION = """\
# What a plan is worth on real sweeps

Made by tests/evidence/plan_replay.py. Complete sweeps are revealed run by run. Everybody knows the
best learning rate at one other batch size (30 seeds draw which; the plan has no other chance in
it) and wants that of the largest batch size whose optimum lies inside. Every run costs the same.
Rivals search at the target alone, among its learning rates, and answer with the best run so far:
`random`; `grid`, half-octaves outwards from the square-root rule's guess; Optuna's `TPE` and `GP`
with 3 random trials first. Of the mixture of experts every third model and budget. The plan
answers with its posterior median. The truth is the three-point vertex at the target. `good` is
within 0.25 octave, to stay or at all; medians with quartiles (15 is never), and excess losses,
percent, medians.

Two things favour rivals. The excess is of the loss interpolated between the learning rates run,
hence above 0 between them, while rivals can only answer what was run. And the losses that they
choose the least of are those by which truth and excess are judged, noise and all: where the pool
has one run each, the least of them is the truth by definition. `firm` are the two sweeps whose
truth at the largest batch size hangs on a single run (without one of the three that it is read
from it moves by more than 0.25 octave), for the largest batch size where it does not.

What to take from it. The plan needs about as many runs as the grid in the mean (2.9 and 3.6; by
firm truths 4.3 and 3.5), 0.54 of GP's and 0.44 of random's, and does not fail where the square-root
rule does. A third of the best rival's 1.5 to 5 runs would be 0.5 to 1.7, and one run tells nothing
by itself: that much only the guess before any run could do, which is good from 0 to 0.7 of the
starts. Two runs tell a side, and the answer may move away before the third brings it back. On
DeepSeek, one noisy run each, it is no better than random at its largest batch size, and worse by a
firm truth. The prior, and what valleys are taken to be, were learned from these sweeps.
"""


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED
    print(INTRODUCTION)
    print("## The largest batch size\n\n```")
    every = replayed(where)
    by_runs(every)
    print("```\n\n## Against what was paid\n\n```")
    by_cost(every)
    print("```")
    if (where / "steplaw_moe.csv").is_file():
        print("\n## An unseen model and budget (mixture of experts)\n")
        print("Runs are bought at the other models and budgets only; the cost, Na x D, is in runs")
        print("of the unseen one at the median. Both answer by the same posterior.\n\n```")
        unseen_group(where)
        print("```")
    print("\n## Valleys\n\n```")
    valleys(where)
    print("readings of cells by runs drawn at random from them")
    readings(where)
    print("```")
