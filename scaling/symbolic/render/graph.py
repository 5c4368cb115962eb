"""The graph of which step uses which, for Mermaid and Graphviz."""

from scaling.symbolic.assembly import Derivation


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
