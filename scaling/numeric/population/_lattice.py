"""Interpolation on a lattice of binary logarithms, and its adjoint.

Values at the nodes, four to an octave, give those in between by Lagrange's polynomial through the
eight nearest (`interpolation`). Read the other way the same weights put a mass that lies
between nodes onto the nodes (`deposit_in_plane`), such that sums of smooth functions stay right.
For the moments of T-E7, T-F1 and T-F4 either is in error by less than 1e-5.
"""

from typing import NamedTuple

import numpy as np

from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.population._cells import IntArray

PER_OCTAVE = 4
_STENCIL = np.arange(-3, 5)
#: Arguments of moment models are kept within 2^+-this, so that their squares are numbers.
_WIDEST = 500.0


class Stencils(NamedTuple):
    """Eight nodes and their weights for each of several places, both of shape (places, 8)."""

    nodes: IntArray
    weights: FloatArray

    @property
    def used(self) -> IntArray:
        """Every node that occurs, ascending."""
        return np.unique(self.nodes)


class LineDeposit(NamedTuple):
    """Masses, of shape (kinds, nodes), on nodes of an axis."""

    nodes: IntArray
    masses: FloatArray


class PlaneDeposit(NamedTuple):
    """Masses, of shape (kinds, rows, columns), on nodes of the plane."""

    rows: IntArray
    columns: IntArray
    masses: FloatArray


def interpolation(places: FloatArray) -> Stencils:
    """Stencils of places on an axis, in octaves."""
    position = places * PER_OCTAVE
    base = np.floor(position)
    offset = (position - base)[:, None]
    weights = np.ones((places.size, _STENCIL.size))
    for i, node in enumerate(_STENCIL):
        for other in _STENCIL:
            if other != node:
                weights[:, i] *= ((offset - other) / (node - other))[:, 0]
    return Stencils(base.astype(np.int64)[:, None] + _STENCIL, weights)


def deposit_on_line(places: FloatArray, masses: FloatArray) -> LineDeposit:
    """Put masses of shape (kinds, P), at P places on an axis, onto the nodes around them."""
    along = interpolation(places)
    used = along.used
    index = np.searchsorted(used, along.nodes).ravel()
    result = [
        np.bincount(index, (along.weights * mass[:, None]).ravel(), minlength=used.size)
        for mass in masses
    ]
    return LineDeposit(used, np.array(result))


def deposit_in_plane(
    row_places: FloatArray, column_places: FloatArray, masses: FloatArray
) -> PlaneDeposit:
    """Put masses of shape (kinds, P), at P places in the plane, onto the nodes around them."""
    along = [interpolation(places) for places in (row_places, column_places)]
    used = [stencils.used for stencils in along]
    row, column = (np.searchsorted(u, s.nodes) for u, s in zip(used, along, strict=True))
    shape = used[0].size, used[1].size
    index = (row[:, :, None] * shape[1] + column[:, None, :]).ravel()
    share = along[0].weights[:, :, None] * along[1].weights[:, None, :]
    result = [
        np.bincount(index, (share * mass[:, None, None]).ravel(), minlength=shape[0] * shape[1])
        for mass in masses
    ]
    return PlaneDeposit(used[0], used[1], np.reshape(result, (len(masses), *shape)))


def lattice_size(row_places: FloatArray, column_places: FloatArray) -> int:
    """Nodes of the lattice that places in the plane need."""
    return interpolation(row_places).used.size * interpolation(column_places).used.size


def power(nodes: IntArray) -> FloatArray:
    """Where nodes lie, see `power_of`."""
    return power_of(nodes / PER_OCTAVE)


def power_of(octaves: FloatArray) -> FloatArray:
    """Powers of two, within what models can square."""
    return np.exp2(np.clip(octaves, -_WIDEST, _WIDEST))
