"""Rules of thumb."""

import numpy as np
import pytest

from scaling import BatchSizeLaw, InputError
from scaling.numeric.laws import power_rule, rules_of_thumb


def test_all_pass_through_the_reference():
    law = BatchSizeLaw(256.0, 3e-4, 4000.0, 200.0)
    for rate in rules_of_thumb(law, 256.0).values():
        assert rate == 3e-4


def test_each_is_its_formula():
    law = BatchSizeLaw(256.0, 3e-4, 4000.0, 200.0)
    batch = np.array([1.0, 1000.0, 1e6])
    rules = rules_of_thumb(law, batch, alpha=0.6)
    saturating = (1 + 200 / 256) / (1 + 200 / batch)
    np.testing.assert_allclose(rules["sqrt"], 3e-4 * np.sqrt(batch / 256), rtol=1e-14)
    np.testing.assert_allclose(rules["linear"], 3e-4 * batch / 256, rtol=1e-14)
    np.testing.assert_allclose(rules["openai"], 3e-4 * saturating**0.6, rtol=1e-13)  # T-A9
    np.testing.assert_allclose(rules["sgd"], 3e-4 * saturating, rtol=1e-13)  # T-A3


@pytest.mark.parametrize("noise", [0.0, np.inf])
def test_corners(noise):
    rules = rules_of_thumb(BatchSizeLaw(256.0, 3e-4, 10.0, noise), [16.0, 4096.0])
    expected = rules["linear"] if noise else [3e-4, 3e-4]
    np.testing.assert_allclose(rules["sgd"], expected, rtol=1e-14)


def test_malformed():
    assert np.isnan(power_rule([0, -1, np.nan], (1, 1), alpha=0.5)).all()
    for reference, alpha in (((0, 1), 0.5), ((1, -1), 0.5), ((1, 1), np.nan), ((1, 1), 0)):
        with pytest.raises(InputError):
            power_rule(1, reference, alpha=alpha)
    law = BatchSizeLaw(256.0, 3e-4, 4000.0, 200.0)
    for alpha in (0.5, 1.0, np.nan, -3):
        with pytest.raises(InputError, match="alpha"):
            rules_of_thumb(law, 1.0, alpha=alpha)
