"""A small model in training, whose gradients are known example by example."""

import torch
from torch.func import functional_call, grad, vmap

EXAMPLES, INPUTS, CLASSES = 512, 12, 4


def data(seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(EXAMPLES, INPUTS, generator=generator)
    teacher = torch.randn(INPUTS, CLASSES, generator=generator)
    noisy = x @ teacher + 3 * torch.randn(EXAMPLES, CLASSES, generator=generator)
    return x, noisy.argmax(dim=1)


def network(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Linear(INPUTS, 16), torch.nn.Tanh(), torch.nn.Linear(16, CLASSES)
    )


def loss_of(model, batch):
    x, y = batch
    return torch.nn.functional.cross_entropy(model(x), y)


def exact(model, batch, weights=None):
    """|g|^2 and tr(Sigma) over all examples, each weighted by a vector, from their gradients."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def loss(parameters, x, y):
        logits = functional_call(model, parameters, (x[None],))
        return torch.nn.functional.cross_entropy(logits, y[None])

    gradients = vmap(grad(loss), (None, 0, 0))(parameters, *batch)
    flat = torch.cat([g.flatten(1) for g in gradients.values()], dim=1).double()
    weights = torch.ones(flat.shape[1]) if weights is None else weights
    mean = flat.mean(dim=0)
    variance = (flat - mean).square().mean(dim=0)
    return float((weights * mean.square()).sum()), float((weights * variance).sum())


def batches(batch, number, size, generator):
    """So many micro-batches, drawn with replacement."""
    x, y = batch
    index = torch.randint(len(x), (number, size), generator=generator)
    return [(x[i], y[i]) for i in index]


def accumulate(model, monitor, micro_batches, scale=1.0):
    """One step's backwards, as users write them."""
    for batch in micro_batches:
        (scale * loss_of(model, batch) / len(micro_batches)).backward()
        monitor.micro_batch()
