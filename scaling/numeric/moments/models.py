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
from functools import partial
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError
from scaling.numeric.inputs.arrays import FloatArray, Real, as_array, decay_rate, step_number
from scaling.numeric.inputs.display import one_line
from scaling.numeric.moments import _formulas as formulas
from scaling.numeric.moments.many_steps import displacement_damping

#: By measurement: tests/benchmarks/default_model.py.
DEFAULT_MODEL = "mean-field-outside"
#: PyTorch's and optax's.
DEFAULT_BETA1 = 0.9
DEFAULT_BETA2 = 0.999


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

    def __repr__(self) -> str:
        return one_line(self)


class Update(Protocol):
    """A moment model with its decay rates and step: moments as functions of a and b.

    Attributes
    ----------
    slope : float
        d E[phi]/da at a = b = 0, which is 1/sqrt(lambda) in the notation of T-E1.
    pure_noise : float
        E[phi^2] at a = b = 0: c in T-E1.
    """

    @property
    def slope(self) -> float:
        """Rise of the mean with the signal where both are small."""

    @property
    def pure_noise(self) -> float:
        """Second moment without any signal."""

    def __call__(self, a: FloatArray, b: FloatArray, /) -> formulas.Result:
        """Mean, second moment and variance, of the broadcast shape."""


