"""The notation: one table of names, meanings and assumptions (theory.md, part 0)."""

from dataclasses import dataclass

import sympy

from scaling.errors import InputError


@dataclass(frozen=True)
class Notation:
    """One line of the table of notation.

    Parameters
    ----------
    name : str
        Name in code, and the name of the argument in every function made from a
        formula, such as ``"batch_size"``.
    text : str
        How the symbol prints, such as ``"B"``.
    latex : str
        The same in LaTeX.
    meaning : str
        One line in words.
    domain : str
        ``"positive"`` or ``"real"``.
    """

    name: str
    text: str
    latex: str
    meaning: str
    domain: str = "positive"


NOTATION = (
    Notation("gradient", "g", "g", "true (full-data) gradient of a coordinate", "real"),
    Notation("sigma", "sigma", r"\sigma", "standard deviation of the per-example gradient"),
    Notation("signal", "a", "a", "signal, g sqrt(B)/sigma", "real"),
    Notation("damping", "b", "b", "damping, eps sqrt(B)/sigma"),
    Notation("batch_size", "B", "B", "examples per optimizer step"),
    Notation("eps", "eps", r"\epsilon", "Adam's epsilon"),
    Notation("beta1", "beta1", r"\beta_1", "decay rate of Adam's first moment"),
    Notation("beta2", "beta2", r"\beta_2", "decay rate of Adam's second moment"),
    Notation("noise_damping", "c", "c", "factor by which momentum shrinks the update's variance"),
    Notation("learning_rate", "lr", r"\eta", "learning rate"),
    Notation("optimal_learning_rate", "lr_star", r"\eta^{*}", "learning rate of largest descent"),
    Notation("peak_learning_rate", "lr_peak", r"\eta_\mathrm{peak}", "largest value of lr*(B)"),
    Notation("max_learning_rate", "lr_max", r"\eta_{\max}", "lr* of the noiseless gradient"),
    Notation("limit_learning_rate", "lr_inf", r"\eta_\infty", "lr* at infinite batch size"),
    Notation("loss", "L", "L", "loss before the step", "real"),
    Notation("loss_after", "EL", r"\mathrm{E}[L(w-\eta\varphi)]", "mean loss after it", "real"),
    Notation("decrease", "dL_star", r"\Delta L^{*}", "decrease of the loss at lr*"),
    Notation("max_decrease", "dL_max", r"\Delta L_{\max}", "the same without gradient noise"),
    Notation("mean", "mu", r"\mu", "mean of the update, E[phi]", "real"),
    Notation("second_moment", "s", "s", "second moment of the update, E[phi^2]"),
    Notation("sgd_noise_scale", "B_noise", r"B_\mathrm{noise}", "tr(Sigma H)/g.Hg"),
    Notation("noise_scale", "B_simple", r"B_\mathrm{simple}", "tr(Sigma)/|g|^2"),
    Notation("critical_batch_size", "B_crit", r"B_\mathrm{crit}", "where dL* is half its maximum"),
    Notation("peak_batch_size", "B_peak", r"B_\mathrm{peak}", "batch size at which lr* is largest"),
    Notation("noise_batch_size", "B_n", "B_n", "lambda kappa^2"),
    Notation("kappa", "kappa", r"\kappa", "kappa^2 averages sigma_i^2/(g_i^2 + eps^2)"),
    Notation("lamda", "lamda", r"\lambda", "pi/2 (Gaussian stand-in) or 1 (mean field)"),
    Notation("beta", "beta", r"\beta", "(1 + lambda kappa^2/B)^(-1/2)"),
    Notation("beta_peak", "beta_n", r"\beta_n", "beta at which lr* is largest"),
    Notation("trace", "T", "T", "tr H"),
    Notation("curvature", "Q", "Q", "nu^T H nu"),
    Notation("alignment", "G", "G", "sum of nu_i g_i"),
    Notation("softened", "nu", r"\nu", "softsign(g, eps)", "real"),
    Notation("ratio", "rho", r"\rho", "Q/(c T)"),
    Notation("gradient_l1", "N1", r"\|g\|_1", "sum of |g_i|"),
    Notation("coupling", "R", "R", "sum over i != j of sign(g_i g_j) H_ij"),
    Notation("sign_curvature", "R0", "R_0", "sign(g)^T H sign(g) / tr H"),
    Notation("steps", "S", "S", "optimizer steps to a target"),
    Notation("min_steps", "S_min", r"S_{\min}", "the same at infinite batch size"),
    Notation("examples", "E", "E", "examples to a target, B S"),
    Notation("min_examples", "E_min", r"E_{\min}", "the same at batch size zero"),
    Notation("argument", "x", "x", "argument of a function, or a standardized gradient", "real"),
    Notation("slope", "k", "k", "slope of an S-curve at 0"),
    Notation("grad_rms", "gamma", r"\gamma", "root mean square of the gradient"),
    Notation("total_rms", "tau", r"\tau", "sqrt(gamma^2 + sigma^2/B)"),
    Notation("relative_eps", "r", "r", "eps/tau"),
    Notation("signal_to_noise", "q", "q", "|g|^2 B/tr(Sigma)"),
    Notation("update_rms", "U", "U", "root mean square of the update"),
    Notation("node", "t'", "t'", "Laplace variable of the second-moment estimate"),
    Notation("frequency", "z", "z", "variable of the Laplace transform"),
)

