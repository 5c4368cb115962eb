"""The law in its plainest form, lr(B) = lr_inf sqrt(B (B + B_n)) / (B + B_crit) (T-E2)."""

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from scaling.numeric.inputs.arrays import (
    FloatArray,
    Real,
    as_positive,
    non_negative,
    positive,
    shift,
    store,
)
from scaling.numeric.laws.law import Law, Point, Provenance, finite_or_none, is_close


@dataclass(frozen=True, repr=False)
class BatchSizeLaw(Law):
    """The law in its plainest form, lr(B) = lr_inf sqrt(B (B + B_n)) / (B + B_crit) (T-E2).

    It is held by its value at one batch size rather than by lr_inf, so that the corners, which
    are laws of their own, need no special case: B_n = 0 is SGD, B_n = infinity the pure surge,
    B_crit = infinity never saturates, B_crit = 0 never rises.

    Parameters
    ----------
    reference_batch_size, reference_learning_rate : float
        One point of the law, both positive. Batch sizes are in any unit, used consistently.
    noise_batch_size : float
        B_n, from 0 to infinity (both allowed), in the unit of the batch size.
    critical_batch_size : float
        B_crit, likewise.
    provenance : Provenance, optional
        Where the numbers come from; "assumed" unless given.

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> law = BatchSizeLaw.from_limit(1e-3, noise_batch_size=4000, critical_batch_size=200)
    >>> print(f"{law.learning_rate(100):.2e}")
    2.13e-03
    >>> law.peak
    Point(batch_size=222.22..., learning_rate=0.0022941...)
    >>> law.regime([10, 222, 5000]).tolist()
    ['sqrt', 'flat', 'falling']
    """

    reference_batch_size: float
    reference_learning_rate: float
    noise_batch_size: float
    critical_batch_size: float
    provenance: Provenance = field(
        default_factory=lambda: Provenance("assumed", "parameters as given")
    )

    def __post_init__(self) -> None:
        store(self, positive, "reference_batch_size", "reference_learning_rate")
        store(self, shift, "noise_batch_size", "critical_batch_size")

    @classmethod
    def from_limit(
        cls,
        learning_rate_limit: float,
        noise_batch_size: float,
        critical_batch_size: float,
    ) -> Self:
        """Make the law from lr_inf, B_n and B_crit, all finite (T-E2)."""
        limit = positive(learning_rate_limit, "learning_rate_limit")
        for value, name in (
            (noise_batch_size, "noise_batch_size"),
            (critical_batch_size, "critical_batch_size"),
        ):
            non_negative(value, name)
        reference = float(critical_batch_size or noise_batch_size or 1.0)
        unscaled = cls(reference, limit, noise_batch_size, critical_batch_size)
        return replace(
            unscaled, reference_learning_rate=limit * limit / unscaled.learning_rate_limit
        )

    @property
    def reference(self) -> Point:
        """The point by which the law is held."""
        return Point(self.reference_batch_size, self.reference_learning_rate)

    @property
    def learning_rate_limit(self) -> float:
        """lr_inf (T-E2); 0 in the pure surge, infinite if the law never saturates."""
        noise, critical = self._weights()
        if critical[1] == 0:
            return np.inf
        return float(self.reference_learning_rate * np.sqrt(noise[1]) / critical[1])

    @property
    def peak(self) -> Point | None:
        """T-E3: there is a peak iff B_n > 2 B_crit > 0, at B_n B_crit/(B_n - 2 B_crit)."""
        batch = float(peak_batch_size(self.noise_batch_size, self.critical_batch_size))
        return Point(batch, float(self.learning_rate(batch))) if 0 < batch < np.inf else None

    def learning_rate(self, batch_size: npt.ArrayLike) -> Real:
        """Optimal learning rate at ``batch_size`` (T-E2)."""
        x = as_positive(batch_size, "batch_size") / self.reference_batch_size
        (noise_0, noise_1), (critical_0, critical_1) = self._weights()
        denominator = critical_0 + critical_1 * x
        # Two roots of ratios instead of one of a product, which overflows at B = 1e154.
        result = np.sqrt(x / denominator) * np.sqrt((noise_0 + noise_1 * x) / denominator)
        return self.reference_learning_rate * result

    def exponent(self, batch_size: npt.ArrayLike) -> Real:
        """Local exponent (T-E5), in the form B_crit/(B + B_crit) - B_n/(2(B + B_n))."""
        batch = as_positive(batch_size, "batch_size")
        return _share(self.critical_batch_size, batch) - _share(self.noise_batch_size, batch) / 2

    def steps_factor(self, batch_size: npt.ArrayLike) -> Real:
        """S/S_min = 1 + B_crit/B (T-E4)."""
        return 1 + self.critical_batch_size / as_positive(batch_size, "batch_size")

    def batch_sizes(self, learning_rate: float) -> tuple[float, ...]:
        """All batch sizes whose optimum is ``learning_rate``: none, one or two, ascending."""
        target = positive(learning_rate, "learning_rate")
        peak = self.peak
        if peak is not None and is_close(target, peak.learning_rate):
            return (peak.batch_size,)
        # T-E2 squared is a quadratic in x = B/B_reference, all of whose positive roots count.
        (noise_0, noise_1), (critical_0, critical_1) = self._weights()
        ratio = float(np.square(target / self.reference_learning_rate, dtype=np.float64))
        at_limit = self.learning_rate_limit and is_close(target, self.learning_rate_limit)
        roots = _quadratic_roots(
            0.0 if at_limit else ratio * critical_1**2 - noise_1,
            2 * ratio * critical_0 * critical_1 - noise_0,
            ratio * critical_0**2,
        )
        return tuple(self.reference_batch_size * x for x in roots if 0 < x < np.inf)

    def to_dict(self) -> dict[str, Any]:
        """Return what defines the law, as JSON values; infinite numbers are None."""
        return {
            "kind": "batch-size",
            "reference": self.reference._asdict(),
            "noise_batch_size": finite_or_none(self.noise_batch_size),
            "critical_batch_size": finite_or_none(self.critical_batch_size),
        }

    def _weights(self) -> tuple[tuple[Real, Real], tuple[Real, Real]]:
        """Return (p, q) of (B + X)/(B_reference + X) = p + q B/B_reference for X = B_n, B_crit."""
        return (
            shift_weights(self.noise_batch_size, self.reference_batch_size),
            shift_weights(self.critical_batch_size, self.reference_batch_size),
        )