@dataclass(frozen=True)
class ClosedForm:
    """The update of a model that is a formula of a, b and the noise damping c."""

    formula: Callable[[FloatArray, FloatArray, float], formulas.Result]
    slope: float
    pure_noise: float

    def __call__(self, a: FloatArray, b: FloatArray) -> formulas.Result:
        """Mean, second moment and variance."""
        return self.formula(a, b, self.pure_noise)


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
    knows : tuple of str
        Which of beta1, beta2 and step enter. Models without beta1 describe beta1 = 0.
    make : callable
        ``make(beta1, beta2, step, horizon)``, the `Update`; use `bind`, which checks them.
    noiseless : callable
        ``noiseless(gradient, eps)``, the update when there is no noise (nu of T-B8).
    is_algebraic : bool
        Whether the moments are those of T-E1 but for eps and lambda, so that the law that
        follows from them is T-E2 itself (with eps outside the root, at eps = 0 only).
    in_gradient_units : bool
        True for SGD, whose update is the gradient itself and not a pure number.
    """

    name: str
    summary: str
    theory: str
    eps: Literal["inside", "outside", "absent"]
    knows: tuple[str, ...]
    make: Callable[[float, float, float, float], Update]
    noiseless: Callable[[FloatArray, FloatArray], FloatArray]
    is_algebraic: bool = True
    in_gradient_units: bool = False

    def defaults(
        self, beta1: float | None, beta2: float | None = None, step: float | None = None
    ) -> tuple[float, float, float]:
        """Fill in beta1, beta2 and step after checking that the model knows what is given.

        beta1 is 0.9 by default, or 0 where there is no momentum; beta2 0.999; step infinity.
        """
        given = {"beta1": beta1, "beta2": beta2, "step": step}
        checks = {"beta1": decay_rate, "beta2": decay_rate, "step": step_number}
        for name, value in given.items():
            if value is None:
                continue
            checks[name](value, name)
            if name not in self.knows and (name, value) != ("beta1", 0):
                raise InputError(_unknown(self.name, name, value), name)
        own_beta1 = DEFAULT_BETA1 if "beta1" in self.knows else 0.0
        return (
            own_beta1 if beta1 is None else beta1,
            DEFAULT_BETA2 if beta2 is None else beta2,
            np.inf if step is None else step,
        )

    def bind(
        self,
        beta1: float | None = None,
        beta2: float | None = None,
        step: float | None = None,
        horizon: float = 1,
    ) -> Update:
        """Return the model's update at these decay rates and this step.

        Over a horizon of more than one step, the noise is that of the displacement (T-I1).
        """
        return self.make(*self.defaults(beta1, beta2, step), step_number(horizon, "horizon"))


def _unknown(model: str, name: str, value: float) -> str:
    """Say that a model has no place for an argument, and which models have."""
    having = ", ".join(f"'{other.name}'" for other in MOMENT_MODELS.values() if name in other.knows)
    if name == "beta1":
        return (
            f"must be 0 with moments '{model}', which has no momentum, got {value:g}; "
            f"it enters {having}"
        )
    return f"does not enter moments '{model}', only {having}; leave it out"


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
    beta2: float | None = None,
    step: float | None = None,
    moments: str = DEFAULT_MODEL,
) -> Moments:
    """Mean and second moment of one update at a given signal and damping.

    Over many steps the noise that momentum takes from each update comes back, see
    `scaling.numeric.moments.many_steps.displacement_damping` (T-I1).

    Parameters
    ----------
    signal : array_like
        a = g sqrt(B)/sigma, of either sign, dimensionless.
    damping : array_like, default 0
        b = eps sqrt(B)/sigma >= 0, dimensionless; broadcast against ``signal``.
        Ignored by models without epsilon (``sgd``, ``sign``, ``sign-isru``).
    beta1 : float, optional
        Adam's first decay rate; 0.9 by default, 0 for models without momentum.
    beta2 : float, optional
        Adam's second decay rate, 0.999 by default; enters ``exact-adam`` only.
    step : float, optional
        t, the number of the step, a whole number from 1, by default infinity (stationary
        averages); enters ``exact-adam`` only.
    moments : str, default "mean-field-outside"
        The model: ``sgd`` (T-A3), ``sign`` (T-A5), ``sign-isru`` (T-A6), ``clip``
        (T-B3, T-B6), ``article`` (T-B5, T-B7), ``mean-field`` (T-C1, T-E1; eps inside
        the root), ``mean-field-outside`` (T-E7; PyTorch's eps), and without stand-ins
        ``exact-softsign`` (T-F1, T-F2), ``exact-adam`` (T-F4; PyTorch's eps) and
        ``exact-adam-inside`` (T-F4; eps inside the root).

    Returns
    -------
    Moments
        ``mean`` and ``second_moment`` of the broadcast shape. Elements at which the
        signal is not finite, or the damping is negative or not finite, are NaN.
        The update of ``sgd`` is in units of sigma/sqrt(B), all others are pure numbers.

    Raises
    ------
    InputError
        If beta1 or beta2 is outside [0, 1), the step is not a whole number from 1, one of them
        has no place in the model (beta1 = 0 has in all), or the model is unknown; with the exact
        models of Adam also if there is a beta1 but next to no beta2 (below 1e-7), for then the
        update has an infinite mean square at b = 0.

    Notes
    -----
    Finite and free of cancellation for a and b from 0 to 1e8, b = 0 included; the exact
    models to 1e140, NaN beyond, with a relative error of about 1e-14. For them, give a grid as
    ``signal[:, None], damping``: moments on it are matrix products, 500 times faster than
    element by element.
    Source: theory.md parts A to F; kexue.fm 10563 for ``article``.

    Examples
    --------
    >>> mean, second_moment = update_moments(1.0, 0.5, moments="mean-field")
    >>> print(f"{mean:.4f} {second_moment:.4f}")
    0.6667 0.4678
    >>> mean, second_moment = update_moments(1.0, 0.5, moments="exact-softsign")
    >>> print(f"{mean:.4f} {second_moment:.4f}")
    0.6082 0.6856
    """
    update = moment_model(moments).bind(beta1, beta2, step)
    mean, second_moment, _ = evaluate(update, signal, damping)
    return Moments(mean, second_moment)


def evaluate(
    update: Update, signal: npt.ArrayLike, damping: npt.ArrayLike
) -> tuple[Real, Real, Real]:
    """Mean, second moment and variance of the update; see `update_moments`."""
    a, b = as_array(signal, "signal"), as_array(damping, "damping")
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError as error:
        raise InputError(f"does not fit the signal: {error}", "damping") from None
    # Each is masked in its own shape, so that grids stay products of two axes.
    if not np.isfinite(a).all():
        a = np.where(np.isfinite(a), a, np.nan)
    valid = (b >= 0) & (b < np.inf)
    if not valid.all():
        b = np.where(valid, b, np.nan)
    mean, second_moment, variance = update(a, b)
    return mean[()], second_moment[()], variance[()]


def _closed_form(
    formula: Callable[[FloatArray, FloatArray, float], formulas.Result], gaussian_factor: float
) -> Callable[[float, float, float, float], Update]:
    """Make a model of a formula; ``gaussian_factor`` is lambda of T-E1."""

    def make(beta1: float, _: float, __: float, horizon: float) -> Update:
        c = float(displacement_damping(beta1, horizon))
        return ClosedForm(formula, gaussian_factor**-0.5, c)

    return make


def _exact(
    beta1: float, beta2: float, step: float, horizon: float, *, eps: Literal["inside", "outside"]
) -> Update:
    """Over a run momentum damps no noise: T-F4 at beta1 = 0, see `displacement_damping`."""
    from scaling.numeric.moments.exact_adam import ExactUpdate

    if 1 < horizon < np.inf and beta1:
        # T-I1 has independent updates, but these share v: between the ends nothing is derived.
        raise InputError(
            f"must be 1 step or a run (infinity) in the exact models with beta1, got {horizon:g}",
            "horizon",
        )
    return ExactUpdate(beta1 if horizon == 1 else 0.0, beta2, step, eps)


def _exact_softsign(_: float, __: float, ___: float, ____: float) -> Update:
    """Softsign is the first step of Adam with eps inside the root."""
    return _exact(0.0, 0.0, 1.0, 1.0, eps="inside")


#: Every moment model by name.
MOMENT_MODELS: dict[str, MomentModel] = {
    model.name: model
    for model in (
        MomentModel(
            "sgd",
            "plain SGD",
            "T-A3",
            eps="absent",
            knows=(),
            make=_closed_form(formulas.sgd, 1.0),
            noiseless=formulas.gradient,
            in_gradient_units=True,
        ),
        MomentModel(
            "sign",
            "SignSGD, exact under Gaussian noise",
            "T-A5",
            eps="absent",
            knows=(),
            make=_closed_form(formulas.sign, np.pi / 2),
            is_algebraic=False,
            noiseless=formulas.sign_of,
        ),
        MomentModel(
            "sign-isru",
            "SignSGD with an algebraic S-curve for erf",
            "T-A6",
            eps="absent",
            knows=(),
            make=_closed_form(formulas.sign_isru, np.pi / 2),
            noiseless=formulas.sign_of,
        ),
        MomentModel(
            "clip",
            "softsign replaced by a clipped line, then exact",
            "T-B3, T-B6",
            eps="inside",
            knows=(),
            make=_closed_form(formulas.clip, np.pi / 2),
            is_algebraic=False,
            noiseless=formulas.clipped,
        ),
        MomentModel(
            "article",
            "the article's working form",
            "T-B5, T-B7",
            eps="inside",
            knows=(),
            make=_closed_form(formulas.article, np.pi / 2),
            noiseless=formulas.softsign,
        ),
        MomentModel(
            "mean-field",
            "mean field, eps inside the root",
            "T-C1, T-E1",
            eps="inside",
            knows=("beta1",),
            make=_closed_form(formulas.mean_field, 1.0),
            noiseless=formulas.softsign,
        ),
        MomentModel(
            "mean-field-outside",
            "mean field, eps outside the root as in PyTorch",
            "T-E7",
            eps="outside",
            knows=("beta1",),
            make=_closed_form(formulas.mean_field_outside, 1.0),
            noiseless=formulas.softsign_outside,
        ),
        MomentModel(
            "exact-softsign",
            "softsign itself, exact under Gaussian noise",
            "T-F1, T-F2",
            eps="inside",
            knows=(),
            make=_exact_softsign,
            is_algebraic=False,
            noiseless=formulas.softsign,
        ),
        MomentModel(
            "exact-adam",
            "true Adam, eps outside the root as in PyTorch, exact under Gaussian noise",
            "T-F4",
            eps="outside",
            knows=("beta1", "beta2", "step"),
            make=partial(_exact, eps="outside"),
            is_algebraic=False,
            noiseless=formulas.softsign_outside,
        ),
        MomentModel(
            "exact-adam-inside",
            "true Adam, eps inside the root, exact under Gaussian noise",
            "T-F4",
            eps="inside",
            knows=("beta1", "beta2", "step"),
            make=partial(_exact, eps="inside"),
            is_algebraic=False,
            noiseless=formulas.softsign,
        ),
    )
}
