"""A small causal transformer that reads the names of Unicode characters letter by letter."""

from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, embedding, layer_norm

from scaling.lab.problems.text import ALPHABET, unicode_names

#: How many stretches of the text, evenly spaced, stand for all when the loss is computed.
_EVALUATED = 1024
#: Letters, over all replicas, whose activations are held at a time: they fit the cache.
_BLOCK = 2**13


class Transformer:
    """One block of attention and a network, both before normalisation: 4,576 weights.

    An example is a stretch of the text that starts anywhere; every letter of it but the first is
    predicted from those before it.

    Parameters
    ----------
    width : int, default 16
    heads : int, default 2
    context : int, default 16
        Letters that are read of an example.
    dtype : torch.dtype, default float32
    """

    def __init__(
        self,
        width: int = 16,
        heads: int = 2,
        context: int = 16,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.width, self.heads, self.context = width, heads, context
        self.dtype = dtype
        number = {letter: i for i, letter in enumerate(ALPHABET)}
        self.text = torch.tensor([number[letter] for letter in unicode_names()])
        self.shapes = {
            "embedding": (len(ALPHABET), width),
            "position": (context, width),
            "attention": (width, 3 * width),
            "joined": (width, width),
            "up": (width, 4 * width),
            "down": (4 * width, width),
            "output": (width, len(ALPHABET)),
        }
        self.sizes = [rows * columns for rows, columns in self.shapes.values()]
        self.parameters = sum(self.sizes)
        self._unseen = torch.full((context, context), -torch.inf, dtype=dtype).triu(1)
        self._evaluated = torch.linspace(0, len(self.text) - context - 1, _EVALUATED).long()

    def start(self, generator: np.random.Generator) -> Tensor:
        """Gaussian weights of variance 1/inputs; of embeddings 1, of positions 1/4."""
        deviation = {"embedding": 1.0, "position": 0.5}
        parts = [
            generator.standard_normal(size) * deviation.get(name, self.shapes[name][0] ** -0.5)
            for name, size in zip(self.shapes, self.sizes, strict=True)
        ]
        return torch.tensor(np.concatenate(parts), dtype=self.dtype)

    def draw(self, generator: np.random.Generator, batch_size: int, steps: int) -> Tensor:
        """Where the stretches start, shape (steps, B)."""
        end = len(self.text) - self.context
        return torch.from_numpy(generator.integers(0, end, (steps, batch_size)))

    def gradient(self, weights: Tensor, batch: Tensor) -> Tensor:
        """Gradient on batches of stretches, shape (S, L, P)."""
        flat, of = weights.flatten(0, 1), _repeated(batch, weights)
        size = self._block(of)
        blocks = zip(torch.split(flat, size), torch.split(of, size), strict=True)
        return torch.cat([self._gradient(*block) for block in blocks]).view_as(weights)

    def loss(self, weights: Tensor) -> Tensor:
        """Mean cross-entropy over 1,024 stretches of the text in nats a letter, shape (S, L)."""
        starts = self._evaluated[None]
        with torch.no_grad():
            blocks = torch.split(weights.flatten(0, 1), self._block(starts))
            losses = [self._losses(block, starts.expand(len(block), -1)) for block in blocks]
        return torch.cat(losses).view(weights.shape[:2])

    def _block(self, batch: Tensor) -> int:
        letters: int = batch.shape[1] * self.context
        return max(1, _BLOCK // letters)

    def _gradient(self, weights: Tensor, batch: Tensor) -> Tensor:
        weights = weights.detach().requires_grad_()
        # Replicas do not meet, so that the gradient of the sum holds that of each.
        return torch.autograd.grad(self._losses(weights, batch).sum(), weights)[0]

    def _losses(self, weights: Tensor, batch: Tensor) -> Tensor:
        """Mean cross-entropy of each replica (R, P) on its own stretches (R, B)."""
        letters = self.text[batch[..., None] + torch.arange(self.context + 1)]
        scores = self._scores(weights, letters[..., :-1])
        losses = cross_entropy(scores.flatten(0, 1), letters[..., 1:].flatten(), reduction="none")
        return losses.view(len(weights), -1).mean(dim=1)

    def _scores(self, weights: Tensor, letters: Tensor) -> Tensor:
        """Logits of the next letter, shape (R, B * context, letters)."""
        replicas, examples, context = letters.shape
        w = {
            name: part.reshape(replicas, *shape)
            for (name, shape), part in zip(
                self.shapes.items(), torch.split(weights, self.sizes, dim=1), strict=True
            )
        }
        normal = partial(layer_norm, normalized_shape=(self.width,))
        # One table of all replicas' embeddings, in which each finds its own.
        known = letters + len(ALPHABET) * torch.arange(replicas)[:, None, None]
        x = embedding(known, w["embedding"].flatten(0, 1)) + w["position"][:, None]
        x = x.flatten(1, 2)
        query, key, value = (
            torch.bmm(normal(x), w["attention"])
            .view(replicas * examples, context, 3, self.heads, -1)
            .permute(2, 0, 3, 1, 4)
        )
        likeness = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        attended = torch.softmax(likeness + self._unseen, dim=-1) @ value
        x = torch.baddbmm(x, attended.transpose(1, 2).reshape(x.shape), w["joined"])
        x = torch.baddbmm(x, torch.bmm(normal(x), w["up"]).relu(), w["down"])
        return torch.bmm(normal(x), w["output"])


def _repeated(batch: Tensor, weights: Tensor) -> Tensor:
    """Batches (S, B) for each replica of weights (S, L, P), as (S * L, B)."""
    return batch[:, None].expand(-1, weights.shape[1], -1).flatten(0, 1)
