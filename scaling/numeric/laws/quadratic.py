"""The full law (T-A1, T-A2): gradient, noise and Hessian known, solved exactly.

Nobody knows the Hessian of a large model, but small problems can be solved with it, and that
is how the simpler laws are tested.
"""

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError
from scaling.numeric.inputs.arrays import FloatArray, Real, as_array, as_positive, non_negative
from scaling.numeric.inputs.display import Shown
from scaling.numeric.laws.batch_size_law import BatchSizeLaw
from scaling.numeric.laws.law import Provenance
from scaling.numeric.moments.models import (
    DEFAULT_MODEL,
    MomentModel,
    Update,
    evaluate,
    moment_model,
)

#: A diagonal (N,), a dense matrix (N, N) or a scipy.sparse.linalg.LinearOperator of that shape.
Hessian: TypeAlias = Any

#: How many columns of the identity a LinearOperator is applied to at a time.
_BLOCK = 256


@dataclass(frozen=True, repr=False)
class QuadraticOptimum(Shown):
    """The best learning rate on a quadratic loss, and what it achieves.

    Attributes
    ----------
    learning_rate : numpy.float64 or ndarray
        lr* = E[phi].g / tr(E[phi phi^T] H) (T-A1), of the shape of the batch sizes; NaN where
        the curvature is not positive, for then a longer step is always better, and where the
        batch size is not positive.
    loss_decrease : numpy.float64 or ndarray
        dL* = (E[phi].g)^2 / (2 tr(E[phi phi^T] H)), in units of the loss.
    curvature : numpy.float64 or ndarray
        tr(E[phi phi^T] H), by T-A2.
    """

    learning_rate: Real
    loss_decrease: Real
    curvature: Real


def quadratic_optimum(
    gradient: npt.ArrayLike,
    variance: npt.ArrayLike,
    hessian: Hessian,
    batch_size: npt.ArrayLike,
    *,
    eps: float = 0.0,
    beta1: float | None = None,
    beta2: float | None = None,
    step: float | None = None,
    moments: str = DEFAULT_MODEL,
) -> QuadraticOptimum:
    """Best learning rate for one step on a quadratic loss with independent coordinates.

    One step only: over a run momentum damps no noise (T-I1), which beta1 = 0 describes.

    Parameters
    ----------
    gradient : array_like, shape (N,)
        True gradient g.
    variance : array_like, shape (N,) or scalar
        Per-example gradient variance sigma^2 of each coordinate, at least 0.
    hessian : array_like of shape (N,) or (N, N), or scipy LinearOperator
        H: its diagonal, if it is diagonal, or the whole. Of an operator the diagonal is found
        by applying it to the identity, which takes N products.
    batch_size : array_like
        Examples per step, any shape.
    eps : float, default 0
        Adam's epsilon, in units of the gradient.
    beta1, beta2, step : float, optional
        Adam's decay rates and the number of the step; see `update_moments`.
    moments : str, default "mean-field-outside"
        Moment model; see `update_moments`.

    Returns
    -------
    QuadraticOptimum

    Raises
    ------
    InputError
        If shapes disagree, a variance is negative, or an entry is not finite.

    Notes
    -----
    T-A1 with T-A2; one pass over the coordinates for each batch size.

    Examples
    --------
    >>> best = quadratic_optimum([1.0, -2.0], [4.0, 4.0], [1.0, 1.0], [1, 100], moments="sgd")
    >>> best.learning_rate.round(4).tolist()
    [0.3846, 0.9843]
    """
    g, sigma, product, diagonal = _read(gradient, variance, hessian)
    model = moment_model(moments)
    update = model.bind(beta1, beta2, step)
    non_negative(eps, "eps")
    batches = as_positive(batch_size, "batch_size")
    slope, curvature = np.empty(batches.shape), np.empty(batches.shape)
    for index, batch in np.ndenumerate(batches):
        mean, variance = _moments(model, update, g, sigma / np.sqrt(batch), eps)
        slope[index] = mean @ g
        curvature[index] = variance @ diagonal + mean @ product(mean)
    downward = np.where(curvature > 0, curvature, np.nan)
    return QuadraticOptimum((slope / downward)[()], (slope**2 / (2 * downward))[()], curvature[()])


