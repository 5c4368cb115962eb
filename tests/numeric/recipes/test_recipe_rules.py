"""Whole recipes at another batch size, against what each rule claims to keep."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling import (
    BatchSizeLaw,
    GradientStatistics,
    InputError,
    Recipe,
    TransferLaw,
    fit_optima,
    recipe,
)
from scaling.numeric.recipes import RECIPE_RULES
from scaling.numeric.tables import read_optima

TUNED = Recipe(3e-4, 256, eps=1e-8, beta1=0.9, beta2=0.95, weight_decay=0.1)
LAW = TransferLaw(Recipe(3e-4, 256, beta1=0.9), GradientStatistics(4000), horizon=1)


def shape(batch, beta1, noise_scale=4000):
    """f of T-E6 by hand: eps = 0, mean field, uniform population, diagonal Hessian."""
    a2, c = batch / noise_scale, (1 - beta1) / (1 + beta1)
    return np.sqrt(a2 / (a2 + 1)) * (a2 + 1) / (a2 + c)


def keys(found):
    """What is warned of."""
    return [said.key for said in found.warnings]


def test_law_sets_the_learning_rate_and_keeps_the_rest():
    found = recipe(TUNED, 1024, law=LAW)
    assert found.learning_rate == pytest.approx(3e-4 * shape(1024, 0.9) / shape(256, 0.9))
    assert (found.beta1, found.beta2) == (0.9, 0.95)
    assert (found.eps, found.weight_decay, found.batch_size) == (1e-8, 0.1, 1024)
    assert found.warnings == ()


def test_law_takes_new_decay_rates_into_account():
    found = recipe(TUNED, 1024, "law+half-life", law=LAW)
    assert found.beta1 == pytest.approx(0.9**4)
    assert found.learning_rate == pytest.approx(3e-4 * shape(1024, 0.9**4) / shape(256, 0.9))
    (warning,) = [said for said in found.warnings if said.key == "change left out"]
    assert warning["name"] == "beta2"


def test_decay_rates_change_nothing_over_a_run():
    law = TransferLaw(Recipe(3e-4, 256, beta1=0.9), GradientStatistics(4000))
    found = recipe(TUNED, 1024, "law+half-life", law=law)
    assert found.learning_rate == pytest.approx(3e-4 * shape(1024, 0.0) / shape(256, 0.0))
    assert "beta1" not in [said["name"] for said in found.warnings]


def test_eps_of_the_recipe_enters_where_the_law_knows_it():
    statistics = GradientStatistics(4000, grad_rms=1e-8)
    law = TransferLaw(Recipe(3e-4, 256, eps=0, beta1=0.9), statistics)
    own = TransferLaw(Recipe(3e-4, 256, eps=1e-8, beta1=0.9), statistics)
    found = recipe(TUNED, 1024, law=law)
    assert found.learning_rate == pytest.approx(own.learning_rate(1024))
    assert found.learning_rate != pytest.approx(3e-4 * shape(1024, 0.9) / shape(256, 0.9))


def test_a_fitted_law_gives_its_ratio_and_says_if_it_is_of_another_run(marek):
    law = fit_optima(*read_optima(marek))
    found = recipe(TUNED, 1024, law=law)
    ratio = law.learning_rate(1024) / law.learning_rate(256)
    assert found.learning_rate == pytest.approx(3e-4 * ratio)
    assert "law of another run" in keys(found)
    near = Recipe(float(law.learning_rate(256)) * 1.2, 256, beta1=0.9, beta2=0.95)
    assert recipe(near, 1024, law=law).warnings == ()
    assert "extrapolated" in keys(recipe(near, 1e6, law=law))


def spread(beta1, beta2, rate, eps, batch, examples, seed):
    """E[w^2] of Adam on 4000 noisy parabolas g = w + N(0, 1/B), from w = 0."""
    rng = np.random.default_rng(seed)
    w, m, v = np.zeros((3, 4000))
    for t in range(1, examples // batch + 1):
        g = 0.001 * w + rng.normal(size=w.size) / np.sqrt(batch)
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        w = w - rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
    return np.mean(w**2)


def test_sqrt_sde_keeps_the_distribution_of_real_adam():
    tuned = Recipe(0.002, 4, eps=0.1, beta1=0.9, beta2=0.99)
    found = recipe(tuned, 16, "sqrt-sde")
    before = spread(0.9, 0.99, 0.002, 0.1, 4, 8000, 1)
    after = spread(found.beta1, found.beta2, found.learning_rate, found.eps, 16, 8000, 2)
    # Standard error of each: sqrt(2/4000) = 2.2 %; the SDE's own error is of order lr and 1 - beta.
    assert after == pytest.approx(before, rel=0.1)
    for wrong in (
        spread(0.9, 0.99, 0.002 * 4, 0.1, 16, 8000, 2),  # the linear rule
        spread(0.9, 0.99, 0.002, 0.1, 16, 8000, 2),  # no rule
        spread(
            found.beta1, found.beta2, found.learning_rate, 0.2, 16, 8000, 2
        ),  # eps the wrong way
    ):
        assert abs(wrong / before - 1) > 0.2


def test_sqrt_sde_by_its_invariants():
    found = recipe(TUNED, 512, "sqrt-sde")
    for kept in (
        lambda r: r.learning_rate**2 / r.batch_size,
        lambda r: (1 - r.beta1) / r.batch_size,
        lambda r: (1 - r.beta2) / r.batch_size,
        lambda r: r.eps**2 * r.batch_size,
    ):
        assert kept(found) == pytest.approx(kept(TUNED))
    assert found.weight_decay == 0.1


def test_sqrt_sde_says_where_it_ends():
    found = recipe(TUNED, 4096, "sqrt-sde", law=LAW)
    assert found.beta1 == pytest.approx(-0.6)
    assert not found.in_domain
    assert keys(found)[0] == "sqrt-sde below 0"
    assert (found.warnings[0]["name"], found.warnings[0]["beta"]) == ("beta1", pytest.approx(-0.6))
    assert found.warnings[0]["reach"] == pytest.approx(2560)
    assert "sqrt-sde above the noise scale" in keys(found)
    with pytest.raises(InputError, match="beta1"):
        found.to_recipe()
    # At the very end of the domain beta1 is 0.
    assert recipe(TUNED, 2560, "sqrt-sde").beta1 == pytest.approx(0, abs=1e-12)
    assert recipe(TUNED, 512, "sqrt-sde", law=LAW).warnings == ()
    assert keys(recipe(TUNED, 512, "sqrt-sde")) == ["sqrt-sde without noise scale"]
    pure_surge = BatchSizeLaw(256, 3e-4, np.inf, 100)
    assert "sqrt-sde without noise scale" in keys(recipe(TUNED, 512, "sqrt-sde", law=pure_surge))
    fitted = BatchSizeLaw(256, 3e-4, 300, 100)
    assert recipe(TUNED, 512, "sqrt-sde", law=fitted).warnings[-1]["noise_scale"] == 300


def examples_to_half(beta, batch):
    """Count examples until a gradient's weight in the moment has halved, step by step."""
    weight, examples = 1.0, 0
    while weight * beta > 0.5:
        weight *= beta
        examples += batch
    # The last step in part, on the logarithmic scale on which the weight falls.
    return examples + batch * np.log(weight / 0.5) / -np.log(beta)


