"""Mean and second moment of the update by model, and beta (parts B, C, F)."""

from typing import Annotated, Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from scaling.numeric.inputs.arrays import non_negative
from scaling.numeric.moments.models import MOMENT_MODELS, update_moments
from scaling.plotting.style import (
    BLACK,
    BLUE,
    DASHED,
    DOTTED,
    GREEN,
    LONG,
    SOLID,
    VERMILLION,
    axes_of,
    caption,
    label_curve,
    log_axes,
    new_figure,
    styled,
)

#: How each model without momentum is drawn, and what it is called.
LOOK: dict[str, dict[str, Any]] = {
    "exact-softsign": {"color": BLACK, "linestyle": SOLID, "label": "exact"},
    "clip": {"color": GREEN, "linestyle": LONG, "label": "clip"},
    "article": {"color": VERMILLION, "linestyle": DASHED, "label": "article"},
    "mean-field": {"color": BLUE, "linestyle": DOTTED, "label": "mean field"},
}
_DAMPINGS = (0.3, 1.0, 3.0)
_THEORY = "clip (T-B3, T-B6), article (T-B5, T-B7), mean field (T-C1), exact (T-F1, T-F2)"


@styled
def mean_update(
    damping: Annotated[
        tuple[float, ...], "eps over the batch gradient's noise, a panel for each"
    ] = _DAMPINGS,
    *,
    figure: Figure | SubFigure | None = None,
) -> Figure:
    """E[phi] against the signal for several dampings, by four models.

    Parameters
    ----------
    damping : sequence of float
        b = eps sqrt(B)/sigma, at least 0; one panel for each.
    figure : Figure or SubFigure, optional
        Where to draw; a new figure, with a caption, by default.

    Returns
    -------
    Figure

    Examples
    --------
    >>> [line.get_label() for line in mean_update((0.5,)).axes[0].lines]
    ['exact', 'clip', 'article', 'mean field']
    """
    return _moment_panels("mean", damping, figure)


@styled
def second_moment(
    damping: Annotated[
        tuple[float, ...], "eps over the batch gradient's noise, a panel for each"
    ] = _DAMPINGS,
    *,
    figure: Figure | SubFigure | None = None,
) -> Figure:
    """E[phi^2] against the signal for several dampings, by four models.

    Parameters
    ----------
    damping : sequence of float
        b = eps sqrt(B)/sigma, at least 0; one panel for each.
    figure : Figure or SubFigure, optional
        Where to draw; a new figure, with a caption, by default.

    Returns
    -------
    Figure

    Examples
    --------
    >>> [ax.texts[0].get_text() for ax in second_moment((0.5, 1.0)).axes]
    ['b = 0.5', 'b = 1']
    """
    return _moment_panels("second_moment", damping, figure)


def _moment_panels(
    which: Literal["mean", "second_moment"],
    damping: tuple[float, ...],
    figure: Figure | SubFigure | None,
) -> Figure:
    own = figure is None
    figure = new_figure(0.6 + 1.25 * len(damping)) if figure is None else figure
    panels = figure.subplots(len(damping), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    a = np.linspace(-5, 5, 401)
    for ax, b in zip(panels, damping, strict=True):
        non_negative(b, "damping")
        for model, look in LOOK.items():
            moments = update_moments(a, b, 0.0, moments=model)
            ax.plot(a, getattr(moments, which), **look)
        height, side = (0.92, "top") if which == "mean" else (0.08, "bottom")
        ax.text(0.03, height, f"b = {b:g}", transform=ax.transAxes, va=side, fontweight="bold")
        ax.set(xlim=(-5, 5), ylim=(-1.05, 1.05) if which == "mean" else (0, 1.05))
        ax.set_ylabel(r"$E[\varphi]$" if which == "mean" else r"$E[\varphi^2]$")
    panels[-1].set_xlabel(r"signal  $a = g\sqrt{B}/\sigma$")
    panels[0].legend(loc="lower right", borderaxespad=0.1, labelspacing=0.25)
    if own:
        caption(
            axes_of(panels[0])[1],
            f"b = eps sqrt(B)/sigma, eps inside the root. Gaussian gradient noise, no momentum: "
            f"{_THEORY}. Models: kexue.fm/archives/10563, 11280.",
        )
    return axes_of(panels[0])[1]


@styled
def beta(
    eps: Annotated[tuple[float, ...], "eps over the gradient's RMS, curves for each"] = (0.0, 5.0),
    *,
    ax: Axes | None = None,
) -> Figure:
    """Beta = E[phi]/nu, the mean update over the noiseless one, against the batch size (T-B8).

    Parameters
    ----------
    eps : sequence of float
        In units of the gradient's RMS, at least 0.
    ax : Axes, optional
        Where to draw; new ones, with a caption, by default.

    Returns
    -------
    Figure

    Examples
    --------
    >>> {float(line.get_ydata()[-1].round(2)) for line in beta((0.0, 1.0, 2.0)).axes[0].lines}
    {1.0}
    """
    own = ax is None
    ax, figure = axes_of(ax, 2.5)
    batch_size = np.geomspace(1e-3, 1e3, 301)
    signal = np.sqrt(batch_size)
    ax.set(xlim=(1e-3, 1e3), ylim=(0.02, 1.15))
    log_axes(ax)
    for value in eps:
        ratio = np.asarray(non_negative(value, "eps"))
        for model in ("mean-field", "article", "exact-softsign"):
            nu = MOMENT_MODELS[model].noiseless(np.ones(()), ratio)
            mean = update_moments(signal, signal * ratio, 0.0, moments=model).mean
            (line,) = ax.plot(batch_size, mean / nu, **LOOK[model])
        text = "$\\epsilon$ = 0" if not value else f"$\\epsilon$ = {value:g}$\\,\\gamma$"
        height = 0.12 if not value else 0.4
        label_curve(ax, line, float(np.interp(height, mean / nu, batch_size)), text)
    handles = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    ax.legend(handles.values(), handles.keys(), loc="lower right")
    ax.set(xlabel=r"batch size over noise scale  $B/B_\mathrm{simple}$", ylabel=r"$\beta$")
    if own:
        caption(
            figure,
            "gamma: RMS of the gradient. Every coordinate alike, Gaussian noise, no momentum, eps "
            "inside the root (T-B8); the article has lambda = pi/2, mean field 1 (T-E1), exact is "
            "T-F1. Source: kexue.fm/archives/10563.",
        )
    return figure
