"""The derivation as text, LaTeX, Markdown, JSON and as a graph."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import sympy
from sympy.printing.latex import LatexPrinter
from sympy.printing.pretty.pretty import PrettyPrinter
from sympy.printing.pretty.pretty_symbology import pretty_use_unicode
from sympy.printing.pretty.stringpict import prettyForm
from sympy.printing.str import StrPrinter

from scaling.errors import InputError

from .accuracy import ApproximationError
from .assembly import Derivation, Verdict
from .step import Step
from .symbols import NOTATION, latex_names, symbol

WIDTH = 78
PARTS = {
    "A": "The frame: one step of descent, SGD, SignSGD",
    "B": "Nonzero epsilon",
    "C": "Mean field without Gaussians",
    "D": "Momentum",
    "E": "One law of epsilon and momentum",
    "F": "Exact expectations",
}


def latex(expression: sympy.Basic) -> str:
    r"""Return an expression in LaTeX, in the theory's notation.

    Parameters
    ----------
    expression : sympy.Basic

    Returns
    -------
    str

    Examples
    --------
    >>> from .symbols import symbol
    >>> latex(symbol("eps") ** 2)
    '\\epsilon^{2}'
    """
    printer = _TheoryLatexPrinter({"symbol_names": latex_names(), "root_notation": True})
    return str(printer.doprint(expression))


class _TheoryLatexPrinter(LatexPrinter):  # type: ignore[misc]
    """Prints a sum over all coordinates without bounds, and components as H_{ij}."""

    def _print_Sum(self, total: sympy.Sum) -> str:  # noqa: N802
        start, end = total.limits[0][1:]
        variables = ",".join(sorted(str(limit[0]) for limit in total.limits))
        below = variables if start == 1 else f"{variables}={self._print(start)}"
        above = "" if start == 1 else f"^{{{self._print(end)}}}"
        inside = self._print(total.function)
        if isinstance(total.function, sympy.Add):
            inside = rf"\left({inside}\right)"
        return rf"\sum_{{{below}}}{above} {inside}"

    def _print_Indexed(self, component: sympy.Indexed) -> str:  # noqa: N802
        base, *indices = component.args
        name = self._print(sympy.Symbol(str(base)))
        return f"{name}_{{{' '.join(self._print(number) for number in indices)}}}"


def equation_latex(step: Step) -> str:
    """Return a step's statement in LaTeX; an approximation is written with approx.

    Examples
    --------
    >>> from .assembly import derivation
    >>> equation_latex(derivation().step("A5.second"))
    's = 1'
    """
    return _relation(step.statement, r"\approx" if step.error is not None else "=")


def _relation(relation: sympy.Eq, sign: str = "=") -> str:
    left, right = relation.args
    return f"{latex(left)} {sign} {latex(right)}"


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
        for label, words in _facts(step, verdicts.get(step.id)):
            lines += _wrapped(f"    {label}", words)
        blocks.append("\n".join(line.rstrip() for line in lines))
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
    plain = {symbol(entry.name): sympy.Symbol(entry.text) for entry in NOTATION}
    plain |= {
        symbol(name): sympy.Symbol(shown)
        for name, shown in (
            ("optimal_learning_rate", "lr*"),
            ("decrease", "dL*"),
            ("loss_after", "E[L(w - lr phi)]"),
        )
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


def _facts(step: Step, verdict: Verdict | None) -> list[tuple[str, str]]:
    kind = step.kind if step.route == "derived" else f"{step.kind}, verified by another route"
    facts = [("", f"{kind}; {step.method}")]
    if step.why:
        facts.append(("why:   ", step.why))
    if step.uses:
        facts.append(("uses:  ", ", ".join(step.uses)))
    if step.assumptions:
        facts.append(("given: ", "; ".join(step.assumptions)))
    if verdict is not None and verdict.error is not None:
        facts.append(("error: ", str(verdict.error)))
    if verdict is not None and verdict.verified is not None:
        words = "verified" if verdict.verified else f"FAILED {verdict.problem}".rstrip()
        facts.append(("check: ", words))
    return facts


def latex_snippet(derivation: Derivation) -> str:
    r"""Return the statements alone, as displayed equations to paste.

    Examples
    --------
    >>> from .assembly import derivation
    >>> print(latex_snippet(derivation().select(["A5.second"])))
    % A5.second: SignSGD: the second moment of the update
    \[
      s = 1
    \]
    """
    return "\n".join(
        f"% {step.id}: {step.title}\n" + "\n".join(_displayed(step)) for step in derivation.steps
    )


def _displayed(step: Step) -> list[str]:
    relations = [equation_latex(step), *(_relation(part) for part in step.where)]
    if len(relations) == 1:
        return [r"\[", f"  {relations[0]}", r"\]"]
    rows = [f"  {relations[0]}" + r" \\"]
    rows += [rf"  \text{{where}}\quad {relations[1]}"]
    for relation in relations[2:]:
        rows[-1] += r" \\"
        rows.append(f"  {relation}")
    return [r"\begin{gather*}", *rows, r"\end{gather*}"]


def latex_document(derivation: Derivation, verdicts: Mapping[str, Verdict]) -> str:
    r"""Return a LaTeX document that compiles as it is.

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
    >>> latex_document(derivation().select(["A5"]), {}).splitlines()[0]
    '\\documentclass[11pt]{article}'
    """
    lines = [
        r"\documentclass[11pt]{article}",
        r"\usepackage[margin=25mm]{geometry}",
        r"\usepackage{amsmath,amssymb}",
        r"\setlength{\parindent}{0pt}",
        r"\allowdisplaybreaks",
        r"\title{The optimal learning rate of Adam: the derivation}",
        r"\date{}",
        r"\begin{document}",
        r"\maketitle",
    ]
    part = ""
    for step in derivation.steps:
        if step.id[0] != part:
            part = step.id[0]
            lines += ["", rf"\section*{{{part}. {PARTS[part]}}}"]
        lines += ["", rf"\medskip\textbf{{{step.id}}}\quad {_escaped(step.title)}."]
        lines += _displayed(step)
        for label, words in _facts(step, verdicts.get(step.id)):
            lines.append(rf"{{\small {label.rstrip()} {_escaped(words)}\par}}")
    return "\n".join([*lines, r"\end{document}", ""])


def _escaped(words: str) -> str:
    special: dict[str, str | int | None] = {character: f"\\{character}" for character in "{}_&%#$"}
    special |= {
        "\\": r"\textbackslash{}",
        "^": r"\^{}",
        "~": r"\textasciitilde{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
    }
    return words.translate(str.maketrans(special))


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
            lines += ["```math", _relation(abbreviation), "```", ""]
        lines += [
            f"- {(label.strip() + ' ') if label else ''}{_plain(words)}"
            for label, words in _facts(step, verdicts.get(step.id))
        ]
        lines.append("")
    lines += ["## Which step uses which", "", "```mermaid", mermaid(derivation), "```", ""]
    return "\n".join(lines)


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
    lines = "\n\n\n".join(sources).splitlines()
    imports = sorted({line for line in lines if line.startswith("from ")})
    return "\n".join([*_merged(imports), *(line for line in lines if line not in imports)]) + "\n"


def _merged(imports: list[str]) -> list[str]:
    names: dict[str, set[str]] = {}
    for line in imports:
        module, _, listed = line.partition(" import ")
        names.setdefault(module, set()).update(listed.split(", "))
    return [f"{module} import {', '.join(sorted(found))}" for module, found in names.items()]


def edges(derivation: Derivation) -> list[tuple[str, str]]:
    """Return the pairs (earlier step, later step that uses it) within a derivation.

    Examples
    --------
    >>> from .assembly import derivation
    >>> edges(derivation().select(["A1"]))
    [('A1', 'A1.minimum'), ('A1', 'A1.decrease'), ('A1.minimum', 'A1.decrease')]
    """
    present = {step.id for step in derivation.steps}
    return [(used, step.id) for step in derivation.steps for used in step.uses if used in present]


def mermaid(derivation: Derivation) -> str:
    """Return the graph of which step uses which, as Mermaid.

    Examples
    --------
    >>> from .assembly import derivation
    >>> print(mermaid(derivation().select(["A4.steps", "A4.examples"])))
    graph TD
      A4_steps["A4.steps"]
      A4_examples["A4.examples"]
      A4_steps --> A4_examples
    """
    lines = ["graph TD"]
    lines += [f'  {_node(step.id)}["{step.id}"]' for step in derivation.steps]
    lines += [f"  {_node(used)} --> {_node(user)}" for used, user in edges(derivation)]
    return "\n".join(lines)


def dot(derivation: Derivation) -> str:
    """Return the graph of which step uses which, in the language of Graphviz.

    Examples
    --------
    >>> from .assembly import derivation
    >>> print(dot(derivation().select(["A4.steps", "A4.examples"])))
    digraph derivation {
      "A4.steps";
      "A4.examples";
      "A4.steps" -> "A4.examples";
    }
    """
    lines = ["digraph derivation {"]
    lines += [f'  "{step.id}";' for step in derivation.steps]
    lines += [f'  "{used}" -> "{user}";' for used, user in edges(derivation)]
    return "\n".join([*lines, "}"])


def _node(identifier: str) -> str:
    return identifier.replace(".", "_")
