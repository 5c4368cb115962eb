"""Simulated Adam: against a loop written out here, and against the exact moments."""

import numpy as np
import pytest

from scaling import InputError, update_moments
from scaling.numeric.moments import simulate_moments


def adam(gradients, beta1, beta2, b, eps):
    """Adam's update after the last gradient, as its inventors wrote it."""
    m = v = np.zeros(gradients.shape[1])
    for t, g in enumerate(gradients, start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
    return m_hat / (np.sqrt(v_hat) + b if eps == "outside" else np.sqrt(v_hat + b**2))


@pytest.mark.parametrize("eps", ["outside", "inside"])
@pytest.mark.parametrize(("beta1", "beta2"), [(0.9, 0.99), (0.0, 0.5), (0.5, 0.0)])
def test_is_adam(beta1, beta2, eps):
    step, coordinates = 40, 50
    noise = np.random.default_rng(7).standard_normal((step, coordinates))
    update = adam(1.5 + noise, beta1, beta2, 0.3, eps)
    found = simulate_moments(
        1.5, 0.3, beta1, beta2=beta2, step=step, eps=eps, coordinates=coordinates, seed=7
    )
    assert found.mean == pytest.approx(update.mean())
    assert found.second_moment == pytest.approx((update**2).mean())
    assert found.mean_error == pytest.approx(update.std(ddof=1) / np.sqrt(coordinates))


def test_blocks_of_noise_make_no_difference(monkeypatch):
    settings = {"beta2": 0.9, "step": 30, "coordinates": 64}
    whole = simulate_moments([0.5, 2.0], 0.1, **settings)
    monkeypatch.setattr("scaling.numeric.moments.simulation._CHUNK", 100)
    assert np.allclose(simulate_moments([0.5, 2.0], 0.1, **settings), whole, rtol=1e-12)


@pytest.mark.parametrize("eps", ["outside", "inside"])
def test_agrees_with_the_exact_moments(eps):
    a, b = np.array([0.0, 0.3, 1.0, 3.0]), np.array([[0.0], [0.5], [2.0]])
    model = "exact-adam" if eps == "outside" else "exact-adam-inside"
    for seed, (beta1, beta2) in enumerate([(0.9, 0.95), (0.0, 0.99), (0.5, 0.8)]):
        found = simulate_moments(
            a, b, beta1, beta2=beta2, step=60, eps=eps, coordinates=20_000, seed=seed
        )
        exact = update_moments(a, b, beta1, beta2=beta2, step=60, moments=model)
        # Largest of 12 correlated normal deviates: beyond 4.5 once in ten thousand.
        assert np.abs((found.mean - exact.mean) / found.mean_error).max() < 4.5
        distance = (found.second_moment - exact.second_moment) / found.second_moment_error
        assert np.abs(distance).max() < 4.5


def test_shapes_and_seeds():
    quick = {"step": 5, "coordinates": 10}
    assert np.ndim(simulate_moments(1.0, **quick).mean) == 0
    found = simulate_moments([1.0, 2.0], [[0.0], [1.0], [2.0]], beta2=0.9, **quick)
    assert found.second_moment.shape == (3, 2)
    assert simulate_moments(1.0, beta1=[0.0, 0.9], beta2=[[0.9], [0.99]], **quick).mean.shape == (
        2,
        2,
    )
    assert simulate_moments(1.0, seed=1, **quick) != simulate_moments(1.0, seed=2, **quick)
    assert simulate_moments(1.0, seed=1, **quick) == simulate_moments(1.0, seed=1, **quick)
    assert np.isnan(simulate_moments([np.nan, 1.0], [1.0, -1.0], **quick)).all()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"beta1": 1.0}, "beta1"),
        ({"beta2": [0.9, -0.1]}, "beta2"),
        ({"step": 0}, "step"),
        ({"step": 2.5}, "step"),
        ({"step": float("inf")}, "step: must be finite"),
        ({"coordinates": 1}, "coordinates"),
        ({"eps": "between"}, "eps"),
        ({"damping": [1.0, 2.0, 3.0], "beta1": [0.1, 0.2]}, "do not fit"),
    ],
)
def test_refusals(given, words):
    with pytest.raises(InputError, match=words):
        simulate_moments(**({"signal": 1.0, "step": 5, "coordinates": 4} | given))
