"""A check must be able to fail: every step rejects changed coefficients, signs and exponents."""

from dataclasses import replace

import pytest
import sympy
from sympy.functions.elementary.piecewise import ExprCondPair

from scaling.symbolic import derivation
from scaling.symbolic.exact.weights import age
from scaling.symbolic.proofs.sums import index
from scaling.symbolic.step import equation

STEPS = derivation().steps


def changed_numbers(expression):
    """Yield the expression with one of its numbers increased by 1, at every place in turn."""
    if getattr(expression, "is_Rational", False):
        yield expression + 1
        return
    for position, argument in enumerate(expression.args):
        limits = isinstance(argument, sympy.Tuple) and not isinstance(argument, ExprCondPair)
        if limits:  # of sums, in which changed_sizes changes n and t, and of integrals
            continue
        for new in changed_numbers(argument):
            arguments = list(expression.args)
            arguments[position] = new
            yield expression.func(*arguments)


def changed_sizes(expression):
    """Yield the expression with the number n of coordinates or t of steps fixed."""
    for size in (index()[2], age()[1]):
        if size in expression.free_symbols:
            yield from (expression.subs(size, number) for number in (1, 2, 3))
        sums = {total: sympy.Dummy() for total in expression.atoms(sympy.Sum)}
        outside = expression.xreplace(sums)
        if sums and size in outside.free_symbols:
            back = {name: total for total, name in sums.items()}
            yield from (outside.subs(size, number).xreplace(back) for number in (1, 2, 3))


def mutants(expression):
    if expression == 0:
        yield sympy.Integer(1)
        return
    yield 2 * expression
    yield -expression
    for new in changed_numbers(expression):
        if new != expression and new.is_finite is not False:
            yield new
    yield from changed_sizes(expression)


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
    for right in (2 * definition.rhs, definition.rhs + 1, *changed_sizes(definition.rhs)):
        where = list(step.where)
        where[position] = equation(definition.lhs, right)
        assert replace(step, where=tuple(where)).verify(derived) is False, right


def other_points(expression):
    """Yield the expression with one of its limits taken at the other end, 0 or infinity."""
    for limit in expression.atoms(sympy.Limit):
        inside, variable, point, _ = limit.args
        other = sympy.oo if point == 0 else sympy.Integer(0)
        yield expression.subs(limit, sympy.Limit(inside, variable, other))


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.id)
def test_a_changed_left_hand_side_is_rejected(step):
    derived = step.derive()
    left, right = step.statement.args
    changed = [left + 1, *other_points(left), *changed_sizes(left)]
    if right != 0:  # twice nothing is nothing
        changed += [2 * left, -left]
    changed.append(sympy.Symbol("other", positive=True))
    for new in changed:
        mutant = replace(step, statement=equation(new, right))
        assert mutant.verify(derived) is False, new
