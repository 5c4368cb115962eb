"""The law's formulas against the theory's own, in natural units and at high precision."""

import numpy as np
import pytest
from mpmath import mp, mpf

from scaling.numeric.inference.family import Design, Family, bend

FAMILY = Family(covariates=1, eps=True)
RNG = np.random.default_rng(0)


def parameters(**values):
    row = np.zeros(len(FAMILY))
    for name, value in values.items():
        row[FAMILY.names.index(name)] = value
    return row[None]


def design(batch, eps=0.0, covariate=0.0):
    with np.errstate(divide="ignore"):
        return Design(np.array([batch]), np.array([[covariate]]), np.log2([eps]))


@pytest.mark.parametrize("seed", range(5))
def test_shape_is_i4(seed):
    """T-I4 with lr/sqrt(B) of small batches and B_crit log-linear in a covariate."""
    rng = np.random.default_rng(seed)
    corner, ratio, log_s, tilt, slope = rng.normal(0, 2, 5)
    row = parameters(
        level=-9.0, exponent=slope, corner=corner, corner_exponent=tilt, ratio=ratio,
        log_sharpness=log_s / 2, eps_scale=-10.0,
    )  # fmt: skip

    def i4(x, z):
        s, b = mp.exp(mpf(log_s) / 2), mpf(2) ** x
        critical = mpf(2) ** (corner + tilt * z)
        noise = critical * mpf(2) ** ratio
        rise = (1 + (b / noise) ** s) ** (1 / (2 * s))
        return mp.sqrt(b) * rise / (1 + (b / critical) ** s) ** (1 / s)

    for x, z in rng.normal(0, 4, (4, 2)):
        expected = -9.0 + slope * z + mp.log(i4(x, z) / i4(0, 0), 2)
        assert FAMILY.evaluate(row, design(x, covariate=z))[0, 0] == pytest.approx(
            float(expected), abs=1e-10
        )


@pytest.mark.parametrize("spread", [0.01, 0.3, 0.8])
@pytest.mark.parametrize("eps", [1e-6, 2**-10, 0.1, 100.0])
def test_eps_gain_is_j1(spread, eps):
    """T-J1 for log-normal sqrt(v), by a sum over many coordinates (J2 moves their median)."""
    row = parameters(corner=-2.0, ratio=3.0, eps_scale=-10.0, log_eps_spread=np.log(spread))
    x, noise = 4.0, 1.0
    t = 2**-10 * np.sqrt(1 + 2 ** (noise - x)) * np.exp(spread * _normal_quantiles(200_001))
    expected = np.log2(np.sum(t**2 / (t + eps)) / np.sum(t**3 / (t + eps) ** 2))
    gain = FAMILY.eps_gain(row, design(x, eps))[0, 0]
    assert gain == pytest.approx(expected, abs=0.02 if spread > 0.5 else 2e-3)


def _normal_quantiles(count):
    from scipy.special import ndtri

    return ndtri((np.arange(count) + 0.5) / count)


def test_without_spread_eps_is_e7():
    """T-E7 for a uniform population: lr ~ (sqrt(1 + B_n/B) + eps/gamma)/(R0 + B_n/B)."""
    row = parameters(corner=1.0, ratio=0.5, eps_scale=-8.0, log_eps_spread=-20.0)
    noise, critical, gamma = 2**1.5, 2.0, 2**-8.0

    def e7(batch, eps):
        r0 = noise / critical
        return (np.sqrt(1 + noise / batch) + eps / gamma) / (r0 + noise / batch)

    for x, eps in [(-3.0, 1e-3), (0.0, 1.0), (5.0, 2**-8), (5.0, 0.0)]:
        law = FAMILY.evaluate(row, design(x, eps)) - FAMILY.evaluate(row, design(0.0))
        assert law[0, 0] == pytest.approx(np.log2(e7(2**x, eps) / e7(1.0, 0.0)), abs=1e-9)


def test_bend_ends():
    """A corner far away is no corner, and never overflows."""
    assert bend(np.array([-1e4, 1e4]), 50.0).tolist() == [0.0, 1e4]


def test_misfit_has_its_variance_everywhere():
    """What the nodes hold and what they leave add up to one."""
    family = Family(nodes=(-3.0, 0.0, 2.0))
    batch = np.linspace(-20, 20, 9)
    total = (family.features(batch) ** 2).sum(axis=1) + family.unheld(batch) ** 2
    assert total == pytest.approx(np.ones(9), abs=1e-9)
    assert family.unheld(np.array([-3.0, 0.0, 2.0])).max() < 2e-3
