"""Scikit-learn's handwritten digits: logistic regression and a small network.

Gradients are written out, for automatic differentiation costs more than these models do. The
batch is the last axis of all activations: so the first layer of all replicas of a seed, which see
the same images, is one product of matrices.
"""

import numpy as np
import torch
from torch import Tensor

from scaling.errors import MissingExtraError

try:
    from sklearn.datasets import load_digits
except ModuleNotFoundError:
    raise MissingExtraError("scikit-learn", "torch") from None

CLASSES = 10
#: Examples that are made of an image; one of them is labelled wrongly.
_COPIES = 10
#: Learning rates whose loss is computed at a time: their activations fit the cache.
_BLOCK = 4


class _Digits:
    """1,797 images of 8 x 8 pixels, a tenth of whose labels are wrong.

    An image is ten examples, one of them with a wrong label drawn once and for all: so the loss
    has a floor, 0.325, at which the gradient noise does not vanish, as that of language models
    does not. A batch is the numbers of its examples, drawn with repetition: so its noise is
    Sigma/B for every B, as the theory has it. The loss is that of all examples, the population.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        data = load_digits()
        pixels = torch.tensor((data.data - data.data.mean()) / data.data.std(), dtype=dtype)
        # A column of ones: the last weight of a unit is its bias.
        self.inputs = torch.cat([pixels, torch.ones_like(pixels[:, :1])], dim=1)
        labels = np.repeat(data.target[:, None], _COPIES, axis=1)
        labels[:, -1] += np.random.default_rng(0).integers(1, CLASSES, len(labels))
        self.targets = torch.eye(CLASSES, dtype=dtype)[labels % CLASSES]
        self.mean_targets = self.targets.mean(dim=1)
        self.targets = self.targets.flatten(0, 1)

    def draw(self, generator: np.random.Generator, batch_size: int, steps: int) -> Tensor:
        """Numbers of examples, shape (steps, B)."""
        return torch.from_numpy(generator.integers(0, len(self.targets), (steps, batch_size)))

    def loss(self, weights: Tensor) -> Tensor:
        """Mean cross-entropy over all examples in nats, shape (S, L)."""
        x = self.inputs.expand(len(weights), -1, -1)
        return torch.cat([self._losses(w, x) for w in torch.split(weights, _BLOCK, dim=1)], dim=1)

    def _losses(self, weights: Tensor, x: Tensor) -> Tensor:
        logits = self.logits(weights, x)
        chosen = (logits * self.mean_targets.T).sum(dim=2)
        return (torch.logsumexp(logits, dim=2) - chosen).mean(dim=2)

    def logits(self, weights: Tensor, x: Tensor) -> Tensor:
        """Scores of images x, shape (S, B, pixels + 1), as (S, L, classes, B)."""
        raise NotImplementedError

    def _error(self, logits: Tensor, batch: Tensor) -> Tensor:
        """Derivative of a batch's mean loss by its logits, (S, L, classes, B)."""
        target = self.targets[batch].transpose(1, 2)[:, None]
        return torch.softmax(logits, dim=2).sub_(target).div_(batch.shape[1])


class Logistic(_Digits):
    """Multinomial logistic regression: 650 weights, a convex loss; runs start at 0.

    Parameters
    ----------
    dtype : torch.dtype, default float32
    """

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(dtype)
        self.parameters = self.inputs.shape[1] * CLASSES

    def start(self, _: np.random.Generator) -> Tensor:
        """Zeros, whatever the seed."""
        return torch.zeros(self.parameters, dtype=self.inputs.dtype)

    def gradient(self, weights: Tensor, batch: Tensor) -> Tensor:
        """Gradient on batches of examples, shape (S, L, P)."""
        x = self.inputs[batch // _COPIES]
        error = self._error(self.logits(weights, x), batch)
        return torch.bmm(error.flatten(1, 2), x).view(weights.shape)

    def logits(self, weights: Tensor, x: Tensor) -> Tensor:
        """Scores of images x, shape (S, B, pixels + 1), as (S, L, classes, B)."""
        return _first_layer(weights, x, CLASSES)


class Network(_Digits):
    """One hidden layer of tanh: 2,410 weights at the default width.

    Parameters
    ----------
    hidden : int, default 32
    dtype : torch.dtype, default float32
    """

    def __init__(self, hidden: int = 32, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(dtype)
        self.hidden = hidden
        self.sizes = [hidden * self.inputs.shape[1], CLASSES * (hidden + 1)]
        self.parameters = sum(self.sizes)

    def start(self, generator: np.random.Generator) -> Tensor:
        """Gaussian weights of variance 1/inputs, biases 0."""
        layers = []
        for inputs, outputs in ((self.inputs.shape[1] - 1, self.hidden), (self.hidden, CLASSES)):
            layer = generator.standard_normal((outputs, inputs)) * inputs**-0.5
            layers.append(np.hstack([layer, np.zeros((outputs, 1))]).ravel())
        return torch.tensor(np.concatenate(layers), dtype=self.inputs.dtype)

    def gradient(self, weights: Tensor, batch: Tensor) -> Tensor:
        """Gradient on batches of examples, shape (S, L, P)."""
        x = self.inputs[batch // _COPIES]
        first, second = torch.split(weights, self.sizes, dim=2)
        second = self._matrices(second)
        hidden = self._activations(first, x)
        logits = torch.baddbmm(second[..., -1:], second[..., :-1], hidden)
        error = self._error(logits.view(*weights.shape[:2], CLASSES, -1), batch).flatten(0, 1)
        back = torch.bmm(second[..., :-1].transpose(1, 2), error)
        by_bias = error.sum(dim=2, keepdim=True)
        by_second = torch.cat([torch.bmm(error, hidden.transpose(1, 2)), by_bias], dim=2)
        back -= back * hidden.square_()
        by_first = torch.bmm(back.view(len(x), -1, batch.shape[1]), x)
        shape = (*weights.shape[:2], -1)
        return torch.cat([by_first.view(shape), by_second.view(shape)], dim=2)

    def logits(self, weights: Tensor, x: Tensor) -> Tensor:
        """Scores of images x, shape (S, B, pixels + 1), as (S, L, classes, B)."""
        first, second = torch.split(weights, self.sizes, dim=2)
        second = self._matrices(second)
        hidden = self._activations(first, x)
        logits = torch.baddbmm(second[..., -1:], second[..., :-1], hidden)
        return logits.view(*weights.shape[:2], CLASSES, -1)

    def _activations(self, first: Tensor, x: Tensor) -> Tensor:
        """Hidden layer, shape (S * L, hidden, B)."""
        return _first_layer(first, x, self.hidden).flatten(0, 1).tanh_()

    @staticmethod
    def _matrices(second: Tensor) -> Tensor:
        """Second layer, shape (S * L, classes, hidden + 1)."""
        return second.reshape(second.shape[0] * second.shape[1], CLASSES, -1)


def _first_layer(weights: Tensor, x: Tensor, units: int) -> Tensor:
    """Product of weights (S, L, units * inputs) and images x (S, B, inputs)."""
    count, rates, _ = weights.shape
    stacked = weights.reshape(count, rates * units, x.shape[2])
    return torch.bmm(stacked, x.transpose(1, 2)).view(count, rates, units, -1)
