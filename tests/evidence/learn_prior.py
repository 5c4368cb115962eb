"""Learn the prior's scales from real sweeps, and write them down with their source.

Every sweep of one model is drawn from with a broad prior; reweighting its draws gives the
likelihood of any other prior, hence a posterior of the prior's means and standard deviations, with
a weak hyperprior around those of theory.md T-K2. Kin count less than strangers: n sweeps of one
kin weigh as sqrt(n). By hand, five minutes:

    python tests/evidence/learn_prior.py [--write] [folder of the shared data]
"""

import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sweeps import SHARED, laboratory, load, usual

from scaling.numeric.inference.posterior import target_of
from scaling.numeric.inference.prior import Prior
from scaling.numeric.inference.sampler import sample
from scaling.plotting.data import lab_problems

#: T-K2's, and what is left as it is: one sweep with covariates, and one with eps, are too few.
BEFORE = {
    "corner": (0.0, 4.0),
    "ratio": (0.0, 3.0),
    "log_sharpness": (0.5, 1.0),
    "exponent": (0.0, 0.7),
    "corner_exponent": (0.0, 0.7),
    "log_scatter": (-1.6, 0.7),
    "log_misfit": (-1.6, 0.7),
    "log_group_scatter": (-1.6, 0.7),
    "eps_scale": (-13.0, 6.0),
    "log_eps_spread": (-0.7, 0.5),
    "corner_over_noise": (0.0, 1.0),
}
LEARNED = ("corner", "ratio", "log_sharpness", "log_scatter", "log_misfit")
OVER_NOISE = "corner_over_noise"
#: By how much broader the prior is with which the sweeps are drawn from.
BROADER = 1.8
#: Where the priors are kept that have not seen one kin of sweeps each.
HELD_OUT = Path(__file__).with_name("priors.json")
DRAWS, HYPER_DRAWS = 1200, 600
#: Hyperprior: means N(T-K2's, its standard deviation), log standard deviations N(T-K2's, this).
LOG_SPREAD = 0.5


def broad():
    return Prior({n: (m, s * (BROADER if n in LEARNED else 1)) for n, (m, s) in BEFORE.items()})


class Drawn(NamedTuple):
    """Draws of the learned parameters, and of log2 B_crit over the noise scale if it is known."""

    values: np.ndarray  # (P, learned)
    over_noise: np.ndarray | None  # (P,)
    error: float


def draw(sweep, seed=0):
    target = target_of(sweep.evidence, broad())
    found = sample(target, DRAWS, np.random.default_rng(seed))
    values = found.draws[:, [target.family.names.index(name) for name in LEARNED]]
    noise = sweep.noise_scale
    if noise is None:
        return Drawn(values, None, 0.0)
    over = values[:, LEARNED.index("corner")] + target.gathered.center - np.log2(noise.value)
    return Drawn(values, over, float(np.log2(noise.factor)))


class Hyper:
    """Means and log standard deviations (relative to T-K2's) of the learned parameters."""

    def __init__(self, drawn, weights):
        self.drawn, self.weights = drawn, weights
        self.mean, self.spread = np.array([BEFORE[name] for name in (*LEARNED, OVER_NOISE)]).T

    def propose(self, _power, size, rng):
        z = rng.standard_normal((size, 2 * self.mean.size))
        z[:, : self.mean.size] = self.mean + self.spread * z[:, : self.mean.size]
        z[:, self.mean.size :] *= LOG_SPREAD
        return z, self.log_prior(z)

    def redraw(self, x, _power, _rng):
        return np.empty((len(x), 0)), np.zeros(len(x))

    def redraw_density(self, x, _power):
        return np.zeros(len(x))

    def moments(self, x):
        return x[:, : self.mean.size], self.spread * np.exp(x[:, self.mean.size :])

    def log_density(self, x, _power):
        return self.log_prior(x), self.log_likelihood(x)

    def log_prior(self, x):
        m, s = self.moments(x)
        z = np.hstack([(m - self.mean) / self.spread, np.log(s / self.spread) / LOG_SPREAD])
        return -(z**2).sum(axis=1) / 2

    def log_likelihood(self, x):
        m, s = (each[:, None] for each in self.moments(x))
        mean, broad = self.mean[:-1], self.spread[:-1] * BROADER
        total = np.zeros(len(x))
        for (draws, over, error), weight in zip(self.drawn, self.weights, strict=True):
            ratio = (
                -(((draws - m[..., :-1]) / s[..., :-1]) ** 2 - ((draws - mean) / broad) ** 2) / 2
            )
            ratio = (ratio - np.log(s[..., :-1] / broad)).sum(axis=2)
            if over is not None:
                # How likely the noise scale is, given B_crit.
                scale = np.hypot(s[..., -1], error)
                ratio -= ((over - m[..., -1]) / scale) ** 2 / 2 + np.log(scale)
            top = ratio.max(axis=1)
            total += weight * (top + np.log(np.mean(np.exp(ratio - top[:, None]), axis=1)))
        return total


