"""What every rendering says about a step besides its formula."""

import sympy

from scaling.symbolic.assembly import Derivation, Verdict
from scaling.symbolic.notation import COMPONENTS, NOTATION
from scaling.symbolic.step import Step

PARTS = {
    "A": "The frame: one step of descent, SGD, SignSGD",
    "B": "Nonzero epsilon",
    "C": "Mean field without Gaussians",
    "D": "Momentum",
    "E": "One law of epsilon and momentum",
    "F": "Exact expectations",
}


#: In text, where a symbol's own name reads badly.
READABLE = {
    "optimal_learning_rate": "lr*",
    "decrease": "dL*",
    "loss_after": "E[L(w - lr phi)]",
}


def facts(step: Step, verdict: Verdict | None) -> list[tuple[str, str]]:
    """Return kind and method, reason, uses, assumptions, error and verdict, as (label, words).

    Examples
    --------
    >>> from .assembly import derivation
    >>> facts(derivation().step("A4.steps"), None)
    [('', 'exact; S is inverse to dL*, S_min its value without noise'), ('uses:  ', 'A4')]
    """
    kind = step.kind if step.route == "derived" else f"{step.kind}, verified by another route"
    found = [("", f"{kind}; {step.method}")]
    if step.why:
        found.append(("why:   ", step.why))
    if step.uses:
        found.append(("uses:  ", ", ".join(step.uses)))
    if step.assumptions:
        found.append(("given: ", "; ".join(step.assumptions)))
    if verdict is not None and verdict.error is not None:
        found.append(("error: ", str(verdict.error)))
    if verdict is not None and verdict.verified is not None:
        words = "verified" if verdict.verified else f"FAILED {verdict.problem}".rstrip()
        found.append(("check: ", words))
    return found


def glossary(derivation: Derivation) -> list[tuple[str, str, str]]:
    r"""Return the symbols that occur in the statements, as (text, LaTeX, meaning).

    Examples
    --------
    >>> from .assembly import derivation
    >>> glossary(derivation().select(["A4.examples"]))[0]
    ('B_noise', 'B_\\mathrm{noise}', 'tr(Sigma H)/g.Hg')
    """
    relations = [
        relation for step in derivation.steps for relation in (step.statement, *step.where)
    ]
    free = {name.name for relation in relations for name in relation.free_symbols}
    bases = {str(base) for relation in relations for base in relation.atoms(sympy.IndexedBase)}
    return [
        *(
            (READABLE.get(entry.name, entry.text), entry.latex, entry.meaning)
            for entry in NOTATION
            if entry.text in free
        ),
        *(component[1:] for component in COMPONENTS if component[0] in bases),
    ]
