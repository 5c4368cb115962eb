"""Forms of log lr*(B, covariates, eps): the law and its competitors.

Every form is a constant, log-linear terms in the covariates, and a function of the batch size.
With x = B/B_reference and z the logarithms of the covariates relative to their middles:

- a power: p log x (constant, linear, sqrt, or p fitted);
- a rise that ends: alpha (log x - log(x + X_c)) (SGD T-A3; OpenAI T-A9);
- the law (T-E2): log x + log T - log(x + X_c), T^2 = (x + X_n)/x, with X_n = rho X_c, and with
  eps T + eps (outside the root, T-E7), sqrt(T^2 + eps^2) (inside, T-E1), or the closed form of
  a Gaussian population (T-F3).

lr_inf and B_crit are log-linear in the covariates, rho = B_n/B_crit is shared or log-linear.
Shifts are normalised at the reference, (x + X)/(1 + X), so that 0 and infinity are no special
cases: they are where the form no longer depends on them.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from scaling.numeric.inputs.arrays import FloatArray

EpsForm = Literal["outside", "inside", "gaussian"]

#: Prior spread of the exponents of B_crit and rho in a covariate, and of all other parameters,
#: which is there for the numerics only.
EXPONENT_SPREAD = 0.7
_WIDE = 20.0
_WIDE_SCALE = 1e3
_ALPHA_SPREAD = 5.0


@dataclass(frozen=True, eq=False)
class Design:
    """Where a form is asked for: log B/B_reference, centred log covariates, and eps.

    Attributes
    ----------
    log_x : ndarray, shape (C,)
    z : ndarray, shape (C, K)
    log_eps : ndarray, shape (C,)
        Minus infinity where eps is 0.
    """

    log_x: FloatArray
    z: FloatArray
    log_eps: FloatArray

    @cached_property
    def constant(self) -> FloatArray:
        """Columns of the log-linear terms, shape (C, 1 + K)."""
        return np.concatenate([np.ones((self.log_x.size, 1)), self.z], axis=1)


class Form(ABC):
    """A family of laws with P parameters."""

    name: str

    @abstractmethod
    def specification(self, covariates: Sequence[str]) -> list[tuple[str, float]]:
        """Name and prior spread (about 0) of each parameter."""

    @abstractmethod
    def starts(self, design: Design) -> FloatArray:
        """Where to begin, shape (S, P); the log-linear terms are set by the caller."""

    @abstractmethod
    def evaluate(self, theta: FloatArray, design: Design) -> tuple[FloatArray, FloatArray]:
        """log lr and its derivatives, shapes (R, C) and (R, C, P), at parameters (R, P)."""

    def names(self, covariates: Sequence[str]) -> tuple[str, ...]:
        """Names of the parameters."""
        return tuple(name for name, _ in self.specification(covariates))

    def spreads(self, covariates: int) -> FloatArray:
        """Prior spreads of the parameters, shape (P,)."""
        return np.array([spread for _, spread in self.specification(("",) * covariates)])


def _log_linear(
    kind: str, spread: float, covariates: Sequence[str], own: float
) -> list[tuple[str, float]]:
    """A constant and the exponents in the covariates."""
    return [(f"log_{kind}", own), *((f"{kind}:{name}", spread) for name in covariates)]


@dataclass(frozen=True)
class Power(Form):
    """A power of the batch size, fitted if ``exponent`` is None."""

    name: str
    exponent: float | None

    def specification(self, covariates: Sequence[str]) -> list[tuple[str, float]]:
        """Name and prior spread of each parameter."""
        own = [] if self.exponent is not None else [("exponent", _WIDE)]
        return [*_log_linear("scale", _WIDE_SCALE, covariates, _WIDE_SCALE), *own]

    def starts(self, design: Design) -> FloatArray:
        """Where to begin."""
        size = 1 + design.z.shape[1] + (self.exponent is None)
        start = np.zeros((1, size))
        if self.exponent is None:
            start[0, -1] = 0.5
        return start

    def evaluate(self, theta: FloatArray, design: Design) -> tuple[FloatArray, FloatArray]:
        """log lr and its derivatives."""
        constant = design.constant
        size = constant.shape[1]
        value = theta[:, :size] @ constant.T
        columns = np.broadcast_to(constant, (theta.shape[0], *constant.shape))
        if self.exponent is not None:
            return value + self.exponent * design.log_x, columns
        value = value + theta[:, size, None] * design.log_x
        slope = np.broadcast_to(design.log_x[:, None], (theta.shape[0], constant.shape[0], 1))
        return value, np.concatenate([columns, slope], axis=2)


@dataclass(frozen=True)
class Saturating(Form):
    """(x/(x + X_c))^alpha: SGD's law with alpha = 1 (T-A3), OpenAI's with 1/2 to 1 (T-A9)."""

    name: str
    alpha: float | None

    def specification(self, covariates: Sequence[str]) -> list[tuple[str, float]]:
        """Name and prior spread of each parameter."""
        return [
            *_log_linear("scale", _WIDE_SCALE, covariates, _WIDE_SCALE),
            *_log_linear("critical", EXPONENT_SPREAD, covariates, _WIDE),
            *([] if self.alpha is not None else [("alpha", _ALPHA_SPREAD)]),
        ]

    def starts(self, design: Design) -> FloatArray:
        """Where to begin."""
        size = 1 + design.z.shape[1]
        shifts = np.linspace(design.log_x.min() - 1, design.log_x.max() + 1, 3)
        start = np.zeros((shifts.size, 2 * size + (self.alpha is None)))
        start[:, size] = shifts
        return start

    def evaluate(self, theta: FloatArray, design: Design) -> tuple[FloatArray, FloatArray]:
        """log lr and its derivatives."""
        constant = design.constant
        size = constant.shape[1]
        value = theta[:, :size] @ constant.T
        factor, by_shift = log_factor(theta[:, size : 2 * size], design)
        rise = design.log_x - factor
        columns = np.broadcast_to(constant, (theta.shape[0], *constant.shape))
        if self.alpha is not None:
            jacobian = np.concatenate([columns, -self.alpha * by_shift], axis=2)
            return value + self.alpha * rise, jacobian
        # alpha from 1/2 to 1, whatever the parameter.
        share = 1 / (1 + np.exp(-np.clip(theta[:, -1, None], -50, 50)))
        alpha = 0.5 + 0.5 * share
        last = (0.5 * share * (1 - share) * rise)[..., None]
        jacobian = np.concatenate([columns, -alpha[..., None] * by_shift, last], axis=2)
        return value + alpha * rise, jacobian


@dataclass(frozen=True)
class Adam(Form):
    """T-E2, with eps T-E7, T-E1 or T-F3.

    Attributes
    ----------
    name : str
    varying : int
        How far the shape varies with the covariates: 0 not at all, 1 B_crit does, 2 rho too.
    ratio : float, optional
        rho = B_n/B_crit, if it is not fitted: 1 for sign descent with a diagonal Hessian.
    eps : {"outside", "inside", "gaussian"}, optional
        How eps enters, if it was varied.
    """

    name: str
    varying: int = 1
    ratio: float | None = None
    eps: EpsForm | None = None

    def specification(self, covariates: Sequence[str]) -> list[tuple[str, float]]:
        """Name and prior spread of each parameter."""
        found = _log_linear("scale", _WIDE_SCALE, covariates, _WIDE_SCALE)
        vary = covariates if self.varying >= 1 else ()
        found += _log_linear("critical", EXPONENT_SPREAD, vary, _WIDE)
        if self.ratio is None:
            vary = covariates if self.varying > 1 else ()
            found += _log_linear("ratio", EXPONENT_SPREAD, vary, _WIDE)
        if self.eps is not None:
            found.append(("log_gradient", _WIDE))
        return found

    def starts(self, design: Design) -> FloatArray:
        """Where to begin."""
        names = self.names(tuple(map(str, range(design.z.shape[1]))))
        criticals = np.linspace(design.log_x.min() - 1, design.log_x.max() + 1, 3)
        ratios = np.log([0.2, 2.0, 30.0]) if self.ratio is None else np.zeros(1)
        finite = design.log_eps[np.isfinite(design.log_eps)]
        sizes = np.quantile(finite, [0.1, 0.5, 0.9]) if self.eps else np.zeros(1)
        starts = []
        for critical in criticals:
            for ratio in ratios:
                for size in sizes:
                    start = dict.fromkeys(names, 0.0) | {"log_critical": critical}
                    if self.ratio is None:
                        start["log_ratio"] = ratio
                    if self.eps is not None:
                        start["log_gradient"] = size
                    starts.append([start[name] for name in names])
        return np.array(starts)

    def evaluate(self, theta: FloatArray, design: Design) -> tuple[FloatArray, FloatArray]:
        """log lr and its derivatives."""
        constant = design.constant
        rows, size = theta.shape[0], constant.shape[1]
        critical, ratio, last = self._split(theta, size)
        value = theta[:, :size] @ constant.T + design.log_x
        factor, by_critical = log_factor(critical, design)
        noise, by_noise = log_factor(critical + ratio, design)
        # T^2 x = (x + X_n)/(1 + X_n) at the reference's covariates.
        log_t = (noise - design.log_x) / 2
        columns = np.broadcast_to(constant, (rows, *constant.shape))
        by_t = np.ones_like(log_t)
        parts = [columns]
        if self.eps is None:
            value = value + log_t - factor
        else:
            log_r = design.log_eps - theta[:, last, None] - log_t
            gain, slope = eps_gain(self.eps, log_r)
            value = value + log_t + gain - factor
            by_t = 1 - slope
        by_ratio = 0.5 * by_t[..., None] * by_noise
        wanted = size if self.varying >= 1 else 1
        parts.append((by_ratio - by_critical)[..., :wanted])
        if self.ratio is None:
            parts.append(by_ratio[..., : size if self.varying >= 2 else 1])
        if self.eps is not None:
            parts.append(-slope[..., None])
        return value, np.concatenate(parts, axis=2)

    def shifts(self, theta: FloatArray, design: Design) -> tuple[FloatArray, FloatArray]:
        """(log X_n, log X_c) at the design's one point, and log(1 + X_n) at the middles.

        Shapes (R, 2) and (R,).
        """
        critical, ratio, _ = self._split(theta, design.constant.shape[1])
        noise = critical + ratio
        both = np.concatenate([noise @ design.constant.T, critical @ design.constant.T], axis=1)
        return both, np.logaddexp(0.0, noise[:, 0])

    def _split(self, theta: FloatArray, size: int) -> tuple[FloatArray, FloatArray, int]:
        """Coefficients of log X_c and log rho by (constant, covariates), and what comes last."""
        critical = np.zeros((theta.shape[0], size))
        ratio = np.zeros((theta.shape[0], size))
        at = size
        width = size if self.varying >= 1 else 1
        critical[:, :width] = theta[:, at : at + width]
        at += width
        if self.ratio is None:
            width = size if self.varying >= 2 else 1
            ratio[:, :width] = theta[:, at : at + width]
            at += width
        else:
            ratio[:, 0] = np.log(self.ratio)
        return critical, ratio, at


def log_factor(shift: FloatArray, design: Design) -> tuple[FloatArray, FloatArray]:
    """Return log((x + X)/(1 + X_0)), X = X_0 exp(q z), with derivatives by (log X_0, q).

    Parameters
    ----------
    shift : ndarray, shape (R, 1 + K)
        log X_0 and q.
    design : Design

    Returns
    -------
    value : ndarray, shape (R, C)
    jacobian : ndarray, shape (R, C, 1 + K)
    """
    log_shift = np.clip(shift @ design.constant.T, -300, 300)
    first = np.clip(shift[:, :1], -300, 300)
    total = np.logaddexp(design.log_x, log_shift)
    share = np.exp(log_shift - total)
    normal = np.logaddexp(0.0, first)
    jacobian = share[..., None] * design.constant
    jacobian[..., 0] -= np.exp(first - normal)
    return total - normal, jacobian


def eps_gain(form: EpsForm, log_r: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Log of what eps adds to lr*, and its derivative by log r, r = eps/tau.

    tau^2 = gamma^2 + sigma^2/B is the mean square of the batch gradient: (tau + eps)/tau outside
    the root (T-E7), sqrt(tau^2 + eps^2)/tau inside (T-E1), h1(r)/h2(r) in T-F3.
    """
    if form == "outside":
        gain = np.logaddexp(0.0, log_r)
        return gain, np.exp(log_r - gain)
    if form == "inside":
        gain = np.logaddexp(0.0, 2 * log_r) / 2
        return gain, np.exp(2 * (log_r - gain))
    from scaling.numeric.moments.gaussian_population import log_gain

    return log_gain(log_r)


#: What the law is compared with.
COMPETITORS: tuple[Form, ...] = (
    Power("constant", 0.0),
    Power("linear", 1.0),
    Power("sqrt", 0.5),
    Power("power", None),
    Saturating("sgd", 1.0),
    Adam("sign", ratio=1.0),
    Saturating("openai", None),
)
