"""What every rendering says about a step besides its formula."""

from .assembly import Verdict
from .step import Step

PARTS = {
    "A": "The frame: one step of descent, SGD, SignSGD",
    "B": "Nonzero epsilon",
    "C": "Mean field without Gaussians",
    "D": "Momentum",
    "E": "One law of epsilon and momentum",
    "F": "Exact expectations",
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
