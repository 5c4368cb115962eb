"""The derivation in LaTeX."""

from collections.abc import Mapping

import sympy
from sympy.core.function import AppliedUndef
from sympy.printing.latex import LatexPrinter

from scaling.symbolic.assembly import Derivation, Verdict
from scaling.symbolic.notation import latex_names
from scaling.symbolic.render.facts import PARTS, facts, glossary
from scaling.symbolic.step import Remark, Step


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
    >>> from scaling.symbolic.notation import eps
    >>> latex(eps**2)
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

    def _print_Function(self, call: AppliedUndef, exp: str | None = None) -> str:  # noqa: N802
        known = {symbol.name: shown for symbol, shown in latex_names().items()}
        if not isinstance(call, AppliedUndef) or call.func.__name__ not in known:
            return str(super()._print_Function(call, exp))
        arguments = ", ".join(self._print(argument) for argument in call.args)
        power = "" if exp is None else f"^{{{exp}}}"
        return rf"{known[call.func.__name__]}\left({arguments}\right){power}"

    def _print_Indexed(self, component: sympy.Indexed) -> str:  # noqa: N802
        base, *indices = component.args
        name = self._print(sympy.Symbol(str(base)))
        return f"{name}_{{{' '.join(self._print(number) for number in indices)}}}"


def equation_latex(step: Step) -> str:
    """Return a step's statement in LaTeX; an approximation is written with approx.

    Examples
    --------
    >>> from scaling.symbolic import derivation
    >>> equation_latex(derivation().step("A5.second"))
    's = 1'
    """
    return relation_latex(step.statement, r"\approx" if step.error is not None else "=")


def relation_latex(relation: sympy.Eq, sign: str = "=") -> str:
    r"""Return a relation in LaTeX, with this sign in the middle.

    Examples
    --------
    >>> relation_latex(sympy.Eq(sympy.Symbol("x"), 1), r"\approx")
    'x \\approx 1'
    """
    left, right = relation.args
    return f"{latex(left)} {sign} {latex(right)}"


def latex_snippet(derivation: Derivation) -> str:
    r"""Return the statements alone, as displayed equations to paste.

    Examples
    --------
    >>> from scaling.symbolic import derivation
    >>> print(latex_snippet(derivation().select(["A5.second"])))
    % A5.second: SignSGD: the second moment of the update
    \[
      s = 1
    \]
    """
    lines = []
    for entry in derivation.entries:
        lines += [f"% {entry.id}: {entry.title}", *_displayed(entry)]
    return "\n".join(lines)


def _displayed(entry: Step | Remark) -> list[str]:
    if isinstance(entry, Remark):
        relations = [] if entry.formula is None else [relation_latex(entry.formula)]
    else:
        relations = [equation_latex(entry), *(relation_latex(part) for part in entry.where)]
    if not relations:
        return []
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
    >>> from scaling.symbolic import derivation
    >>> latex_document(derivation().select(["A5"]), {}).splitlines()[0]
    '\\documentclass[11pt]{article}'
    """
    lines = [
        r"\documentclass[11pt]{article}",
        r"\usepackage[margin=25mm]{geometry}",
        r"\usepackage{amsmath,amssymb,longtable}",
        r"\setlength{\parindent}{0pt}",
        r"\allowdisplaybreaks",
        r"\title{The optimal learning rate of Adam: the derivation}",
        r"\date{}",
        r"\begin{document}",
        r"\maketitle",
    ]
    part = ""
    for entry in derivation.entries:
        if entry.id[0] != part:
            part = entry.id[0]
            title, words = PARTS[part]
            lines += ["", rf"\section*{{{part}. {title}}}", _escaped(words)]
        lines += ["", rf"\medskip\textbf{{{entry.id}}}\quad {_escaped(entry.title)}."]
        lines += _displayed(entry)
        if isinstance(entry, Remark):
            lines.append(_escaped(entry.words))
            continue
        for label, words in facts(entry, verdicts.get(entry.id)):
            lines.append(rf"{{\small {label.rstrip()} {_escaped(words)}\par}}")
    names = glossary(derivation)
    if names:
        lines += ["", r"\section*{Notation}", r"\begin{longtable}{@{}ll@{}}"]
        lines += [rf"${shown}$ & {_escaped(meaning)} \\" for _, shown, meaning in names]
        lines += [r"\end{longtable}"]
    return "\n".join([*lines, r"\end{document}", ""])


def _escaped(words: str) -> str:
    special: dict[str, str | int | None] = {character: f"\\{character}" for character in "{}_&%#$"}
    special |= {
        "\\": r"\textbackslash{}",
        "^": r"\^{}",
        "~": r"$\sim$",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
    }
    return words.translate(str.maketrans(special))
