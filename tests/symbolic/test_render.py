"""Text fits a terminal, LaTeX compiles, Markdown and JSON are complete."""

import json
import shutil
import subprocess
import sys

import pytest

from scaling.errors import InputError
from scaling.symbolic import Verdict, derivation
from scaling.symbolic.proofs.accuracy import ApproximationError
from scaling.symbolic.render import graph
from scaling.symbolic.render import latex as typeset
from scaling.symbolic.render import text as render

DERIVATION = derivation()
VERDICTS = {
    "B7": Verdict("B7", verified=True, seconds=0.1, error=ApproximationError("bound", "x", 0.25)),
    "A1": Verdict("A1", verified=False, seconds=0.1, problem="ValueError: {odd} 50% $_^\\ text"),
}


@pytest.mark.parametrize("unicode", [True, False])
def test_the_text_fits_80_columns_and_shows_every_step(unicode):
    words = render.text(DERIVATION, VERDICTS, unicode=unicode)
    assert max(len(line) for line in words.splitlines()) <= 80
    for step in DERIVATION.steps:
        assert f"{step.id}  " in words
    assert unicode or words.isascii()
    assert "FAILED ValueError" in words
    assert "bound 0.25: x" in words


def test_json_has_the_promised_keys():
    rows = json.loads(render.to_json(DERIVATION, VERDICTS))
    keys = ["id", "title", "latex", "kind", "method", "uses", "verified", "error"]
    assert [row["id"] for row in rows] == [step.id for step in DERIVATION.steps]
    assert all(list(row) == keys for row in rows)
    by_id = {row["id"]: row for row in rows}
    assert by_id["B7"]["error"]["value"] == 0.25
    assert by_id["B7"]["verified"] is True
    assert by_id["B9"]["verified"] is None


def test_markdown_has_every_step_and_balanced_fences():
    words = render.markdown(DERIVATION, VERDICTS)
    assert words.count("```") % 2 == 0
    assert words.count("```mermaid") == 1
    for step in DERIVATION.steps:
        assert f"### {step.id} " in words
    assert words.count("```math") == len(DERIVATION.steps) + sum(
        len(step.where) for step in DERIVATION.steps
    )


def test_code_hosts_can_show_every_formula():
    assert r"\operatorname" not in DERIVATION.render("markdown")


@pytest.mark.parametrize("form", ["text", "latex", "markdown"])
def test_the_notation_in_use_is_explained(form):
    words = DERIVATION.render(form)
    assert "Notation" in words
    assert "examples per optimizer step" in words
    assert "Hessian of the loss" in words
    few = DERIVATION.select(["A4.examples"]).render(form)
    assert "the same at batch size zero" in few
    assert "Hessian of the loss" not in few


def test_an_unknown_form_is_refused():
    with pytest.raises(InputError, match="form: 'pdf' is unknown; choose from text"):
        DERIVATION.render("pdf")


def test_ids_may_be_in_lower_case():
    assert DERIVATION.select(["b9"]) == DERIVATION.select(["B9"])


def test_the_graphs_hold_every_edge():
    number = sum(len(step.uses) for step in DERIVATION.steps)
    assert graph.mermaid(DERIVATION).count("-->") == number
    assert graph.dot(DERIVATION).count("->") == number


def test_a_snippet_is_free_of_a_preamble():
    words = typeset.latex_snippet(DERIVATION.select(["B9"]))
    assert r"\documentclass" not in words
    assert r"\beta" in words


def test_the_python_source_of_everything_compiles():
    source = render.python_source(DERIVATION)
    compile(source, "laws.py", "exec")
    assert source.count("\ndef ") > 40


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_latex_compiles(tmp_path):
    document = typeset.latex_document(DERIVATION, VERDICTS)
    (tmp_path / "derivation.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "derivation.tex"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-2000:]
    assert "Overfull" not in result.stdout


def test_importing_does_no_work():
    program = (
        "import sys, scaling.symbolic as s; assert 'sympy' not in sys.modules; "
        "assert 'mpmath' not in sys.modules; s.derivation; assert 'sympy' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
