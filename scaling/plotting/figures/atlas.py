"""The error atlas: what the approximations get wrong, and what that costs in lr* (T-F1 to T-F4)."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure, SubFigure

from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.laws.accuracy import learning_rate_error, moment_errors
from scaling.numeric.moments.models import MOMENT_MODELS
from scaling.plotting.style import BLACK, axes_of, caption, log_axes, new_figure, panel_grid, styled

_RANGE = (0.05, 20.0)
#: Contours of absolute errors, and of relative ones in percent.
_ABSOLUTE = (-0.3, -0.2, -0.1, -0.05, 0.05, 0.1, 0.2, 0.3)
_PERCENT = (-40.0, -30.0, -20.0, -10.0, -5.0, 5.0, 10.0, 20.0, 30.0, 40.0)
_SMALL = (-4.0, -3.0, -2.0, -1.0, 1.0)
#: Those that are numbered, few enough that the numbers do not meet.
_NUMBERED = {-0.1, -0.05, 0.1, 0.3, -30.0, -20.0, -10.0, -5.0, 5.0, 20.0, *_SMALL}
_BETA2 = 0.95
_NODES = 81
_NAMES = {
    "clip": "clip",
    "article": "article",
    "mean-field": "mean field",
    "mean-field-outside": "PyTorch's $\\epsilon$, $\\beta_1$ = 0.9",
}


@styled
def error_atlas(*, figure: Figure | SubFigure | None = None) -> Figure:
    """Errors of mean and second moment over signal a and damping b, by model.

    Parameters
    ----------
    figure : Figure or SubFigure, optional
        Where to draw; a new figure, with a caption, by default.

    Returns
    -------
    Figure

    Examples
    --------
    >>> error_atlas().axes[-1].get_xlabel()
    'model - exact'
    """
    own = figure is None
    figure = new_figure(5.2) if figure is None else figure
    models = ("clip", "article", "mean-field")
    panels = figure.subplots(len(models), 2, sharex=True, sharey=True)
    a = b = np.geomspace(*_RANGE, _NODES)
    for row, model in zip(panels, models, strict=True):
        errors = moment_errors(a, b[:, None], 0.0, moments=model, exact="exact-softsign")
        for ax, field in zip(row, errors, strict=True):
            shown = _map(ax, a, b, field, _ABSOLUTE, _ABSOLUTE, "%g")
        row[0].set_ylabel(f"{_NAMES[model]}\n" + r"$b=\epsilon\sqrt{B}/\sigma$")
    panels[0, 0].set_title(r"error of $E[\varphi]$")
    panels[0, 1].set_title(r"error of $E[\varphi^2]$")
    for ax in panels[-1]:
        ax.set_xlabel(r"$a=g\sqrt{B}/\sigma$")
    figure.colorbar(
        shown,
        ax=panels,
        location="bottom",
        shrink=0.95,
        aspect=40,
        label="model - exact",
        ticks=_ABSOLUTE,
        format="%g",
    )
    if own:
        caption(
            axes_of(panels[0, 0])[1],
            "Against the exact moments of softsign under Gaussian noise (T-F1, T-F2), no momentum, "
            "eps inside the root. clip: T-B3, T-B6; article: T-B5, T-B7; mean field: T-C1.",
        )
    return axes_of(panels[0, 0])[1]


@styled
def error_atlas_learning_rate(*, figure: Figure | SubFigure | None = None) -> Figure:
    """Relative error of lr* over B/B_simple and eps/gamma, by model.

    Parameters
    ----------
    figure : Figure or SubFigure, optional
        Where to draw; a new figure, with a caption, by default.

    Returns
    -------
    Figure

    Examples
    --------
    >>> [ax.get_title("left") for ax in error_atlas_learning_rate().axes[:3]]
    ['clip', 'article', 'mean field']
    """
    own = figure is None
    figure = new_figure(4.1) if figure is None else figure
    panels = panel_grid(figure, 4, 2, r"$B/B_\mathrm{simple}$", r"$\epsilon/\gamma$")
    batch_size, eps = np.geomspace(1e-2, 1e2, _NODES), np.geomspace(0.05, 20, _NODES)
    for ax, (model, name) in zip(panels, _NAMES.items(), strict=True):
        known = MOMENT_MODELS[model].eps == "outside"
        against: dict[str, Any] = (
            {"beta1": 0.9, "beta2": _BETA2} if known else {"beta1": 0.0, "exact": "exact-softsign"}
        )
        error = 100 * learning_rate_error(batch_size, eps[:, None], moments=model, **against)
        shown = _map(ax, batch_size, eps, error, _SMALL if known else _PERCENT, _PERCENT, "%g%%")
        ax.set_title(name, fontsize=7)
    figure.colorbar(
        shown,
        ax=panels,
        location="bottom",
        shrink=0.95,
        aspect=40,
        label="error of $lr^*$, %",
        ticks=_PERCENT,
        format="%g",
    )
    if own:
        caption(
            axes_of(panels[0])[1],
            "lr*(model)/lr*(exact) - 1 at given gradient, noise and diagonal Hessian, every "
            "coordinate alike (T-A1, T-E6). Exact: softsign under Gaussian noise (T-F1, T-F2); for "
            "PyTorch's eps (mean field, T-E7) true Adam, beta2 = 0.95 (T-F4).",
        )
    return axes_of(panels[0])[1]


def _map(
    ax: Axes,
    x: FloatArray,
    y: FloatArray,
    field: FloatArray,
    levels: tuple[float, ...],
    shades: tuple[float, ...],
    fmt: str,
) -> ContourSet:
    """Map of an error, red above and blue below, with contours that tell them apart in grey."""
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    log_axes(ax)
    limit = 1.3 * max(shades)
    shown = ax.contourf(x, y, field, shades, cmap="RdBu_r", vmin=-limit, vmax=limit, extend="both")
    lines = ax.contour(x, y, field, levels, colors=BLACK, linewidths=0.5)
    ax.clabel(lines, [level for level in levels if level in _NUMBERED], fmt=fmt, fontsize=6)
    return shown
