"""Text fits a terminal, LaTeX compiles, Markdown and JSON are complete."""

import json
import shutil
import subprocess
import sys

import pytest

from scaling.errors import InputError
from scaling.symbolic import Verdict, derivation
from scaling.symbolic.proofs.accuracy import ApproximationError
from scaling.symbolic.render.forms import FORMS, render
from scaling.symbolic.render.markdown import mermaid

DERIVATION = derivation()
VERDICTS = {
    "B7": Verdict("B7", verified=True, seconds=0.1, error=ApproximationError("bound", "x", 0.25)),
    "A1": Verdict("A1", verified=False, seconds=0.1, problem="ValueError: {odd} 50% $_^\\ text"),
}


@pytest.mark.parametrize("unicode", [True, False])
def test_the_text_fits_80_columns_and_shows_every_step(unicode):
    words = render(DERIVATION, "text", VERDICTS, unicode=unicode)
    assert max(len(line) for line in words.splitlines()) <= 80
    for entry in DERIVATION.entries:
        assert f"{entry.id}  " in words
    assert unicode or words.isascii()
    assert "FAILED ValueError" in words
    assert "bound 0.25: x" in words


def test_json_has_the_promised_keys():
    rows = json.loads(render(DERIVATION, "json", VERDICTS))
    keys = ["id", "title", "latex", "kind", "method", "uses", "verified", "error"]
    assert [row["id"] for row in rows] == [entry.id for entry in DERIVATION.entries]
    assert all(list(row) == keys for row in rows if row["kind"] != "remark")
    by_id = {row["id"]: row for row in rows}
    assert by_id["B7"]["error"]["value"] == 0.25
    assert by_id["B7"]["verified"] is True
    assert by_id["B9"]["verified"] is None
    assert by_id["A9"]["words"].startswith("Conjectured")


def test_markdown_has_every_statement_with_its_formulas():
    words = render(DERIVATION, "markdown", VERDICTS)
    assert words.count("```") == 2
    for entry in DERIVATION.entries:
        assert f"# {entry.id}: " in words
    formulas = sum(len(step.relations) for step in DERIVATION.steps)
    assert words.count("\n$$\n") == 2 * (formulas + 1)  # that of A9 is a remark's
    assert r"\operatorname" not in words  # which code hosts refuse


@pytest.mark.parametrize("form", ["text", "latex", "markdown"])
def test_the_notation_in_use_is_explained(form):
    words = render(DERIVATION, form)
    assert "Notation" in words
    assert "examples per optimizer step" in words
    assert "Hessian of the loss" in words
    few = render(DERIVATION.select(["A4.examples"]), form)
    assert "the same at batch size zero" in few
    assert "Hessian of the loss" not in few


def test_an_unknown_form_is_refused():
    with pytest.raises(InputError, match="form: 'pdf' is unknown; choose from text"):
        render(DERIVATION, "pdf")


def test_ids_may_be_in_lower_case_and_as_they_are_cited():
    b9 = DERIVATION.select(["B9"])
    assert [entry.id for entry in b9.entries] == ["B9", "B9.two"]
    assert b9 == DERIVATION.select(["b9"]) == DERIVATION.select(["T-B9"])
    assert [remark.id for remark in DERIVATION.select(["t-g"]).entries] == ["G"]


def test_the_graph_holds_every_edge():
    number = sum(len(step.uses) for step in DERIVATION.steps)
    assert mermaid(DERIVATION).count("-->") == number


def test_a_snippet_is_free_of_a_preamble():
    words = render(DERIVATION.select(["B9"]), "equations")
    assert r"\documentclass" not in words
    assert r"\beta" in words


@pytest.mark.parametrize("form", FORMS)
def test_every_form_shows_remarks_with_and_without_a_formula(form):
    words = render(DERIVATION.select(["A9", "G"]), form)
    assert "a conjecture for Adam" in words
    assert "what the theory leaves out" in words


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_latex_compiles(tmp_path):
    document = render(DERIVATION, "latex", VERDICTS)
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
