"""Simulation-based calibration (Talts et al. 2018): truths drawn from the prior have uniform ranks.

python tests/evidence/calibration.py [simulations of each kind of evidence, 500] [kind]
"""

import sys

import numpy as np
from scipy.stats import chisquare

from scaling.numeric.inference.evidence.evidence import Evidence, Measured
from scaling.numeric.inference.family import Design
from scaling.numeric.inference.posterior import infer, target_of
from scaling.numeric.inference.prior import Prior

#: The shipped prior, its widest scales narrowed so that 500 truths probe more than the extremes.
PRIOR = Prior(
    {
        **Prior.load().scales,
        "corner": (0.5, 3.0),
        "ratio": (0.0, 3.0),
        "exponent": (0.0, 0.5),
        "corner_exponent": (0.0, 0.5),
        "eps_scale": (-10.0, 2.0),
    }
)
LEVEL, READING, FAR, RANKS, BINS = -10.0, 0.15, 5.0, 49, 10
BATCH = 2.0 ** np.arange(3, 14, 2)


def layout(kind):
    """Batch sizes, covariates, eps, and what is known besides."""
    if kind == "tuned run":
        return np.array([256.0]), {}, 0.0
    if kind in ("optima", "bounds", "noise scale"):
        return BATCH, {}, 0.0
    if kind == "eps":
        return np.tile(BATCH[::2], 3), {}, np.repeat([1e-8, 1e-4, 1e-2], 3)
    return np.tile(BATCH[::2], 5), {"N": np.repeat(2.0 ** np.array([0, 1, 3, 4, 6]), 3)}, 0.0


def simulate(kind, rng):
    """Evidence, and the true quantities that it is asked for."""
    while True:
        found = attempt(kind, rng)
        if np.isfinite(found[0].below + found[0].above).any():
            return found


def attempt(kind, rng):
    """One simulation; of bounds only, perhaps, which are passed over as users' are refused."""
    batch, covariates, eps = layout(kind)
    blank = Evidence(batch, np.exp2(LEVEL) + 0 * batch, READING, READING, covariates, eps, READING)
    target = target_of(blank, PRIOR)
    family, gathered = target.family, target.gathered
    mean, spread = PRIOR.moments(family)
    spread[0] = 0.0
    theta = mean + spread * rng.standard_normal(len(family))
    # Learning rates are tried in a window, which is to tell nothing of where the level is.
    theta[0] = LEVEL + (rng.uniform(-8, 8) if kind == "bounds" else 0)
    far = Design(
        np.array([FAR]) + gathered.design.batch.max(),
        np.zeros((1, len(covariates))),
        np.full(1, -np.inf),
    )
    law = family.evaluate(theta[None], gathered.design)[0]
    beyond = family.evaluate(theta[None], far)[0, 0]
    beyond += (
        family.get(theta[None], "log_misfit")[0]
        * family.unheld(far.batch)[0]
        * rng.standard_normal()
    )
    scatter = np.hypot(family.get(theta[None], "log_scatter")[0], READING)
    optimum = law + scatter * rng.standard_t(5, law.size)
    new = beyond + scatter * rng.standard_t(5)
    if family.groups:
        own = family.get(theta[None], "log_group_scatter")[0]
        optimum += own * rng.standard_normal(len(gathered.groups))[gathered.cells.group]
        lift = own * rng.standard_normal()
        beyond, new = beyond + lift, new + lift
    below, above = np.full((2, batch.size), READING)
    if kind == "bounds":
        low, high = LEVEL - 1.5, LEVEL + 1.5
        below = np.where(optimum < low, np.inf, below)
        above = np.where(optimum > high, np.inf, above)
        optimum = np.clip(optimum, low, high)
    known = None
    if kind == "noise scale":
        over, apart = PRIOR.scales["corner_over_noise"]
        corner = family.corners(theta[None], np.zeros((1, 0)))[0][0, 0] + gathered.center
        noise = corner - over + np.hypot(apart, 1.0) * rng.standard_normal()
        known = Measured(float(np.exp2(noise)), 2.0)
    order = np.lexsort([*covariates.values(), np.broadcast_to(eps, batch.shape), batch][::-1])
    rate = np.empty_like(optimum)
    rate[order] = np.exp2(optimum)
    sides = np.empty((2, batch.size))
    sides[:, order] = below, above
    evidence = Evidence(batch, rate, *sides, covariates, eps, READING, known)
    truth = dict(zip(family.names, theta, strict=True))
    del truth["misfit"]
    return evidence, truth | {"law beyond": beyond, "new optimum": new}, far


def ranks(kind, count, seed, draws=500):
    """Ranks of the truths among `RANKS` draws, by quantity, each (count,)."""
    rng = np.random.default_rng(seed)
    found = {}
    for _ in range(count):
        evidence, truth, far = simulate(kind, rng)
        posterior = infer(evidence, PRIOR, draws=draws, seed=int(rng.integers(2**31)))
        # A group that was not tried: a hair off the middle, which may have been.
        there = Design(far.batch, far.covariates + 1e-3, far.eps)
        law = posterior.law(there)
        values = {
            n: posterior.draws[:, posterior.family.names.index(n)]
            for n in truth
            if n in posterior.family.names
        }
        values |= {
            "law beyond": law[:, 0],
            "new optimum": posterior.new_optimum(law)[:, 0],
        }
        for name, value in values.items():
            # Not always the same rows: those of the law have random numbers of their own.
            thin = rng.choice(value, RANKS, replace=False)
            found.setdefault(name, []).append(int((thin < truth[name]).sum()))
    return {name: np.array(each) for name, each in found.items()}


def p_value(rank):
    """Of uniformity, by chi-square in equal bins."""
    counts = np.bincount(rank * BINS // (RANKS + 1), minlength=BINS)
    return float(chisquare(counts).pvalue)


KINDS = ("tuned run", "optima", "bounds", "noise scale", "covariates", "eps")


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    for kind in sys.argv[2:] or KINDS:
        found = ranks(kind, count, seed=1)
        print(kind, {name: round(p_value(rank), 3) for name, rank in found.items()}, flush=True)


if __name__ == "__main__":
    main()
