"""What the theory says without a derivation: conjectures, limits, and the rules of inference."""

from scaling.symbolic.notation import lr_star
from scaling.symbolic.parts.a_sign import conjectured_law
from scaling.symbolic.step import Remark, equation


def remarks() -> tuple[Remark, ...]:
    """Return the remarks, in the order of their ids.

    Examples
    --------
    >>> [remark.id for remark in remarks()][:3]
    ['A9', 'G', 'H']
    """
    return (
        Remark(
            "A9",
            "a conjecture for Adam: SGD's law to a power",
            "Conjectured by McCandlish et al. (2018) with 1/2 < alpha < 1, not derived. What can "
            "be checked is checked below: alpha = 1 is A3, alpha = 1/2 is A7 with a diagonal H, "
            "and in between the exponent falls from alpha to 0: it has no surge.",
            equation(lr_star, conjectured_law()),
        ),
        Remark(
            "G",
            "what the theory leaves out",
            "A local quadratic loss, independent coordinates, a stationary gradient; no weight "
            "decay, no schedule. Parts A to F look one step ahead, part I over many. A law fitted "
            "to one's own sweep is the most reliable, then one from measured gradient statistics, "
            "and last a bare rule. A single snapshot of Adam's state does not determine B_simple.",
        ),
        Remark(
            "H",
            "what a fit can reach",
            "An MLP on scikit-learn's digits, 4 values of epsilon and 6 batch sizes: the best "
            "learning rates range over 6 octaves; a joint law with four parameters (E7) "
            "describes them within 0.24 octave at fixed steps, 0.30 at fixed examples.",
        ),
        Remark(
            "K1",
            "inference: what is observed of an optimum",
            "log2 of the best learning rate of a cell is that of I4's law, with log-linear "
            "covariates in its scale and B_crit, plus an offset for each setting of the "
            "covariates, plus a departure (Student t, 5 degrees of freedom): what the law does "
            "not explain. The scales of both are inferred; the cell's own error comes on top.",
        ),
        Remark(
            "K2",
            "inference: weak priors",
            "Exponents of covariates N(0, 0.7), log2 B_crit N(middle of what was tried, 4), log2 "
            "rho N(0, 3), log sharpness N(0.5, 1), log of the scale flat.",
        ),
        Remark(
            "K3",
            "inference: two intervals",
            "One for the law, and one for the optimum that a new sweep would find, which adds "
            "offset and departure; the second is printed first.",
        ),
        Remark(
            "K4",
            "inference: one tuned run",
            "Without a noise scale the prior is conditioned on one point: the interval widens "
            "with |log(B/B_ref)|. A noise scale, with its error, conditions B_n.",
        ),
        Remark(
            "K5",
            "inference: other shapes",
            "Powers with a free exponent, or other corners, may be averaged in by their evidence "
            "or by stacking where that helps out of sample.",
        ),
    )
