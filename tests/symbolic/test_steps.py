"""Every item of the theory is there, is derived again, and rests on earlier steps only."""

from dataclasses import replace

import pytest
import sympy

from scaling.symbolic import derivation
from scaling.symbolic.assembly import check
from scaling.symbolic.parts import a_sign as sign
from scaling.symbolic.parts import b_law as law
from scaling.symbolic.parts import d_momentum as momentum

THEORY = (
    *(f"A{n}" for n in range(1, 10)),
    *(f"B{n}" for n in range(1, 12)),
    *(f"C{n}" for n in range(1, 6)),
    *(f"D{n}" for n in range(1, 5)),
    *(f"E{n}" for n in range(1, 8)),
    *(f"F{n}" for n in range(1, 6)),
    *("G", "H"),
    *(f"I{n}" for n in range(1, 5)),
    *(f"J{n}" for n in range(1, 4)),
    *(f"K{n}" for n in range(1, 6)),
)
STEPS = derivation().steps


def test_every_item_of_the_theory_is_present():
    assert derivation().theory_ids() == THEORY


def test_ids_are_unique_and_the_bare_id_exists():
    names = [entry.id for entry in derivation().entries]
    assert len(set(names)) == len(names)
    assert set(THEORY) <= set(names)
    assert {remark.id[0] for remark in derivation().remarks} == {"A", "G", "H", "K"}


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.id)
def test_a_step_uses_earlier_steps_only(step):
    names = [other.id for other in STEPS]
    # Within one theory id the argument may run through the parts in their own order.
    for used in step.uses:
        assert names.index(used) < names.index(step.id), used


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.id)
def test_the_statement_is_an_equation_of_known_symbols(step):
    assert isinstance(step.statement, sympy.Equality)
    assert step.title
    assert step.method
    assert (step.route == "verified") == bool(step.why)
    # Every abbreviation is used up: none is left over in the expanded statement.
    left_over = step.expanded.rhs.free_symbols & {part.lhs for part in step.where}
    assert not left_over


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.id)
def test_the_step_verifies_and_an_approximation_states_its_error(step):
    verdict = check(step)
    assert verdict.problem == ""
    assert verdict.verified is True
    assert (verdict.error is not None) == (step.kind == "approximation")
    if verdict.error is not None and verdict.error.value is not None:
        assert 0 <= verdict.error.value < 1
        assert verdict.error.bound is None or verdict.error.value <= verdict.error.bound


def test_two_processes_give_the_same_verdicts_in_order():
    part = derivation().select(["A4", "E5", "A5"])
    verdicts = list(part.verdicts(processes=2))
    assert [verdict.id for verdict in verdicts] == [step.id for step in part.steps]
    assert all(verdict.verified for verdict in verdicts)


@pytest.mark.parametrize("problem", [ValueError, AttributeError, IndexError, RecursionError])
def test_a_check_that_raises_has_failed(problem):
    def broken():
        raise problem("no result")

    for changed in ({"derive": broken}, {"error": broken}):
        verdict = check(replace(STEPS[0], **changed))
        assert verdict.verified is False
        assert verdict.problem == f"{problem.__name__}: no result"


@pytest.mark.parametrize(
    ("step", "expected"),
    [  # from an independent search with SciPy over dense grids (see test_references)
        ("A6.mean", 0.1078),
        ("B5", 0.1078),
        ("B7", 0.3075),
        ("B7.clip", 0.4936),
        ("B2.erf", 0.2101),
        ("C1", 0.0782),
        ("C1.second", 0.2390),
    ],
)
def test_the_measured_errors(step, expected):
    assert derivation().step(step).error().value == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize(
    ("modules", "name", "broken"),
    [
        ((law,), "soft_second_moment", ["B8.second", "B8.matrix"]),
        ((law,), "soft_mean", ["B8", "B8.matrix", "B9"]),
        ((momentum,), "damped_second_moment", ["D2.beta", "D3"]),
        ((sign,), "sign_second_moment", ["A5.second", "A7", "A8.moments"]),
    ],
)
def test_later_steps_rest_on_the_function_that_an_earlier_one_states(
    monkeypatch, modules, name, broken
):
    original = getattr(modules[0], name)
    for module in modules:
        monkeypatch.setattr(module, name, lambda *args: 2 * original(*args))
    changed = derivation()
    for identifier in broken:
        assert changed.step(identifier).verify() is False, identifier


def test_the_numbers_shown_are_computed():
    assert "(0.3849)" in derivation().step("C3.max").method
    assert "(0.2294)" in derivation().step("D4.noise").method


def test_no_object_fills_the_screen():
    found = derivation()
    verdict = check(found.step("E5.small"))
    assert all(len(repr(one)) < 300 for one in (found, *found.entries, verdict, verdict.error))
