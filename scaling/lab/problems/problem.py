"""What a problem is to the laboratory."""

from typing import Protocol

import numpy as np
from torch import Tensor


class Problem(Protocol):
    """A loss over a population of examples, and its gradient on batches, for many replicas.

    Replicas have two axes: S groups of L. A group shares its batches, as runs of one seed do whose
    learning rates differ.

    Attributes
    ----------
    parameters : int
        P, how many weights a replica has.
    """

    parameters: int

    def start(self, generator: np.random.Generator) -> Tensor:
        """Draw the weights that a run starts from, shape (P,)."""

    def draw(self, generator: np.random.Generator, batch_size: int, steps: int) -> Tensor:
        """Draw the batches of some steps, of independent examples; the first axis is the step."""

    def gradient(self, weights: Tensor, batch: Tensor) -> Tensor:
        """Gradient of the mean loss on a batch, shape (S, L, P).

        Parameters
        ----------
        weights : Tensor, shape (S, L, P)
        batch : Tensor
            S of what `draw` returns for one step.
        """

    def loss(self, weights: Tensor) -> Tensor:
        """Mean loss over the population, shape (S, L)."""
