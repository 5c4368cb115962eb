"""The shape of a valley of the loss, and its linear part by least squares."""

import numpy as np

from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.tables.runs import Cells

OCTAVE = float(np.log(2))
#: Step of the grid of optima.
STEP = OCTAVE / 32
#: Largest number of values of one intermediate array.
CHUNK = 4_000_000
#: Cost per octave squared of an optimum beyond where runs diverge.
WALL = 9.0


def height_of(u: FloatArray, a: FloatArray | float) -> FloatArray:
    """((exp(a u) - 1)/a)^2, the valley's shape."""
    a = np.where(np.abs(a) < 1e-6, 1e-6, a)
    result: FloatArray = (np.expm1(np.clip(a * u, -30, 8)) / a) ** 2
    return result


def least_squares(
    w: FloatArray, z: FloatArray, height: FloatArray, prior: FloatArray, spread: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Fit z = floor + k height by weighted least squares, with k near its prior and positive.

    Weights (C, n), several z (C, S, n), heights (C, n, G), which are overwritten: cost, k and
    floor, each (C, S, G).
    """
    prior = prior[:, None, None]
    total = w.sum(axis=1)[:, None, None]
    mean = (w[:, None] * z).sum(axis=2, keepdims=True) / total
    middle = (w[:, None] @ height) / total
    height -= middle
    product = (w[:, None] * (z - mean)) @ height
    square = w[:, None] @ height**2
    belief = 1 / (spread * prior) ** 2
    k = np.maximum((product + belief * prior) / (square + belief), 0.1 * prior)
    rest = (w[:, None] * (z - mean) ** 2).sum(axis=2, keepdims=True)
    cost = rest - 2 * k * product + k**2 * square + belief * (k - prior) ** 2
    return cost, k, mean - k * middle


def finely(asymmetry: FloatArray, error: FloatArray) -> FloatArray:
    """Asymmetries of each cell around its best, close together for what it knows, (7, C)."""
    return asymmetry + 0.7 * error * np.arange(-3, 4)[:, None]


def walls(grid: FloatArray, ceiling: FloatArray) -> FloatArray:
    """Cost of optima (G,) beyond where the runs of cells (C,) diverge, shape (C, G)."""
    return np.asarray(WALL * (np.maximum(grid - ceiling[:, None], 0.0) / OCTAVE) ** 2)


def above(cells: Cells) -> FloatArray:
    """Log losses above the best of their cell; 0 where there is no run."""
    above = cells.log_loss - np.nanmin(cells.log_loss, axis=1)[:, None]
    return np.asarray(np.nan_to_num(above))


def by_rate(cells: Cells) -> tuple[FloatArray, FloatArray]:
    """Learning rates and mean log losses of each cell, repetitions averaged.

    Where a learning rate stands several times, all but its first place are NaN.
    """
    rate, loss, count = cells.log_rate, cells.log_loss.copy(), cells.count
    rows = np.arange(rate.shape[0])
    fresh = np.ones_like(rate, dtype=bool)
    fresh[:, 1:] = rate[:, 1:] != rate[:, :-1]  # sorted by rate; NaN differs from NaN
    number = np.cumsum(fresh, axis=1) - 1
    flat = (rows[:, None] * rate.shape[1] + number).reshape(-1)
    there = count > 0
    totals = np.bincount(flat, np.where(there, loss * count, 0.0).reshape(-1), rate.size)
    counts = np.bincount(flat, count.reshape(-1), rate.size)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (totals / counts)[flat].reshape(rate.shape)
    return rate, np.where(there & fresh, means, np.nan)
