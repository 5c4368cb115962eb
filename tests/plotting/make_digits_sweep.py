"""Write scaling/data/digits_sweep.csv: a small network trained on scikit-learn's digits by Adam.

A sweep like a user's: batch sizes, learning rates and epsilons, three seeds, a fixed number of
examples. Needs scikit-learn, which this project does not; three minutes on two cores:

    python tests/plotting/make_digits_sweep.py
"""

import csv
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

HIDDEN, CLASSES = 32, 10
EXAMPLES = 2**14
BATCH_SIZES = [2**k for k in range(1, 12)]
LEARNING_RATES = [2.0**k for k in range(-14, 0)]
EPS = [1e-8, 1e-3, 1e-1]
SEEDS = [0, 1, 2]
BETA1, BETA2 = 0.9, 0.999
OUT = Path(__file__).parents[2] / "scaling" / "data" / "digits_sweep.csv"


def forward(weights, x):
    hidden = np.tanh(x @ weights[0] + weights[1])
    logits = hidden @ weights[2] + weights[3]
    logits -= logits.max(axis=-1, keepdims=True)
    return hidden, logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def gradients(weights, x, target):
    hidden, log_p = forward(weights, x)
    error = (np.exp(log_p) - target) / x.shape[-2]
    back = (error @ np.swapaxes(weights[2], -1, -2)) * (1 - hidden**2)
    return [
        np.swapaxes(x, -1, -2) @ back,
        back.sum(axis=-2, keepdims=True),
        np.swapaxes(hidden, -1, -2) @ error,
        error.sum(axis=-2, keepdims=True),
    ]


def train(x, target, batch_size, eps):
    """Loss on all examples of every (seed, learning rate), all trained at once."""
    rates = np.array(LEARNING_RATES)[None, :, None, None]
    shapes = [(x.shape[1], HIDDEN), (1, HIDDEN), (HIDDEN, CLASSES), (1, CLASSES)]
    generators = [np.random.default_rng([seed, batch_size]) for seed in SEEDS]
    weights = []
    for shape in shapes:
        start = np.stack(
            [
                g.standard_normal(shape) * (shape[0] ** -0.5 if shape[0] > 1 else 0)
                for g in generators
            ]
        )
        weights.append(np.repeat(start[:, None], len(LEARNING_RATES), axis=1))
    first = [np.zeros_like(w) for w in weights]
    second = [np.zeros_like(w) for w in weights]
    for step in range(1, EXAMPLES // batch_size + 1):
        rows = np.stack([g.integers(0, len(x), batch_size) for g in generators])
        for w, m, v, g in zip(
            weights,
            first,
            second,
            gradients(weights, x[rows][:, None], target[rows][:, None]),
            strict=True,
        ):
            m[...] += (1 - BETA1) * (g - m)
            v[...] += (1 - BETA2) * (g * g - v)
            w[...] -= rates * (m / (1 - BETA1**step)) / (np.sqrt(v / (1 - BETA2**step)) + eps)
    _, log_p = forward(weights, x[None, None])
    return -(log_p * target).sum(axis=-1).mean(axis=-1)


def main():
    digits = load_digits()
    x = (digits.data - digits.data.mean()) / digits.data.std()
    target = np.eye(CLASSES)[digits.target]
    with OUT.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["batch_size", "learning_rate", "eps", "seed", "loss"])
        for eps in EPS:
            for batch_size in BATCH_SIZES:
                loss = train(x, target, batch_size, eps)
                for i, seed in enumerate(SEEDS):
                    for rate, value in zip(LEARNING_RATES, loss[i], strict=True):
                        writer.writerow(
                            [batch_size, f"{rate:.8g}", f"{eps:g}", seed, f"{value:.5g}"]
                        )
                print(
                    eps, batch_size, LEARNING_RATES[int(np.argmin(loss.mean(axis=0)))], flush=True
                )


if __name__ == "__main__":
    main()
