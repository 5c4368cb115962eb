"""Forms: what they are, their derivatives, and their corners."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling import BatchSizeLaw
from scaling.numeric.fits.forms import COMPETITORS, Adam, Design, Power, Saturating
from scaling.numeric.laws import power_rule

BATCH = np.array([8.0, 64.0, 512.0, 4096.0])
ONE = Design(np.log(BATCH / 64), np.empty((4, 0)), np.full(4, -np.inf))
Z = np.array([[-1.0, 0.5], [0.3, -0.2], [0.0, 1.0], [1.5, 0.1]])
MANY = Design(np.log(BATCH / 64), Z, np.log([1e-8, 1e-4, 1e-2, 1.0]))
FORMS = [
    *COMPETITORS,
    Adam("law", 0),
    Adam("law", 1),
    Adam("law", 2),
    Adam("law", 1, eps="outside"),
    Adam("law", 1, eps="inside"),
    Adam("law", 1, eps="gaussian"),
]
REAL = st.floats(-4, 4)


def value(form, theta, design):
    return form.evaluate(np.atleast_2d(theta), design)[0][0]


@given(st.lists(REAL, min_size=10, max_size=10))
@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.name}-{form!r}"[:40])
def test_derivatives(form, numbers):
    size = len(form.names(("N", "D")))
    theta = np.array(numbers[:size])
    _, jacobian = form.evaluate(theta[None], MANY)
    step = 1e-5
    for k in range(size):
        away = step * np.eye(size)[k]
        slope = (value(form, theta + away, MANY) - value(form, theta - away, MANY)) / (2 * step)
        np.testing.assert_allclose(jacobian[0, :, k], slope, atol=3e-6)


@given(REAL, REAL, REAL)
def test_the_law_is_that_of_a_setting(scale, critical, ratio):
    noise, shift = 64 * np.exp(critical + ratio), 64 * np.exp(critical)
    law = BatchSizeLaw(64.0, np.exp(scale), noise, shift)
    found = value(Adam("law", 0), [scale, critical, ratio], ONE)
    np.testing.assert_allclose(np.exp(found), law.learning_rate(BATCH), rtol=1e-10)


def test_limits_are_log_linear_in_the_covariates():
    # lr_inf and B_crit of T-E2 at any covariates, from the definition of the parameters.
    theta = np.array([0.1, -0.3, 0.2, 0.5, 0.4, -0.1, 1.2])
    form = Adam("law", 1)
    far = Design(np.full(4, 300.0), Z, np.full(4, -np.inf))
    limit = value(form, theta, far)
    np.testing.assert_allclose(limit - limit[2] - (Z - Z[2]) @ [-0.3, 0.2], 0, atol=1e-9)
    near = Design(np.full(4, -300.0), Z, np.full(4, -np.inf))
    # Towards B = 0: lr_inf sqrt(B_n)/B_crit sqrt(B), hence the exponent s - q/2.
    small = value(form, theta, near)
    expected = (Z - Z[2]) @ (np.array([-0.3, 0.2]) - np.array([0.4, -0.1]) / 2)
    np.testing.assert_allclose(small - small[2], expected, atol=1e-9)


@pytest.mark.parametrize(
    ("form", "theta", "alpha", "noise"),
    [
        (Power("sqrt", 0.5), [0.0], 0.5, np.inf),
        (Power("linear", 1.0), [0.0], 1.0, np.inf),
        (Power("power", None), [0.0, 0.7], 0.7, np.inf),
        (Saturating("sgd", 1.0), [0.0, np.log(3.0)], 1.0, 192.0),
        (Saturating("openai", None), [0.0, np.log(3.0), 0.0], 0.75, 192.0),
    ],
)
def test_competitors_are_the_rules_of_thumb(form, theta, alpha, noise):
    rule = power_rule(BATCH, (64.0, 1.0), alpha=alpha, noise_batch_size=noise)
    np.testing.assert_allclose(np.exp(value(form, theta, ONE)), rule, rtol=1e-12)


def test_sign_is_the_law_with_one_shift():
    law = BatchSizeLaw(64.0, 1.0, 100.0, 100.0)
    found = value(Adam("sign", ratio=1.0), [0.0, np.log(100 / 64)], ONE)
    np.testing.assert_allclose(np.exp(found), law.learning_rate(BATCH), rtol=1e-12)


@pytest.mark.parametrize("corner", [-250.0, 250.0])
@pytest.mark.parametrize("which", [1, 2])
def test_corners_are_finite_and_flat(corner, which):
    theta = np.array([0.0, 0.3, 1.0])
    theta[which] = corner
    found, jacobian = Adam("law", 0).evaluate(theta[None], ONE)
    assert np.isfinite(found).all()
    assert np.isfinite(jacobian).all()
    assert np.abs(jacobian[..., which]).max() < 1e-9 or which == 1


@pytest.mark.parametrize("kind", ["outside", "inside", "gaussian"])
def test_large_eps_is_sgd_with_a_rate_in_proportion_to_eps(kind):
    # T-B11 and its like: lr ~ eps B/(B + B_crit).
    form = Adam("law", 0, eps=kind)
    theta = np.array([0.0, 0.5, 1.0, 0.0])

    def at(eps):
        return value(form, theta, Design(ONE.log_x, ONE.z, np.full(4, np.log(eps))))

    np.testing.assert_allclose(at(1e7) - at(1e6), np.log(10), atol=1e-5)
    shift = np.exp(0.5)
    sgd = np.log(np.exp(ONE.log_x) / (np.exp(ONE.log_x) + shift))
    np.testing.assert_allclose(np.ptp(at(1e7) - sgd), 0, atol=1e-5)


def test_outside_and_inside_are_their_definitions():
    # From the definitions: gamma, sigma, eps, rho; reference 64.
    gamma, sigma, ratio = 2e-3, 2e-3 * np.sqrt(5000.0), 4.0
    noise = (sigma / gamma) ** 2
    critical = noise / ratio
    eps = np.array([1e-8, 1e-4, 1e-2, 1e-1])
    tau = np.sqrt(gamma**2 + sigma**2 / BATCH)
    at_reference = np.sqrt(gamma**2 + sigma**2 / 64)
    theta = np.log([1.0, critical / 64, ratio, at_reference])
    design = Design(ONE.log_x, ONE.z, np.log(eps))
    for kind, direct in (("outside", tau + eps), ("inside", np.hypot(tau, eps))):
        expected = np.log(direct * BATCH / (BATCH + critical))
        found = value(Adam("law", 0, eps=kind), theta, design)
        np.testing.assert_allclose(np.ptp(found - expected), 0, atol=1e-9)
