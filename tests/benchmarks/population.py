"""Summarising a population, on one core, and asking it for learning rates.

The first is in nanoseconds per coordinate and megabytes, the second in seconds.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported

import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from timing import report

from scaling import GradientPopulation, Recipe, TransferLaw

CHUNK = 1 << 22
COORDINATES = 100_000_000


def draw(kind="f4", decades=1.0, size=CHUNK):
    """Normal gradients whose size and whose noise are log-normal, 6 decades wide."""
    rng = np.random.default_rng(0)
    gradient = rng.standard_normal(size) * 10 ** (decades * rng.standard_normal(size)) * 1e-3
    noise = 10 ** (decades * rng.standard_normal(size))
    return np.clip(gradient, -6e4, 6e4).astype(kind), np.clip(noise, 1e-4, 6e4).astype(kind)


def nanoseconds(*arrays, repeats=5):
    """Least time of several to summarise four times these coordinates, for each of them."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        GradientPopulation.from_chunks(4 * [arrays])
        times.append(time.process_time() - start)
    return min(times) / (4 * arrays[0].size) * 1e9


def stream(coordinates):
    """Chunks, each of its own scale, until there are so many coordinates."""
    gradient, noise = draw()
    for start in range(0, coordinates, CHUNK):
        part = slice(min(CHUNK, coordinates - start))
        yield gradient[part] * np.float32(1 + start / 1e9), noise[part]


def peak(work, *arguments):
    """Peak memory of some work in a process of its own, in megabytes (Linux only)."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_measured, (work, arguments))


def _measured(work, arguments):
    work(*arguments)
    # Not getrusage, which counts what the parent held when it started this process.
    (line,) = (s for s in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in s)
    return int(line.split()[1]) / 1024


def summarise(coordinates):
    GradientPopulation.from_chunks(stream(coordinates))


def summarise_files(*paths):
    GradientPopulation.from_arrays(*paths)


def write(path, values, copies):
    """Write a .npy file of so many copies, without holding them."""
    file = np.lib.format.open_memmap(path, "w+", values.dtype, (copies * values.size,))
    for start in range(0, file.size, values.size):
        file[start : start + values.size] = values


def seconds(function, repeats=3):
    """Least time of several."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def whole_law(population, moments):
    """Seconds for what `lr query` asks: a rate, the peak and the end of the surge."""

    def ask():
        law = TransferLaw.from_population(
            Recipe(3e-4, 256.0, eps=1e-8), population, moments=moments
        )
        return law.learning_rate(1024.0), law.peak, law.surge_end

    return seconds(ask, 1)


if __name__ == "__main__":
    single = draw()
    spikes = np.where(np.arange(CHUNK) % 2, single[0], np.float32(0)), single[1]
    results = [
        report("ns per coordinate, float32", nanoseconds(*single), 20),
        report("  log-normal over 1 decade", nanoseconds(*draw(decades=1 / 6)), 20),
        report("  half of them exact zeros", nanoseconds(*spikes), 30),
        report("  with curvature", nanoseconds(*single, single[1]), 30),
        report("ns per coordinate, float64", nanoseconds(*draw("f8")), 30),
        report("ns per coordinate, float16", nanoseconds(*draw("f2")), 30),
        report("MB, a stream of 2e7 coordinates", small := peak(summarise, 20_000_000), 500),
        report("MB more, a stream of 2e8", peak(summarise, 200_000_000) - small, 20),
    ]
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("gradient.npy", "noise.npy")]
        for path, values in zip(paths, single, strict=True):
            write(path, values, 24)
        results.append(report("MB, .npy files of 1e8", peak(summarise_files, *paths), 500))
    population = GradientPopulation.from_chunks(stream(COORDINATES))
    print(population)
    results.append(report("kB of text", len(population.to_json()) / 1000, 1000))
    few = GradientPopulation.from_arrays(*(values[:12] for values in single))
    batch = population.noise_scale * np.geomspace(1e-3, 1e6, 16_000)
    eps = population.grad_rms * np.geomspace(1e-3, 1e3, 10)
    for moments, bounds in (("mean-field-outside", (1, 2, 0.2, 4)), ("exact-adam", (8, 30, 2, 40))):

        def ask(batch, eps, moments=moments):
            return seconds(lambda: population.learning_rate(batch, eps, moments=moments))

        results += [
            report(f"s, 16,000 batch sizes, {moments}", ask(batch, eps[5]), bounds[0]),
            report(f"s, as many at 10 eps, {moments}", ask(batch[:, None], eps), bounds[1]),
            report(f"s, one, {moments}", ask(batch[0], eps[5]), 0.3),
            report("s, all of a law of 12 coordinates", whole_law(few, moments), bounds[2]),
            report("s, all of a law of the 1e8", whole_law(population, moments), bounds[3]),
        ]
    sys.exit(not all(results))