#: Vectors and matrices, which are not in the table above: base, text, LaTeX, meaning.
COMPONENTS = (
    ("g", "g_i", "g_i", "gradient of coordinate i"),
    ("H", "H_ij", "H_{ij}", "Hessian of the loss"),
    ("M", "M_ij", "M_{ij}", "second moments of the update, E[phi_i phi_j]"),
    ("mu", "mu_i", r"\mu_i", "mean of the update in coordinate i"),
    ("s", "s_i", "s_i", "second moment of the update in coordinate i"),
    ("nu", "nu_i", r"\nu_i", "softsign(g_i, eps), the update without noise"),
    ("Sigma", "Sigma_ij", r"\Sigma_{ij}", "covariance of the per-example gradients"),
)


def symbol(name: str) -> sympy.Symbol:
    """Return the symbol with this name in code.

    Parameters
    ----------
    name : str
        A name of the table of notation.

    Returns
    -------
    sympy.Symbol
        Real or positive, as the table says.

    Raises
    ------
    InputError
        If the table has no such name.

    Examples
    --------
    >>> symbol("batch_size"), symbol("batch_size").is_positive
    (B, True)
    """
    for entry in NOTATION:
        if entry.name == name:
            assumption = {"real": True} if entry.domain == "real" else {"positive": True}
            return sympy.Symbol(entry.text, **assumption)
    raise InputError(f"{name!r} is not in the table of notation", "name")


def symbols(names: str) -> tuple[sympy.Symbol, ...]:
    """Return several symbols at once.

    Parameters
    ----------
    names : str
        Names in code, separated by blanks.

    Returns
    -------
    tuple of sympy.Symbol

    Raises
    ------
    InputError
        If the table has no such name.

    Examples
    --------
    >>> symbols("signal damping")
    (a, b)
    """
    return tuple(symbol(name) for name in names.split())


def code_name(variable: sympy.Symbol) -> str:
    """Return the name in code of a symbol; a symbol outside the table keeps its own.

    Examples
    --------
    >>> code_name(symbol("damping"))
    'damping'
    """
    return next((entry.name for entry in NOTATION if entry.text == variable.name), variable.name)


def latex_names() -> dict[sympy.Symbol, str]:
    r"""Return the LaTeX of every symbol, in the form that ``sympy.latex`` takes.

    Examples
    --------
    >>> latex_names()[symbol("eps")]
    '\\epsilon'
    """
    return {symbol(entry.name): entry.latex for entry in NOTATION}
