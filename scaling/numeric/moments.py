"""Mean and second moment of Adam's update under Gaussian gradient noise.

A coordinate with gradient g and per-example gradient variance sigma^2, seen through a
batch of B examples, is described by two numbers (theory.md, section 0):

- the signal ``a = g sqrt(B) / sigma``;
- the damping ``b = eps sqrt(B) / sigma``.

The batch gradient in units of its own standard deviation is then N(a, 1). Each model
below says what the mean and the second moment of the update are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError
from scaling.numeric import _moment_formulas as formulas
from scaling.numeric._arrays import FloatArray, Real, as_array, decay_rate

DEFAULT_MODEL = "mean-field-outside"
DEFAULT_BETA1 = 0.9


class Moments(NamedTuple):
    """Mean and second moment of the update.

    Attributes
    ----------
    mean : numpy.float64 or ndarray
        E[phi]; dimensionless, except for ``sgd``, see `update_moments`.
    second_moment : numpy.float64 or ndarray
        E[phi^2], same shape.
    """

    mean: Real
    second_moment: Real


@dataclass(frozen=True)
class MomentModel:
    """What one model assumes about the update.

    Attributes
    ----------
    name, summary, theory : str
        The model's name, what it is in a few words, the theory ids it implements.
    eps : {"inside", "outside", "absent"}
        Where epsilon stands: ``m / sqrt(v + eps^2)``, ``m / (sqrt(v) + eps)`` (PyTorch,
        after bias correction), or nowhere.
    has_momentum : bool
        Whether beta1 enters. Models without it describe beta1 = 0.
    gaussian_factor : float
        lambda of T-E1: the mean is ``a / sqrt(lambda)`` for small a.
    is_algebraic : bool
        Whether the moments are those of T-E1 but for eps and lambda, so that the law that
        follows from them is T-E2 itself (with eps outside the root, at eps = 0 only).
    in_gradient_units : bool
        True for SGD, whose update is the gradient itself and not a pure number.
    formula : callable
        ``formula(a, b, c)`` with the noise damping c = (1-beta1)/(1+beta1): mean, second
        moment and variance.
    noiseless : callable
        ``noiseless(gradient, eps)``, the update when there is no noise (nu of T-B8).
    """

    name: str
    summary: str
    theory: str
    eps: Literal["inside", "outside", "absent"]
    has_momentum: bool
    gaussian_factor: float
    formula: Callable[[FloatArray, FloatArray, float], formulas.Result]
    noiseless: Callable[[FloatArray, FloatArray], FloatArray]
    is_algebraic: bool = True
    in_gradient_units: bool = False

    @property
    def default_beta1(self) -> float:
        """0.9, or 0 for a model without momentum."""
        return DEFAULT_BETA1 if self.has_momentum else 0.0

    def noise_damping(self, beta1: float | None) -> float:
        """Return c = (1-beta1)/(1+beta1), after checking that the model knows this beta1."""
        beta1 = self.default_beta1 if beta1 is None else decay_rate(beta1, "beta1")
        if beta1 and not self.has_momentum:
            raise InputError(
                f"must be 0 with moments '{self.name}', which has no momentum, got {beta1:g}; "
                f"'mean-field' and '{DEFAULT_MODEL}' have it",
                "beta1",
            )
        return (1 - beta1) / (1 + beta1)


def moment_model(name: str) -> MomentModel:
    """Return the moment model of that name.

    Parameters
    ----------
    name : str
        One of `MOMENT_MODELS`.

    Returns
    -------
    MomentModel

    Raises
    ------
    InputError
        If there is no such model.

    Examples
    --------
    >>> moment_model("article").eps
    'inside'
    """
    try:
        return MOMENT_MODELS[name]
    except (KeyError, TypeError):
        known = ", ".join(MOMENT_MODELS)
        raise InputError(f"unknown moment model {name!r}; choose from {known}", "moments") from None


def update_moments(
    signal: npt.ArrayLike,
    damping: npt.ArrayLike = 0.0,
    beta1: float | None = None,
    *,
    moments: str = DEFAULT_MODEL,
) -> Moments:
    """Mean and second moment of the update at a given signal and damping.

    Parameters
    ----------
    signal : array_like
        a = g sqrt(B)/sigma, of either sign, dimensionless.
    damping : array_like, default 0
        b = eps sqrt(B)/sigma >= 0, dimensionless; broadcast against ``signal``.
        Ignored by models without epsilon (``sgd``, ``sign``, ``sign-isru``).
    beta1 : float, optional
        Adam's first decay rate; 0.9 by default, 0 for models without momentum.
    moments : str, default "mean-field-outside"
        The model: ``sgd`` (T-A3), ``sign`` (T-A5), ``sign-isru`` (T-A6), ``clip``
        (T-B3, T-B6), ``article`` (T-B5, T-B7), ``mean-field`` (T-C1, T-E1; eps inside
        the root) or ``mean-field-outside`` (T-E7; PyTorch's eps).

    Returns
    -------
    Moments
        ``mean`` and ``second_moment`` of the broadcast shape. Elements at which the
        signal is not finite, or the damping is negative or not finite, are NaN.
        The update of ``sgd`` is in units of sigma/sqrt(B), all others are pure numbers.

    Raises
    ------
    InputError
        If beta1 is outside [0, 1), or not 0 in a model without momentum, or the model
        is unknown.

    Notes
    -----
    Finite and free of cancellation for a and b from 0 to 1e8, b = 0 included.
    Source: theory.md parts A to E; kexue.fm 10563 for ``article``.

    Examples
    --------
    >>> mean, second_moment = update_moments(1.0, 0.5, moments="mean-field")
    >>> print(f"{mean:.4f} {second_moment:.4f}")
    0.6667 0.4678
    """
    mean, second_moment, _ = evaluate(moment_model(moments), signal, damping, beta1)
    return Moments(mean, second_moment)


def evaluate(
    model: MomentModel, signal: npt.ArrayLike, damping: npt.ArrayLike, beta1: float | None
) -> tuple[Real, Real, Real]:
    """Mean, second moment and variance of the update; see `update_moments`."""
    noise_damping = model.noise_damping(beta1)
    try:
        a, b = np.broadcast_arrays(as_array(signal, "signal"), as_array(damping, "damping"))
    except ValueError as error:
        raise InputError(f"does not fit the signal: {error}", "damping") from None
    valid = np.isfinite(a) & np.isfinite(b) & (b >= 0)
    if not valid.all():
        a, b = np.where(valid, a, np.nan), np.where(valid, b, np.nan)
    mean, second_moment, variance = model.formula(a, b, noise_damping)
    return mean[()], second_moment[()], variance[()]


#: Every moment model by name.
MOMENT_MODELS: dict[str, MomentModel] = {
    model.name: model
    for model in (
        MomentModel(
            "sgd",
            "plain SGD",
            "T-A3",
            eps="absent",
            has_momentum=False,
            gaussian_factor=1.0,
            formula=formulas.sgd,
            noiseless=formulas.gradient,
            in_gradient_units=True,
        ),
        MomentModel(
            "sign",
            "SignSGD, exact under Gaussian noise",
            "T-A5",
            eps="absent",
            has_momentum=False,
            gaussian_factor=np.pi / 2,
            formula=formulas.sign,
            is_algebraic=False,
            noiseless=formulas.sign_of,
        ),
        MomentModel(
            "sign-isru",
            "SignSGD with an algebraic S-curve for erf",
            "T-A6",
            eps="absent",
            has_momentum=False,
            gaussian_factor=np.pi / 2,
            formula=formulas.sign_isru,
            noiseless=formulas.sign_of,
        ),
        MomentModel(
            "clip",
            "softsign replaced by a clipped line, then exact",
            "T-B3, T-B6",
            eps="inside",
            has_momentum=False,
            gaussian_factor=np.pi / 2,
            formula=formulas.clip,
            is_algebraic=False,
            noiseless=formulas.clipped,
        ),
        MomentModel(
            "article",
            "the article's working form",
            "T-B5, T-B7",
            eps="inside",
            has_momentum=False,
            gaussian_factor=np.pi / 2,
            formula=formulas.article,
            noiseless=formulas.softsign,
        ),
        MomentModel(
            "mean-field",
            "mean field, eps inside the root",
            "T-C1, T-E1",
            eps="inside",
            has_momentum=True,
            gaussian_factor=1.0,
            formula=formulas.mean_field,
            noiseless=formulas.softsign,
        ),
        MomentModel(
            "mean-field-outside",
            "mean field, eps outside the root as in PyTorch",
            "T-E7",
            eps="outside",
            has_momentum=True,
            gaussian_factor=1.0,
            formula=formulas.mean_field_outside,
            noiseless=formulas.softsign_outside,
        ),
    )
}
