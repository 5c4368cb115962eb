"""A million batch sizes in one call against the sqrt rule, which is numpy.sqrt of the array."""

import sys

import numpy as np
from timing import ratio, report

from scaling import BatchSizeLaw, GradientStatistics, Recipe, TransferLaw

if __name__ == "__main__":
    batch = np.linspace(1.0, 1e6, 1_000_000)
    recipe, statistics = Recipe(3e-4, 256, eps=1e-6), GradientStatistics(4000, 2e-6)
    laws = {
        "the plain law": BatchSizeLaw.from_limit(1e-3, 4000.0, 200.0),
        "transfer, eps outside the root": TransferLaw(recipe, statistics),
        "transfer, eps inside the root": TransferLaw(recipe, statistics, moments="mean-field"),
    }
    results = [
        report(
            f"{name} / numpy.sqrt",
            ratio(lambda law=law: law.learning_rate(batch), lambda: np.sqrt(batch), 15),
            20,
        )
        for name, law in laws.items()
    ]
    sys.exit(not all(results))
