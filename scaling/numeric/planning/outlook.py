"""How well the law is known at some places, and what reading an optimum at one tells of another.

The draws of the posterior give means and covariances; to these come what the draws leave open far
from what was tried: the misfit between and beyond its nodes, which is alike at neighbouring batch
sizes, and the effect of a group that was not tried. Readings are taken as Gaussian, so that what
they tell does not depend on what they say, and can be had before they are made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from scaling.numeric.inference.family import Design, matern
from scaling.numeric.inference.posterior import Posterior
from scaling.numeric.inputs.arrays import BoolArray, FloatArray

#: Settings closer than this, in octaves, are one.
_SAME = 1e-6
#: Equal parts of a distribution.
_NODES = 41


@dataclass(frozen=True, eq=False)
class Outlook:
    """What is known of the law at n places, the last of which is the target; octaves.

    Attributes
    ----------
    mean : ndarray, shape (n,)
        Medians of log2 of the law.
    covariance : ndarray, shape (n, n)
    scatter : float
        By which single optima leave the law.
    shape : ndarray, shape (n, nodes)
        Middles of equal parts of the distribution of each place's optimum, in standard deviations
        from the median: its tails are heavier than a Gaussian's.
    """

    mean: FloatArray
    covariance: FloatArray
    scatter: float
    shape: FloatArray

    @classmethod
    def at(cls, posterior: Posterior, design: Design) -> Self:
        """Look at a posterior at some places."""
        family, draws = posterior.family, posterior.draws
        law = family.evaluate(draws, design)
        rest = np.zeros((design.batch.size, design.batch.size))
        spread = family.get(draws, "log_scatter")[:, None] * np.ones_like(law)
        if family.nodes:
            held, scale = family.features(design.batch), family.get(draws, "log_misfit")
            rest += np.mean(scale**2) * (matern(design.batch, design.batch) - held @ held.T)
            spread = np.hypot(spread, scale[:, None] * family.unheld(design.batch))
        if family.groups:
            setting = np.column_stack([design.covariates + posterior.middles, design.eps])
            groups = posterior.groups[: posterior.effects.shape[1]]
            same = _same(setting, groups)
            law += posterior.effects @ same.T.astype(float)
            new, scale = ~same.any(axis=1), family.get(draws, "log_group_scatter")
            rest += np.mean(scale**2) * np.where(_same(setting, setting), new * 1.0, 0.0)
            spread = np.hypot(spread, scale[:, None] * new)
        scatter = float(np.sqrt(np.mean(family.get(draws, "log_scatter") ** 2)))
        covariance = np.cov(law, rowvar=False).reshape(rest.shape) + rest
        optima = law + spread * np.random.default_rng(0).standard_normal(law.shape)
        nodes = np.quantile(optima, [0.5, *((np.arange(_NODES) + 0.5) / _NODES)], axis=0)
        deviation = np.sqrt(np.diag(covariance) + scatter**2)
        return cls(nodes[0], covariance, scatter, ((nodes[1:] - nodes[0]) / deviation).T)

    @property
    def spread(self) -> float:
        """Standard deviation of the law at the target."""
        return float(np.sqrt(max(self.covariance[-1, -1], 1e-12)))

    def variance(self, place: int) -> float:
        """Of a place's optimum."""
        return float(max(self.covariance[place, place], 1e-12) + self.scatter**2)

    def optima(self, place: int) -> FloatArray:
        """Where a place's optimum may lie, equally likely, (nodes,)."""
        deviation = np.sqrt(self.variance(place))
        return np.asarray(self.mean[place] + deviation * self.shape[place])

    def told(self, place: int, precision: FloatArray) -> FloatArray:
        """By how much the target's spread is expected to fall once a place is read.

        The precisions, along the last axis, are equally likely.
        """
        column = self.covariance[place]
        fallen = column[-1] ** 2 * precision / (1 + column[place] * precision)
        left = np.sqrt(np.maximum(self.covariance[-1, -1] - fallen, 0.0))
        return np.asarray(self.spread - left.mean(axis=-1))

    def after(self, place: int, precision: FloatArray) -> Self:
        """Return the outlook that is expected once a place is read."""
        column = self.covariance[:, place]
        own = max(column[place], 1e-12)
        # What is left on average: of the standard deviation, as intervals have it.
        left = np.mean(1 / np.sqrt(1 + own * precision)) ** 2
        return replace(
            self, covariance=self.covariance - np.outer(column, column) * (1 - left) / own
        )


def design_at(
    posterior: Posterior,
    batch_size: Sequence[float],
    covariates: Sequence[Mapping[str, float]],
    eps: float,
) -> Design:
    """Places in the posterior's octaves."""
    around = np.array([[place[name] for name in posterior.covariates] for place in covariates])
    with np.errstate(divide="ignore"):
        log_eps = np.log2(np.full(len(batch_size), eps))
    away = np.log2(around.reshape(len(batch_size), -1)) - posterior.middles
    return Design(np.log2(np.array(batch_size)) - posterior.center, away, log_eps)


def _same(one: FloatArray, other: FloatArray) -> BoolArray:
    """Which rows of settings agree."""
    with np.errstate(invalid="ignore"):
        distance = np.nan_to_num(np.abs(one[:, None] - other), nan=0.0)
    return np.asarray((distance < _SAME).all(axis=2))