def test_half_life_counted_in_examples():
    tuned = Recipe(3e-4, 4, beta1=0.99, beta2=0.9999)
    found = recipe(tuned, 32, "half-life")
    assert examples_to_half(found.beta1, 32) == pytest.approx(examples_to_half(0.99, 4))
    assert examples_to_half(found.beta2, 32) == pytest.approx(examples_to_half(0.9999, 4))
    assert (found.learning_rate, found.eps) == (3e-4, 1e-8)
    assert found.warnings == ()


def test_half_life_says_when_it_is_under_one_step():
    assert recipe(TUNED, 256 * 6, "half-life").beta1 > 0.5
    assert recipe(TUNED, 256 * 6, "half-life").warnings == ()
    (warning,) = recipe(TUNED, 256 * 7, "half-life").warnings
    assert (warning.key, warning["name"]) == ("half-life under one step", "beta1")
    assert warning["beta"] == pytest.approx(0.9**7)
    without = Recipe(3e-4, 256, beta1=0, beta2=0.999)
    assert recipe(without, 512, "half-life").warnings == ()


def test_weight_decay_keeps_what_is_left_of_old_weights():
    def left(r, examples=1024 * 50):
        return (1 - r.learning_rate * r.weight_decay) ** (examples / r.batch_size)

    for rule in ("weight-decay", "law+weight-decay", "sqrt-sde+weight-decay"):
        found = recipe(TUNED, 1024, rule, law=LAW)
        assert np.log(left(found)) == pytest.approx(np.log(left(TUNED)), rel=1e-3)
    assert recipe(TUNED, 1024, "weight-decay").weight_decay == pytest.approx(0.4)
    huge = Recipe(0.1, 1, beta1=0.9, beta2=0.999, weight_decay=1.0)
    assert keys(recipe(huge, 100, "weight-decay")) == ["weight-decay under one step"]


