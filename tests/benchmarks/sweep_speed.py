"""Seconds that `fit_sweep` takes on a sweep of 17 groups, and on a million runs."""

import sys
import time

import numpy as np

from scaling import fit_sweep, simulate_sweep
from scaling.numeric.fits import known_law

#: Seconds, on two cores.
BOUND = 60.0


def measure(name: str, repetitions: int, steps: float, sizes: list[float]) -> bool:
    """Simulate, fit, and print how long that took."""
    truth = known_law(
        learning_rate=1e-3,
        reference_batch_size=256,
        noise_batch_size=1800,
        critical_batch_size=300,
        covariates={"N": 1e9, "D": 2e10},
        learning_rate_exponents={"N": -0.3},
        critical_exponents={"D": 0.4},
    )
    rates = 1e-3 * 2.0 ** np.arange(-3, 3, steps)
    runs = simulate_sweep(
        truth,
        2.0 ** np.arange(4, 14),
        rates,
        covariates={"N": sizes, "D": [5e9, 2e10, 4e10, 8e10]},
        repetitions=repetitions,
        departure=0.1,
    )
    start = time.perf_counter()
    fit_sweep(runs)
    seconds = time.perf_counter() - start
    verdict = "ok" if seconds <= BOUND else "TOO SLOW"
    print(f"{name}, {len(runs)} runs: {seconds:.1f} s (at most {BOUND:g})  {verdict}")
    return seconds <= BOUND


if __name__ == "__main__":
    results = [
        measure("16 groups", 1, 0.5, [2e8, 5e8, 1e9, 4e9]),
        measure("a million runs", 520, 0.5, [2e8, 5e8, 1e9, 4e9]),
    ]
    sys.exit(not all(results))
