"""S-curves and the simple curves that stand in for them (T-A6, T-B2)."""

from typing import Annotated

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from scipy.special import erf

from scaling.numeric.inputs.arrays import positive
from scaling.numeric.moments.models import MOMENT_MODELS, moment_model
from scaling.plotting.style import (
    BLACK,
    BLUE,
    DASHED,
    DOTTED,
    SOLID,
    VERMILLION,
    axes_of,
    caption,
    label_ends,
    new_figure,
    point_out,
    shades,
    styled,
)

_REACH = 3.0


@styled
def erf_stand_ins(*, figure: Figure | SubFigure | None = None) -> Figure:
    """Erf, the algebraic curve and the clipped line of its slope, and their errors (T-A6, T-B2).

    Parameters
    ----------
    figure : Figure or SubFigure, optional
        Where to draw; a new figure, with a caption, by default.

    Returns
    -------
    Figure

    Notes
    -----
    The article's figure (kexue.fm 10563).

    Examples
    --------
    >>> [ax.get_ylabel() for ax in erf_stand_ins().axes]
    ['S-curve', 'stand-in - erf']
    """
    own = figure is None
    figure = new_figure(3.1) if figure is None else figure
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    x = np.linspace(-_REACH, _REACH, 601)
    # erf(x) is the mean of the sign at signal sqrt(2) x, whence its slope.
    slope = np.sqrt(2) * moment_model("sign").bind().slope
    algebraic = MOMENT_MODELS["mean-field"].noiseless(x, np.asarray(1 / slope))
    clipped = MOMENT_MODELS["clip"].noiseless(x, np.asarray(1 / slope))
    (line,) = upper.plot(x, erf(x), color=BLACK, linestyle=SOLID)
    point_out(upper, line, 1.05, "erf(x)", (32, -14))
    for curve, text, color, dashes, at, offset in (
        (algebraic, r"$x/\sqrt{x^2+\pi/4}$", VERMILLION, DASHED, -1.1, (-6, 18)),
        (clipped, r"clip$(2x/\sqrt{\pi})$", BLUE, DOTTED, 0.35, (20, -16)),
    ):
        (line,) = upper.plot(x, curve, color=color, linestyle=dashes)
        point_out(upper, line, at, text, offset)
        error = curve - erf(x)
        lower.plot(x, error, color=color, linestyle=dashes)
        # An odd curve: the half in which the error is positive will do.
        worst = int(np.argmax(error))
        lower.annotate(
            f"{error[worst]:.3f}",
            (x[worst], error[worst]),
            xytext=(0, 2),
            textcoords="offset points",
            color=color,
            ha="center",
            va="bottom",
        )
    upper.set(ylabel="S-curve", ylim=(-1.1, 1.1))
    lower.set(xlabel="x", ylabel="stand-in - erf", xlim=(-_REACH, _REACH))
    lower.axhline(0, color=BLACK, linewidth=0.5)
    lower.margins(y=0.3)
    if own:
        caption(
            upper.figure,
            "Both stand-ins have erf's slope at 0 and its limits (T-A6, T-B2). Numbers: largest "
            "errors. Source: kexue.fm/archives/10563.",
        )
    return axes_of(upper)[1]


@styled
def softsign_and_clip(
    eps: Annotated[tuple[float, ...], "Epsilon, a pair of curves for each"] = (0.2, 1.0, 3.0),
    *,
    ax: Axes | None = None,
) -> Figure:
    """Softsign x/sqrt(x^2 + eps^2) and clip(x/eps, -1, 1) (T-B1, T-B2).

    Parameters
    ----------
    eps : sequence of float
        Positive, in the unit of x.
    ax : Axes, optional
        Where to draw; new ones, with a caption, by default.

    Returns
    -------
    Figure

    Examples
    --------
    >>> lines = softsign_and_clip((0.5, 2.0)).axes[0].lines
    >>> [float(line.get_ydata()[-1].round(2)) for line in lines]
    [0.99, 1.0, 0.89, 1.0]
    """
    own = ax is None
    ax, figure = axes_of(ax, 2.4)
    x = np.linspace(-4, 4, 801)
    lines = []
    for value, color in zip(eps, shades(len(eps)), strict=True):
        number = np.asarray(positive(value, "eps"))
        (line,) = ax.plot(x, MOMENT_MODELS["mean-field"].noiseless(x, number), color=color)
        ax.plot(x, MOMENT_MODELS["clip"].noiseless(x, number), color=color, linestyle=DASHED)
        lines.append(line)
    ax.set(xlabel="x (gradient)", ylabel="update", xlim=(-4, 4), ylim=(-1.1, 1.1))
    label_ends(ax, lines, [f"$\\epsilon$ = {value:g}" for value in eps])
    ax.text(
        0.98,
        0.06,
        "solid: softsign\ndashed: clip(x/$\\epsilon$)",
        transform=ax.transAxes,
        ha="right",
    )
    if own:
        caption(
            figure,
            "Softsign x/sqrt(x² + eps²) goes from the sign (eps → 0) to x/eps (eps → ∞) (T-B1); "
            "the clipped line has its slope and limits (T-B2). Source: kexue.fm/archives/10563.",
        )
    return figure
