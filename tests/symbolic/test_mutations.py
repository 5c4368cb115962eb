"""A check must be able to fail: every step rejects changed coefficients, signs and exponents."""

from dataclasses import replace

import pytest
import sympy

from scaling.symbolic import derivation
from scaling.symbolic.step import equation

STEPS = derivation().steps


def changed_numbers(expression):
    """Yield the expression with one of its numbers increased by 1, at every place in turn."""
    if expression.is_Rational:
        yield expression + 1
        return
    for position, argument in enumerate(expression.args):
        if isinstance(argument, sympy.Tuple):  # the limits of sums and integrals
            continue
        if argument.is_Boolean:
            continue
        for new in changed_numbers(argument):
            arguments = list(expression.args)
            arguments[position] = new
            yield expression.func(*arguments)


def mutants(expression):
    if expression == 0:
        yield sympy.Integer(1)
        return
    yield 2 * expression
    yield -expression
    for new in changed_numbers(expression):
        if new != expression and new.is_finite is not False:
            yield new


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.id)
def test_a_changed_right_hand_side_is_rejected(step):
    derived = step.derive()
    assert step.verify(derived)
    count = 0
    for right in mutants(step.statement.rhs):
        mutant = replace(step, statement=equation(step.statement.lhs, right))
        assert mutant.verify(derived) is False, right
        count += 1
    assert count >= 1


def definitions():
    for step in STEPS:
        for position, definition in enumerate(step.where):
            yield pytest.param(step, position, id=f"{step.id}-{definition.lhs}")


@pytest.mark.parametrize(("step", "position"), list(definitions()))
def test_a_changed_abbreviation_is_rejected(step, position):
    derived = step.derive()
    definition = step.where[position]
    for right in (2 * definition.rhs, definition.rhs + 1):
        where = list(step.where)
        where[position] = equation(definition.lhs, right)
        assert replace(step, where=tuple(where)).verify(derived) is False, right


SIDES = [step for step in STEPS if not step.statement.lhs.is_Symbol]
CHECKED_ON_THE_LEFT = ["A4.hyperbola", "E4.hyperbola", "B4.odd"]


@pytest.mark.parametrize("identifier", CHECKED_ON_THE_LEFT)
def test_a_changed_left_hand_side_is_rejected(identifier):
    step = derivation().step(identifier)
    left, right = step.statement.args
    assert replace(step, statement=equation(2 * left, right)).verify() is False
    assert replace(step, statement=equation(left + 1, right)).verify() is False
