"""Runs of complete sweeps revealed one by one: our plan beside random, a grid, and Optuna.

    python tests/evidence/plan_replay.py [folder of the shared data]

prints Markdown, kept in PLAN.md. Everybody is told the best learning rate of one other batch size,
and wants that of the target. Rivals search at the target alone, as a study would, within eight
octaves around the square-root rule's guess, and answer with the best run so far.
"""

import csv
import gzip
import sys
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
import optuna
from sweeps import OURS, SHARED, vertex

from scaling import plan
from scaling.numeric.inference.evidence.evidence import Evidence
from scaling.numeric.inference.evidence.valleys import read_valleys
from scaling.numeric.tables.runs import Runs, cells_of

SEEDS = 30
MOST = 14
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
        self.losses = {b: {x: float(np.mean(v)) for x, v in cell.items()} for b, cell in found.items()}
        self.optima = {}
        for batch, cell in self.losses.items():
            rates = sorted(x for x in cell if np.isfinite(cell[x]))
            if len(rates) > 4:
                self.optima[batch] = vertex(rates, [cell[x] for x in rates])
        self.optima = {b: x for b, x in self.optima.items() if np.isfinite(x)}

    @property
    def target(self):
        return max(self.optima)

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


def runs_of(rows, batch, rate, loss):
    def column(name):
        return np.array([float(row[name]) for row in rows])

    return Runs(column(batch), column(rate), column(loss))


def pools(shared):
    """All pools that are there."""
    found = []
    if (shared / "steplaw_moe.csv").is_file():
        groups = defaultdict(list)
        for row in table(shared / "steplaw_moe.csv"):
            groups[row["Na"], row["D"]].append(row)
        for (na, d), rows in sorted(groups.items()):
            pool = Pool(f"moe Na {float(na):.2g} D {float(d):.2g}", runs_of(rows, "bs", "lr", "smooth loss"))
            if len(pool.optima) > 2:
                found.append(("moe", pool))
    if (shared / "deepseek_1e17.csv").is_file():
        rows = table(shared / "deepseek_1e17.csv")
        found.append(("deepseek", Pool("deepseek", runs_of(rows, "batch_tokens", *COLUMNS[1:]))))
    rows = table(OURS / "digits_sweep.csv", {"eps": "1e-08"})
    found.append(("digits", Pool("digits", runs_of(rows, *COLUMNS))))
    for lab in ("logistic", "transformer"):
        for budget in ("examples", "steps"):
            where = {**LAB, "budget": budget, "decay": "linear"}
            rows = table(OURS / f"lab_{lab}.csv.gz", where)
            found.append((f"lab {lab}", Pool(f"{lab}, fixed {budget}", runs_of(rows, *COLUMNS))))
    return found


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


def near(pool, start):
    """Learning rates at the target, within four octaves of the guess if there are any."""
    rates = np.array(sorted(pool.losses[pool.target]))
    return rates


def random(pool, start, seed):
    rates = near(pool, start)
    return best_of(pool, start, np.random.default_rng(seed).permutation(rates).tolist())


def grid(pool, start, _seed):
    """Half-octaves about the guess, outwards."""
    rates, guess = near(pool, start), first_guess(pool, start)
    steps = [guess + 0.5 * (-1) ** i * ((i + 1) // 2) for i in range(60)]
    order = [rates[np.argmin(np.abs(rates - x))] for x in steps]
    return best_of(pool, start, list(dict.fromkeys(float(x) for x in order)))


def by_optuna(sampler):
    def search(pool, start, seed):
        rates = near(pool, start).tolist()
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


def replay(pool, rivals):
    """|octaves| and excess loss (seeds, runs + 1) by method."""
    found = {}
    for name in rivals:
        found[name] = [RIVALS[name](pool, start_of(pool, s), s) for s in range(SEEDS)]
    paths = {}
    for name, cost in (("plan", "runs"),):
        for s in range(SEEDS):
            start = start_of(pool, s)
            if (name, start) not in paths:
                paths[name, start] = ours(pool, start, cost)
        found[name] = [paths[name, start_of(pool, s)] for s in range(SEEDS)]
    return {name: np.array(path) for name, path in found.items()}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for kin, pool in pools(Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED)[int(sys.argv[2]):]:
        found = replay(pool, ["random","grid"])
        print(kin, pool.name, sorted(pool.optima), len(pool.losses[pool.target]))
        for name, path in found.items():
            away = np.abs(path[:, :, 0] - pool.optima[pool.target])
            reached = [int(np.argmax([(a[i:] <= GOOD).all() for i in range(len(a))])) if a[-1] <= GOOD else 99 for a in away]
            lost = np.median(pool.excess(path[:, :, 0]), axis=0)
            print(f"  {name:7s} runs to stay good: {np.quantile(reached, [.25, .5, .75])}", np.median(away, axis=0)[:10].round(2), lost[[0, 2, 4, 8]].round(3))
