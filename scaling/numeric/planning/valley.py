"""What runs tell about the best learning rate of their cell, before they are made.

A run u octaves above its cell's optimum has the log loss floor + k height(u) + noise, as
`read_valleys` has it; height is off by some share of itself. Floor, log k and optimum are not
known, and the information on the optimum is what the Fisher matrix of the runs leaves when the
other two are eliminated: one run says nothing, two tell by the usual k, three by themselves.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from scaling.numeric.inference.evidence.valleys import Valleys, height
from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.tables.runs import Cells

_OCTAVE = float(np.log(2))
#: As `read_valleys` has them: usual asymmetry, and what heights are off by.
_ASYMMETRY, _SHARE = 0.8, 0.2
#: Error in octaves that a valley of another shape makes, however many runs there are.
_SHAPE_ERROR = 0.06
#: Valleys of seven sweeps (mixture of experts, DeepSeek, digits, four of our laboratory), as
#: tests/evidence/plan_replay.py prints them: mean of log k, its spread between sweeps and between
#: the cells of one; log of noise/k, and how many runs' noise that is worth.
_LOG_CURVATURE, _SPREAD, _WITHIN, _LOG_NOISE, _FREEDOM = -4.0, 1.4, 0.65, -1.0, 2.0


@dataclass(frozen=True)
class Valley:
    """Curvature and noise that a new cell is expected to have.

    Attributes
    ----------
    curvature : float
        Median of k, the rise of the log loss per octave squared.
    spread : float
        Standard deviation of log k.
    noise : float
        Standard deviation of a run's log loss.
    cells : int
        Cells seen from which this was learned.
    """

    curvature: float
    spread: float
    noise: float
    cells: int

    @classmethod
    def learned(cls, cells: Cells | None, valleys: Valleys | None) -> Self:
        """Learn from the cells seen, starting from what other sweeps had."""
        log_k, precision, log_noise, freedom, known = _LOG_CURVATURE, _SPREAD**-2.0, 0.0, 0.0, 0
        if cells is not None and valleys is not None:
            rates = np.array([different(row).size for row in cells.log_rate])
            there = (rates > 2) & np.isfinite(valleys.below) & np.isfinite(valleys.above)
            known = int(there.sum())
            # Of each cell, what its runs leave after three parameters are fitted tells the noise.
            left = np.maximum(cells.count.sum(axis=1) - 3, 0)[there]
            freedom = float(left.sum())
            added = known / _WITHIN**2
            total = float(np.log(valleys.curvature[there]).sum()) / _WITHIN**2
            log_k = (precision * log_k + total) / (precision + added)
            precision += added
            if freedom:
                log_noise = float((left * np.log(valleys.noise[there])).sum()) / freedom
        relative = _LOG_NOISE + log_k
        weight = freedom / (freedom + _FREEDOM)
        noise = np.exp(weight * log_noise + (1 - weight) * relative)
        spread = np.hypot(precision**-0.5, _WITHIN)
        return cls(float(np.exp(log_k)), float(spread), float(noise), known)

    def terms(self, away: FloatArray) -> FloatArray:
        """What one run adds to the information, by octaves from the optimum; shape (..., 6)."""
        rise = self.curvature * height(away, np.array(_ASYMMETRY))
        a = _ASYMMETRY * _OCTAVE
        bent = np.clip(a * away, -30, 8)
        slope = self.curvature * 2 * np.expm1(bent) / a * np.exp(bent)
        weight = 1 / (self.noise**2 + (_SHARE * rise) ** 2)
        columns = (np.ones_like(rise), rise, slope, rise**2, rise * slope, slope**2)
        return np.stack([weight * column for column in columns], axis=-1)

    def precision(self, terms: FloatArray, scatter: float) -> FloatArray:
        """Information on the law, in 1/octave^2, of runs whose terms add up to that."""
        w, wa, wb, waa, wab, wbb = np.moveaxis(terms, -1, 0)
        own = waa + self.spread**-2.0
        determinant = w * own - wa**2
        with np.errstate(divide="ignore", invalid="ignore"):
            lost = (wb**2 * own - 2 * wb * wab * wa + wab**2 * w) / determinant
            error = 1 / np.maximum(wbb - np.where(w > 0, lost, 0), 1e-12)
        return np.asarray(1 / (scatter**2 + error + _SHAPE_ERROR**2))

    def loss_rise(self, away: FloatArray) -> FloatArray:
        """Rise of the log loss some octaves above the optimum; at most to e times the loss."""
        return np.minimum(self.curvature * height(away, np.array(_ASYMMETRY)), 1.0)


def different(log_rate: FloatArray) -> FloatArray:
    """The different learning rates of a cell, NaN being none."""
    return np.unique(np.round(log_rate[np.isfinite(log_rate)], 6))
