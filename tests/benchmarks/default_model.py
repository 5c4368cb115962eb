"""Which moment model and population should `lr query` assume? Transfers against the whole truth.

Truth: true Adam (T-F4) on every coordinate of populations that differ in how gradients and noise
are spread over coordinates, diagonal Hessian. Each transfer knows of a population what a user
knows, its noise scale and the gradient's RMS, and predicts the optimum at other batch sizes and
other eps from one tuned run. Printed: root mean square error in octaves, and start-up cost.
"""

from itertools import product

import numpy as np

from scaling import GradientStatistics, Recipe, TransferLaw
from scaling.numeric.moments import moment_model

COORDINATES = 300
REFERENCES = (0.03, 0.3, 3.0)
BATCHES = 2.0 ** np.arange(-6, 7, 2)
EPS = (0.0, 0.1, 1.0, 10.0)
CANDIDATES = list(product(("mean-field-outside", "exact-adam"), ("uniform", "gaussian")))


def quantiles(count):
    """Midpoints of equal shares of (0, 1)."""
    return (np.arange(count) + 0.5) / count


def populations():
    """Name, |gradient|, noise of COORDINATES coordinates."""
    from scipy.stats import lognorm, norm, t

    u, rng = quantiles(COORDINATES), np.random.default_rng(11)
    sizes = {
        "uniform": np.ones(COORDINATES),
        "half-normal": norm.ppf((1 + u) / 2),
        "log-normal, s = 1": lognorm.ppf(u, 1.0),
        "log-normal, s = 2": lognorm.ppf(u, 2.0),
        "Student t, 3 degrees": t.ppf((1 + u) / 2, 3),
        "a tenth is 30 x larger": np.where(u < 0.1, 30.0, 1.0),
    }
    for name, size in sizes.items():
        yield f"{name}; equal noise", size, np.ones(COORDINATES)
        yield f"{name}; noise ~ gradient", size, size
        noise = lognorm.ppf(u, 1.0)
        yield f"{name}; noise log-normal", size, rng.permutation(noise)


def optimum(update, g, sigma, batch, eps):
    """T-A1 with T-A2, diagonal Hessian of ones."""
    scale = np.sqrt(batch) / sigma
    mean, square, _ = update(g * scale, eps * scale)
    return np.sum(g * mean) / np.sum(square)


if __name__ == "__main__":
    truth = moment_model("exact-adam").bind(0.9, 0.999)
    errors = {candidate: [] for candidate in CANDIDATES}
    print(f"{'population':45}", *(f"{m}+{p}"[:24].rjust(25) for m, p in CANDIDATES))
    for name, size, sigma in populations():
        g = size / np.sqrt(np.mean(size**2))
        noise_scale = np.mean(sigma**2)
        table = {
            (k, eps): optimum(truth, g, sigma, k * noise_scale, eps)
            for k in {r * b for r in REFERENCES for b in BATCHES} | set(REFERENCES)
            for eps in EPS
        }
        line = []
        for moments, population in CANDIDATES:
            found = []
            for reference, eps_reference in product(REFERENCES, EPS[:2]):
                recipe = Recipe(
                    table[reference, eps_reference], reference * noise_scale, eps=eps_reference
                )
                for eps in EPS:
                    law = TransferLaw(
                        recipe,
                        GradientStatistics(noise_scale, 1.0),
                        eps=eps,
                        moments=moments,
                        population=population,
                    )
                    rates = law.learning_rate(reference * BATCHES * noise_scale)
                    actual = [table[reference * b, eps] for b in BATCHES]
                    found.extend(np.log2(rates / actual))
            errors[moments, population].extend(found)
            line.append(np.sqrt(np.mean(np.square(found))))
        print(f"{name:45}", *(f"{x:25.3f}" for x in line))
    print(f"{'all':45}", *(f"{np.sqrt(np.mean(np.square(e))):25.3f}" for e in errors.values()))
