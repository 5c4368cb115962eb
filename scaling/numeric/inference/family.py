"""The one family of laws: T-I4 with log-linear covariates, epsilon (T-J1), and a smooth misfit.

Everything here is in octaves: binary logarithms of learning rates, batch sizes and covariates,
the latter two relative to the middle of what was tried. With x = log2 B and z the covariates,

    log2 lr = level + a.z + shape(x, z) + misfit(x) + gain(x, eps),
    shape = x/2 + bend(x - c - r)/2 - bend(x - c) - (the same at the middle of everything),
    bend(x) = log2(1 + 2^(s x))/s,   c = corner + b.z,

so that B_crit = 2^c, B_n = 2^(c + r) and s is the sharpness (s = 1 is T-E2). What is log-linear in
the covariates is lr/sqrt(B) of small batches and B_crit, hence T-I4's C and B_n as well.

Real optima leave the law in ways that are alike at neighbouring batch sizes. The misfit is a
Gaussian process (Matern 3/2) of unknown scale; it is held by its values at some batch sizes, the
nodes, and has its whole variance again far from them. So an interval widens with the distance
from what was tried, and a sweep that no such law can follow is followed all the same.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scaling.numeric.inputs.arrays import FloatArray

#: Octaves over which the misfit is alike.
LENGTH = 4.0
#: Gauss and Hermite, for the spread of sqrt(v) between coordinates.
_NODES, _WEIGHTS = np.array(
    [
        [-3.7504397177257425, 0.0005482688559722],
        [-2.3667594107345416, 0.0307571239675865],
        [-1.1544053947399682, 0.2401231786050127],
        [0.0, 0.4571428571428573],
        [1.1544053947399682, 0.2401231786050127],
        [2.3667594107345416, 0.0307571239675865],
        [3.7504397177257425, 0.0005482688559722],
    ]
).T


def bend(x: FloatArray, sharpness: FloatArray | float) -> FloatArray:
    """A corner at 0, log2(1 + 2^(s x))/s: 0 far below, x far above."""
    return np.asarray(np.maximum(x, 0) + np.log2(1 + np.exp2(-sharpness * np.abs(x))) / sharpness)


@dataclass(frozen=True, eq=False)
class Design:
    """Where a law is asked, n places.

    Attributes
    ----------
    batch : ndarray, shape (n,)
        Octaves from the middle batch size.
    covariates : ndarray, shape (n, K)
        Octaves from the middle covariates.
    eps : ndarray, shape (n,)
        log2 eps; minus infinity where eps is 0.
    """

    batch: FloatArray
    covariates: FloatArray
    eps: FloatArray


@dataclass(frozen=True)
class Family:
    """Which parameters there are, in the order in which draws (P, d) hold them.

    Attributes
    ----------
    covariates : int
        K.
    groups : bool
        Whether settings of the covariates and eps have an effect each.
    eps : bool
        Whether eps matters.
    nodes : tuple of float
        Octaves from the middle at which the misfit is held.
    """

    covariates: int = 0
    groups: bool = False
    eps: bool = False
    nodes: tuple[float, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Parameters, those first in which the law is linear."""
        k = self.covariates
        return (
            "level",
            *(["exponent"] * k),
            *(["misfit"] * len(self.nodes)),
            "corner",
            *(["corner_exponent"] * k),
            "ratio",
            "log_sharpness",
            "log_scatter",
            *(["log_misfit"] if self.nodes else []),
            *(["log_group_scatter"] if self.groups else []),
            *(["eps_scale", "log_eps_spread"] if self.eps else []),
        )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def linear(self) -> int:
        """How many of the parameters enter linearly."""
        return 1 + self.covariates + len(self.nodes)

    def get(self, draws: FloatArray, name: str) -> FloatArray:
        """Draws of one parameter, shape (P,); exponentiated if it is a logarithm."""
        column = draws[:, self.names.index(name)]
        # What the sampler tries may be absurd; it is to be unlikely, not to overflow.
        return np.exp(np.clip(column, -12, 6)) if name.startswith("log_") else column

    def corners(self, draws: FloatArray, covariates: FloatArray) -> tuple[FloatArray, FloatArray]:
        """log2 of B_crit and B_n, octaves from the middle, each (P, n)."""
        first = self.linear
        exponents = draws[:, first + 1 : first + 1 + self.covariates]
        critical = draws[:, first, None] + exponents @ covariates.T
        return critical, critical + self.get(draws, "ratio")[:, None]

    def evaluate(self, draws: FloatArray, design: Design) -> FloatArray:
        """log2 of the optimal learning rate, shape (P, n)."""
        linear = draws[:, : self.linear] * self.linear_scales(draws)
        return linear @ self.linear_columns(design).T + self.shape(draws, design)

    def linear_columns(self, design: Design) -> FloatArray:
        """What the linear parameters are multiplied with, but for their scales, (n, linear)."""
        columns = np.ones((design.batch.size, 1)), design.covariates, self.features(design.batch)
        return np.hstack(columns)

    def linear_scales(self, draws: FloatArray) -> FloatArray:
        """Scales of those columns, shape (P, linear): the misfit's, and 1."""
        scales = np.ones((len(draws), self.linear))
        if self.nodes:
            scales[:, 1 + self.covariates :] = self.get(draws, "log_misfit")[:, None]
        return scales

    def shape(self, draws: FloatArray, design: Design) -> FloatArray:
        """What is not linear, shape (P, n): 0 at the middle of everything with no eps."""
        sharpness = self.get(draws, "log_sharpness")[:, None]
        value = _i4(design.batch, *self.corners(draws, design.covariates), sharpness)
        middle = np.zeros((1, self.covariates))
        value -= _i4(np.zeros(1), *self.corners(draws, middle), sharpness)
        if self.eps:
            value += self.eps_gain(draws, design)
        return value

    def features(self, batch: FloatArray) -> FloatArray:
        """Misfit of unit scale at some places by independent standard normals, (n, nodes)."""
        return np.asarray(matern(batch, np.array(self.nodes)) @ self._whitener)

    def unheld(self, batch: FloatArray) -> FloatArray:
        """Standard deviation of the misfit, of unit scale, that the nodes do not fix, (n,)."""
        held = (self.features(batch) ** 2).sum(axis=1)
        return np.asarray(np.sqrt(np.maximum(1 - held, 0)))

    @cached_property
    def _whitener(self) -> FloatArray:
        nodes = np.array(self.nodes)
        root = np.linalg.cholesky(matern(nodes, nodes) + 1e-6 * np.eye(nodes.size))
        return np.asarray(np.linalg.inv(root).T)

    def eps_gain(self, draws: FloatArray, design: Design) -> FloatArray:
        """What epsilon adds (T-J1, T-J2) where sqrt(v) is log-normal, shape (P, n).

        The median of sqrt(v) is 2^eps_scale sqrt(1 + B_n/B). Without spread this is T-E7.
        """
        _, noise = self.corners(draws, design.covariates)
        scale = self.get(draws, "eps_scale")[:, None] + bend(noise - design.batch, 1.0) / 2
        ratio = np.clip(design.eps - scale, -200.0, 200.0)
        # Relative to the larger of sqrt(v) and eps, so that nothing overflows.
        top = np.maximum(ratio, 0.0)
        one, eps = np.exp2(-top), np.exp2(ratio - top)
        # Beyond a spread of 3 (a factor of 20) the few nodes tell nothing any more.
        spread = np.minimum(self.get(draws, "log_eps_spread"), 3.0)[:, None]
        upper, lower = np.zeros_like(ratio), np.zeros_like(ratio)
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            t = np.exp(spread * node)
            share = t / (t * one + eps)
            upper += weight * t * share
            lower += weight * t * share**2
        return np.asarray(np.log2(upper / lower) + top)


def _i4(
    x: FloatArray, critical: FloatArray, noise: FloatArray, sharpness: FloatArray
) -> FloatArray:
    """T-I4 in octaves, shape (P, n): x/2 far below both corners."""
    return np.asarray(x / 2 + bend(x - noise, sharpness) / 2 - bend(x - critical, sharpness))


def matern(x: FloatArray, y: FloatArray) -> FloatArray:
    """Correlations (Matern 3/2) between places."""
    distance = np.sqrt(3) / LENGTH * np.abs(x[:, None] - y)
    return np.asarray((1 + distance) * np.exp(-distance))
