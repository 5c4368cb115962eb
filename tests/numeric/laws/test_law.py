"""What every law shows of itself."""

import numpy as np
import pytest

from scaling import (
    BatchSizeLaw,
    GradientPopulation,
    GradientStatistics,
    Recipe,
    SweepLaw,
    TransferLaw,
    fit_optima,
)

SWEPT = SweepLaw.of(
    learning_rate=1e-3,
    reference_batch_size=256,
    noise_batch_size=4000,
    critical_batch_size=400,
    covariates={"<N>": 1e9},
)
SKETCH = GradientPopulation.from_arrays(np.full(9, 1e-3), np.linspace(0.1, 0.2, 9))
LAWS = {
    "corner": (BatchSizeLaw(256, 3e-4, np.inf, 100), "B_n inf, B_crit 100, peak 100"),
    "run": (TransferLaw(Recipe(3e-4, 256), GradientStatistics(4000)), "B_n 4000, B_crit 4000>"),
    "sketch": (TransferLaw.from_population(Recipe(3e-4, 256), SKETCH), "source measured"),
    "fitted": (fit_optima(2.0 ** np.arange(40), 2.0 ** np.arange(40)), "source fitted"),
    "unset": (SWEPT, "<SweepLaw: source assumed, needs <N>>"),
    "set": (SWEPT.at(**{"<N>": 2e9}), "<N> 2e+09, batch size 256, learning rate 0.001"),
}


@pytest.mark.parametrize("name", LAWS)
def test_a_law_is_shown_by_its_landmarks(name):
    law, part = LAWS[name]
    assert part in repr(law)
    assert len(repr(law)) < 300
    table = law._repr_html_()
    assert law.provenance.description in table
    assert table.count("<td>") == table.count("<th>") > 2
    assert "<N>" not in table
