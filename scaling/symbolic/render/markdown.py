"""The derivation in Markdown, with a graph of which step uses which."""

import textwrap
from collections.abc import Iterator, Mapping

from scaling.symbolic.assembly import Derivation, Verdict
from scaling.symbolic.render.facts import PARTS, facts, glossary
from scaling.symbolic.render.latex import equation_latex, relation_latex
from scaling.symbolic.step import Remark, Step

INTRODUCTION = """\
# The derivation

Which learning rate should Adam use, when the batch size or epsilon changes? Every statement has
an id, which code and documents cite ("T-E2"). It is followed by how it was obtained, what
it uses and assumes, and, if it is an approximation, by how large its error is. `lr derive --check`
derives each of them again and compares; `lr derive E2` shows one; statements without a
derivation are marked as remarks. Printed by `lr derive --format markdown`; do not edit.
"""


def markdown(derivation: Derivation, verdicts: Mapping[str, Verdict]) -> str:
    """Return the derivation as Markdown with formulas in LaTeX, and the graph in Mermaid.

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
    >>> markdown(derivation().select(["A5"]), {}).splitlines()[0]
    '# The derivation'
    """
    blocks = [INTRODUCTION]
    names = glossary(derivation)
    if names:
        rows = [f"| ${shown}$ | {_plain(meaning)} |" for _, shown, meaning in names]
        blocks.append(
            "\n".join(["## Notation", "", "| symbol | meaning |", "|---|---|", *rows, ""])
        )
    part = ""
    for entry in derivation.entries:
        if entry.id[0] != part:
            part = entry.id[0]
            title, words = PARTS[part]
            blocks.append(f"## {part}. {title}\n")
            blocks += [f"{_paragraph(words)}\n"] if words else []
        level = "####" if "." in entry.id else "###"
        blocks.append(f"{level} {entry.id}: {_plain(entry.title)}\n")
        blocks += _remark(entry) if isinstance(entry, Remark) else _step(entry, verdicts)
    blocks.append(f"## Which step uses which\n\n```mermaid\n{mermaid(derivation)}\n```\n")
    # Code hosts refuse \operatorname in formulas.
    return "\n".join(block for block in blocks if block).replace(r"\operatorname{", r"\mathrm{")


def _step(step: Step, verdicts: Mapping[str, Verdict]) -> Iterator[str]:
    yield _displayed(equation_latex(step))
    if step.where:
        yield "where\n"
    yield from (_displayed(relation_latex(abbreviation)) for abbreviation in step.where)
    found = [(label.strip(), words) for label, words in facts(step, verdicts.get(step.id))]
    lines = [
        f"- {label} {_plain(words)}" if label else f"- {_plain(words)}" for label, words in found
    ]
    yield "\n".join([*lines, ""])


def _remark(remark: Remark) -> Iterator[str]:
    if remark.formula is not None:
        yield _displayed(relation_latex(remark.formula))
    yield f"{_paragraph('Remark. ' + remark.words)}\n"


def _displayed(formula: str) -> str:
    return f"$$\n{formula}\n$$\n"


def mermaid(derivation: Derivation) -> str:
    """Return the graph of which step uses which, as Mermaid.

    Examples
    --------
    >>> from scaling.symbolic import derivation
    >>> print(mermaid(derivation().select(["A4.steps", "A4.examples"])))
    graph TD
      A4_steps["A4.steps"]
      A4_examples["A4.examples"]
      A4_steps --> A4_examples
    """
    nodes = {step.id: step.id.replace(".", "_") for step in derivation.steps}
    edges = [(used, step.id) for step in derivation.steps for used in step.uses if used in nodes]
    return "\n".join(
        [
            "graph TD",
            *(f'  {node}["{name}"]' for name, node in nodes.items()),
            *(f"  {nodes[used]} --> {nodes[user]}" for used, user in edges),
        ]
    )


def _paragraph(words: str) -> str:
    return textwrap.fill(_plain(words), 96, break_on_hyphens=False)


def _plain(words: str) -> str:
    for character in "\\`*<|":
        words = words.replace(character, "\\" + character)
    return words
