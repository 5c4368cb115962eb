"""The derivation as text for a terminal."""

import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import sympy
from sympy.printing.pretty.pretty import PrettyPrinter
from sympy.printing.pretty.pretty_symbology import pretty_use_unicode
from sympy.printing.pretty.stringpict import prettyForm
from sympy.printing.str import StrPrinter

from scaling.symbolic.assembly import Derivation, Verdict
from scaling.symbolic.notation import NOTATION
from scaling.symbolic.render.facts import READABLE, facts, glossary
from scaling.symbolic.step import Remark, Step

WIDTH = 78


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
    >>> from scaling.symbolic import derivation
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
    for entry in derivation.entries:
        lines = [*_wrapped(f"{entry.id}  ", entry.title), ""]
        if isinstance(entry, Remark):
            lines += [] if entry.formula is None else _drawn(entry.formula, unicode, "=")
            lines += _wrapped("    remark: ", entry.words)
        else:
            lines += _step_lines(entry, verdicts.get(entry.id), unicode)
        blocks.append("\n".join(line.rstrip() for line in lines))
    names = glossary(derivation)
    if names:
        wide = max(len(shown) for shown, _, _ in names) + 2
        lines = [
            line for shown, _, meaning in names for line in _wrapped(shown.ljust(wide), meaning)
        ]
        blocks.append("\n".join(["Notation", "", *lines]))
    return "\n\n\n".join(blocks)


def _step_lines(step: Step, verdict: Verdict | None, unicode: bool) -> Iterator[str]:
    yield from _drawn(step.statement, unicode, "~" if step.error else "=")
    if step.where:
        yield from ("    where", "")
    for abbreviation in step.where:
        yield from _drawn(abbreviation, unicode, "=")
    for label, words in facts(step, verdict):
        yield from _wrapped(f"    {label}", words)


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
        entry.symbol: sympy.Symbol(READABLE.get(entry.name, entry.symbol.name))
        for entry in NOTATION
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
