"""Learn the prior's scales from real sweeps, and write them down with their source.

Every sweep of one model is drawn from with a broad prior; reweighting its draws gives the
likelihood of any other prior, hence a posterior of the prior's means and standard deviations, with
a weak hyperprior around those of theory.md T-K2. Kin count less than strangers: n sweeps of one
kin weigh as sqrt(n). By hand, a minute:

    python tests/evidence/learn_prior.py [--write] [folder of the shared data]
"""

import json
import sys
from pathlib import Path

import numpy as np
from sweeps import SHARED, load

from scaling.numeric.inference.posterior import target_of
from scaling.numeric.inference.prior import Prior
from scaling.numeric.inference.sampler import sample

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
}
LEARNED = ("corner", "ratio", "log_sharpness", "log_scatter", "log_misfit")
#: By how much broader the prior is with which the sweeps are drawn from.
BROADER = 1.8
DRAWS, HYPER_DRAWS = 400, 600
#: Hyperprior: means N(T-K2's, its standard deviation), log standard deviations N(T-K2's, this).
LOG_SPREAD = 0.5


def broad():
    return Prior({n: (m, s * (BROADER if n in LEARNED else 1)) for n, (m, s) in BEFORE.items()})


def draw(evidence, seed=0):
    """Draws of the learned parameters, shape (P, learned)."""
    target = target_of(evidence, broad())
    found = sample(target, DRAWS, np.random.default_rng(seed))
    return found.draws[:, [target.family.names.index(name) for name in LEARNED]]


class Hyper:
    """Means and log standard deviations (relative to T-K2's) of the learned parameters."""

    def __init__(self, drawn, weights):
        self.drawn, self.weights = drawn, weights
        self.mean, self.spread = np.array([BEFORE[name] for name in LEARNED]).T

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

    def log_prior(self, x):
        m, s = self.moments(x)
        z = np.hstack([(m - self.mean) / self.spread, np.log(s / self.spread) / LOG_SPREAD])
        return -(z**2).sum(axis=1) / 2

    def log_likelihood(self, x):
        m, s = (each[:, None] for each in self.moments(x))
        broad = self.spread * BROADER
        total = np.zeros(len(x))
        for draws, weight in zip(self.drawn, self.weights, strict=True):
            ratio = -(((draws - m) / s) ** 2 - ((draws - self.mean) / broad) ** 2) / 2
            ratio = (ratio - np.log(s / broad)).sum(axis=2)
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
        for k, name in enumerate(LEARNED)
    }


def units(sweeps):
    """Sweeps of one model, and how much each counts."""
    alone = [group for sweep in sweeps.values() for group in sweep.groups()]
    known = [g for g in alone if np.isfinite(g.evidence.below + g.evidence.above).sum() > 2]
    kin = [group.kin for group in known]
    return known, [kin.count(name) ** -0.5 for name in kin]


def without_each(sweeps):
    """The prior learned from all, and by kin that from the others."""
    known, weights = units(sweeps)
    drawn = [draw(group.evidence) for group in known]
    found = {}
    for out in (None, *sweeps):
        keep = [i for i, group in enumerate(known) if group.kin != out]
        scales = learn([drawn[i] for i in keep], [weights[i] for i in keep])
        found[out] = Prior({**BEFORE, **scales}, "learned")
    return found


def main():
    arguments = [a for a in sys.argv[1:] if a != "--write"]
    sweeps = load(Path(arguments[0]) if arguments else SHARED)
    priors = without_each(sweeps)
    for out, prior in priors.items():
        print("all" if out is None else f"without {out}", {n: prior.scales[n] for n in LEARNED})
    if "--write" in sys.argv:
        known, _ = units(sweeps)
        counts = {kin: sum(g.kin == kin for g in known) for kin in sweeps}
        where = Path(__file__).parents[2] / "scaling/numeric/inference/prior.json"
        said = ", ".join(f"{count} of {kin}" for kin, count in counts.items())
        source = (
            f"{', '.join(LEARNED)}: learned from sweeps of one model each ({said}) by "
            "tests/evidence/learn_prior.py; the rest: theory.md T-K2"
        )
        scales = {name: list(pair) for name, pair in priors[None].scales.items()}
        lines = ",\n".join(f'    "{n}": {json.dumps(pair)}' for n, pair in scales.items())
        where.write_text(
            f'{{\n  "source": {json.dumps(source)},\n  "scales": {{\n{lines}\n  }}\n}}\n'
        )


if __name__ == "__main__":
    main()
