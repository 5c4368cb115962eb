"""How often intervals of laws from simulated sweeps hold the truth, and how often verdicts do.

Takes an hour; by hand: `python tests/benchmarks/sweep_coverage.py [sweeps [first seed [name]]]`.
"""

import sys
from collections import Counter
from collections.abc import Iterator

import numpy as np

from scaling import BatchSizeLaw, fit_sweep, simulate_sweep
from scaling.numeric.fits import SweepFit, SweepLaw
from scaling.numeric.laws import Law

BATCH = 2.0 ** np.arange(4, 14)
ASKED = np.array([16.0, 64.0, 256.0, 1024.0, 8192.0, 32768.0])
LEVEL = 0.9
GRID = {"N": [2e8, 1e9, 4e9], "D": [5e9, 2e10, 8e10]}

#: Name: (B_n/B_crit, with covariates or not, share of the sweeps asked for, how runs come out).
SWEEPS = {
    "one group": (6.0, False, 1.0, {}),
    "one group, three seeds, noisy": (3.0, False, 0.4, {"noise": 0.002, "repetitions": 3}),
    "one group, optima depart by 0.1 octave": (6.0, False, 0.4, {"departure": 0.1}),
    "nine groups": (6.0, True, 0.15, {}),
    "nine groups, no surge": (1.0, True, 0.15, {}),
    "nine groups, weak surge": (4.0, True, 0.15, {}),
    "nine groups, optima depart by 0.1 octave": (4.0, True, 0.15, {"departure": 0.1}),
}


def sweeps(
    ratio: float, joint: bool, seeds: range, options: dict[str, float]
) -> Iterator[tuple[SweepFit, Law, Law]]:
    """Yield fits, the laws that they answer with, and the truth."""
    for seed in seeds:
        if joint:
            truth = SweepLaw.of(
                learning_rate=1e-3,
                reference_batch_size=256,
                noise_batch_size=300 * ratio,
                critical_batch_size=300,
                covariates={"N": 1e9, "D": 2e10},
                learning_rate_exponents={"N": -0.3, "D": 0.1},
                critical_exponents={"D": 0.4},
            )
            runs = simulate_sweep(truth, BATCH, covariates=GRID, seed=seed, **options)
            fit = fit_sweep(runs, replicates=100)
            yield fit, fit.law.at(N=2e9, D=4e10), truth.at(N=2e9, D=4e10)
        else:
            plain = BatchSizeLaw.from_limit(
                1e-3, noise_batch_size=300 * ratio, critical_batch_size=300
            )
            fit = fit_sweep(simulate_sweep(plain, BATCH, seed=seed, **options), replicates=100)
            yield fit, fit.law, plain


if __name__ == "__main__":
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    only = sys.argv[3] if len(sys.argv) > 3 else None
    for name, (ratio, joint, share, options) in SWEEPS.items():
        if only not in (None, name):
            continue
        count = max(int(asked * share), 1)
        hits, widths, errors = np.zeros(ASKED.size), [], []
        verdicts: Counter[str] = Counter()
        for fit, law, truth in sweeps(ratio, joint, range(first, first + count), options):
            low, high = law.interval(ASKED, level=LEVEL)
            true = truth.learning_rate(ASKED)
            hits += (low <= true) & (true <= high)
            widths.append(np.log2(high / low))
            errors.append(np.log2(law.learning_rate(ASKED) / true))
            verdicts[fit.surge.verdict] += 1
        print(f"{name}: {count} sweeps, B_n/B_crit = {ratio:g}")
        print(f"  coverage at {LEVEL:.0%}: {hits.mean() / count:.1%}, by batch size", hits / count)
        print("  width in octaves", np.mean(widths, axis=0).round(3))
        print("  error in octaves", np.sqrt(np.mean(np.square(errors), axis=0)).round(3))
        print("  surge:", dict(verdicts), flush=True)
