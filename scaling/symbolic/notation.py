"""The notation: the symbols, and one table of their names and meanings (theory.md, part 0).

The symbols stand at the top level, so that formulas read as they do on paper:
``from scaling.symbolic.notation import B, B_n, lr_inf``.
"""

from dataclasses import dataclass

import sympy

g, a, L, EL, mu, nu, x = sympy.symbols("g a L EL mu nu x", real=True)
B, eps, beta1, beta2, lr, sigma, gamma = sympy.symbols(
    "B eps beta1 beta2 lr sigma gamma", positive=True
)
lr_star, lr_peak, lr_max, lr_inf = sympy.symbols("lr_star lr_peak lr_max lr_inf", positive=True)
B_n, B_crit, B_peak, B_noise, B_simple = sympy.symbols(
    "B_n B_crit B_peak B_noise B_simple", positive=True
)
beta, beta_n, kappa, lamda, c, rho, R0 = sympy.symbols(
    "beta beta_n kappa lamda c rho R0", positive=True
)
T, Q, G, R, N1, decrease, max_decrease = sympy.symbols("T Q G R N1 dL_star dL_max", positive=True)
S, S_min, E, E_min = sympy.symbols("S S_min E E_min", positive=True)
b, s, k, tau, r, q, U, node, z = sympy.symbols("b s k tau r q U t' z", positive=True)
B_ref, lr_ref, eps_ref, lr_1, c_run, chi, sharpness = sympy.symbols(
    "B_ref lr_ref eps_ref lr_1 c_K chi varsigma", positive=True
)
h, D, v_0, v_end, v_lim, a_rms = sympy.symbols("h D v_0 v_S v_lim a_rms", positive=True)
K = sympy.Symbol("K", integer=True, positive=True)


@dataclass(frozen=True)
class Notation:
    """One line of the table of notation.

    Parameters
    ----------
    symbol : sympy.Symbol
    name : str
        Name in code, and the name of the argument in every function made from a
        formula, such as ``"batch_size"``.
    latex : str
    meaning : str
        One line in words.
    """

    symbol: sympy.Symbol
    name: str
    latex: str
    meaning: str


