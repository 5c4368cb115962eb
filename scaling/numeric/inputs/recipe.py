"""What the user knows: a tuned run, and statistics of its gradients."""

from dataclasses import dataclass

from scaling.numeric.inputs.arrays import decay_rate, non_negative, positive, store

#: PyTorch's and optax's default.
DEFAULT_EPS = 1e-8


@dataclass(frozen=True)
class Recipe:
    """A tuned run: the learning rate that was best, and where it was best.

    Parameters
    ----------
    learning_rate : float
        The tuned learning rate, positive.
    batch_size : float
        Examples per optimizer step (per device x devices x accumulation), positive; any unit,
        used consistently.
    eps : float, default 1e-8
        Adam's epsilon, at least 0, in units of the gradient.
    beta1 : float, optional
        Adam's first decay rate in [0, 1). By default that of the moment model used: 0.9, or 0
        where the model has no momentum.
    beta2 : float, optional
        Adam's second decay rate in [0, 1); 0.999 by default. It enters ``exact-adam`` only.
    weight_decay : float, optional
        Decoupled weight decay, at least 0: AdamW takes lr times it off the weights at each step.
        No law knows it; `scaling.recipe` carries it along.

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> Recipe(learning_rate=3e-4, batch_size=256)
    Recipe(learning_rate=0.0003, batch_size=256.0, eps=1e-08, beta1=None, beta2=None,
           weight_decay=None)
    """

    learning_rate: float
    batch_size: float
    eps: float = DEFAULT_EPS
    beta1: float | None = None
    beta2: float | None = None
    weight_decay: float | None = None

    def __post_init__(self) -> None:
        store(self, positive, "learning_rate", "batch_size")
        store(self, non_negative, "eps")
        for name in ("beta1", "beta2"):
            if getattr(self, name) is not None:
                store(self, decay_rate, name)
        if self.weight_decay is not None:
            store(self, non_negative, "weight_decay")


@dataclass(frozen=True)
class GradientStatistics:
    """What the transfer needs to know of the gradients.

    Parameters
    ----------
    noise_scale : float
        B_simple = tr(Sigma)/||g||^2, positive, in the unit of the batch size.
    grad_rms : float, optional
        gamma = ||g||/sqrt(number of parameters), positive, in the unit of eps. Without it a
        nonzero eps cannot enter.
    curvature_ratio : float, default 1
        R0 = sign(g)^T H sign(g) / tr(H), positive; 1 for a diagonal Hessian.

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> GradientStatistics(noise_scale=4000.0, grad_rms=2e-6)
    GradientStatistics(noise_scale=4000.0, grad_rms=2e-06, curvature_ratio=1.0)
    """

    noise_scale: float
    grad_rms: float | None = None
    curvature_ratio: float = 1.0

    def __post_init__(self) -> None:
        store(self, positive, "noise_scale", "curvature_ratio")
        if self.grad_rms is not None:
            store(self, positive, "grad_rms")
