"""One face for all forms of the derivation, and the shortest of them, JSON."""

import json
from collections.abc import Mapping

from scaling.errors import InputError
from scaling.symbolic.assembly import Derivation, Verdict
from scaling.symbolic.proofs.accuracy import ApproximationError
from scaling.symbolic.render.latex import (
    equation_latex,
    latex,
    latex_document,
    latex_snippet,
    relation_latex,
)
from scaling.symbolic.render.markdown import markdown
from scaling.symbolic.render.text import text
from scaling.symbolic.step import Remark, Step

FORMS = ("text", "markdown", "latex", "equations", "json")


def render(
    derivation: Derivation,
    form: str,
    verdicts: Mapping[str, Verdict] | None = None,
    *,
    unicode: bool = True,
) -> str:
    """Return the derivation as a document.

    Parameters
    ----------
    derivation : Derivation
    form : str
        ``"text"`` (78 columns), ``"markdown"`` (with the graph of which step uses which),
        ``"latex"`` (a document that compiles), ``"equations"`` (LaTeX to paste) or ``"json"``.
    verdicts : mapping from str to Verdict, optional
        By id, of the steps that were checked or whose errors were computed.
    unicode : bool, optional
        Whether text may draw formulas with Unicode characters.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If the form is unknown.

    Examples
    --------
    >>> from scaling.symbolic import derivation
    >>> render(derivation().select(["A5.second"]), "equations").splitlines()[2]
    '  s = 1'
    """
    verdicts = verdicts or {}
    match form:
        case "text":
            return text(derivation, verdicts, unicode=unicode)
        case "markdown":
            return markdown(derivation, verdicts)
        case "latex":
            return latex_document(derivation, verdicts)
        case "equations":
            return latex_snippet(derivation)
        case "json":
            return to_json(derivation, verdicts)
    raise InputError(f"{form!r} is unknown; choose from {', '.join(FORMS)}", "form")


def to_json(derivation: Derivation, verdicts: Mapping[str, Verdict]) -> str:
    """Return a JSON list with one object per step or remark.

    Parameters
    ----------
    derivation : Derivation
    verdicts : mapping from str to Verdict
        Without a verdict, ``verified`` and ``error`` are null.

    Returns
    -------
    str

    Examples
    --------
    >>> from scaling.symbolic import derivation
    >>> json.loads(to_json(derivation().select(["A5.second"]), {}))[0]["kind"]
    'exact'
    """
    rows = [
        _remark_json(entry)
        if isinstance(entry, Remark)
        else _step_json(entry, verdicts.get(entry.id, Verdict(entry.id, None, 0.0)))
        for entry in derivation.entries
    ]
    return json.dumps(rows, indent=2)


def _step_json(step: Step, verdict: Verdict) -> dict[str, object]:
    return {
        "id": step.id,
        "title": step.title,
        "latex": equation_latex(step),
        "kind": step.kind,
        "method": step.method,
        "uses": list(step.uses),
        "verified": verdict.verified,
        "error": _error_json(verdict.error),
    }


def _remark_json(remark: Remark) -> dict[str, object]:
    return {
        "id": remark.id,
        "title": remark.title,
        "latex": None if remark.formula is None else relation_latex(remark.formula),
        "kind": "remark",
        "words": remark.words,
    }


def _error_json(error: ApproximationError | None) -> dict[str, object] | None:
    if error is None:
        return None
    return {
        "sort": error.sort,
        "of": error.of,
        "value": error.value,
        "bound": error.bound,
        "at": dict(error.at),
        "expression": None if error.expression is None else latex(error.expression),
    }
