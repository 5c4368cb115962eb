"""THEORY.md is what `lr derive` prints today, and holds every id that the project cites."""

import re
from pathlib import Path

from scaling.symbolic import derivation
from scaling.symbolic.render.forms import render

ROOT = Path(__file__).parents[2]
THEORY = (ROOT / "scaling/symbolic/THEORY.md").read_text(encoding="utf-8")

#: "T-E2", and "T-E2.beta", but not the full stop after an id.
CITATION = re.compile(r"\bT-([A-K]\d*(?:\.[a-zA-Z]\w*)?)\b")


def citations():
    """Ids cited in code, documents and notebooks, with a file that does."""
    for folder in ("scaling", "cli", "tests", "notebooks", "README.md", "CONTRIBUTING.md"):
        found = ROOT / folder
        for path in [found, *found.rglob("*")] if found.exists() else []:
            if path.suffix in {".py", ".md", ".ipynb", ".txt", ".pyi"} and path.name != "THEORY.md":
                for identifier in CITATION.findall(path.read_text(encoding="utf-8")):
                    yield identifier, path


def test_theory_is_current():
    """If not: `make theory`, and review the difference."""
    errors = {verdict.id: verdict for verdict in derivation().errors()}
    assert render(derivation(), "markdown", errors).rstrip("\n") == THEORY.rstrip("\n")


def test_every_cited_id_is_in_it():
    known = set(re.findall(r"^###+ (\S+): ", THEORY, re.MULTILINE))
    cited = dict(citations())
    assert len(cited) > 40
    assert {name: cited[name] for name in cited.keys() - known} == {}
