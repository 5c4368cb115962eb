"""Averages of the update over the coordinates of a population.

The learning rate of T-A1 needs two sums over coordinates: the alignment of the update with the
gradient, E[phi].g, and the curvature along it, tr(E[phi phi^T] H). Per coordinate, in units of the
gradient's RMS gamma and of the mean curvature, and with signal a = sqrt(B/B_simple) and
damping b = a eps/gamma of a coordinate of RMS size, they are here for

- a *uniform* population, in which every gradient is +-gamma (T-E6);
- a *Gaussian* one, gradients drawn from N(0, gamma^2) (T-F3, T-F5);

with equal noise in all coordinates. Where the Hessian is not diagonal (R0 != 1), what is off its
diagonal is taken to act alike on the mean update of all coordinates, so it adds
(R0 - 1) (average |E[phi]|)^2.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError
from scaling.numeric._arrays import FloatArray, Real
from scaling.numeric._exact import ExactUpdate
from scaling.numeric.gaussian_population import gaussian_softsign
from scaling.numeric.moments import MomentModel, Update, evaluate

#: Alignment and curvature.
Sums: TypeAlias = tuple[Real, Real]

#: Trapezoidal rule in log(gradient/gamma) for the Gaussian population of models without a closed
#: form. The density exp(-x^2/2) limits the strip of analyticity to |Im log x| < pi/4, so the
#: error is about exp(-pi^2/(2 h)) = 3e-17; below the first node lie 1e-15 of the coordinates.
_STEP = 0.13
_LOG_RANGE = (-34.5, 2.25)
#: Coordinates times settings held at a time.
_CHUNK = 2**20


@dataclass(frozen=True)
class Uniform:
    """Every coordinate alike; ``curvature_ratio`` is R0."""

    model: MomentModel
    update: Update
    curvature_ratio: float

    def sums(self, a: npt.ArrayLike, b: npt.ArrayLike) -> Sums:
        """Alignment and curvature, in the form s - mu^2 + R0 mu^2, which does not cancel."""
        mean, _, variance = evaluate(self.update, a, b)
        return mean, variance + self.curvature_ratio * mean**2

    def noiseless(self, eps_ratio: float) -> tuple[float, float]:
        """Alignment G and curvature over G^2 of the noiseless update at eps/gamma (T-B8)."""
        return float(self.model.noiseless(np.ones(()), np.asarray(eps_ratio))), self.curvature_ratio


@dataclass(frozen=True)
class Gaussian:
    """Gradients drawn from N(0, gamma^2); ``curvature_ratio`` is R0."""

    model: MomentModel
    update: Update
    curvature_ratio: float

    def sums(self, a: npt.ArrayLike, b: npt.ArrayLike) -> Sums:
        """Alignment and curvature: in closed form where there is one, else by quadrature."""
        a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
        if self.model.name == "exact-softsign" and self.curvature_ratio == 1:
            return gaussian_softsign(a, b)
        if isinstance(self.update, ExactUpdate):
            alignment, size, square = self.update.gaussian_average(a, b)
        else:
            alignment, size, square = self._by_quadrature(a, b)
        return alignment[()], (square + (self.curvature_ratio - 1) * size**2)[()]

    def noiseless(self, eps_ratio: float) -> tuple[float, float]:
        """Alignment G and curvature over G^2 of the noiseless update at eps/gamma (T-B8)."""
        x, weight = _half_normal()
        nu = self.model.noiseless(x, np.full_like(x, eps_ratio))
        alignment = float(weight @ (x * nu))
        shape = nu / (alignment or 1.0)  # squares of nu itself may underflow
        off_diagonal = (self.curvature_ratio - 1) * float(weight @ shape) ** 2
        return alignment, float(weight @ shape**2) + off_diagonal

    def _by_quadrature(
        self, a: FloatArray, b: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        a, b = np.broadcast_arrays(a, b)
        x, weight = _half_normal()
        result = np.empty((3, a.size))
        step = max(1, _CHUNK // x.size)
        for start in range(0, a.size, step):
            part = slice(start, start + step)
            signal, damping = a.flat[part][:, None], b.flat[part][:, None]
            mean, square, _ = evaluate(self.update, signal * x, damping)
            result[:, part] = (mean * x) @ weight, mean @ weight, square @ weight
        alignment, size, square = result.reshape(3, *a.shape)
        return alignment, size, square


def _half_normal() -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of an average over |x|, x ~ N(0, 1)."""
    x = np.exp(np.arange(*_LOG_RANGE, _STEP))
    return x, _STEP * x * np.sqrt(2 / np.pi) * np.exp(-(x**2) / 2)


#: Populations by name.
POPULATIONS: dict[str, type[Uniform | Gaussian]] = {"uniform": Uniform, "gaussian": Gaussian}


def average(
    population: str, model: MomentModel, update: Update, curvature_ratio: float
) -> Uniform | Gaussian:
    """Return the average over the population of that name."""
    if population not in POPULATIONS:
        known = ", ".join(POPULATIONS)
        raise InputError(f"unknown population {population!r}; choose from {known}", "population")
    return POPULATIONS[population](model, update, curvature_ratio)
