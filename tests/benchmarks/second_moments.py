"""Summarising second moments, on one core, and asking them what epsilon does.

Ratios to NumPy's own histogram of as many equal cells, which takes the logarithm first, and
nanoseconds a value; megabytes of a stream; milliseconds of questions.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported

import sys
import time

import ml_dtypes
import numpy as np
from population import CHUNK, peak, seconds
from timing import ratio, report

from scaling.numeric.population.second_moments import SecondMoments


def draw(kind, *, zeros=0.0):
    """Log-normal second moments over some ten decades, some of them 0."""
    rng = np.random.default_rng(0)
    values = np.minimum(10 ** (2 * rng.standard_normal(CHUNK) - 8), 6e4).astype(kind)
    return np.where(rng.random(CHUNK) < zeros, values.dtype.type(0), values)


def nanoseconds(values, repeats=5):
    """Least processor time of several to summarise these, for each of them."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        SecondMoments.from_arrays(values)
        times.append(time.process_time() - start)
    return min(times) / values.size * 1e9


def summarise(values):
    """Stream so many values."""
    chunk = draw("f4")
    SecondMoments.from_chunks(chunk[: values - start] for start in range(0, values, CHUNK))


def histogram(values):
    """What a user would write."""
    return np.histogram(np.log2(values), bins=4000, range=(-60, 20))


if __name__ == "__main__":
    single = draw("f4")
    small = single[:1000]
    results = [
        report(
            "from_arrays over numpy.histogram of logarithms",
            ratio(lambda: SecondMoments.from_arrays(single), lambda: histogram(single), 5),
            1,
        ),
        *(
            report(f"ns a value, {np.dtype(kind)}, {zeros:.0%} zeros", nanoseconds(values), 6)
            for kind in ("f2", ml_dtypes.bfloat16, "f4", "f8")
            for zeros in (0.0, 0.5)
            for values in [draw(kind, zeros=zeros)]
        ),
        report("ns a value, float32, all alike", nanoseconds(np.ones(CHUNK, "f4")), 6),
        report(
            "us a chunk of 1,000 values",
            seconds(lambda: SecondMoments.from_chunks([small] * 1000)) * 1e3,
            50,
        ),
        report("MB, a stream of 2e7", few := peak(summarise, 20_000_000), 500),
        report("MB more, a stream of 1e9", peak(summarise, 1_000_000_000) - few, 20),
    ]
    moments = SecondMoments.from_arrays(draw("f8"))
    print(moments)
    eps = np.geomspace(1e-8, 1, 100)
    results += [
        report("kB of text", len(moments.to_json()) / 1000, 200),
        report("ms, shift of one eps", seconds(lambda: moments.eps_shift(1e-5)) * 1e3, 1),
        report("ms, shifts of 100 eps", seconds(lambda: moments.eps_shift(eps)) * 1e3, 20),
        report("ms, eps for a shift", seconds(lambda: moments.eps_for_shift(2.0)) * 1e3, 50),
    ]
    sys.exit(not all(results))
