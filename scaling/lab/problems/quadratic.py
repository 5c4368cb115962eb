"""A random quadratic loss of which everything is known: the theory's own assumptions."""

import numpy as np
import torch
from torch import Tensor


class Quadratic:
    """L(w) = w^T H w / 2 with independent Gaussian noise on each coordinate of the gradient.

    Parameters
    ----------
    size : int, default 64
        P, the number of coordinates.
    seed : int, default 0
        Decides H, the noise and the starting point.
    dtype : torch.dtype, default float32

    Attributes
    ----------
    hessian : Tensor, shape (P, P)
        H, not diagonal; eigenvalues fall like 1/i from 1.
    deviation : Tensor, shape (P,)
        sigma, per-example standard deviation of the gradient; log-normal.
    origin : Tensor, shape (P,)
        Where runs start; the gradient there is H @ origin.
    """

    def __init__(self, size: int = 64, seed: int = 0, dtype: torch.dtype = torch.float32) -> None:
        generator = np.random.default_rng(seed)
        axes, _ = np.linalg.qr(generator.standard_normal((size, size)))
        hessian = (axes / np.arange(1, size + 1)) @ axes.T
        self.parameters = size
        self.hessian = torch.tensor((hessian + hessian.T) / 2, dtype=dtype)
        self.deviation = torch.tensor(np.exp(generator.standard_normal(size)), dtype=dtype)
        self.origin = torch.tensor(generator.standard_normal(size), dtype=dtype)

    def start(self, _: np.random.Generator) -> Tensor:
        """The origin, whatever the seed."""
        return self.origin.clone()

    def draw(self, generator: np.random.Generator, batch_size: int, steps: int) -> Tensor:
        """Noise of the batch gradients, shape (steps, P); its variance is sigma^2/B."""
        noise = torch.from_numpy(generator.standard_normal((steps, self.parameters)))
        scaled: Tensor = noise.to(self.origin.dtype) * self.deviation / batch_size**0.5
        return scaled

    def gradient(self, weights: Tensor, batch: Tensor) -> Tensor:
        """H w and the noise, shape (S, L, P)."""
        gradient: Tensor = weights @ self.hessian + batch[:, None]
        return gradient

    def loss(self, weights: Tensor) -> Tensor:
        """w^T H w / 2, shape (S, L)."""
        loss: Tensor = (weights @ self.hessian * weights).sum(dim=-1) / 2
        return loss
