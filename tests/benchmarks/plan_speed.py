"""Seconds that a proposal takes when 2,000 runs have been seen."""

import sys
import time

import numpy as np

from scaling import plan
from scaling.numeric.tables.runs import Runs

#: Seconds, on one core.
BOUND = 2.0


def measure(name: str, groups: int) -> bool:
    """Plan from 2,000 runs at eight batch sizes, and propose one run and eight."""
    rng = np.random.default_rng(0)
    batch = np.tile(np.repeat(2.0 ** np.arange(4, 12), 250 // groups), groups)
    size = np.repeat(1e7 * 3.0 ** np.arange(groups), batch.size // groups)
    best = 1e-3 * np.sqrt(batch / 256) * (size / 1e7) ** -0.2
    away = rng.uniform(-2, 2, batch.size)
    loss = 3 * np.exp(0.02 * away**2 + 1e-3 * rng.standard_normal(batch.size))
    columns = batch, best * 2**away, loss
    around = {"N": size} if groups > 1 else {}
    start = time.perf_counter()
    found = plan(
        Runs(*columns, covariates=around), 4096, covariates={"N": 1e10} if around else None
    )
    found.ask()
    first = time.perf_counter() - start
    start = time.perf_counter()
    found.preview(8)
    eight = time.perf_counter() - start
    verdict = "ok" if first <= BOUND else "TOO SLOW"
    print(
        f"{name}, {batch.size} runs: {first:.2f} s to the first (at most {BOUND:g}), "
        f"{eight:.2f} s for eight more  {verdict}"
    )
    return first <= BOUND


if __name__ == "__main__":
    results = [measure("one model", 1), measure("25 models", 25)]
    sys.exit(not all(results))