def mean_field_law(
    gradient: npt.ArrayLike,
    variance: npt.ArrayLike,
    hessian: Hessian,
    *,
    eps: float = 0.0,
    beta1: float | None = None,
    moments: str = "mean-field",
) -> BatchSizeLaw:
    """Mean-field law of a quadratic loss (T-B9, with momentum T-E1), in the form T-E2.

    Of one step, as `quadratic_optimum`. Every coordinate gets the same signal-to-noise ratio, so
    the law has a closed form: lr = beta G / (beta^2 Q + c (1 - beta^2) T) with G = nu.g,
    Q = nu^T H nu, T = tr H.

    Parameters
    ----------
    gradient, variance, hessian, eps, beta1
        As in `quadratic_optimum`.
    moments : {"mean-field", "article", "sign-isru"}
        Whose lambda and noiseless update to take: 1 or pi/2, with eps or without.

    Returns
    -------
    BatchSizeLaw
        B_n = lambda kappa^2 and B_crit = B_n c T/Q, with kappa^2 = sum(sigma^2)/sum(g^2 + eps^2)
        as the average that T-B8 leaves open (T-C2).

    Raises
    ------
    InputError
        As in `quadratic_optimum`; also if the gradient is 0, there is no noise, or the curvature
        Q or T is not positive.

    Examples
    --------
    >>> law = mean_field_law([1.0, 1.0], [9.0, 9.0], [2.0, 2.0], moments="article")
    >>> print(f"{law.noise_batch_size:.4f} {law.learning_rate_limit:.4f}")
    14.1372 0.5000
    """
    g, sigma, product, diagonal = _read(gradient, variance, hessian)
    if moments not in ("mean-field", "article", "sign-isru"):
        raise InputError(
            f"the mean-field law exists for 'mean-field', 'article' and 'sign-isru', "
            f"got {moments!r}",
            "moments",
        )
    model = moment_model(moments)
    if model.eps == "absent":
        eps = 0.0
    noiseless = model.noiseless(g, np.full_like(g, non_negative(eps, "eps")))
    norm = g @ g + g.size * eps**2
    if not (g @ g > 0 and np.any(sigma > 0)):
        raise InputError("needs a nonzero gradient and noise to have a batch size law", "gradient")
    quadratic, trace = float(noiseless @ product(noiseless)), float(np.sum(diagonal))
    if not (quadratic > 0 and trace > 0):
        raise InputError(
            f"must have positive curvature along the update and positive trace, "
            f"got Q = {quadratic:g} and T = {trace:g}",
            "hessian",
        )
    update = model.bind(beta1)
    noise = float(sigma @ sigma / norm) / update.slope**2
    critical = noise * update.pure_noise * trace / quadratic
    limit = float(noiseless @ g) / quadratic
    return replace(
        BatchSizeLaw.from_limit(limit, noise, critical),
        provenance=Provenance("assumed", "mean field of a given gradient, noise and Hessian"),
    )


def _moments(
    model: MomentModel, update: Update, g: FloatArray, noise: FloatArray, eps: float
) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of the update where each coordinate has its own noise."""
    noisy = noise != 0  # NaN, from a malformed batch size, is noise and stays NaN
    scale = np.where(noisy, noise, 1.0)
    mean, _, variance = evaluate(update, g / scale, eps / scale)
    if model.in_gradient_units:
        mean, variance = mean * scale, variance * scale**2
    noiseless = model.noiseless(g, np.full_like(g, eps))
    return np.where(noisy, mean, noiseless), np.where(noisy, variance, 0.0)


def _read(
    gradient: npt.ArrayLike, variance: npt.ArrayLike, hessian: Hessian
) -> tuple[FloatArray, FloatArray, Any, FloatArray]:
    """Validate; return g, sigma, the product with H, and the diagonal of H."""
    g = as_array(gradient, "gradient")
    if g.ndim != 1 or not g.size or not np.isfinite(g).all():
        raise InputError("must be a non-empty vector of finite numbers", "gradient")
    noise = as_array(variance, "variance")
    if noise.shape not in ((), g.shape) or not (np.isfinite(noise) & (noise >= 0)).all():
        raise InputError(
            f"must be one number or {g.size} of them, finite and at least 0", "variance"
        )
    product, diagonal = _read_hessian(hessian, g.size)
    return g, np.broadcast_to(np.sqrt(noise), g.shape), product, diagonal


def _read_hessian(hessian: Hessian, size: int) -> tuple[Any, FloatArray]:
    """Return the product with a vector and the diagonal."""
    if hasattr(hessian, "matvec"):
        if hessian.shape != (size, size):
            raise InputError(f"must have shape ({size}, {size}), got {hessian.shape}", "hessian")
        return hessian.matvec, _operator_diagonal(hessian, size)
    matrix = as_array(hessian, "hessian")
    if matrix.shape not in ((size,), (size, size)) or not np.isfinite(matrix).all():
        raise InputError(
            f"must be finite and of shape ({size},) or ({size}, {size}), got {matrix.shape}",
            "hessian",
        )
    if matrix.ndim == 1:
        return (lambda vector: matrix * vector), matrix
    return (lambda vector: matrix @ vector), np.diagonal(matrix)


def _operator_diagonal(operator: Any, size: int) -> FloatArray:
    """Diagonal of a LinearOperator, a block of columns at a time."""
    diagonal = np.empty(size)
    for start in range(0, size, _BLOCK):
        columns = np.arange(start, min(start + _BLOCK, size))
        block = np.zeros((size, columns.size))
        block[columns, columns - start] = 1.0
        diagonal[columns] = operator.matmat(block)[columns, columns - start]
    return diagonal
