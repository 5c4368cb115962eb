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

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError
from scaling.numeric.inputs.arrays import FloatArray, Real
from scaling.numeric.moments.models import MomentModel, Update, evaluate

if TYPE_CHECKING:
    from scaling.numeric.population.gradients import GradientPopulation

#: Alignment and curvature.
Sums: TypeAlias = tuple[Real, Real]

#: Trapezoidal rule in log(gradient/gamma) for the Gaussian population of models without a closed
#: form. The density exp(-x^2/2) limits the strip of analyticity to |Im log x| < pi/4, so the
#: error is about exp(-pi^2/(2 h)) = 3e-17; below the first node lie 1e-15 of the coordinates.
_STEP = 0.13
_LOG_RANGE = (-34.5, 2.25)
#: Signal that counts as none.
_SMALL = 1e-9
#: Coordinates times settings held at a time.
_CHUNK = 2**20


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


@dataclass(frozen=True)
class Gaussian:
    """Gradients drawn from N(0, gamma^2); ``curvature_ratio`` is R0."""

    #: Relative error of the sums.
    accuracy: ClassVar[float] = 1e-13

    model: MomentModel
    update: Update
    curvature_ratio: float

    def sums(self, a: npt.ArrayLike, b: npt.ArrayLike) -> Sums:
        """Alignment and curvature: in closed form where there is one, else by quadrature."""
        from scaling.numeric.moments.exact_adam import ExactUpdate
        from scaling.numeric.moments.gaussian_population import gaussian_softsign

        a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
        if self.model.name == "exact-softsign" and self.curvature_ratio == 1:
            return gaussian_softsign(a, b)
        if isinstance(self.update, ExactUpdate):
            alignment, size, square = self.update.gaussian_average(a, b)
        else:
            alignment, size, square = self._by_quadrature(a, b)
        return alignment[()], (square + (self.curvature_ratio - 1) * size**2)[()]

    def small_batches(self) -> tuple[float, float]:
        """Alignment over a, and curvature, for a -> 0."""
        return self.update.slope, self.update.pure_noise

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


@dataclass(frozen=True)
class Sketch:
    """The population of an actual model, from its cells; ``curvature_ratio`` is R0."""

    model: MomentModel
    update: Update
    curvature_ratio: float
    population: "GradientPopulation"

    @property
    def accuracy(self) -> float:
        """Relative error of the sums, as `GradientPopulation` states it."""
        if self.model.name == "clip":  # its kink is rounded off by the cells
            return 3e-2
        finest = min(self.population.cells_per_octave)
        return 2e-4 if finest >= 4 else 6e-3 if finest >= 2 else 2e-2

    def sums(self, a: npt.ArrayLike, b: npt.ArrayLike) -> Sums:
        """Alignment and curvature, which is NaN where it is not positive."""
        a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
        batch = self.population.noise_scale * a**2
        ratio = np.divide(b, a, out=np.zeros(np.broadcast_shapes(a.shape, b.shape)), where=b != 0)
        alignment, curvature = self._at(batch, ratio, a if self.model.in_gradient_units else 1.0)
        return alignment, np.where(curvature > 0, curvature, np.nan)[()]

    def small_batches(self) -> tuple[float, float]:
        """Alignment over a, and curvature, for a -> 0."""
        if self.model.in_gradient_units:
            alignment, curvature = self.sums(_SMALL, 0.0)
            return alignment / _SMALL, curvature
        found = self.population.small_batch_sums(self.update)
        # sqrt(B) = a sqrt(B_simple).
        alignment = found.alignment * np.sqrt(self.population.noise_scale) / self._gradients
        return float(alignment), float(found.curvature / self.population.trace)

    def noiseless(self, eps_ratio: float) -> tuple[float, float]:
        """Alignment G and curvature over G^2 of the noiseless update at eps/gamma (T-B8)."""
        alignment, curvature = self._at(np.asarray(np.inf), np.asarray(eps_ratio), 1.0)
        return float(alignment), float(curvature / alignment / alignment)

    def _at(self, batch: FloatArray, eps_ratio: FloatArray, unit: FloatArray | float) -> Sums:
        """Sums at a batch size and eps/gamma, in units of gamma/unit if those of gradients."""
        in_gradient_units = self.model.in_gradient_units
        alignment, curvature, mean = self.population.sums(
            self.update,
            batch,
            eps_ratio * self.population.grad_rms,
            in_gradient_units=in_gradient_units,
        )
        scale = unit / self.population.grad_rms if in_gradient_units else 1.0
        curvature = curvature / self.population.trace + (self.curvature_ratio - 1) * mean**2
        return alignment / self._gradients * scale, curvature * scale**2

    @property
    def _gradients(self) -> float:
        """gamma times the number of coordinates."""
        return self.population.grad_rms * self.population.count


def _half_normal() -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of an average over |x|, x ~ N(0, 1)."""
    x = np.exp(np.arange(*_LOG_RANGE, _STEP))
    return x, _STEP * x * np.sqrt(2 / np.pi) * np.exp(-(x**2) / 2)


#: Averages over the populations that have a name.
POPULATIONS: dict[str, type[Uniform | Gaussian]] = {"uniform": Uniform, "gaussian": Gaussian}


Average: TypeAlias = Uniform | Gaussian | Sketch


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
        return Sketch(model, update, curvature_ratio, population)
    if population not in POPULATIONS:
        known = ", ".join(POPULATIONS)
        raise InputError(f"unknown population {population!r}; choose from {known}", "population")
    return POPULATIONS[population](model, update, curvature_ratio)
