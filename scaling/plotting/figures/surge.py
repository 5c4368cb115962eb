"""When the optimal learning rate falls as the batch grows: phase diagrams (T-B10, T-D3, T-E3)."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.inputs.recipe import GradientStatistics, Recipe
from scaling.numeric.laws.transfer import TransferLaw
from scaling.plotting.style import (
    BLACK,
    BLUE,
    DASHED,
    DOTTED,
    SOLID,
    VERMILLION,
    axes_of,
    caption,
    light_part,
    log_axes,
    styled,
)

#: Contours of lr_peak/lr_inf.
_HEIGHTS = (1.0, 1.1, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
_NODES = 49


@styled
def surge_eps(*, ax: Axes | None = None) -> Figure:
    """Phase diagram of the surge over eps/gamma and the curvature ratio (T-B10, T-E3).

    Parameters
    ----------
    ax : Axes, optional
        Where to draw; new ones, with a caption, by default.

    Returns
    -------
    Figure

    Examples
    --------
    >>> surge_eps().axes[0].get_ylabel()
    'curvature ratio  $R_0$'
    """
    own = ax is None
    ax, figure = axes_of(ax, 2.9)
    eps, ratio = np.geomspace(0.05, 100, _NODES), np.geomspace(0.5, 200, _NODES)
    ax.set(xlim=(0.05, 100), ylim=(0.5, 200))
    log_axes(ax)
    heights = np.array(
        [[_height(_law("article", curvature, value)) for value in eps] for curvature in ratio]
    )
    _shade(ax, eps, ratio, heights)
    for model, beta1, look, nodes in (
        ("article", 0.0, {"color": BLACK, "linewidth": 1.8}, 97),
        ("exact-softsign", 0.0, {"color": VERMILLION, "linestyle": DASHED}, 9),
        ("mean-field-outside", 0.9, {"color": BLUE, "linestyle": DOTTED}, 25),
    ):
        curvatures = np.geomspace(0.5, 200, nodes)
        ends = np.array([_law(model, curvature, 0.0, beta1).surge_end for curvature in curvatures])
        ax.plot(ends, curvatures, **look)
    for text, at, color in (
        ("article", (0.06, 2.3), BLACK),
        ("exact", (6.0, 20.0), VERMILLION),
        ("PyTorch's $\\epsilon$,\n$\\beta_1$ = 0.9", (3.0, 2.2), BLUE),
    ):
        ax.text(*at, text, color=color)
    ax.set(
        xlabel=r"epsilon over RMS of the gradient  $\epsilon/\gamma$",
        ylabel="curvature ratio  $R_0$",
    )
    ax.text(0.02, 0.05, "no surge", transform=ax.transAxes)
    if own:
        caption(
            figure,
            "Contours: lr_peak/lr_inf in the article's form, beta1 = 0. Lines: the largest eps "
            "with a surge: the article's form (rho = 2, T-E3); without stand-ins (T-F1, T-F2); eps "
            "outside the root, with momentum (T-E7). Every coordinate alike, R0 = "
            "sign(g)ᵀH sign(g)/tr(H), 1 if H is diagonal. Source: kexue.fm/archives/10563.",
        )
    return figure


@styled
def surge_momentum(*, ax: Axes | None = None) -> Figure:
    r"""Phase diagram of the surge over beta1 and Q/T, with lines of equal rho (T-D3, T-E3).

    Parameters
    ----------
    ax : Axes, optional
        Where to draw; new ones, with a caption, by default.

    Returns
    -------
    Figure

    Examples
    --------
    >>> surge_momentum().axes[0].get_xlabel()
    '$\\beta_1$'
    """
    own = ax is None
    ax, figure = axes_of(ax, 2.9)
    beta1, ratio = np.linspace(0, 0.99, _NODES), np.geomspace(0.1, 20, _NODES)
    ax.set(xlim=(0, 0.99), ylim=(0.1, 20))
    log_axes(ax, "y")
    laws = [[_law("mean-field", curvature, 0.0, rate) for rate in beta1] for curvature in ratio]
    heights = np.array([[_height(law) for law in row] for row in laws])
    _shade(ax, beta1, ratio, heights, numbers=False)
    # Both rise steeply with beta1; of the logarithm the contours are smooth.
    rho = np.log([[law.noise_batch_size / law.critical_batch_size for law in row] for row in laws])
    levels = [0.5, 2, 4, 10, 30, 100]
    lines = ax.contour(
        beta1,
        ratio,
        rho,
        np.log(levels),
        colors=BLACK,
        linestyles=[SOLID],
        linewidths=[1.8 if level == 2 else 0.6 for level in levels],
    )
    ax.clabel(
        lines,
        fmt=lambda level: f"$\\rho$ = {np.exp(level):.3g}",
        fontsize=6.5,
        manual=[(0.6, 0.12), (0.6, 0.5), (0.6, 1.0), (0.6, 2.5), (0.6, 7.5), (0.84, 9.0)],
    )
    ax.plot([1 / 3], [1.0], "o", color=VERMILLION)
    ax.annotate(
        "diagonal H:\n$\\beta_1$ > 1/3",
        (1 / 3, 1.0),
        xytext=(-4, -4),
        textcoords="offset points",
        color=VERMILLION,
        ha="right",
        va="top",
    )
    ax.text(0.02, 0.05, "no surge", transform=ax.transAxes)
    ax.set(xlabel=r"$\beta_1$", ylabel="curvature ratio  $Q/T$", title="one step")
    if own:
        caption(
            figure,
            "Over a run c is 1 (T-I1). rho = Q/(cT), c = (1 - beta1)/(1 + beta1); the surge "
            "begins at rho = 2 (heavy line, T-E3). Shades: lr_peak/lr_inf beyond 1, 1.1, 1.5, 2, "
            "3, 5, 10. Mean field, eps = 0, every coordinate alike. Source: "
            "kexue.fm/archives/11301.",
        )
    return figure


def _law(model: str, curvature: float, eps: float, beta1: float = 0.0) -> TransferLaw:
    """Law of one step in natural units: noise scale and gradient's RMS are 1."""
    statistics = GradientStatistics(1.0, grad_rms=1.0, curvature_ratio=float(curvature))
    recipe = Recipe(1.0, 1.0, eps=float(eps), beta1=float(beta1))
    return TransferLaw(recipe, statistics, moments=model, horizon=1)


def _height(law: TransferLaw) -> float:
    """lr_peak/lr_inf, 1 without a surge."""
    return law.peak.learning_rate / law.learning_rate_limit if law.peak else 1.0


def _shade(
    ax: Axes, x: FloatArray, y: FloatArray, heights: FloatArray, *, numbers: bool = True
) -> None:
    """Shade the surge by its height; white is none."""
    levels = [level for level in _HEIGHTS if level < heights.max()]
    shades = light_part("Blues", 0.08, 0.6)(np.linspace(0, 1, len(levels)))
    # Just above 1, where there is none.
    ax.contourf(x, y, heights, [1.0005, *levels[1:], heights.max() * 1.01], colors=list(shades))
    if numbers:
        lines = ax.contour(x, y, heights, levels[1:], colors=BLACK, linewidths=0.4)
        ax.clabel(lines, fmt="%g", fontsize=6.5)
