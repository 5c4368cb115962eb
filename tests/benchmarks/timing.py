"""Ratios of running times, measured side by side."""

import statistics
import time
from collections.abc import Callable


def ratio(ours: Callable[[], object], other: Callable[[], object], repeats: int) -> float:
    """Median time of ours over the median time of the other, run in turn after a warm-up."""
    times: tuple[list[float], list[float]] = ([], [])
    for repeat in range(repeats + 1):
        for function, spent in zip((ours, other), times, strict=True):
            start = time.perf_counter()
            function()
            if repeat:
                spent.append(time.perf_counter() - start)
    return statistics.median(times[0]) / statistics.median(times[1])


def report(name: str, measured: float, bound: float) -> bool:
    """Print a line; return whether the ratio is within its bound."""
    verdict = "ok" if measured <= bound else "TOO SLOW"
    print(f"{name:<58} {measured:7.2f} (at most {bound:g})  {verdict}")
    return measured <= bound