def shift_weights(shift: npt.ArrayLike, reference: float = 1.0) -> tuple[Real, Real]:
    """Return p, q with (B + shift)/(reference + shift) = p + q B/reference, for 0 <= shift <= inf.

    Both lie in [0, 1] and neither is computed as 1 minus the other.
    """
    shift = np.asarray(shift, dtype=float)
    with np.errstate(invalid="ignore"):
        share = np.where(shift == np.inf, 1.0, shift / (reference + shift))
    return share[()], (reference / (reference + shift))[()]


def peak_batch_size(noise: npt.ArrayLike, critical: npt.ArrayLike) -> Real:
    """Batch size beyond which the law falls (T-E3), for B_n and B_crit from 0 to infinity.

    B_n B_crit/(B_n - 2 B_crit); 0 if it falls from the beginning, infinity if nowhere.
    """
    noise, critical = np.asarray(noise, dtype=float), np.asarray(critical, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        peak = critical / (1 - 2 * critical / noise)
    return np.where(noise > 2 * critical, peak, np.inf)[()]


def _share(shift: float, batch: FloatArray) -> Real:
    """shift/(batch + shift), which is 1 for an infinite shift."""
    if shift == np.inf:
        return np.where(np.isnan(batch), np.nan, 1.0)[()]
    return shift / (batch + shift)


def _quadratic_roots(a: float, b: float, c: float) -> list[float]:
    """Real roots of a x^2 + b x + c = 0, ascending, without cancellation."""
    discriminant = b * b - 4 * a * c
    if discriminant < 0:
        return []
    q = -(b + np.copysign(np.sqrt(discriminant), b)) / 2
    roots = {c / q} if q else set()
    if a:
        roots.add(q / a)
    return sorted(float(root) for root in roots)
