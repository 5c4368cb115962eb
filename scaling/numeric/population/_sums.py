"""Sums of the update's moments over a population, for many batch sizes and epsilons at once.

A coordinate enters through a = |g| sqrt(B)/sigma and b = eps sqrt(B)/sigma. On a lattice of
logarithms, a change of B or eps moves the population over one table of moments, made once: with
W[j, k] the mass at |g|/sigma = 2^(j/4) and sigma = 2^(k/4), and M[i, q] the moments at a = 2^(i/4)
and b = 2^(q/4),

    sum(B, eps) = sum_jk W[j, k] M[j + beta, beta + e - k],  sqrt(B) = 2^(beta/4), eps = 2^(e/4),

which for each beta is a matrix product and a sum along diagonals. Masses between nodes are put
onto them, and B and eps between nodes are interpolated, by the same polynomials.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from scaling.numeric.inputs.arrays import FloatArray, Real
from scaling.numeric.population._cells import IntArray, Points
from scaling.numeric.population._lattice import (
    PER_OCTAVE,
    LineDeposit,
    deposit_in_plane,
    deposit_on_line,
    interpolation,
    lattice_size,
    power,
    power_of,
)

#: Mean, second moment and variance of the update at signals a and dampings b that broadcast.
Update: TypeAlias = Callable[[FloatArray, FloatArray], tuple[Any, Any, Any]]

#: Signal that counts as noiseless, in octaves: 1/a^2 is then below the rounding of 1.
_NOISELESS = 27.0
#: Signal that counts as small, for the slope at 0.
_SMALL = 2.0**-27
#: Requests interpolated at a time.
_REQUESTS = 1 << 14
#: Nodes of a lattice at most; 30 octaves of gradients and of noise need an eighth of it.
_LARGEST_LATTICE = 1 << 18
#: Numbers in a product at most, 16 MB.
_PRODUCT = 1 << 21


class PopulationSums(NamedTuple):
    """What the best learning rate depends on (T-A1, T-A2).

    Attributes
    ----------
    alignment : numpy.float64 or ndarray
        E[phi].g = sum_i |g_i| mu_i, with mu_i the size of the mean update.
    curvature : numpy.float64 or ndarray
        sum_i H_ii s_i; with H_ii = 1 where no curvature is known.
    mean : numpy.float64 or ndarray
        sum_i H_ii mu_i / sum_i H_ii.
    """

    alignment: Real
    curvature: Real
    mean: Real


class _Scattered(NamedTuple):
    """Points that no lattice of moderate size holds: signals, noise, and masses (kinds, P)."""

    signal: FloatArray
    noise: FloatArray
    masses: FloatArray

    def sums(self, update: Update, root: int, eps: IntArray | None) -> FloatArray:
        """Sums at a node of sqrt(B) and nodes of eps, of shape (3, eps)."""
        octaves = root / PER_OCTAVE
        a = power_of(self.signal + octaves)[:, None]
        b = (
            np.zeros((1, 1))
            if eps is None
            else power_of(eps / PER_OCTAVE + octaves - self.noise[:, None])
        )
        mean, second_moment, _ = update(a, b)
        tables = np.broadcast_arrays(mean, second_moment, mean)
        return np.stack([mass @ table for mass, table in zip(self.masses, tables, strict=True)])


class LatticeSums:
    """Sums over a population, at any batch sizes and epsilons.

    Parameters
    ----------
    points : Points
        The population.
    in_gradient_units : bool, default False
        Whether the update is in units of sigma/sqrt(B), as that of SGD is.
    """

    def __init__(self, points: Points, *, in_gradient_units: bool = False) -> None:
        gradient, noise = points.gradient, points.noise
        self._points, self._in_gradient_units = points, in_gradient_units
        self._trace = points.curvature.sum()
        # In units of the largest gradient, whose square need not be a number.
        self._unit = float(np.max(gradient, initial=-np.inf))
        relative = np.exp2(gradient - self._unit)
        moves, noisy = gradient > -np.inf, noise > -np.inf
        # The update of a coordinate without noise is that at a large signal.
        unit = np.ones_like(noise)
        if in_gradient_units:
            unit = np.exp2(np.where(noisy, noise, gradient - _NOISELESS))
        if not self._trace:
            self._trace = np.nan  # no mean to speak of
        masses = np.stack(
            [relative * points.number * unit, points.curvature * unit**2, points.curvature * unit]
        )
        both, only_noise, only_gradient = moves & noisy, ~moves & noisy, moves & ~noisy
        places = gradient[both] - noise[both], noise[both]
        # Only a population over hundreds of octaves is summed point by point.
        self._scattered: _Scattered | None = None
        if lattice_size(*places) > _LARGEST_LATTICE:
            self._scattered = _Scattered(*places, masses[:, both])
            places, both = (places[0][:0], places[1][:0]), np.zeros_like(both)
        self._regular = deposit_in_plane(*places, masses[:, both])
        self._without_gradient = deposit_on_line(noise[only_noise], masses[:, only_noise])
        self._without_noise = deposit_on_line(gradient[only_gradient], masses[:, only_gradient])

    def __call__(self, update: Update, batch_size: FloatArray, eps: FloatArray) -> PopulationSums:
        """Sums at batch sizes and epsilons that broadcast; NaN where either is NaN."""
        batch, epsilon = np.broadcast_arrays(batch_size, eps)
        shape, batch, epsilon = batch.shape, batch.ravel(), epsilon.ravel()
        sums = np.full((3, batch.size), np.nan)
        noisy, noiseless = (batch > 0) & (batch < np.inf), batch == np.inf
        for kind in (noisy & (epsilon == 0), noisy & (epsilon > 0)):
            chosen = np.flatnonzero(kind)
            if chosen.size:
                sums[:, chosen] = self._interpolated(update, batch[chosen], epsilon[chosen])
        sums[0] *= np.exp2(self._unit)
        sums[2] /= self._trace
        if noiseless.any():
            sums[:, noiseless] = self._quiet(update, np.ones(()), epsilon[noiseless])
        return PopulationSums(*(row.reshape(shape)[()] for row in sums))

    @cached_property
    def _quiet(self) -> "LatticeSums":
        """The same population without noise."""
        points = self._points._replace(noise=np.full_like(self._points.noise, -np.inf))
        return LatticeSums(points, in_gradient_units=self._in_gradient_units)

    def small_batches(self, update: Update) -> PopulationSums:
        """Sums for B -> 0, at any eps: the curvature, alignment and mean over sqrt(B).

        Not for SGD, nor where a coordinate has gradient but no noise: their sums over sqrt(B)
        are infinite.
        """
        gradient, noise, number, curvature = self._points
        noisy = noise > -np.inf
        signal = np.exp2(np.where(noisy, gradient - noise, np.inf))
        slope = update(np.asarray(_SMALL), np.zeros(()))[0] / _SMALL
        second_moment = update(np.zeros(()), np.zeros(()))[1]
        return PopulationSums(
            slope * np.sum(number * np.exp2(gradient) * signal),
            second_moment * np.sum(curvature[noisy]),
            slope * np.sum(curvature * signal) / self._trace,
        )

    def _interpolated(self, update: Update, batch: FloatArray, eps: FloatArray) -> FloatArray:
        """Sums at eps that are all zero or all positive, from those at the nodes around."""
        roots = interpolation(np.log2(batch) / 2)
        root_nodes = roots.used
        if not eps[0]:
            table = self._at_nodes(update, root_nodes, None)[:, :, 0]
            index = np.searchsorted(root_nodes, roots.nodes)
            sums: FloatArray = np.einsum("kri,ri->kr", table[:, index], roots.weights)
            return sums
        epsilons = interpolation(np.log2(eps))
        eps_nodes = epsilons.used
        table = self._at_nodes(update, root_nodes, eps_nodes)
        row = np.searchsorted(root_nodes, roots.nodes)
        column = np.searchsorted(eps_nodes, epsilons.nodes)
        result = np.empty((3, batch.size))
        for start in range(0, batch.size, _REQUESTS):
            part = slice(start, start + _REQUESTS)
            values = table[:, row[part, :, None], column[part, None, :]]
            share = roots.weights[part, :, None] * epsilons.weights[part, None, :]
            result[:, part] = np.einsum("krij,rij->kr", values, share)
        return result

    def _at_nodes(self, update: Update, roots: IntArray, eps: IntArray | None) -> FloatArray:
        """Sums at nodes of sqrt(B) and of eps (None: at eps = 0), of shape (3, B, eps)."""
        result = np.zeros((3, roots.size, 1 if eps is None else eps.size))
        if self._regular.rows.size:
            self._add_regular(result, update, roots, eps)
        if self._scattered is not None:
            for i, root in enumerate(roots):
                result[:, i] += self._scattered.sums(update, root, eps)
        if self._without_gradient.nodes.size:
            self._add_without_gradient(result, update, roots, eps)
        if self._in_gradient_units:
            result /= power(roots)[:, None] ** np.array([1, 2, 1])[:, None, None]
        if self._without_noise.nodes.size:
            result += self._noiseless(self._without_noise, update, eps)[:, None, :]
        return result

    def _add_regular(
        self, result: FloatArray, update: Update, roots: IntArray, eps: IntArray | None
    ) -> None:
        """Add coordinates with gradient and noise."""
        nodes, masses = self._regular.rows, self._regular.masses
        damping = _Dampings(self._regular.columns, roots, eps)
        signal = np.unique(np.add.outer(nodes, roots))
        mean, second_moment = _moments(update, power(signal), damping.values)
        # Few large products rather than many small ones, on which threads would wait for another.
        most = max(1, _PRODUCT // (nodes.size * damping.width))
        for start in range(0, roots.size, most):
            part = slice(start, start + most)
            rows = np.searchsorted(signal, np.add.outer(nodes, roots[part]))
            columns, first = damping.window(roots[part])
            window = first[:, None] + np.arange(damping.width)
            tables = [table[rows[:, :, None], window] for table in (mean, second_moment)]
            for kind, table in enumerate((tables[0], tables[1], tables[0])):
                product = masses[kind].T @ table.reshape(nodes.size, -1)
                product = product.reshape(-1, *window.shape)
                result[kind, part] += np.take_along_axis(product, columns, axis=2).sum(axis=0)

    def _add_without_gradient(
        self, result: FloatArray, update: Update, roots: IntArray, eps: IntArray | None
    ) -> None:
        """Add coordinates with noise only: they move at random, so their mean update is 0."""
        damping = _Dampings(self._without_gradient.nodes, roots, eps)
        _, second_moment = _moments(update, np.zeros(1), damping.values)
        mass = self._without_gradient.masses[1]
        for i, root in enumerate(roots):
            result[1, i] += mass @ second_moment[0, damping.at(root)]

    def _noiseless(self, line: LineDeposit, update: Update, eps: IntArray | None) -> FloatArray:
        """Sums, of shape (3, eps), over coordinates with gradient only."""
        large = round(_NOISELESS * PER_OCTAVE)
        damping = _Dampings(line.nodes, np.array([large]), eps)
        mean, second_moment = _moments(update, power(np.array([large])), damping.values)
        columns = damping.at(large)
        return np.stack(
            [
                mass @ table[0, columns]
                for mass, table in zip(line.masses, (mean, second_moment, mean), strict=True)
            ]
        )


class _Dampings:
    """The dampings b = eps sqrt(B)/sigma that occur, and which of them where.

    Attributes
    ----------
    values : ndarray
        All of them.
    width : int
        At one B, how many values lie from the least to the largest at most.
    """

    def __init__(self, noise: IntArray, roots: IntArray, eps: IntArray | None) -> None:
        self._noise, self._eps = noise[:, None], eps
        if eps is None:
            self.values, self.width = np.zeros(1), 1
            return
        shifts = np.unique(np.add.outer(roots, eps))
        self._nodes = np.unique(np.subtract.outer(shifts, noise))
        self.values = power(self._nodes)
        ends = np.searchsorted(
            self._nodes, roots[:, None] + np.array([eps[0] - noise[-1], eps[-1] - noise[0]])
        )
        self.width = int(np.max(ends[:, 1] - ends[:, 0])) + 1

    def at(self, root: int) -> IntArray:
        """Indices into ``values`` at a node of sqrt(B), of shape (noise, eps)."""
        if self._eps is None:
            return np.zeros((self._noise.size, 1), dtype=np.int64)
        return np.searchsorted(self._nodes, root + self._eps - self._noise)

    def window(self, roots: IntArray) -> tuple[IntArray, IntArray]:
        """Indices at nodes of sqrt(B), of shape (noise, B, eps), less the first at each B."""
        columns = np.stack([self.at(root) for root in roots], axis=1)
        first = np.minimum(columns.min(axis=(0, 2)), self.values.size - self.width)
        return columns - first[:, None], first


def _moments(update: Update, a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Table of mean and second moment, for all a times all b."""
    mean, second_moment, _ = update(a[:, None], b[None, :])
    shape = a.size, b.size
    return np.broadcast_to(mean, shape), np.broadcast_to(second_moment, shape)
