"""Averages of the update over the coordinates of a population.

The learning rate of T-A1 needs two sums over coordinates: the alignment of the update with the
gradient, E[phi].g, and the curvature along it, tr(E[phi phi^T] H). Per coordinate, in units of the
gradient's RMS gamma and of the mean curvature, and with signal a = sqrt(B/B_simple) and
damping b = a eps/gamma of a coordinate of RMS size, they are here for

- a *uniform* population, in which every gradient is +-gamma (T-E6);
- a *Gaussian* one, gradients drawn from N(0, gamma^2) (T-F3, T-F5);

both with equal noise in all coordinates, and for

- a *sketch* of the gradients and noise of an actual model.

Where the Hessian is not diagonal (R0 != 1), what is off its diagonal is taken to act alike on the
mean update of all coordinates, so it adds (R0 - 1) (average |E[phi]|)^2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError
from scaling.numeric.inputs.arrays import Real
from scaling.numeric.moments.exact_adam import ExactUpdate
from scaling.numeric.moments.models import MomentModel, Update, evaluate
from scaling.numeric.population.points import PointAverage, WeightedPoints

if TYPE_CHECKING:
    from scaling.numeric.population.gradients import GradientPopulation

#: Alignment and curvature.
Sums: TypeAlias = tuple[Real, Real]

#: Trapezoidal rule in log(gradient/gamma) for the Gaussian population of models without a closed
#: form. The density exp(-x^2/2) limits the strip of analyticity to |Im log x| < pi/4, so the
#: error is about exp(-pi^2/(2 h)) = 3e-17; below the first node lie 1e-15 of the coordinates.
_STEP = 0.13
_LOG_RANGE = (-34.5, 2.25)


@dataclass(frozen=True)
class Uniform:
    """Every coordinate alike; ``curvature_ratio`` is R0."""

    #: Relative error of the sums.
    accuracy: ClassVar[float] = 1e-13

    model: MomentModel
    update: Update
    curvature_ratio: float

    def sums(self, a: npt.ArrayLike, b: npt.ArrayLike) -> Sums:
        """Alignment and curvature, in the form s - mu^2 + R0 mu^2, which does not cancel."""
        mean, _, variance = evaluate(self.update, a, b)
        return mean, variance + self.curvature_ratio * mean**2

    def small_batches(self) -> tuple[float, float]:
        """Alignment over a, and curvature, for a -> 0."""
        return self.update.slope, self.update.pure_noise

    def noiseless(self, eps_ratio: float) -> tuple[float, float]:
        """Alignment G and curvature over G^2 of the noiseless update at eps/gamma (T-B8)."""
        return float(self.model.noiseless(np.ones(()), np.asarray(eps_ratio))), self.curvature_ratio


class Gaussian(PointAverage):
    """Gradients drawn from N(0, gamma^2): in closed form where there is one, else by quadrature."""

    def sums(self, signal: npt.ArrayLike, damping: npt.ArrayLike) -> Sums:
        """Alignment and curvature."""
        if not isinstance(self.update, ExactUpdate):
            return super().sums(signal, damping)
        a, b = np.asarray(signal, dtype=float), np.asarray(damping, dtype=float)
        alignment, size, square = self.update.gaussian_average(a, b)
        return alignment[()], (square + (self.curvature_ratio - 1) * size**2)[()]


Average: TypeAlias = Uniform | PointAverage


def _gaussian(model: MomentModel, update: Update, curvature_ratio: float) -> Gaussian:
    """Quadrature over |x|, x ~ N(0, 1)."""
    x = np.exp(np.arange(*_LOG_RANGE, _STEP))
    weight = _STEP * x * np.sqrt(2 / np.pi) * np.exp(-(x**2) / 2)
    points = WeightedPoints.of(x, np.ones_like(x), weight, weight)
    return Gaussian(model, update, curvature_ratio, points, accuracy=1e-13)


#: Averages over the populations that have a name.
POPULATIONS: dict[str, Callable[[MomentModel, Update, float], Average]] = {
    "uniform": Uniform,
    "gaussian": _gaussian,
}


def is_sketch(population: object) -> "TypeGuard[GradientPopulation]":
    """Whether a population is a sketch; sketches are imported only where there may be one."""
    if isinstance(population, str):
        return False
    from scaling.numeric.population.gradients import GradientPopulation

    return isinstance(population, GradientPopulation)


def average(
    population: "str | GradientPopulation",
    model: MomentModel,
    update: Update,
    curvature_ratio: float,
) -> Average:
    """Return the average over a population, given by name or by its sketch."""
    if is_sketch(population):
        return population.average(model, update, curvature_ratio)
    if population not in POPULATIONS:
        known = ", ".join(POPULATIONS)
        raise InputError(f"unknown population {population!r}; choose from {known}", "population")
    return POPULATIONS[population](model, update, curvature_ratio)