def learn(drawn, weights, seed=0):
    """Means and standard deviations of a new sweep's parameters, given the draws of others.

    The hyperparameters are drawn from their posterior; what is not known of them is part of the
    standard deviations.
    """
    problem = Hyper(drawn, weights)
    draws = sample(problem, HYPER_DRAWS, np.random.default_rng(seed)).draws
    m, s = problem.moments(draws)
    mean, spread = m.mean(axis=0), np.sqrt((s**2).mean(axis=0) + m.var(axis=0))
    return {
        name: (round(float(mean[k]), 2), round(float(spread[k]), 2))
        for k, name in enumerate((*LEARNED, OVER_NOISE))
    }


def units(sweeps):
    """Sweeps of one model, and how much each counts."""
    alone = [group for sweep in sweeps.values() for group in sweep.groups()]
    alone += [sweep for problem in lab_problems() for sweep in usual(laboratory(problem))]
    known = [g for g in alone if np.isfinite(g.evidence.below + g.evidence.above).sum() > 2]
    kin = [group.kin for group in known]
    return known, [kin.count(name) ** -0.5 for name in kin]


def without_each(sweeps):
    """The prior learned from all, and by kin that from the others."""
    known, weights = units(sweeps)
    drawn = [draw(group) for group in known]
    found = {}
    for out in (None, *dict.fromkeys(group.kin for group in known)):
        keep = [i for i, group in enumerate(known) if group.kin != out]
        scales = learn([drawn[i] for i in keep], [weights[i] for i in keep])
        found[out] = Prior({**BEFORE, **scales}, "learned")
    return found


def read_held_out():
    """The priors that `main` wrote down, by the kin that each has not seen."""
    found = json.loads(HELD_OUT.read_text())
    return {kin: Prior({**BEFORE, **scales}, "learned") for kin, scales in found.items()}


def main():
    arguments = [a for a in sys.argv[1:] if a != "--write"]
    sweeps = load(Path(arguments[0]) if arguments else SHARED)
    priors = without_each(sweeps)
    for out, prior in priors.items():
        print("all" if out is None else f"without {out}", prior.scales)
    if "--write" in sys.argv:
        known, _ = units(sweeps)
        kin = [group.kin for group in known]
        where = Path(__file__).parents[2] / "scaling/numeric/inference/prior.json"
        said = ", ".join(f"{kin.count(name)} of {name}" for name in dict.fromkeys(kin))
        source = (
            f"{', '.join(LEARNED)}: learned from sweeps of one model each ({said}), "
            "corner_over_noise from those along which the noise scale was measured, by "
            "tests/evidence/learn_prior.py; the rest: theory.md T-K2"
        )
        learned = {
            kin: {n: p for n, p in prior.scales.items() if n in (*LEARNED, OVER_NOISE)}
            for kin, prior in priors.items()
            if kin is not None
        }
        HELD_OUT.write_text(
            "{\n"
            + ",\n".join(f" {json.dumps(n)}: {json.dumps(x)}" for n, x in learned.items())
            + "\n}\n"
        )
        scales = {name: list(pair) for name, pair in priors[None].scales.items()}
        lines = ",\n".join(f'    "{n}": {json.dumps(pair)}' for n, pair in scales.items())
        where.write_text(
            f'{{\n  "source": {json.dumps(source)},\n  "scales": {{\n{lines}\n  }}\n}}\n'
        )


if __name__ == "__main__":
    main()
