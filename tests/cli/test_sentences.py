"""Every fact of the numeric layer has its sentence, and every sentence its fact."""

import ast
from pathlib import Path

import pytest
from scaling.cli.report.sentences import _SENTENCES, say

import scaling
from scaling import BatchSizeLaw, GradientStatistics, Recipe, TransferLaw
from scaling.numeric.facts import fact


def keys_in_use():
    """First arguments of `fact` in the library; what is computed there counts as text."""
    for path in Path(scaling.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "fact":
                yield node.args[0]


def test_each_key_is_said_and_each_sentence_used():
    stated = {key.value for key in keys_in_use() if isinstance(key, ast.Constant)}
    populations = {f"{name} population" for name in ("uniform", "gaussian", "sketched")}
    assert stated | populations | {"acts as SGD", "comes to act as SGD"} == set(_SENTENCES)
    computed = [ast.unparse(key) for key in keys_in_use() if not isinstance(key, ast.Constant)]
    assert sorted(computed) == ["f'{population} population'", "key"]


@pytest.mark.parametrize("population", ["uniform", "gaussian"])
@pytest.mark.parametrize("moments", ["sign", "mean-field-outside", "exact-adam"])
@pytest.mark.parametrize("grad_rms", [None, 1e-6])
def test_sentences_have_all_their_values(population, moments, grad_rms):
    law = TransferLaw(
        Recipe(3e-4, 256, eps=1e-8),
        GradientStatistics(4000, grad_rms),
        eps=1e-8 if grad_rms is None or moments == "sign" else 1e-4,
        moments=moments,
        population=population,
    )
    said = [say(found) for found in (*law.assumptions(), *law.warnings(64))]
    assert len(said) >= 5
    assert not any("{" in text or "None" in text for text in said)


def test_a_fact_of_its_own_is_one_line():
    assert str(fact("rise ended", batch_size=256.0, probability=0.5)) == (
        "rise ended: batch_size 256, probability 0.5"
    )


def test_laws_without_anything_to_say_say_nothing():
    law = BatchSizeLaw(256, 1e-3, 4000, 400)
    assert law.assumptions() == law.warnings(1e9) == ()
