"""Closed forms as functions: names, order, broadcasting, precision."""

import contextlib

import mpmath
import numpy as np
import pytest

from scaling.errors import InputError
from scaling.symbolic import derivation

DERIVATION = derivation()


def steps_with(backend):
    """Return the steps that have a closed form in this backend."""
    found = []
    for step in DERIVATION.steps:
        with contextlib.suppress(InputError):
            step.function(backend)
            found.append(step)
    return found


def test_the_closed_forms_are_many_and_only_integrals_lack_numpy():
    numpy, many = steps_with("numpy"), steps_with("mpmath")
    assert len(numpy) >= 70
    assert [step.id for step in many if step not in numpy] == ["B4.rises", "F1"]


@pytest.mark.parametrize("step", steps_with("numpy"), ids=lambda step: step.id)
def test_float64_agrees_with_50_digits_where_nothing_cancels(step):
    function, precise = step.function(), step.function("mpmath")
    rng = np.random.default_rng(3)
    compared = 0
    for _ in range(20):
        point = rng.uniform(0.5, 2.0, len(step.arguments()))
        with np.errstate(invalid="ignore"):
            value = complex(function(*point))
        reference = complex(precise(*map(float, point)))
        if not np.isnan(value) and reference.imag == 0:  # else outside the domain of a root
            assert value.real == pytest.approx(reference.real, rel=1e-9)
            compared += 1
    assert compared


def test_arguments_have_the_order_of_the_notation_and_can_be_named():
    step = DERIVATION.step("B5")
    assert step.arguments() == ("signal", "damping")
    function = step.function()
    assert function(1.0, 0.5) == function(damping=0.5, signal=1.0)
    assert step.function("mpmath")(1.0, 0.5) == step.function("mpmath")(damping=0.5, signal=1.0)


def test_abbreviations_can_stay_arguments():
    step = DERIVATION.step("E2")
    assert step.arguments(definitions=False) == (
        "batch_size",
        "limit_learning_rate",
        "critical_batch_size",
        "noise_batch_size",
    )
    value = step.function(definitions=False)(
        batch_size=3.0, limit_learning_rate=2.0, critical_batch_size=1.0, noise_batch_size=9.0
    )
    assert value == pytest.approx(2 * 6 / 4)


def test_sums_over_coordinates_stay_arguments():
    assert DERIVATION.step("B9").arguments() == ("beta", "trace", "curvature", "alignment")


def test_numpy_functions_broadcast():
    function = DERIVATION.step("F2").function()
    shape = function(np.ones((3, 1)), np.array([0.1, 1.0])).shape
    assert shape == (3, 2)


@pytest.mark.parametrize("step", ["B3", "B6"])
def test_mpmath_keeps_its_digits_where_float64_cancels(step):
    precise = DERIVATION.step(step).function("mpmath")
    few = precise(0.3, 1e-5)
    many = DERIVATION.step(step).function("mpmath", digits=90)(0.3, 1e-5)
    assert mpmath.almosteq(few, many, 1e-25)


@pytest.mark.parametrize("step", ["A1", "B4.odd", "B8.matrix"])
def test_a_step_without_a_closed_form_says_so(step):
    with pytest.raises(InputError, match="no closed form"):
        DERIVATION.step(step).function()


def test_an_unknown_backend_and_an_integral_are_refused():
    with pytest.raises(InputError, match="use 'numpy' or 'mpmath'"):
        DERIVATION.step("B5").function("fortran")
    with pytest.raises(InputError, match="use the backend 'mpmath'"):
        DERIVATION.step("F1").function()
