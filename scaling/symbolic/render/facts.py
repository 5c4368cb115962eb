"""What every rendering says about a statement besides its formula, and about the parts."""

import sympy

from scaling.symbolic.assembly import Derivation, Verdict
from scaling.symbolic.notation import COMPONENTS, NOTATION
from scaling.symbolic.step import Step

#: Title of each part, and what it is for.
PARTS = {
    "A": (
        "The frame: one step of descent, SGD, SignSGD",
        "The loss after a step, to second order, gives the best learning rate of any optimizer "
        "from the mean and the second moment of its update. Sources: kexue.fm 10542 and 11260; "
        "McCandlish et al. 2018 (arXiv 1812.06162); Li et al. 2024 (arXiv 2405.14578).",
    ),
    "B": (
        "Nonzero epsilon",
        "Adam without momentum is softsign of the batch gradient; its moments, in stand-ins "
        "that integrate, give the law of batch size and epsilon. Source: kexue.fm 10563.",
    ),
    "C": (
        "Mean field without Gaussians",
        "Averages put inside the root. Sources: kexue.fm 11280 and 11285.",
    ),
    "D": (
        "Momentum, one step",
        "Momentum shrinks the noise of one update by c. Successive updates share their noise, so "
        "that over a run it comes back in full: there c tends to 1, and there is no surge from "
        "momentum (part I). Sources: kexue.fm 11301 and 11267.",
    ),
    "E": (
        "One law of epsilon and momentum",
        "The law in its plainest form, its peak, its regimes, and the transfer from a tuned run. "
        "Here c is that of one step or of a run, as part I says. Own work.",
    ),
    "F": (
        "Exact expectations",
        "Gaussian gradient noise without a stand-in. Own work.",
    ),
    "G": ("Limits of the theory", ""),
    "H": ("A trial", ""),
    "I": (
        "Over many steps",
        "What a run adds to one step: the displacement over K steps, the square root rule at a "
        "fixed number of examples (Malladi et al. 2022, arXiv 2205.10287), and a sharper corner.",
    ),
    "J": (
        "What epsilon does, from Adam's second moment",
        "Without a split of the second moment into gradient and noise. Own work.",
    ),
    "K": ("Inference", ""),
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
    >>> from scaling.symbolic import derivation
    >>> facts(derivation().step("A4.steps"), None)
    [('', 'exact; S is inverse to dL*, S_min its value without noise'), ('uses:  ', 'A4')]
    """
    kind = step.kind if step.route == "derived" else f"{step.kind}, verified by another route"
    error = None if verdict is None else verdict.error
    check = ""
    if verdict is not None and verdict.verified is not None:
        check = "verified" if verdict.verified else f"FAILED {verdict.problem}".rstrip()
    found = (
        ("", f"{kind}; {step.method}"),
        ("why:   ", step.why),
        ("uses:  ", ", ".join(step.uses)),
        ("given: ", "; ".join(step.assumptions)),
        ("error: ", "" if error is None else str(error)),
        ("check: ", check),
    )
    return [(label, words) for label, words in found if words]


def glossary(derivation: Derivation) -> list[tuple[str, str, str]]:
    r"""Return the symbols that occur in the statements, as (text, LaTeX, meaning).

    Examples
    --------
    >>> from scaling.symbolic import derivation
    >>> glossary(derivation().select(["A4.examples"]))[0]
    ('B_noise', 'B_\\mathrm{noise}', 'tr(Sigma H)/g.Hg')
    """
    relations = [relation for step in derivation.steps for relation in step.relations]
    relations += [remark.formula for remark in derivation.remarks if remark.formula is not None]
    used = sympy.Tuple(*relations)
    bases = set(map(str, used.atoms(sympy.IndexedBase)))
    return [
        *(
            (READABLE.get(entry.name, entry.symbol.name), entry.latex, entry.meaning)
            for entry in NOTATION
            if entry.symbol in used.free_symbols
        ),
        *(component[1:] for component in COMPONENTS if component[0] in bases),
    ]
