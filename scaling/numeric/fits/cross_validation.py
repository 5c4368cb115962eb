"""How well a law predicts optima that it was not fitted to."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scaling.errors import InputError
from scaling.numeric.inputs.arrays import BoolArray, FloatArray, IntArray

#: More folds than this are joined.
_MOST_FOLDS = 200

#: Given which points each fit may see, shape (folds, C): what it predicts everywhere.
Fit = Callable[[BoolArray], FloatArray]


@dataclass(frozen=True)
class Errors:
    """Errors of predictions in octaves (a factor of two is 1), and what they cost.

    Attributes
    ----------
    rmse : float
        Root mean square.
    median : float
        Median of the absolute errors.
    regret : float
        Mean relative excess of the loss at the predicted learning rates over the best measured.
    count : int
        Predictions.
    """

    rmse: float
    median: float
    regret: float
    count: int


def folds_by(labels: IntArray) -> BoolArray:
    """Leave out one label at a time: which points each fold may see, shape (folds, C).

    Examples
    --------
    >>> folds_by(np.array([0, 0, 1])).tolist()
    [[False, False, True], [True, True, False]]
    """
    different = np.unique(labels, return_inverse=True)[1].reshape(-1)
    if different.size and different.max() >= _MOST_FOLDS:
        # Spread over the folds by a fixed shuffle.
        order = np.random.default_rng(0).permutation(different.max() + 1)
        different = order[different] % _MOST_FOLDS
    seen: BoolArray = different != np.arange(different.max(initial=-1) + 1)[:, None]
    return seen


def largest_third(batch_size: FloatArray) -> BoolArray:
    """Which points have one of the largest third of the batch sizes, rounded up."""
    sizes = np.unique(batch_size)
    return np.asarray(batch_size > sizes[sizes.size - 1 - -(-sizes.size // 3)])


def left_out(seen: BoolArray, fit: Fit) -> FloatArray:
    """Prediction of each point by the fit that has not seen it, shape (C,).

    Parameters
    ----------
    seen : ndarray of bool, shape (folds, C)
        Every point is left out at most once; NaN where it never is.
    fit : callable
        See `Fit`.
    """
    predicted = fit(seen)
    if predicted.shape != seen.shape:
        raise InputError("must return one prediction for each fold and point", "fit")
    return np.asarray(
        np.where(seen.all(axis=0), np.nan, np.sum(np.where(seen, 0.0, predicted), axis=0))
    )


def errors(
    predicted: FloatArray,
    optimum: FloatArray,
    regret: Callable[[FloatArray], FloatArray] | None = None,
) -> Errors:
    """Compare predictions with optima (natural logarithms); NaN in either is left out.

    Examples
    --------
    >>> found = errors(np.log([1.0, 2.0]), np.log([2.0, 4.0]))
    >>> found.rmse, found.count
    (1.0, 2)
    """
    octaves = (predicted - optimum) / np.log(2)
    octaves = octaves[np.isfinite(octaves)]
    cost = regret(predicted) if regret else np.array([])
    cost = cost[np.isfinite(cost)]
    return Errors(
        float(np.sqrt(np.mean(octaves**2))) if octaves.size else np.nan,
        float(np.median(np.abs(octaves))) if octaves.size else np.nan,
        float(np.mean(cost)) if cost.size else np.nan,
        int(octaves.size),
    )
