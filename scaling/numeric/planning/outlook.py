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
from scaling.numeric.inputs.arrays import FloatArray

#: Settings closer than this, in octaves, are one.
_SAME = 1e-6


@dataclass(frozen=True, eq=False)
class Outlook:
    """Means (n,) and covariance (n, n) of log2 of the law at n places, the last the target.

    Attributes
    ----------
    mean, covariance : ndarray
    scatter : float
        By which single optima leave the law, octaves.
    """

    mean: FloatArray
    covariance: FloatArray
    scatter: float

    @classmethod
    def at(cls, posterior: Posterior, design: Design) -> Self:
        """Look at a posterior at some places."""
        family, draws = posterior.family, posterior.draws
        law = family.evaluate(draws, design)
        rest = _unheld(posterior, design)
        if family.groups:
            setting = np.column_stack([design.covariates + posterior.middles, design.eps])
            law, fresh = law + _effects(posterior, setting), _fresh(posterior, setting)
            rest += fresh
        covariance = np.cov(law, rowvar=False).reshape(rest.shape) + rest
        scatter = float(np.sqrt(np.mean(family.get(draws, "log_scatter") ** 2)))
        return cls(law.mean(axis=0), covariance, scatter)

    def told(self, place: int, precision: FloatArray) -> FloatArray:
        """By how much the target's variance falls once a place is read that precisely."""
        column = self.covariance[place]
        return np.asarray(column[-1] ** 2 * precision / (1 + column[place] * precision))

    def after(self, place: int, precision: float) -> Self:
        """Return the outlook once a place is read that precisely."""
        column = self.covariance[:, place]
        fallen = np.outer(column, column) * precision / (1 + column[place] * precision)
        return replace(self, covariance=self.covariance - fallen)


def design_at(
    posterior: Posterior,
    batch_size: Sequence[float],
    eps: float,
    covariates: Sequence[Mapping[str, float]],
) -> Design:
    """Places in the posterior's octaves."""
    around = np.array([[place[name] for name in posterior.covariates] for place in covariates])
    with np.errstate(divide="ignore"):
        log_eps = np.log2(np.full(len(batch_size), eps))
    around = np.log2(around.reshape(len(batch_size), -1)) - posterior.middles
    return Design(np.log2(np.array(batch_size)) - posterior.center, around, log_eps)


def _unheld(posterior: Posterior, design: Design) -> FloatArray:
    """Covariance of the misfit that its nodes do not fix."""
    if not posterior.family.nodes:
        return np.zeros((design.batch.size, design.batch.size))
    held = posterior.family.features(design.batch)
    scale = np.mean(posterior.family.get(posterior.draws, "log_misfit") ** 2)
    return np.asarray(scale * (matern(design.batch, design.batch) - held @ held.T))


def _effects(posterior: Posterior, setting: FloatArray) -> FloatArray:
    """Draws of the effects of the groups that were tried, (P, n); 0 of others."""
    same = _same(setting, posterior.groups[: posterior.effects.shape[1]])
    return np.asarray(posterior.effects @ same.T.astype(float))


def _fresh(posterior: Posterior, setting: FloatArray) -> FloatArray:
    """Covariance of the effects of groups that were not tried."""
    new = ~_same(setting, posterior.groups[: posterior.effects.shape[1]]).any(axis=1)
    scale = np.mean(posterior.family.get(posterior.draws, "log_group_scatter") ** 2)
    return np.asarray(scale * (_same(setting, setting) & new[:, None] & new))


def _same(one: FloatArray, other: FloatArray) -> FloatArray:
    """Which rows of settings agree."""
    with np.errstate(invalid="ignore"):
        distance = np.nan_to_num(np.abs(one[:, None] - other), nan=0.0)
    return np.asarray((distance < _SAME).all(axis=2))
