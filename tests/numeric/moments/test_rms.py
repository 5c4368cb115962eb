"""The update's root mean square (T-D4)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling import InputError, update_moments
from scaling.numeric.moments import ratio_from_update_rms, update_rms


def test_pure_noise_and_no_noise():
    assert update_rms(0.0) == pytest.approx(0.2294, abs=5e-5)  # theory's value at beta1 = 0.9
    assert update_rms(1e30) == pytest.approx(1.0)


# Without momentum (beta1 = 0) the update has RMS 1 whatever the noise, and tells nothing.
@given(st.floats(1e-3, 1e3), st.floats(0.05, 0.99))
def test_one_is_the_inverse_of_the_other(ratio, beta1):
    assert ratio_from_update_rms(update_rms(ratio, beta1), beta1) == pytest.approx(ratio, rel=1e-7)


def test_true_adam_with_a_long_memory_has_it():
    ratio = np.array([0.0, 0.1, 1.0, 20.0])
    square = update_moments(np.sqrt(ratio), 0.0, 0.9, beta2=0.9999, moments="exact-adam")
    np.testing.assert_allclose(np.sqrt(square.second_moment), update_rms(ratio, 0.9), rtol=2e-4)


def test_impossible_values_are_nan():
    assert np.isnan(ratio_from_update_rms([0.1, 1.0, 2.0, -0.5, np.nan])).all()
    assert np.isnan(update_rms([-1.0, np.nan, np.inf])).all()
    assert np.isnan(update_rms(1.0, 1.0))
    with pytest.raises(InputError, match="beta1"):
        ratio_from_update_rms(0.5, 1.0)
