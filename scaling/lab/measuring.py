"""What a user could measure along a training run."""

from dataclasses import dataclass
from math import sqrt
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor

from scaling.lab.problems.problem import Problem
from scaling.numeric.population.second_moments import SecondMoments

FloatArray: TypeAlias = npt.NDArray[np.float64]

#: Of t, in a summary of second moments.
CELLS_PER_OCTAVE = 8


@dataclass(frozen=True)
class NoiseScale:
    """Gradient and noise, from the mean squared norms of gradients on batches of two sizes.

    Both estimates are unbiased, so that either may come out negative where it is lost in noise;
    nothing is clipped.

    Attributes
    ----------
    gradient_square : float
        |g|^2 of the true gradient.
    trace : float
        tr(Sigma) of the gradient of one example.
    noise_scale : float
        tr(Sigma)/|g|^2 (T-C2), in examples.
    gradient_square_error, trace_error, noise_scale_error : float
        Standard errors, by the jackknife over the draws.
    """

    gradient_square: float
    gradient_square_error: float
    trace: float
    trace_error: float
    noise_scale: float
    noise_scale_error: float


def measure_noise(
    problem: Problem,
    weights: Tensor,
    generator: np.random.Generator,
    small: int = 8,
    parts: int = 64,
    draws: int = 16,
) -> NoiseScale:
    """Estimate the noise scale as data-parallel training can: from parts of large batches.

    Parameters
    ----------
    problem : Problem
    weights : Tensor, shape (P,)
    generator : numpy.random.Generator
    small : int, default 8
        Examples of a part.
    parts : int, default 64
        Parts of a large batch.
    draws : int, default 16
        Large batches.

    Returns
    -------
    NoiseScale

    Notes
    -----
    E|G_B|^2 = |g|^2 + tr(Sigma)/B at both sizes (McCandlish et al. 2018, appendix A). The ratio is
    of the averages, never an average of ratios.

    Examples
    --------
    >>> from scaling.lab.problems.quadratic import Quadratic
    >>> problem = Quadratic()
    >>> found = measure_noise(problem, problem.origin, np.random.default_rng(0))
    >>> true = problem.deviation.square().sum() / (problem.hessian @ problem.origin).square().sum()
    >>> abs(found.noise_scale - float(true)) < 3 * found.noise_scale_error
    True
    """
    of_part, of_whole = np.empty(draws), np.empty(draws)
    replicas = weights.expand(parts, 1, -1)
    for i in range(draws):
        gradient = problem.gradient(replicas, problem.draw(generator, small, parts))[:, 0].double()
        of_part[i] = gradient.square().sum(dim=1).mean()
        of_whole[i] = gradient.mean(dim=0).square().sum()
    trace = (of_part - of_whole) * small * parts / (parts - 1)
    square = of_whole - trace / (small * parts)
    # Averages over all draws but one, for the jackknife.
    traces = (trace.sum() - trace) / (draws - 1)
    squares = (square.sum() - square) / (draws - 1)
    return NoiseScale(
        float(square.mean()),
        _jackknife(squares),
        float(trace.mean()),
        _jackknife(traces),
        float(trace.mean() / square.mean()),
        _jackknife(traces / squares),
    )


def _jackknife(estimates: FloatArray) -> float:
    """Standard error of an estimate, from those that leave out one draw each."""
    return float(estimates.std()) * sqrt(estimates.size - 1)


def summarise(second_moment: Tensor) -> SecondMoments:
    """Summarise Adam's v_hat, any shape, in few bytes: 8 cells to an octave of t = sqrt(v_hat).

    Cells are 16 times wider than those of `SecondMoments` itself, and sums have five digits; the
    shift by eps is good to 0.4 % all the same.

    Examples
    --------
    >>> from torch import tensor
    >>> summarise(tensor([0.0, 1.0, 1.0, 4.0]))
    <SecondMoments of 3 values in 2 cells, mean root 1.33; left out: 1 zeros>
    """
    v_hat = second_moment.flatten().double().numpy()
    positive = v_hat[v_hat > 0]
    cell = np.floor(np.log2(np.sqrt(positive)) * CELLS_PER_OCTAVE)
    _, index, counts = np.unique(cell, return_inverse=True, return_counts=True)
    sums = [float(f"{value:.5g}") for value in np.bincount(index, positive)]
    found = SecondMoments(counts, np.array(sums), zeros=v_hat.size - positive.size)
    # Cells that rounding has made alike become one.
    return found + SecondMoments.from_arrays()