NOTATION = (
    Notation(g, "gradient", "g", "true (full-data) gradient of a coordinate"),
    Notation(sigma, "sigma", r"\sigma", "standard deviation of the per-example gradient"),
    Notation(a, "signal", "a", "signal, g sqrt(B)/sigma"),
    Notation(b, "damping", "b", "damping, eps sqrt(B)/sigma"),
    Notation(B, "batch_size", "B", "examples per optimizer step"),
    Notation(eps, "eps", r"\epsilon", "Adam's epsilon"),
    Notation(beta1, "beta1", r"\beta_1", "decay rate of Adam's first moment"),
    Notation(beta2, "beta2", r"\beta_2", "decay rate of Adam's second moment"),
    Notation(c, "noise_damping", "c", "factor by which momentum shrinks the update's variance"),
    Notation(lr, "learning_rate", r"\eta", "learning rate"),
    Notation(lr_star, "optimal_learning_rate", r"\eta^{*}", "learning rate of largest descent"),
    Notation(lr_peak, "peak_learning_rate", r"\eta_\mathrm{peak}", "largest value of lr*(B)"),
    Notation(lr_max, "max_learning_rate", r"\eta_{\max}", "lr* of the noiseless gradient"),
    Notation(lr_inf, "limit_learning_rate", r"\eta_\infty", "lr* at infinite batch size"),
    Notation(L, "loss", "L", "loss before the step"),
    Notation(EL, "loss_after", r"\mathrm{E}[L(w-\eta\varphi)]", "mean loss after it"),
    Notation(decrease, "decrease", r"\Delta L^{*}", "decrease of the loss at lr*"),
    Notation(max_decrease, "max_decrease", r"\Delta L_{\max}", "the same without gradient noise"),
    Notation(mu, "mean", r"\mu", "mean of the update, E[phi]"),
    Notation(s, "second_moment", "s", "second moment of the update, E[phi^2]"),
    Notation(B_noise, "sgd_noise_scale", r"B_\mathrm{noise}", "tr(Sigma H)/g.Hg"),
    Notation(B_simple, "noise_scale", r"B_\mathrm{simple}", "tr(Sigma)/|g|^2"),
    Notation(B_crit, "critical_batch_size", r"B_\mathrm{crit}", "where dL* is half its maximum"),
    Notation(B_peak, "peak_batch_size", r"B_\mathrm{peak}", "batch size at which lr* is largest"),
    Notation(B_n, "noise_batch_size", "B_n", "lambda kappa^2"),
    Notation(kappa, "kappa", r"\kappa", "kappa^2 averages sigma_i^2/(g_i^2 + eps^2)"),
    Notation(lamda, "lamda", r"\lambda", "pi/2 (Gaussian stand-in) or 1 (mean field)"),
    Notation(beta, "beta", r"\beta", "(1 + lambda kappa^2/B)^(-1/2)"),
    Notation(beta_n, "beta_peak", r"\beta_n", "beta at which lr* is largest"),
    Notation(T, "trace", "T", "tr H"),
    Notation(Q, "curvature", "Q", "nu^T H nu"),
    Notation(G, "alignment", "G", "sum of nu_i g_i"),
    Notation(nu, "softened", r"\nu", "softsign(g, eps)"),
    Notation(rho, "ratio", r"\rho", "Q/(c T)"),
    Notation(N1, "gradient_l1", r"\lVert g\rVert_1", "sum of |g_i|"),
    Notation(R, "coupling", "R", "sum over i != j of sign(g_i g_j) H_ij"),
    Notation(R0, "sign_curvature", "R_0", "sign(g)^T H sign(g) / tr H"),
    Notation(S, "steps", "S", "optimizer steps to a target"),
    Notation(S_min, "min_steps", r"S_{\min}", "the same at infinite batch size"),
    Notation(E, "examples", "E", "examples to a target, B S"),
    Notation(E_min, "min_examples", r"E_{\min}", "the same at batch size zero"),
    Notation(x, "argument", "x", "argument of a function, or a standardized gradient"),
    Notation(k, "slope", "k", "slope of an S-curve at 0"),
    Notation(gamma, "grad_rms", r"\gamma", "root mean square of the gradient"),
    Notation(tau, "total_rms", r"\tau", "sqrt(gamma^2 + sigma^2/B)"),
    Notation(r, "relative_eps", "r", "eps/tau"),
    Notation(q, "signal_to_noise", "q", "|g|^2 B/tr(Sigma)"),
    Notation(U, "update_rms", "U", "root mean square of the update"),
    Notation(node, "node", "t'", "Laplace variable of the second-moment estimate"),
    Notation(K, "horizon", "K", "number of optimizer steps looked at"),
    Notation(c_run, "run_damping", "c_K", "what is left of the variance over K steps, per step"),
    Notation(
        sharpness, "sharpness", r"\varsigma", "sharpness of the law's corners (s in the theory)"
    ),
    Notation(h, "curvature_of_one", "h", "curvature of the loss along one coordinate"),
    Notation(D, "total_examples", "D", "examples of a whole run"),
    Notation(lr_1, "unit_learning_rate", r"\eta_1", "learning rate over sqrt(B)"),
    Notation(v_0, "start", "v_0", "mean square distance from the minimum at the start"),
    Notation(v_end, "end", "v_S", "the same after S steps"),
    Notation(v_lim, "limit_end", r"v_\mathrm{lim}", "the same for B -> 0 at fixed D and lr_1"),
    Notation(lr_ref, "reference_learning_rate", r"\eta_\mathrm{ref}", "tuned learning rate"),
    Notation(B_ref, "reference_batch_size", r"B_\mathrm{ref}", "batch size of the tuned run"),
    Notation(eps_ref, "reference_eps", r"\epsilon_\mathrm{ref}", "epsilon of the tuned run"),
    Notation(chi, "eps_factor", r"\chi", "lr*(eps)/lr*(0), what epsilon does to the rate"),
    Notation(a_rms, "signal_rms", r"a_\mathrm{rms}", "root mean square of the signals a"),
    Notation(z, "frequency", "z", "variable of the Laplace transform"),
)

#: Vectors and matrices, which are not in the table above: base, text, LaTeX, meaning.
COMPONENTS = (
    ("g", "g_i", "g_i", "gradient of coordinate i"),
    ("H", "H_ij", "H_{ij}", "Hessian of the loss"),
    ("M", "M_ij", "M_{ij}", "second moments of the update, E[phi_i phi_j]"),
    ("mu", "mu_i", r"\mu_i", "mean of the update in coordinate i"),
    ("s", "s_i", "s_i", "second moment of the update in coordinate i"),
    ("nu", "nu_i", r"\nu_i", "softsign(g_i, eps), the update without noise"),
    ("V", "V_i", "V_i", "variance of the per-example gradient of coordinate i, sigma_i^2"),
    ("t", "t_i", "t_i", "root of Adam's second-moment estimate, sqrt(v_i)"),
    ("Sigma", "Sigma_ij", r"\Sigma_{ij}", "covariance of the per-example gradients"),
)


def code_name(variable: sympy.Symbol) -> str:
    """Return the name in code of a symbol; a symbol outside the table keeps its own.

    Examples
    --------
    >>> code_name(b)
    'damping'
    """
    return next((entry.name for entry in NOTATION if entry.symbol == variable), variable.name)


def latex_names() -> dict[sympy.Symbol, str]:
    r"""Return the LaTeX of every symbol, in the form that ``sympy.latex`` takes.

    Examples
    --------
    >>> latex_names()[eps]
    '\\epsilon'
    """
    return {entry.symbol: entry.latex for entry in NOTATION}
