"""T-B11 in every model: lr*/eps tends to SGD's law."""

import math

import numpy as np
import pytest

from scaling import GradientStatistics, InputError, Recipe, TransferLaw
from scaling.numeric.laws.transfer import sgd_limit

BATCH_SIZES = np.geomspace(1e-2, 1e4, 25)
#: The variance that is left of the noise.
NOISE = {
    "article": (0.0, math.pi / 2),
    "mean-field": (0.0, 1.0),
    "clip": (0.0, 1.0),
    "exact-softsign": (0.0, 1.0),
    "mean-field-outside": (0.9, 0.1 / 1.9),
    "exact-adam": (0.9, 0.1 / 1.9),
}


@pytest.mark.parametrize("model", NOISE)
@pytest.mark.parametrize(("ratio", "horizon"), [(1.0, 1), (7.0, 1), (7.0, np.inf)])
def test_limit(model, ratio, horizon):
    beta1, noise = NOISE[model]
    if horizon != 1 and beta1:
        noise = 1.0  # over a run momentum damps none (T-I1)
    statistics = GradientStatistics(30.0, grad_rms=1e-3, curvature_ratio=ratio)
    recipe = Recipe(2e-3, 8.0, eps=0.0, beta1=beta1)
    law = TransferLaw(recipe, statistics, moments=model, horizon=horizon)
    limit = sgd_limit(law)
    formula = ratio / (ratio + noise * 30.0 / BATCH_SIZES)
    assert limit.learning_rate(BATCH_SIZES) == pytest.approx(formula, rel=1e-9)
    eps = 1e4  # in units of the gradient's RMS; of the noise, 20 at the smallest batch
    scaled = law.learning_rate(BATCH_SIZES, eps=eps * 1e-3) / eps / law.learning_rate_limit
    assert scaled == pytest.approx(formula, rel=0.02)


def test_refusals():
    statistics = GradientStatistics(30.0, grad_rms=1e-3)
    with pytest.raises(InputError, match="population"):
        sgd_limit(TransferLaw(Recipe(1e-3, 8.0), statistics, population="gaussian"))
    with pytest.raises(InputError, match="no eps"):
        sgd_limit(TransferLaw(Recipe(1e-3, 8.0), statistics, moments="sign"))
