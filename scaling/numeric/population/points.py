"""Averages of the update over coordinates that are given one by one, or as weighted points.

A point has a gradient x and a noise y, in units of their root mean squares over the coordinates.
At the population's signal a and damping b, its own are a x/y and b/y.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scaling.numeric.inputs.arrays import FloatArray, Real
from scaling.numeric.moments.exact_adam import ExactUpdate
from scaling.numeric.moments.models import MomentModel, Update

#: A signal that counts as noiseless: the square of its inverse is far below the rounding of 1.
NOISELESS = 1e15
#: Damping beyond which an update counts as none.
_STILL = 1e300
#: Points times settings held at a time, 1 MB of each.
_CHUNK = 2**17
#: Nodes to an octave of the signal, between which sums are interpolated by the polynomial through
#: eight of them: poles of the moments lie pi/2 from the real axis of log(a), so the error is
#: about 43 (log 2/4/(pi/2))^8.
_PER_OCTAVE, _INTERPOLATION = 4, 1e-6
_STENCIL = np.arange(-3, 5)


class WeightedPoints(NamedTuple):
    """Points of a population, arrays of shape (P,).

    ``signal`` is x/y, ``noise`` y; ``aligned`` is x times the share of the coordinates that the
    point stands for, ``curved`` its share of the
    size of tr H.
    """

    gradient: FloatArray
    noise: FloatArray
    signal: FloatArray
    aligned: FloatArray
    curved: FloatArray

    @classmethod
    def of(
        cls, gradient: FloatArray, noise: FloatArray, share: FloatArray, curved: FloatArray
    ) -> "WeightedPoints":
        """Make points, of which none is without noise altogether and none without both."""
        moves = (gradient > 0) | (noise > 0)
        x, share, curved = gradient[moves], share[moves], curved[moves]
        y = np.maximum(noise[moves], x / NOISELESS)
        return cls(x, y, x / y, x * share, curved)


@dataclass(frozen=True, eq=False)
class PointAverage:
    """Averages over weighted points; ``curvature_ratio`` is R0.

    Parameters
    ----------
    model, update : MomentModel, Update
        The moment model, also bound to its decay rates and step.
    curvature_ratio : float
        R0.
    points : WeightedPoints
        The points.
    accuracy : float
        Relative error of the sums, which is that of the points.
    """

    model: MomentModel
    update: Update
    curvature_ratio: float
    points: WeightedPoints = field(repr=False)
    accuracy: float
    #: Sums at nodes, of the eps asked for last: a search for a peak comes back to them.
    _kept: dict[float, dict[float, FloatArray]] = field(
        default_factory=dict, init=False, repr=False
    )

    def sums(self, signal: npt.ArrayLike, damping: npt.ArrayLike) -> tuple[Real, Real]:
        """Alignment and curvature, which is NaN where it is not positive."""
        a, b = np.broadcast_arrays(np.asarray(signal, float), np.asarray(damping, float))
        found = np.full((2, a.size), np.nan)
        asked = np.flatnonzero((a > 0) & (a < np.inf) & (b >= 0) & (b < np.inf))
        with np.errstate(divide="ignore"):  # equal but for rounding where eps is the same
            ratios = np.round(np.log2(b.flat[asked] / a.flat[asked]), 9)
        for ratio in np.unique(ratios):
            at = asked[ratios == ratio]
            found[:, at] = self._at_one_eps(float(ratio), a.flat[at], b.flat[at])
        alignment, curvature = found.reshape(2, *a.shape)
        return alignment[()], np.where(curvature > 0, curvature, np.nan)[()]

    def small_batches(self) -> tuple[float, float]:
        """Alignment over a, and curvature, for a -> 0, over the coordinates with noise."""
        points = self.points
        noisy = points.signal < NOISELESS / 2
        unit = points.noise[noisy] if self.model.in_gradient_units else 1.0
        return (
            self.update.slope * float(np.sum((points.aligned * points.signal)[noisy] * unit)),
            self.update.pure_noise * float(np.sum(points.curved[noisy] * unit**2)),
        )

    def noiseless(self, eps_ratio: float) -> tuple[float, float]:
        """Alignment G and curvature over G^2 of the noiseless update at eps/gamma (T-B8)."""
        x = self.points.gradient
        nu = self.model.noiseless(x, np.full_like(x, eps_ratio))
        alignment = float(self.points.aligned @ nu)
        shape = nu / (alignment or 1.0)  # squares of nu itself may underflow
        off_diagonal = (self.curvature_ratio - 1) * float(self.points.curved @ shape) ** 2
        return alignment, float(self.points.curved @ shape**2) + off_diagonal

    def _at_one_eps(self, log_eps: float, a: FloatArray, b: FloatArray) -> FloatArray:
        """Alignment and curvature, read off between nodes of the signal if these are the fewer."""
        place = np.log2(a) * _PER_OCTAVE
        nodes = np.floor(place)[:, None] + _STENCIL
        used, index = np.unique(nodes, return_inverse=True)
        if used.size >= a.size or self.accuracy < _INTERPOLATION:
            return self._one_by_one(a, b)
        if log_eps not in self._kept:
            self._kept.clear()
            self._kept[log_eps] = {}
        kept = self._kept[log_eps]
        missing = np.array([node for node in used if node not in kept], dtype=np.float64)
        signal = np.exp2(missing / _PER_OCTAVE)
        sums = self._one_by_one(signal, signal * np.exp2(log_eps))
        kept.update(zip(missing, sums.T, strict=True))
        values = np.stack([kept[node] for node in used], axis=1)[:, index.reshape(nodes.shape)]
        found: FloatArray = np.einsum("kri,ri->kr", values, _lagrange(place - np.floor(place)))
        return found

    def _one_by_one(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """Alignment and curvature, of shape (2, settings), at vectors a and b."""
        points, found = self.points, np.empty((3, a.size))
        read = self.update.read_off if isinstance(self.update, ExactUpdate) else self.update
        unit = points.noise if self.model.in_gradient_units else 1.0
        step = max(1, _CHUNK // max(points.signal.size, 1))
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, a.size, step):
                part = slice(start, start + step)
                damping = np.minimum(b[part, None] / points.noise, _STILL)
                mean, square = read(a[part, None] * points.signal, damping)[:2]
                mean, square = mean * unit, square * unit**2
                found[:, part] = mean @ points.aligned, square @ points.curved, mean @ points.curved
        alignment, curvature, size = found
        off_diagonal = (self.curvature_ratio - 1) * size**2 * points.curved.sum()
        return np.stack([alignment, curvature + off_diagonal])


def _lagrange(offset: FloatArray) -> FloatArray:
    """Weights of the nodes of the stencil at places between the nodes 0 and 1."""
    weights = np.ones((offset.size, _STENCIL.size))
    for i, node in enumerate(_STENCIL):
        for other in _STENCIL[node != _STENCIL]:
            weights[:, i] *= (offset - other) / (node - other)
    return weights