@given(
    ratios=st.tuples(st.floats(0.1, 1.5), st.floats(0.1, 1.5)),
    rule=st.sampled_from(
        ["law", "sqrt-sde", "half-life", "weight-decay", "half-life+weight-decay"]
    ),
)
def test_rules_compose_and_go_back(ratios, rule):
    there = recipe(TUNED, 256 * ratios[0], rule, law=LAW).to_recipe()
    beyond = recipe(there, there.batch_size * ratios[1], rule, law=LAW)
    at_once = recipe(TUNED, there.batch_size * ratios[1], rule, law=LAW)
    back = recipe(there, 256, rule, law=LAW)
    for name in ("learning_rate", "eps", "beta1", "beta2", "weight_decay"):
        assert getattr(beyond, name) == pytest.approx(getattr(at_once, name), rel=1e-9)
        assert getattr(back, name) == pytest.approx(getattr(TUNED, name), rel=1e-9)


@pytest.mark.parametrize("rule", list(RECIPE_RULES))
def test_every_rule_states_itself_and_changes_nothing_else(rule):
    stated = RECIPE_RULES[rule]
    assert stated.keeps in ("optimality", "equivalence")
    assert stated.source
    found = recipe(TUNED, 512, rule, law=LAW)
    assert found.rules == (stated,)
    for name in ("learning_rate", "eps", "beta1", "beta2", "weight_decay"):
        assert (getattr(found, name) != getattr(TUNED, name)) == (name in stated.sets)


def test_what_is_not_given_is_assumed_and_said():
    found = recipe(Recipe(3e-4, 256), 512, "half-life")
    assert found.beta1 == pytest.approx(0.9**2)
    assert found.beta2 == pytest.approx(0.999**2)
    assert [(told["name"], told["value"]) for told in found.assumed] == [
        ("beta1", 0.9),
        ("beta2", 0.999),
    ]
    assert recipe(TUNED, 512, "half-life").assumed == ()
    assert found.weight_decay is None


@pytest.mark.parametrize(
    ("batch_size", "rule", "law", "says"),
    [
        (512, "law", None, "law: missing"),
        (512, "linear", LAW, "must be one of law, sqrt-sde"),
        (512, "", LAW, "must be one of"),
        (512, "law+", LAW, "must be one of"),
        (512, "law+sqrt-sde", LAW, "both set learning_rate"),
        (512, "half-life+sqrt-sde", LAW, "both set beta1, beta2"),
        (512, "law+law", LAW, "both set learning_rate"),
        (0, "law", LAW, "batch_size"),
        ("512", "law", LAW, "batch_size"),
        (1e-300, "half-life", LAW, "arithmetic"),
    ],
)
def test_what_is_refused(batch_size, rule, law, says):
    with pytest.raises(InputError, match=says):
        recipe(TUNED, batch_size, rule, law=law)


def test_weight_decay_needs_one():
    with pytest.raises(InputError, match="weight_decay: missing"):
        recipe(Recipe(3e-4, 256), 512, "weight-decay")
    with pytest.raises(InputError, match="weight_decay"):
        Recipe(3e-4, 256, weight_decay=-0.1)
