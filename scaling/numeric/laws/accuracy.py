"""The error atlas: what each approximate moment model gets wrong, against the exact one."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError
from scaling.numeric.inputs.arrays import Real, as_non_negative, as_positive
from scaling.numeric.inputs.display import one_line
from scaling.numeric.moments.models import MomentModel, Update, evaluate, moment_model
from scaling.numeric.population.averages import average


class MomentErrors(NamedTuple):
    """Errors of a model's moments, model minus exact, dimensionless.

    Attributes
    ----------
    mean : numpy.float64 or ndarray
        Error of E[phi].
    second_moment : numpy.float64 or ndarray
        Error of E[phi^2], same shape.
    """

    mean: Real
    second_moment: Real

    def __repr__(self) -> str:
        return one_line(self)


def moment_errors(
    signal: npt.ArrayLike,
    damping: npt.ArrayLike = 0.0,
    beta1: float | None = None,
    *,
    beta2: float | None = None,
    moments: str,
    exact: str | None = None,
) -> MomentErrors:
    """Errors of an approximate model's mean and second moment, of one update.

    Parameters
    ----------
    signal, damping, beta1, moments
        As in `scaling.update_moments`; ``moments`` is an approximate model.
    beta2 : float, optional
        Adam's second decay rate, 0.999 by default. Approximations with momentum know none; the
        exact model they are held to does.
    exact : str, optional
        The exact model to hold it to. By default ``exact-softsign`` for models without momentum
        (``sign`` and ``sign-isru`` leave out epsilon, which is part of their error), and
        ``exact-adam`` or ``exact-adam-inside`` for those with, according to where their epsilon
        stands.

    Returns
    -------
    MomentErrors

    Raises
    ------
    InputError
        If the model is exact itself, or ``sgd``, whose update is not Adam's, or ``exact`` is none
        of the exact models, or does not know the beta1 or beta2 given.

    Notes
    -----
    T-F1, T-F2, T-F4 against T-A6, T-B3, T-B5 to T-B7, T-C1, T-E1, T-E7.

    Examples
    --------
    >>> errors = moment_errors(1.0, [0.0, 1.0], moments="article")
    >>> errors.second_moment.round(3).tolist()
    [0.0, 0.241]
    """
    _, approximate, true = _pair(moments, exact, beta1, beta2)
    found = evaluate(approximate, signal, damping)
    truth = evaluate(true, signal, damping)
    return MomentErrors(found[0] - truth[0], found[1] - truth[1])


def learning_rate_error(
    batch_size: npt.ArrayLike,
    eps: npt.ArrayLike = 0.0,
    beta1: float | None = None,
    *,
    beta2: float | None = None,
    moments: str,
    exact: str | None = None,
    population: str = "uniform",
    curvature_ratio: float = 1.0,
) -> Real:
    """Relative error of the optimal learning rate for one step, from an approximate model.

    Parameters
    ----------
    batch_size : array_like
        In units of the gradient noise scale, positive.
    eps : array_like, default 0
        In units of the gradient's RMS, at least 0, broadcast against ``batch_size``.
    beta1, beta2, moments, exact
        As in `moment_errors`.
    population : {"uniform", "gaussian"}
        How gradients differ between coordinates.
    curvature_ratio : float, default 1
        R0 of T-E6.

    Returns
    -------
    numpy.float64 or ndarray
        lr*(model)/lr*(exact) - 1, for given gradient, noise and Hessian (T-A1), of the broadcast
        shape; NaN at malformed elements. In a transfer from a tuned run (T-E6) the errors at the
        run and at the target partly cancel: it errs by (1 + e_target)/(1 + e_run) - 1.

    Raises
    ------
    InputError
        As in `moment_errors`.

    Examples
    --------
    >>> error = learning_rate_error([0.1, 1.0, 10.0], 1.0, moments="article")
    >>> [f"{100 * e:.1f} %" for e in error]
    ['-23.6 %', '-31.4 %', '-10.6 %']

    """
    model, approximate, true = _pair(moments, exact, beta1, beta2)
    a = np.sqrt(as_positive(batch_size, "batch_size"))
    b = a * as_non_negative(eps, "eps")
    found, truth = (
        np.divide(*average(population, model, update, curvature_ratio).sums(a, b))
        for update in (approximate, true)
    )
    return (found / truth - 1)[()]


def _pair(
    moments: str, exact: str | None, beta1: float | None, beta2: float | None
) -> tuple[MomentModel, Update, Update]:
    """Return the approximate model, its update and the exact update that it stands for."""
    model = moment_model(moments)
    if model.in_gradient_units or moments.startswith("exact"):
        raise InputError(f"must be an approximation of Adam's update, got {moments!r}", "moments")
    if exact is None:
        exact = {"outside": "exact-adam", "inside": "exact-adam-inside"}.get(model.eps, "")
        exact = exact if model.knows else "exact-softsign"
    if not exact.startswith("exact"):
        raise InputError(f"must be one of the exact models, got {exact!r}", "exact")
    return model, model.bind(beta1), moment_model(exact).bind(beta1, beta2)
