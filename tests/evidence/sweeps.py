"""Real sweeps, and what is measured on them; shared data are passed over where they are absent."""

import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scaling.data import load as load_table
from scaling.numeric.inference.evidence.evidence import Evidence, Measured
from scaling.numeric.tables.runs import Runs

OURS = Path(__file__).parents[2] / "scaling" / "data"
SHARED = Path(__file__).parents[3] / "shared" / "data"


@dataclass(frozen=True)
class Measurement:
    """What a user could have measured half-way through a run: the noise scale, Adam's v."""

    noise_scale: float
    error: float
    second_moments: str


@dataclass(frozen=True, eq=False)
class Sweep:
    """A sweep: its runs, or its optima where no more was published.

    ``kin`` names what it belongs to: sweeps of one kin are no independent witnesses.
    """

    name: str
    kin: str
    evidence: Evidence
    curves: tuple[tuple[np.ndarray, np.ndarray], ...] = ()  # log2 lr, loss by row of evidence
    measured: tuple["Measurement", ...] = ()  # half-way through each row's best run

    @property
    def optimum(self):
        """Optima, log2, as anybody would read them: three-point vertices; NaN at an edge."""
        if not self.curves:
            return np.log2(self.evidence.learning_rate)
        return np.array([vertex(*curve) for curve in self.curves])

    @property
    def middle(self):
        """Row of the middle batch size among those whose optimum is known."""
        known = np.flatnonzero(np.isfinite(self.optimum))
        known = known[np.argsort(self.evidence.batch_size[known])]
        return known[(known.size - 1) // 2]

    @property
    def noise_scale(self):
        """The noise scale as measured half-way through the tuned run, at the middle batch size."""
        if not self.measured:
            return None
        found = self.measured[self.middle]
        if not 0 < found.noise_scale < np.inf:
            return None
        error = max(found.error / found.noise_scale, 0.1)
        return Measured(found.noise_scale, 1 + error, float(self.evidence.batch_size[self.middle]))

    def take(self, rows):
        e = self.evidence
        part = Evidence(
            e.batch_size[rows],
            e.learning_rate[rows],
            e.below[rows],
            e.above[rows],
            {name: column[rows] for name, column in e.covariates.items()},
            e.eps[rows],
            e.reading,
        )
        curves = tuple(self.curves[i] for i in np.flatnonzero(rows)) if self.curves else ()
        return Sweep(self.name, self.kin, part, curves)

    def groups(self) -> Iterator["Sweep"]:
        """One sweep for each setting of covariates and eps, without them."""
        e = self.evidence
        key = np.column_stack([*e.covariates.values(), e.eps])
        for setting in np.unique(key, axis=0):
            part = self.take((key == setting).all(axis=1))
            p = part.evidence
            alone = Evidence(p.batch_size, p.learning_rate, p.below, p.above, reading=p.reading)
            label = ", ".join(f"{x:.3g}" for x in setting)
            yield Sweep(f"{self.name} {label}", self.kin, alone, part.curves)


def vertex(rates, losses):
    """Vertex of the parabola through the lowest mean loss and its neighbours."""
    i = int(np.argmin(losses))
    if not 0 < i < len(rates) - 1:
        return np.nan
    (x0, x1, x2), (y0, y1, y2) = rates[i - 1 : i + 2], losses[i - 1 : i + 2]
    top = (x1 - x0) ** 2 * (y1 - y2) - (x1 - x2) ** 2 * (y1 - y0)
    return x1 - top / (2 * ((x1 - x0) * (y1 - y2) - (x1 - x2) * (y1 - y0)))


def excess(curve, rate):
    """Loss at log2 lr above the lowest measured, in percent."""
    rates, losses = curve
    return 100 * max(0.0, float(np.interp(rate, rates, losses)) / losses.min() - 1)


def read(path, kin, batch, rate, loss, covariates=(), eps=None):
    """A sweep from a CSV of runs; None if there is no such file."""
    if not path.is_file():
        return None
    with path.open() as file:
        rows = list(csv.DictReader(file))

    def column(name):
        return np.array([float(row[name]) for row in rows])

    runs = Runs(
        column(batch),
        column(rate),
        column(loss),
        None,
        column(eps) if eps else None,
        {name: column(name) for name in covariates},
    )
    evidence = Evidence.from_runs(runs)
    found = defaultdict(lambda: defaultdict(list))
    keys = [*runs.covariates.values(), *([runs.eps] if eps else []), runs.batch_size]
    for i, key in enumerate(zip(*keys, strict=True)):
        if np.isfinite(runs.loss[i]):
            found[key][round(float(np.log2(runs.learning_rate[i])), 6)].append(runs.loss[i])
    ends = [*evidence.covariates.values(), *([evidence.eps] if eps else []), evidence.batch_size]
    curves = []
    for key in zip(*ends, strict=True):
        rates = sorted(found[key])
        curves.append((np.array(rates), np.array([np.mean(found[key][x]) for x in rates])))
    return Sweep(kin, kin, evidence, tuple(curves))


def load(shared=SHARED):
    """All sweeps that are there, by name, but for those of `laboratory`."""
    digits = ("batch_size", "learning_rate", "loss")
    found = {
        "moe": read(shared / "steplaw_moe.csv", "moe", "bs", "lr", "smooth loss", ("Na", "D")),
        "deepseek": read(
            shared / "deepseek_1e17.csv", "deepseek", "batch_tokens", "learning_rate", "loss"
        ),
        "digits": read(OURS / "digits_sweep.csv", "digits", *digits, eps="eps"),
    }
    with (OURS / "marek_adam_1d.csv").open() as file:
        rows = list(csv.DictReader(file))
    batch, rate = ([float(row[c]) for row in rows] for c in ("batch_size", "learning_rate"))
    found["marek"] = Sweep("marek", "marek", Evidence(batch, rate))
    return {name: sweep for name, sweep in found.items() if sweep is not None}


#: Problems of the laboratory, and their kin: two of three read the same digits.
PROBLEMS = {"logistic": "digits", "network": "digits", "transformer": "names"}
#: Settings of the laboratory by which its sweeps are told apart, and what most of them have.
USUAL = {
    "weight_decay": "0",
    "warm_up": "0",
    "eps_inside": "False",
    "beta1": "0.9",
    "beta2": "0.999",
    "eps": "1e-08",
}
_APART = ("budget", "decay", *USUAL)


def laboratory(problem):
    """Sweeps over the batch size of one problem of ours, by budget, decay and `USUAL`.

    Returns
    -------
    dict
        By the settings that a sweep has, as texts in the order of `_APART`.
    """
    table = load_table(f"lab_{problem}").where("budget != 'target'")
    batch, rate, loss, seed = (
        table.numbers(name, missing=True)
        for name in ("batch_size", "learning_rate", "loss", "seed")
    )
    measured = _measured(problem)
    rows = defaultdict(list)
    for row, setting in enumerate(zip(*(table.texts(name) for name in _APART), strict=True)):
        rows[setting].append(row)
    found = {}
    for setting, at in rows.items():
        if np.unique(batch[at]).size < _FEWEST:
            continue
        evidence = Evidence.from_runs(Runs(batch[at], rate[at], loss[at], seed[at]))
        curves = tuple(
            _curve(rate[at][batch[at] == size], loss[at][batch[at] == size])
            for size in evidence.batch_size
        )
        half = tuple(measured[*setting, size] for size in evidence.batch_size)
        name = f"{problem}, {', '.join(setting)}"
        found[setting] = Sweep(name, PROBLEMS[problem], evidence, curves, half)
    return found


#: Batch sizes of a sweep of ours.
_FEWEST = 4


def usual(sweeps):
    """Those whose settings, but for budget and decay, are as in most runs of ours."""
    return [s for setting, s in sweeps.items() if setting[2:] == tuple(USUAL.values())]


def by_eps(sweeps):
    """Trainings with all settings usual but eps: sweeps by eps, those of all trainings."""
    found = {}
    for (budget, decay, *rest, eps), sweep in sweeps.items():
        if rest == list(USUAL.values())[:-1]:
            found.setdefault((budget, decay), {})[float(eps)] = sweep
    return [dict(sorted(training.items())) for training in found.values() if len(training) > 1]


def joined(training):
    """One sweep of those that `by_eps` gave for one training."""
    parts = [replace(s.evidence, eps=np.full(len(s.evidence), e)) for e, s in training.items()]
    whole, *rest = parts
    for part in rest:
        whole = whole + part
    curves = tuple(curve for s in training.values() for curve in s.curves)
    some = next(iter(training.values()))
    return Sweep(some.name, some.kin, whole, curves)


def _measured(problem):
    """What was measured half-way through the best run of every cell."""
    table = load_table(f"lab_{problem}_measured").where("fraction == 0.5")
    settings = zip(*(table.texts(name) for name in _APART), strict=True)
    numbers = (table.numbers(name) for name in ("batch_size", "noise_scale", "noise_scale_error"))
    columns = zip(settings, *numbers, table.texts("second_moments"), strict=True)
    return {(*setting, size): Measurement(*rest) for setting, size, *rest in columns}


def _curve(rate, loss):
    """Mean losses by log2 of the learning rate, where no seed diverged."""
    rates = np.unique(rate)
    means = np.array([loss[rate == x].mean() for x in rates])
    return np.log2(rates[np.isfinite(means)]), means[np.isfinite(means)]
