"""The transfer law: known limits, invariances, and agreement with the full law."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling import GradientStatistics, InputError, Recipe, TransferLaw, quadratic_optimum
from scaling.numeric.moments import MOMENT_MODELS

MODELS = list(MOMENT_MODELS)
WITH_EPS = ("clip", "article", "mean-field", "mean-field-outside")


def law(moments="mean-field-outside", *, eps=1e-8, grad_rms=None, ratio=1.0, noise=4000.0, **more):
    recipe = Recipe(3e-4, 256, eps=more.pop("ref_eps", eps), beta1=more.pop("ref_beta1", None))
    statistics = GradientStatistics(noise, grad_rms, ratio)
    more.setdefault("horizon", 1)  # the formulas below are of one step
    return TransferLaw(recipe, statistics, eps=eps, moments=moments, **more)


@pytest.mark.parametrize("moments", MODELS)
@pytest.mark.parametrize("eps", [0.0, 1e-6, 1e-5])
def test_reference_is_reproduced(moments, eps):
    assert law(moments, eps=eps, grad_rms=2e-6).learning_rate(256) == pytest.approx(3e-4, rel=1e-15)


@pytest.mark.parametrize("moments", [m for m in MODELS if m != "sgd"])
def test_sqrt_scaling_far_below_the_noise_scale(moments):
    beta1 = 0.0
    found = law(moments, eps=0.0, beta1=beta1, ref_beta1=beta1, noise=256e8)
    batch = np.array([1.0, 16.0, 1024.0])
    np.testing.assert_allclose(found.learning_rate(batch), 3e-4 * np.sqrt(batch / 256), rtol=1e-6)
    assert found.exponent(batch) == pytest.approx(0.5, abs=1e-6)


def test_sgd_scales_linearly_then_saturates():
    found = law("sgd")
    batch = np.logspace(0, 6, 13)
    expected = 3e-4 * (1 + 4000 / 256) / (1 + 4000 / batch)  # T-A3
    np.testing.assert_allclose(found.learning_rate(batch), expected, rtol=1e-13)


@pytest.mark.parametrize("beta1", [0.4, 0.9, 0.99])
def test_d3_peak(beta1):
    found = law(beta1=beta1, ref_beta1=beta1)
    assert found.peak.batch_size == pytest.approx((1 - beta1) / (3 * beta1 - 1) * 4000, rel=1e-9)


@pytest.mark.parametrize("beta1", [0.0, 0.2, 1 / 3])
def test_d3_no_peak_up_to_one_third(beta1):
    assert law(beta1=beta1, ref_beta1=beta1).peak is None


@pytest.mark.parametrize("ratio", [2.5, 4.0, 30.0])
@pytest.mark.parametrize("moments", ["sign-isru", "article", "mean-field"])
def test_e3_peak(moments, ratio):
    eps, gamma = 1e-6, 4e-6
    found = law(moments, eps=eps, grad_rms=gamma, ratio=ratio, beta1=0.0)
    damped = 1 + (eps / gamma) ** 2 if moments != "sign-isru" else 1
    noise = (1 if moments == "mean-field" else np.pi / 2) * 4000 / damped
    rho = ratio / damped
    assert found.noise_batch_size == pytest.approx(noise, rel=1e-12)
    assert found.critical_batch_size == pytest.approx(noise / rho, rel=1e-12)
    assert found.peak.batch_size == pytest.approx(noise / (rho - 2), rel=1e-9)
    expected = found.learning_rate_limit * rho / (2 * np.sqrt(rho - 1))
    assert found.peak.learning_rate == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("moments", MODELS)
@pytest.mark.parametrize("ratio", [0.7, 1.0, 6.0])
@pytest.mark.parametrize("eps", [0.0, 1e-6, 3e-5])
def test_is_the_full_law_of_a_uniform_population(moments, ratio, eps):
    # Two coordinates, equal gradients and noise, and a Hessian with sign(g)^T H sign(g)/tr H = R0.
    gamma, noise = 2e-6, 50.0
    hessian = np.array([[1.0, ratio - 1], [ratio - 1, 1.0]])
    batch = np.array([256.0, 0.5, 8.0, 70.0, 1e4])
    full = quadratic_optimum(
        [gamma, gamma], gamma**2 * noise, hessian, batch, eps=eps, moments=moments
    )
    found = law(moments, eps=eps, grad_rms=gamma, ratio=ratio, noise=noise)
    np.testing.assert_allclose(
        found.learning_rate(batch) / 3e-4, full.learning_rate / full.learning_rate[0], rtol=1e-11
    )
    np.testing.assert_allclose(
        found.steps_factor(batch) / found.steps_factor(256.0),
        full.loss_decrease[0] / full.loss_decrease,
        rtol=1e-11,
    )


@pytest.mark.parametrize("moments", MODELS)
@pytest.mark.parametrize("eps", [0.0, 1e-6, 3e-5])
def test_landmarks_are_limits(moments, eps):
    found = law(moments, eps=eps, grad_rms=2e-6, ratio=3.0)
    assert found.learning_rate(1e20) == pytest.approx(found.learning_rate_limit, rel=1e-5)
    assert found.steps_factor(1e20) == pytest.approx(1, abs=1e-9)
    small = 1e-9
    # B_crit = E_min/S_min, and B_n from lr/sqrt(B) -> lr_inf sqrt(B_n)/B_crit (T-E2).
    assert found.steps_factor(small) * small == pytest.approx(found.critical_batch_size, rel=1e-4)
    slope = found.learning_rate(small) / np.sqrt(small)
    expected = (
        found.learning_rate_limit * np.sqrt(found.noise_batch_size) / found.critical_batch_size
    )
    assert slope == pytest.approx(expected, rel=1e-4 if moments != "sgd" else 1, abs=1e-9)


def test_peak_without_closed_form_agrees_with_algebra():
    # T-E7 with R0 = 1: the zero of the derivative of a (sqrt(a^2+1) + e a)/(a^2 + c), solved for
    # y = a^2: (1 - 2c) y - c = 2 e c sqrt(y (y + 1)), surge iff 1 > 2 c (1 + e).
    c, e = 0.1 / 1.9, 0.5
    k, m = 1 - 2 * c, 2 * e * c
    y = np.roots([k**2 - m**2, -(2 * k * c + m**2), c**2]).max()
    found = law(eps=1e-6, grad_rms=2e-6)
    assert found.peak.batch_size == pytest.approx(4000 * y, rel=1e-9)
    assert law(eps=2e-5, grad_rms=2e-6).peak is None
    low, high = found.batch_sizes(0.9 * found.peak.learning_rate)
    assert found.learning_rate([low, high]) == pytest.approx(
        0.9 * found.peak.learning_rate, rel=1e-12
    )
    assert low < found.peak.batch_size < high


@given(st.floats(1e-6, 1e6), st.sampled_from(WITH_EPS), st.floats(1e-9, 1e-3))
def test_scaling_gradient_and_eps_together_changes_nothing(factor, moments, eps):
    # The learning rate is tuned in either world; only ratios to it are asked for.
    batch = np.array([1.0, 300.0, 1e5])
    one = law(moments, eps=eps, ref_eps=eps / 3, grad_rms=2e-6)
    other = law(moments, eps=eps * factor, ref_eps=eps / 3 * factor, grad_rms=2e-6 * factor)
    np.testing.assert_allclose(other.learning_rate(batch), one.learning_rate(batch), rtol=1e-9)


@given(st.floats(1e-3, 1e6), st.sampled_from(MODELS))
def test_unit_of_the_batch_size_does_not_matter(factor, moments):
    batch = np.array([1.0, 300.0, 1e5])
    one = law(moments)
    other = TransferLaw(
        Recipe(3e-4, 256 * factor), GradientStatistics(4000 * factor), moments=moments, horizon=1
    )
    np.testing.assert_allclose(
        other.learning_rate(batch * factor), one.learning_rate(batch), rtol=1e-9
    )


@pytest.mark.parametrize("moments", WITH_EPS)
def test_huge_eps_is_sgd_with_learning_rate_over_eps(moments):
    # T-B11: lr/eps tends to SGD's law, so lr grows in proportion to eps.
    beta1 = 0.0
    one = law(moments, eps=1.0, ref_eps=1.0, grad_rms=1e-7, beta1=beta1, ref_beta1=beta1)
    ten = law(moments, eps=10.0, ref_eps=1.0, grad_rms=1e-7, beta1=beta1, ref_beta1=beta1)
    batch = np.logspace(0, 6, 13)
    np.testing.assert_allclose(ten.learning_rate(batch), 10 * one.learning_rate(batch), rtol=1e-4)
    noise = 4000 * (np.pi / 2 if moments == "article" else 1)
    expected = 3e-4 * (1 + noise / 256) / (1 + noise / batch)
    np.testing.assert_allclose(one.learning_rate(batch), expected, rtol=1e-4)


def test_vanishing_eps_is_no_eps():
    batch = np.logspace(0, 6, 13)
    for moments in WITH_EPS:
        tiny = law(moments, eps=1e-20, grad_rms=1.0).learning_rate(batch)
        np.testing.assert_allclose(tiny, law(moments, eps=0.0).learning_rate(batch), rtol=1e-12)


def test_momentum_raises_the_learning_rate():
    # T-D2: with momentum the update is less noisy, so a longer step is best.
    batch = np.array([1.0, 64.0])
    with_momentum = law(beta1=0.95, ref_beta1=0.5).learning_rate(batch)
    assert (with_momentum > law(beta1=0.5, ref_beta1=0.5).learning_rate(batch)).all()


def test_another_optimizer_can_be_asked_for():
    one = law(eps=1e-6, grad_rms=2e-6)
    other = law(eps=5e-6, ref_eps=1e-6, grad_rms=2e-6, beta1=0.5)
    batch = np.array([1.0, 64.0])
    np.testing.assert_allclose(
        one.at(eps=5e-6, beta1=0.5).learning_rate(batch), other.learning_rate(batch), rtol=1e-14
    )
    assert one.at() is one
    with pytest.raises(InputError, match="beta1"):
        one.at(beta1=-1.0)
    with pytest.raises(InputError, match="covariate"):
        one.at(N=1e9)


def test_a_million_batch_sizes_in_one_call():
    batch = np.linspace(1, 1e6, 1_000_000)
    for found in (law(), law(eps=1e-6, grad_rms=2e-6)):
        rates = found.learning_rate(batch)
        assert rates.shape == batch.shape
        assert rates[777] == found.learning_rate(batch[777])


def test_optimum_of_each_eps_in_one_call():
    one = law(eps=1e-6, grad_rms=2e-6)
    eps = np.array([[0.0], [1e-6], [1e-4], [-1.0]])
    rates = one.learning_rate([16.0, 256.0, 4096.0], eps=eps)
    assert rates.shape == (4, 3)
    assert rates[1, 1] == pytest.approx(3e-4)
    assert np.isnan(rates).sum(axis=1).tolist() == [0, 0, 0, 3]
    for moments, grad_rms in (("sign", 2e-6), ("mean-field", None)):
        with pytest.raises(InputError, match="eps: cannot enter"):
            law(moments, grad_rms=grad_rms).learning_rate(16.0, eps=1e-3)


@pytest.mark.parametrize("moments", ["sign", "clip", "mean-field-outside"])
@pytest.mark.parametrize("ratio", [1e-6, 1e-3, 0.5])
def test_no_spurious_peak_where_curvature_is_small(moments, ratio):
    # Rounding must not look like a fall: with eps = 0 these rise to their limit.
    found = law(moments, eps=0.0, ratio=ratio, beta1=0.0, noise=100.0)
    assert found.peak is None
    assert "falling" not in found.regime(np.logspace(-3, 12, 400))


@pytest.mark.parametrize("eps", [1e-6, 1e3, 1e6])
def test_clip_stays_positive_where_noise_is_tiny(eps):
    found = law("clip", eps=eps, grad_rms=1.0, ratio=1e-6)
    rates = found.learning_rate(np.logspace(-6, 18, 100))
    assert (rates > 0).all()
    assert (np.diff(found.steps_factor(np.logspace(-6, 18, 100))) <= 1e-9).all()


def test_inverse_reaches_the_peak_and_far_out():
    found = law(eps=1e-8, grad_rms=2e-8, ratio=10.0)
    top = found.peak.learning_rate
    assert found.batch_sizes(top) == (found.peak.batch_size,)
    low, high = found.batch_sizes(top * (1 - 1e-9))
    assert low < found.peak.batch_size < high
    assert found.batch_sizes(top * (1 + 1e-9)) == ()
    signs = law("sign")
    assert signs.batch_sizes(signs.learning_rate(1e-9)) == (pytest.approx(1e-9),)


def test_says_that_eps_did_not_enter():
    found = law(eps=1e-8)
    assert found.effective_eps == 0
    assert (found.assumptions()[-1].key, found.knows) == ("eps without gradient", ("beta1",))
    assert found.warnings(512) == ()
    with pytest.raises(InputError, match="changes from 1e-08 to 1e-06"):
        law(eps=1e-6, ref_eps=1e-8)
    with pytest.raises(InputError, match="have no eps"):
        law("sign", eps=1e-6, ref_eps=1e-8, grad_rms=1e-6)
    assert dict(law("sign").assumptions()[-1].values) == {"moments": "sign"}


def test_says_what_it_means_that_eps_exceeds_the_gradient():
    assert law(eps=1.9e-6, grad_rms=2e-6).warnings(512) == ()
    quiet = law(eps=2e-5, grad_rms=2e-6, noise=4.0)
    (found,) = quiet.warnings(512)
    assert (found.key, found["which"]) == ("acts as SGD", "eps")
    assert found["ratio"] == pytest.approx(10)
    # Where noise dominates the batch gradient, eps competes with that.
    (found,) = law(eps=2e-5, grad_rms=2e-6, noise=4e6).warnings(512)
    assert found.key == "comes to act as SGD"
    assert found["ratio_with_noise"] == pytest.approx(10 / np.sqrt(1 + 4e6 / 512))
    (found,) = law(eps=1e-12, ref_eps=2e-5, grad_rms=2e-6).warnings(512)
    assert found["which"] == "the reference's eps"


def test_defaults_are_resolved():
    found = law("sign")
    assert (found.eps, found.beta1, found.recipe.beta1) == (1e-8, 0, 0)
    assert (law().beta1, law(ref_beta1=0.5).beta1, law(beta1=0.5).recipe.beta1) == (0.9, 0.5, 0.9)


def test_any_number_type_will_do():
    plain = TransferLaw(Recipe(3e-4, 256), GradientStatistics(4000))
    numpy = TransferLaw(Recipe(np.float32(3e-4), np.int64(256)), GradientStatistics(np.int32(4000)))
    assert isinstance(numpy.recipe.batch_size, float)
    assert numpy.learning_rate(1024) == pytest.approx(plain.learning_rate(1024), rel=1e-6)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Recipe(0, 256), "learning_rate"),
        (lambda: Recipe(np.nan, 256), "learning_rate"),
        (lambda: Recipe("3e-4", 256), "learning_rate"),
        (lambda: Recipe(True, 256), "learning_rate"),
        (lambda: Recipe(3e-4, -1), "batch_size"),
        (lambda: Recipe(3e-4, 1, eps=-1e-8), "eps"),
        (lambda: Recipe(3e-4, 1, beta1=1.0), "beta1"),
        (lambda: GradientStatistics(np.inf), "noise_scale"),
        (lambda: GradientStatistics(1, grad_rms=0), "grad_rms"),
        (lambda: GradientStatistics(1, curvature_ratio=-2), "curvature_ratio"),
        (lambda: law("adam"), "moments"),
        (lambda: law("article", beta1=0.9), "beta1"),
        (lambda: law("article", ref_beta1=0.9), "beta1"),
        (lambda: law(population="mixed"), "population"),
        (lambda: law(eps=-1.0, ref_eps=0.0), "eps"),
    ],
)
def test_arguments_are_checked(make, name):
    with pytest.raises(InputError) as caught:
        make()
    assert caught.value.parameter == name
    assert "\n" not in str(caught.value)
