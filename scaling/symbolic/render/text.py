"""The derivation as text, LaTeX, Markdown, JSON and as a graph."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import sympy
from sympy.printing.pretty.pretty import PrettyPrinter
from sympy.printing.pretty.pretty_symbology import pretty_use_unicode
from sympy.printing.pretty.stringpict import prettyForm
from sympy.printing.str import StrPrinter

from scaling.errors import InputError
from scaling.symbolic.assembly import Derivation, Verdict
from scaling.symbolic.notation import NOTATION, symbol
from scaling.symbolic.proofs.accuracy import ApproximationError
from scaling.symbolic.render.facts import PARTS, READABLE, facts, glossary
from scaling.symbolic.render.graph import dot, mermaid
from scaling.symbolic.render.latex import (
    equation_latex,
    latex,
    latex_document,
    latex_snippet,
    relation_latex,
)

WIDTH = 78
FORMS = ("text", "latex", "equations", "markdown", "json", "python", "mermaid", "dot")


def render(
    derivation: Derivation,
    form: str,
    verdicts: Mapping[str, Verdict] | None = None,
    *,
    unicode: bool = True,
) -> str:
    """Return the derivation in one of the forms; see :meth:`Derivation.render`.

    Examples
    --------
    >>> from .assembly import derivation
    >>> render(derivation().select(["A1"]), "mermaid").splitlines()[0]
    'graph TD'
    """
    if form not in FORMS:
        raise InputError(f"{form!r} is unknown; choose from {', '.join(FORMS)}", "form")
    verdicts = verdicts or {}
    if form == "text":
        return text(derivation, verdicts, unicode=unicode)
    of_verdicts = {"latex": latex_document, "markdown": markdown, "json": to_json}
    if form in of_verdicts:
        return of_verdicts[form](derivation, verdicts)
    bare = {"equations": latex_snippet, "python": python_source, "mermaid": mermaid, "dot": dot}
    return bare[form](derivation)


def text(derivation: Derivation, verdicts: Mapping[str, Verdict], *, unicode: bool = True) -> str:
    """Return the derivation as text of at most 78 columns.

    Parameters
    ----------
    derivation : Derivation
    verdicts : mapping from str to Verdict
        Of the steps that were checked; may be empty.
    unicode : bool, optional
        Draw formulas with Unicode characters.

    Returns
    -------
    str

    Examples
    --------
    >>> from .assembly import derivation
    >>> print(text(derivation().select(["A5.second"]), {}))
    A5.second  SignSGD: the second moment of the update
    <BLANKLINE>
        s = 1
    <BLANKLINE>
        exact; integration of sign(x)^2 against the Gaussian
        given: the batch gradient is g + (sigma/sqrt B) N(0, 1), independent per
               coordinate
    <BLANKLINE>
    <BLANKLINE>
    Notation
    <BLANKLINE>
    s  second moment of the update, E[phi^2]
    """
    blocks = []
    for step in derivation.steps:
        lines = [*_wrapped(f"{step.id}  ", step.title), ""]
        lines += _drawn(step.statement, unicode, "~" if step.error else "=")
        for abbreviation in step.where:
            lines += (
                ["    where", "", *_drawn(abbreviation, unicode, "=")]
                if (abbreviation is step.where[0])
                else _drawn(abbreviation, unicode, "=")
            )
        for label, words in facts(step, verdicts.get(step.id)):
            lines += _wrapped(f"    {label}", words)
        blocks.append("\n".join(line.rstrip() for line in lines))
    names = glossary(derivation)
    if names:
        wide = max(len(shown) for shown, _, _ in names) + 2
        lines = [
            line for shown, _, meaning in names for line in _wrapped(shown.ljust(wide), meaning)
        ]
        blocks.append("\n".join(["Notation", "", *lines]))
    return "\n\n\n".join(blocks)


class _LinePrinter(StrPrinter):  # type: ignore[misc]
    """Prints sums and components on one line, as in sum_ij[H_ij*g_i*g_j]."""

    printmethod = "_on_one_line"  # components would otherwise print themselves

    def _print_Sum(self, total: sympy.Sum) -> str:  # noqa: N802
        variables = "".join(sorted(str(limit[0]) for limit in total.limits))
        start, end = total.limits[0][1:]
        if start != 1:
            variables = f"{{{variables}={start}..{self._print(end)}}}".replace(" ", "")
        return f"sum_{variables}[{self._print(total.function)}]"

    def _print_Indexed(self, component: sympy.Indexed) -> str:  # noqa: N802
        base, *indices = component.args
        return f"{base}_{''.join(str(number) for number in indices)}"

    def _print_KroneckerDelta(self, delta: sympy.KroneckerDelta) -> str:  # noqa: N802
        return f"delta_{''.join(str(number) for number in delta.args)}"


def _drawn(relation: sympy.Eq, unicode: bool, sign: str) -> list[str]:
    plain = {
        symbol(entry.name): sympy.Symbol(READABLE.get(entry.name, entry.text)) for entry in NOTATION
    }
    left, right = (side.xreplace(plain) for side in relation.args)
    drawing = []
    if not relation.has(sympy.Indexed):
        with pretty_use_unicode_for(unicode):
            printer = PrettyPrinter({"wrap_line": False, "use_unicode": unicode})
            shown = "≈" if unicode and sign == "~" else sign
            parts = printer._print(left), f" {shown} ", printer._print(right)  # noqa: SLF001
            drawing = str(prettyForm(*prettyForm.next(*parts))).splitlines()
    if not drawing or max(map(len, drawing)) > WIDTH - 4:
        one_line = _LinePrinter()
        words = f"{one_line.doprint(left)} {sign} {one_line.doprint(right)}".replace("**", "^")
        drawing = textwrap.wrap(words, WIDTH - 4, break_long_words=False)
    return [*(f"    {line}" for line in drawing), ""]


@contextmanager
def pretty_use_unicode_for(flag: bool) -> Iterator[None]:
    """Let SymPy draw with Unicode characters, or not, inside a block.

    Examples
    --------
    >>> with pretty_use_unicode_for(False):
    ...     print(sympy.pretty(sympy.pi))
    pi
    """
    before = pretty_use_unicode(flag)
    try:
        yield
    finally:
        pretty_use_unicode(before)


def _wrapped(label: str, words: str) -> list[str]:
    return textwrap.wrap(words, WIDTH, initial_indent=label, subsequent_indent=" " * len(label))


def markdown(derivation: Derivation, verdicts: Mapping[str, Verdict]) -> str:
    """Return the derivation as Markdown with formulas for a code host, and the graph.

    Parameters
    ----------
    derivation : Derivation
    verdicts : mapping from str to Verdict
        Of the steps that were checked; may be empty.

    Returns
    -------
    str

    Examples
    --------
    >>> from .assembly import derivation
    >>> markdown(derivation().select(["A5"]), {}).splitlines()[0]
    '# The derivation'
    """
    lines = ["# The derivation", ""]
    part = ""
    for step in derivation.steps:
        if step.id[0] != part:
            part = step.id[0]
            lines += [f"## {part}. {PARTS[part]}", ""]
        lines += [f"### {step.id} {_plain(step.title)}", ""]
        lines += ["```math", equation_latex(step), "```", ""]
        if step.where:
            lines += ["where", ""]
        for abbreviation in step.where:
            lines += ["```math", relation_latex(abbreviation), "```", ""]
        lines += [
            f"- {(label.strip() + ' ') if label else ''}{_plain(words)}"
            for label, words in facts(step, verdicts.get(step.id))
        ]
        lines.append("")
    names = glossary(derivation)
    if names:
        lines += ["## Notation", "", "| symbol | meaning |", "|---|---|"]
        lines += [f"| $`{shown}`$ | {_plain(meaning)} |" for _, shown, meaning in names]
        lines.append("")
    lines += ["## Which step uses which", "", "```mermaid", mermaid(derivation), "```", ""]
    # Code hosts refuse \\operatorname in formulas.
    return "\n".join(lines).replace(r"\operatorname{", r"\mathrm{")


def _plain(words: str) -> str:
    for character in "\\`*_<>|~":
        words = words.replace(character, "\\" + character)
    return words


def to_json(derivation: Derivation, verdicts: Mapping[str, Verdict]) -> str:
    """Return a JSON list with one object per step.

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
    >>> from .assembly import derivation
    >>> json.loads(to_json(derivation().select(["A5.second"]), {}))[0]["kind"]
    'exact'
    """
    rows = []
    for step in derivation.steps:
        verdict = verdicts.get(step.id)
        rows.append(
            {
                "id": step.id,
                "title": step.title,
                "latex": equation_latex(step),
                "kind": step.kind,
                "method": step.method,
                "uses": list(step.uses),
                "verified": None if verdict is None else verdict.verified,
                "error": None if verdict is None else _error_json(verdict.error),
            }
        )
    return json.dumps(rows, indent=2)


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


def python_source(derivation: Derivation) -> str:
    """Return every closed form as the source of a Python function.

    Parameters
    ----------
    derivation : Derivation

    Returns
    -------
    str
        A module; steps without a closed form in scalars are left out.

    Raises
    ------
    InputError
        If no step has a closed form.

    Examples
    --------
    >>> from .assembly import derivation
    >>> print(python_source(derivation().select(["B5"])).splitlines()[0])
    from numpy import pi, sqrt
    """
    sources, reason = [], InputError("there is no closed form")
    for step in derivation.steps:
        try:
            sources.append(step.source())
        except InputError as error:
            reason = error
    if not sources:
        raise reason
    lines = {line for source in sources for line in source.splitlines()}
    imports = sorted(line for line in lines if line.startswith("from "))
    functions = [
        "\n".join(line for line in source.splitlines() if line not in imports).strip()
        for source in sources
    ]
    head = ["\n".join(_merged(imports))] if imports else []
    return "\n\n\n".join([*head, *functions]) + "\n"


def _merged(imports: list[str]) -> list[str]:
    names: dict[str, set[str]] = {}
    for line in imports:
        module, _, listed = line.partition(" import ")
        names.setdefault(module, set()).update(listed.split(", "))
    return [f"{module} import {', '.join(sorted(found))}" for module, found in names.items()]
