"""What else one could believe: rules of thumb and simple laws, fitted robustly to the same optima.

Every baseline is a fixed shape in log B, with at most two parameters that are not linear, plus a
level and log-linear covariates. Parameters that are not linear are tried on a grid.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scaling.numeric.inference.evidence.cells import Gathered
from scaling.numeric.inference.family import Design
from scaling.numeric.inputs.arrays import FloatArray

#: Scatter, in octaves, by which the robust fit judges an optimum (Student's t, 5 degrees).
_SCATTER = 0.25
_DEGREES = 5.0
_REWEIGHTINGS = 30
#: Share of the largest weight by which none changes any more.
_SETTLED = 1e-3
#: Spread of the exponents of covariates and of the batch size about 0 and 1/2, as in the prior.
_EXPONENT_SPREAD = 0.7
_CORNERS, _POWERS = np.arange(-10, 10.01, 0.25), np.linspace(0.5, 1, 6)

Shapes = Callable[[FloatArray], FloatArray]


def _powers(exponent: float) -> Shapes:
    return lambda x: exponent * x[None]


def _rises(powers: FloatArray) -> Shapes:
    """(1 + B_n/B)^-alpha: SGD's law (T-A3) with alpha = 1, OpenAI's (T-A9) with 1/2 to 1."""

    def shapes(x: FloatArray) -> FloatArray:
        rise = -np.logaddexp2(0, _CORNERS[:, None] - x)
        return np.asarray((powers[:, None, None] * rise).reshape(-1, x.size))

    return shapes


#: Shapes (S, n) at octaves from the middle, and whether their exponent is fitted besides.
BASELINES: dict[str, tuple[Shapes, bool]] = {
    "constant": (_powers(0.0), False),
    "sqrt": (_powers(0.5), False),
    "linear": (_powers(1.0), False),
    "power": (_powers(0.5), True),
    "SGD": (_rises(np.ones(1)), False),
    "OpenAI": (_rises(_POWERS), False),
}


@dataclass(frozen=True, eq=False)
class Baseline:
    """A fitted baseline: which of its shapes, and the linear parameters."""

    name: str
    shape: int
    linear: FloatArray

    def evaluate(self, design: Design) -> FloatArray:
        """log2 of the learning rate, shape (n,)."""
        shapes, free = BASELINES[self.name]
        return np.asarray(shapes(design.batch)[self.shape] + _columns(design, free) @ self.linear)


def fit_baseline(name: str, gathered: Gathered, rows: npt.NDArray[np.bool_]) -> Baseline:
    """Fit a baseline to the cells among ``rows`` (boolean) that are not bounds."""
    shapes, free = BASELINES[name]
    cells, design = gathered.cells, gathered.design
    known = np.flatnonzero(rows & (cells.bound == 0))
    columns = _columns(design, free)[known]
    rest = cells.optimum[known] - shapes(design.batch[known])
    scale = np.sqrt(_SCATTER**2 + (cells.below[known] ** 2 + cells.above[known] ** 2) / 2)
    count = cells.count[known]
    own = np.full(columns.shape[1], _EXPONENT_SPREAD**-2.0)
    own[0] = 1e-9
    linear = np.zeros((len(rest), columns.shape[1]))
    linear[:, 0] = np.median(rest, axis=1)
    weight = np.zeros_like(rest)
    products = columns.T[:, :, None] * columns
    for _ in range(_REWEIGHTINGS):
        z = (rest - linear @ columns.T) / scale
        last, weight = weight, count / scale**2 * (_DEGREES + 1) / (_DEGREES + z * z)
        if np.abs(weight - last).max() < _SETTLED * weight.max():
            break
        gram = np.swapaxes(weight @ products, 0, 1) + np.diag(own)
        linear = np.linalg.solve(gram, ((weight * rest) @ columns)[..., None])[..., 0]
    z = (rest - linear @ columns.T) / scale
    cost = (_DEGREES + 1) * (count * np.log1p(z * z / _DEGREES)).sum(axis=1)
    best = int(np.argmin(cost + (own * linear**2).sum(axis=1)))
    return Baseline(name, best, linear[best])


def _columns(design: Design, free: bool) -> FloatArray:
    extra = [design.batch[:, None]] if free else []
    return np.hstack([np.ones((design.batch.size, 1)), design.covariates, *extra])
