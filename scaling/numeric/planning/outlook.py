"""How well optima are known at some places, and what reading one tells of another.

The draws of the posterior give laws; about them single optima scatter, and those that were read
lie where the reading has them. To these come what the draws leave open far from what was tried:
the misfit between and beyond its nodes, which is alike at neighbouring batch sizes, and the effect
of a group that was not tried. Further readings are taken as Gaussian, so that what they tell does
not depend on what they say, and can be had before they are made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from scaling.numeric.inference.evidence.evidence import Evidence
from scaling.numeric.inference.family import Design, matern
from scaling.numeric.inference.posterior import STUDENT, Posterior
from scaling.numeric.inputs.arrays import BoolArray, FloatArray

#: Settings closer than this, in octaves, are one.
_SAME = 1e-6
#: Equal parts of a place's distribution.
_NODES = 41


@dataclass(frozen=True, eq=False)
class Outlook:
    """What is known of the optima at n places, one of which is the target; octaves.

    Attributes
    ----------
    covariance : ndarray, shape (n, n)
    optima : ndarray, shape (n, nodes)
        Where each place's optimum may lie, equally likely.
    target : int
        Which place it is.
    reading : float
        By which optima that are read elsewhere are off as witnesses of the law, as sweeps show.
    """

    covariance: FloatArray
    optima: FloatArray
    target: int
    reading: float = 0.0

    @classmethod
    def at(
        cls,
        posterior: Posterior,
        design: Design,
        target: int,
        evidence: Evidence | None = None,
        likelihood: tuple[FloatArray, FloatArray] | None = None,
    ) -> Self:
        """Look at a posterior at some places, at what was read there, and at the target."""
        family, draws = posterior.family, posterior.draws
        law = family.evaluate(draws, design)
        rest = np.zeros((design.batch.size, design.batch.size))
        if family.nodes:
            held, scale = family.features(design.batch), family.get(draws, "log_misfit")
            rest += np.mean(scale**2) * (matern(design.batch, design.batch) - held @ held.T)
        if family.groups:
            setting = np.column_stack([design.covariates + posterior.middles, design.eps])
            groups = posterior.groups[: posterior.effects.shape[1]]
            same = same_settings(setting, groups)
            law += posterior.effects @ same.T.astype(float)
            new, scale = ~same.any(axis=1), family.get(draws, "log_group_scatter")
            rest += np.mean(scale**2) * np.where(same_settings(setting, setting), new * 1.0, 0.0)
        value, weight = optima_at(posterior, design, evidence, target, likelihood)
        middle = (weight * value).sum(axis=1)
        own = (weight * (value - middle[:, None]) ** 2).sum(axis=1).mean(axis=0)
        law += middle - value.mean(axis=1)
        covariance = np.cov(law, rowvar=False).reshape(rest.shape) + rest + np.diag(own)
        levels = (np.arange(_NODES) + 0.5) / _NODES
        places = zip(np.moveaxis(value, -1, 0), np.moveaxis(weight, -1, 0), strict=True)
        nodes = np.array([weighted_quantiles(*place, levels) for place in places])
        return cls(covariance, nodes, target, posterior.reading)

    @property
    def spread(self) -> float:
        """Standard deviation of the target's optimum."""
        return float(np.sqrt(self.variance(self.target)))

    def variance(self, place: int) -> float:
        """Of a place's optimum."""
        return float(max(self.covariance[place, place], 1e-12))

    def middle(self, place: int) -> float:
        """Median of a place's optimum."""
        return float(self.optima[place, self.optima.shape[1] // 2])

    def told(self, place: int, precision: FloatArray) -> FloatArray:
        """By how much the target's spread is expected to fall once a place is read.

        The precisions, along the last axis, are equally likely.
        """
        column, precision = self.covariance[place], self._as_witness(place, precision)
        fallen = column[self.target] ** 2 * precision / (1 + column[place] * precision)
        left = np.sqrt(np.maximum(self.spread**2 - fallen, 0.0))
        return np.asarray(self.spread - left.mean(axis=-1))

    def after(self, place: int, precision: FloatArray) -> Self:
        """Return the outlook that is expected once a place is read."""
        column, precision = self.covariance[:, place], self._as_witness(place, precision)
        own = max(column[place], 1e-12)
        # What is left on average: of the standard deviation, as intervals have it.
        left = np.mean(1 / np.sqrt(1 + own * precision)) ** 2
        return replace(
            self, covariance=self.covariance - np.outer(column, column) * (1 - left) / own
        )

    def _as_witness(self, place: int, precision: FloatArray) -> FloatArray:
        if place == self.target:
            return precision
        return np.asarray(precision / (1 + precision * self.reading**2))


def optima_at(
    posterior: Posterior,
    design: Design,
    evidence: Evidence | None,
    target: int,
    likelihood: tuple[FloatArray, FloatArray] | None,
) -> tuple[FloatArray, FloatArray]:
    """Where optima lie about each draw of the law, given what was read there, and how likely.

    Returns
    -------
    value, weight : ndarray, shape (P, 25, n)
        log2; the weights of each draw add up to 1.
    """
    law = posterior.law(design)
    scatter = posterior.family.get(posterior.draws, "log_scatter")
    value = law[:, None] + (scatter[:, None] * STUDENT)[..., None]
    log = np.zeros_like(value)
    if evidence is not None:
        optimum, below, above = (np.log2(evidence.learning_rate), evidence.below, evidence.above)
        for place, row in zip(*np.nonzero(_read_there(posterior, design, evidence)), strict=True):
            away = value[..., place] - optimum[row]
            log[..., place] -= (away / np.where(away < 0, below[row], above[row])) ** 2 / 2
    if likelihood is not None:
        log[..., target] = np.interp(value[..., target], *likelihood)
    weight = np.exp(log - log.max(axis=1, keepdims=True))
    return value, weight / weight.sum(axis=1, keepdims=True)


def weighted_quantiles(value: FloatArray, weight: FloatArray, levels: FloatArray) -> FloatArray:
    """Quantiles of values that are not equally likely."""
    order = np.argsort(value, axis=None)
    likely = np.cumsum(weight.ravel()[order])
    likely -= weight.ravel()[order] / 2
    return np.interp(levels, likely / weight.sum(), value.ravel()[order])


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


def _read_there(posterior: Posterior, design: Design, evidence: Evidence) -> BoolArray:
    """Which rows of evidence are of each place, (n, rows)."""
    columns = evidence.batch_size, *(evidence.covariates[n] for n in posterior.covariates)
    settings = np.column_stack([*columns, evidence.eps])
    sizes = np.exp2(design.batch + posterior.center)
    places = sizes, *np.exp2(design.covariates + posterior.middles).T, np.exp2(design.eps)
    with np.errstate(divide="ignore"):
        return same_settings(np.log2(np.column_stack(places)), np.log2(settings))


def same_settings(one: FloatArray, other: FloatArray) -> BoolArray:
    """Which rows of settings, in octaves, agree."""
    with np.errstate(invalid="ignore"):
        distance = np.nan_to_num(np.abs(one[:, None] - other), nan=0.0)
    return np.asarray((distance < _SAME).all(axis=2))
