"""Adam written out, for many replicas of a model at once.

Weights have shape (seeds, learning rates, parameters). A step is seven passes over them.
"""

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor


@dataclass(frozen=True)
class AdamSettings:
    """What replicas that train together have in common.

    Attributes
    ----------
    eps : float
        In the unit of the gradient.
    beta1, beta2 : float
        Decay rates, in [0, 1).
    weight_decay : float
        Decoupled, as in AdamW: the weights shrink by the factor 1 - learning_rate * weight_decay.
    eps_inside : bool
        Whether the update is m/sqrt(v + eps^2) and not m/(sqrt(v) + eps), which is PyTorch's.
    bias_correction : bool
        Whether m and v are divided by 1 - beta^t.
    """

    eps: float = 1e-8
    beta1: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.0
    eps_inside: bool = False
    bias_correction: bool = True


class Adam:
    """Weights that train, and Adam's state.

    Parameters
    ----------
    weights : Tensor, shape (S, L, P)
        Changed in place.
    learning_rate : Tensor, shape (L,)
    settings : AdamSettings

    Notes
    -----
    The same as torch.optim.AdamW with one instance for each replica; a test holds it to that, step
    by step. Divisions by the bias corrections are moved into scalars, which saves passes:
    m_hat/(sqrt(v_hat) + eps) = sqrt(c2)/c1 m/(sqrt(v) + eps sqrt(c2)), with c = 1 - beta^t.

    Examples
    --------
    >>> adam = Adam(torch.zeros(1, 2, 1), torch.tensor([0.1, 0.2]), AdamSettings())
    >>> adam.step(torch.tensor([[[3.0], [-3.0]]]))
    >>> adam.weights.flatten().tolist()
    [-0.10..., 0.20...]
    """

    def __init__(self, weights: Tensor, learning_rate: Tensor, settings: AdamSettings) -> None:
        self.weights = weights
        self.learning_rate = learning_rate.to(weights.dtype)[:, None]
        self.settings = settings
        self.steps = 0
        self._first = torch.zeros_like(weights) if settings.beta1 else None
        self._second = torch.zeros_like(weights)

    def step(self, gradient: Tensor, factor: float = 1.0) -> None:
        """Take one step.

        Parameters
        ----------
        gradient : Tensor, shape (S, L, P)
        factor : float, default 1
            What a schedule makes of the learning rates.
        """
        self.steps += 1
        s, (c1, c2) = self.settings, self._corrections()
        first = gradient
        if self._first is not None:
            first = self._first.lerp_(gradient, 1 - s.beta1)
        self._second.mul_(s.beta2).addcmul_(gradient, gradient, value=1 - s.beta2)
        if s.eps_inside:
            root = torch.add(self._second, s.eps**2 * c2).sqrt_()
        else:
            root = torch.sqrt(self._second).add_(s.eps * sqrt(c2))
        update = torch.div(first, root, out=root)
        rate = self.learning_rate * factor
        if s.weight_decay:
            self.weights.mul_(1 - rate * s.weight_decay)
        self.weights.addcmul_(update, rate, value=-sqrt(c2) / c1)

    def second_moment(self) -> Tensor:
        """v_hat, shape (S, L, P), in the unit of the gradient squared."""
        return self._second / self._corrections()[1]

    def keep(self, which: Tensor) -> None:
        """Go on with some of the learning rates only."""
        self.weights = self.weights[:, which]
        self.learning_rate = self.learning_rate[which]
        self._second = self._second[:, which]
        if self._first is not None:
            self._first = self._first[:, which]

    def _corrections(self) -> tuple[float, float]:
        if not self.settings.bias_correction:
            return 1.0, 1.0
        return 1 - self.settings.beta1**self.steps, 1 - self.settings.beta2**self.steps
