"""Whether a sweep shows a surge: the profile likelihood of rho = B_n/B_crit against 2 (T-E3)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from scaling.numeric.fits.fitting import Fitted
from scaling.numeric.fits.likelihood import best_of, minimise
from scaling.numeric.inputs.arrays import FloatArray

#: T-E3: lr* has a peak iff rho is larger.
SURGE = 2.0
_RATIOS = SURGE * np.concatenate([np.geomspace(1 / 200, 1, 13), np.geomspace(1, 300, 14)[1:]])
_LEVEL = 0.9


@dataclass(frozen=True)
class Surge:
    """What the sweep says about a surge.

    Attributes
    ----------
    verdict : {"supported", "denied", "undetermined"}
        Each with 95 % confidence (one-sided).
    ratio : float
        rho at the best fit, at the middle of the covariates.
    ratio_interval : tuple of float
        90 % profile-likelihood interval; 0 and infinite where there is no bound.
    evidence : float
        By how much the deviance rises when rho is forced to the other side of 2.
    needed : float
        What the evidence must exceed.
    """

    verdict: Literal["supported", "denied", "undetermined"]
    ratio: float
    ratio_interval: tuple[float, float]
    evidence: float
    needed: float


def surge_of(fitted: Fitted) -> Surge:
    """Profile the likelihood of rho.

    Parameters
    ----------
    fitted : Fitted
        The law, with rho among its parameters.
    """
    from scipy.special import stdtrit

    covariates = fitted.design.z.shape[1]
    index = fitted.form.names(tuple(map(str, range(covariates)))).index("log_ratio")
    ratios = np.unique(np.concatenate([_RATIOS, _near(fitted, index)]))
    cost = _profile(fitted, index, np.log(ratios))
    freedom = max(len(fitted.valleys.cells) - fitted.theta.size, 1)
    needed = float(stdtrit(freedom, (1 + _LEVEL) / 2)) ** 2
    ratio = float(np.exp(np.clip(fitted.theta[index], -700, 700)))
    best = min(float(cost.min()), _best_cost(fitted))
    side = ratio > SURGE
    middle = int(np.flatnonzero(ratios == SURGE)[0])
    other = cost[: middle + 1] if side else cost[middle:]
    evidence = float(other.min() - best)
    verdict: Literal["supported", "denied", "undetermined"] = "undetermined"
    if evidence > needed:
        verdict = "supported" if side else "denied"
    inside = cost - best <= needed
    if not inside.any():
        inside[np.argmin(cost)] = True
    low, high = np.flatnonzero(inside)[[0, -1]]
    return Surge(
        verdict,
        ratio,
        (
            _crossing(ratios, cost - best, needed, low, -1) if low else 0.0,
            _crossing(ratios, cost - best, needed, high, 1) if high < ratios.size - 1 else np.inf,
        ),
        evidence,
        needed,
    )


def _near(fitted: Fitted, index: int) -> FloatArray:
    """Ratios around the best one, closer together than the profile is wide."""
    inverse = np.linalg.pinv(fitted.hessian / 2)
    width = float(np.sqrt(np.clip(inverse[index, index], 1e-6, 1.0)))
    around = np.exp(fitted.theta[index] + width * np.linspace(-4, 4, 13))
    return np.asarray(around[(around > _RATIOS[0]) & (around < _RATIOS[-1])])


def _crossing(ratios: FloatArray, excess: FloatArray, needed: float, node: int, way: int) -> float:
    """Ratio at which the profile crosses what is needed, between two nodes."""
    here, there = excess[node], excess[node + way]
    part = np.clip((needed - here) / max(there - here, 1e-12), 0, 1)
    step = np.log(ratios[node + way] / ratios[node])
    return float(ratios[node] * np.exp(part * step))


def _profile(fitted: Fitted, index: int, values: FloatArray) -> FloatArray:
    """Lowest cost with one parameter held at each of some values."""
    others = fitted.starts()
    starts = np.concatenate([fitted.theta[None], others])
    found = minimise(
        fitted.form,
        fitted.design,
        fitted.tables,
        np.tile(starts, (values.size, 1)),
        held={index: np.repeat(values, len(starts))},
    )
    return best_of(found, len(starts)).cost


def _best_cost(fitted: Fitted) -> float:
    found = minimise(fitted.form, fitted.design, fitted.tables, fitted.theta[None])
    return float(found.cost[0])
