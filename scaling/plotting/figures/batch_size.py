"""The optimal learning rate against the batch size: epsilon, momentum, and any law (B, D, E)."""

from typing import Annotated

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from scaling.numeric.inputs.arrays import decay_rate, non_negative
from scaling.numeric.inputs.recipe import GradientStatistics, Recipe
from scaling.numeric.laws.transfer import TransferLaw, sgd_limit
from scaling.plotting.style import (
    BLACK,
    DASHES,
    axes_of,
    caption,
    label_curve,
    label_ends,
    log_axes,
    new_figure,
    point_out,
    shades,
    styled,
)


@styled
def learning_rate_eps(
    eps: Annotated[tuple[float, ...], "eps over the gradient's RMS, a curve for each"] = (
        0.0,
        1.0,
        2.0,
        5.0,
        10.0,
        30.0,
    ),
    curvature_ratio: Annotated[float, "R0 = sign(g)^T H sign(g)/tr(H)"] = 30.0,
    moments: Annotated[str, "moment model with an epsilon, without momentum"] = "article",
    *,
    figure: Figure | SubFigure | None = None,
) -> Figure:
    """lr* and lr*/eps against the batch size, with the limit for a large eps (T-B9 to T-B11).

    Parameters
    ----------
    eps : sequence of float
        In units of the gradient's RMS, at least 0.
    curvature_ratio : float, default 30
        R0 of T-E6. Above 2, SignSGD has a surge.
    moments : str, default "article"
        See `scaling.update_moments`.
    figure : Figure or SubFigure, optional
        Where to draw; a new figure, with a caption, by default.

    Returns
    -------
    Figure

    Examples
    --------
    >>> without, _, with_eps, _ = learning_rate_eps((0.0, 1.0)).axes[0].lines  # and their peaks
    >>> without.get_ydata()[-1].round(2), with_eps.get_ydata()[-1].round(2)  # sqrt 2 larger
    (np.float64(1.0), np.float64(1.41))
    """
    own = figure is None
    figure = new_figure(4.4) if figure is None else figure
    upper, lower = figure.subplots(2, 1, sharex=True)
    law = TransferLaw(
        Recipe(1.0, 1.0, eps=0.0, beta1=0.0),
        GradientStatistics(noise_scale=1.0, grad_rms=1.0, curvature_ratio=curvature_ratio),
        moments=moments,
    )
    # In units of SignSGD's learning rate for a huge batch; lr*/eps then tends to 1 there.
    unit = law.learning_rate_limit
    batch_size = np.geomspace(1e-3, 1e4, 281)
    rates, scaled, texts = [], [], []
    upper.set(xlim=(1e-3, 1e4), ylim=(0.1, 40))
    lower.set(xlim=(1e-3, 1e4), ylim=(2e-3, 20))
    for ax in (upper, lower):
        log_axes(ax)
    ordered = sorted(non_negative(value, "eps") for value in eps)
    for i, (value, color) in enumerate(zip(ordered, shades(len(ordered)), strict=True)):
        look = {"color": color, "linestyle": DASHES[i % len(DASHES)]}
        rate = law.learning_rate(batch_size, eps=value) / unit
        rates += upper.plot(batch_size, rate, **look)
        texts.append(f"$\\epsilon$ = {value:g}" + ("$\\,\\gamma$" if value else ""))
        peak = int(np.argmax(rate))
        if 0 < peak < batch_size.size - 1:
            upper.plot(batch_size[peak], rate[peak], "o", color=color)
        if value:
            scaled += lower.plot(batch_size, rate / value, **look)
    (limit,) = lower.plot(
        batch_size, sgd_limit(law).learning_rate(batch_size), color=BLACK, linewidth=0.8
    )
    label_ends(upper, rates, texts)
    for line, text in zip(scaled, [text for text in texts if "\\gamma" in text], strict=True):
        label_curve(lower, line, 4e-3, text)
    point_out(lower, limit, 0.1, "SGD's law: $\\epsilon\\to\\infty$", (12, -16))
    upper.set_ylabel(r"$lr^*$")
    lower.set(
        xlabel=r"batch size over noise scale  $B/B_\mathrm{simple}$",
        ylabel=r"$lr^*\gamma/\epsilon$",
    )
    if own:
        caption(
            axes_of(upper)[1],
            f"gamma: RMS of the gradient. lr* over that of SignSGD at a huge batch; dots: peaks "
            f"(T-B10). Every coordinate alike, R0 = {curvature_ratio:g}, no momentum; moments: "
            f"{law.model.summary} ({law.model.theory}); limit: T-B11. Source: "
            "kexue.fm/archives/10563.",
        )
    return axes_of(upper)[1]


@styled
def momentum(
    beta1: Annotated[tuple[float, ...], "Adam's beta1, a curve for each"] = (
        0.0,
        1 / 3,
        0.6,
        0.8,
        0.9,
        0.95,
    ),
    curvature_ratio: Annotated[float, "R0 = sign(g)^T H sign(g)/tr(H)"] = 1.0,
    *,
    ax: Axes | None = None,
) -> Figure:
    """lr*(B) for several beta1 at eps = 0, with its peaks (T-D3).

    Parameters
    ----------
    beta1 : sequence of float
        In [0, 1).
    curvature_ratio : float, default 1
        R0 of T-E6, 1 for a diagonal Hessian.
    ax : Axes, optional
        Where to draw; new ones, with a caption, by default.

    Returns
    -------
    Figure

    Examples
    --------
    >>> [float(line.get_ydata().max().round(2)) for line in momentum((0.0, 0.9)).axes[0].lines]
    [1.0, 2.24, 2.24]
    """
    own = ax is None
    ax, figure = axes_of(ax, 2.7)
    batch_size = np.geomspace(1e-3, 1e3, 241)
    ax.set(xlim=(1e-3, 1e3), ylim=(0.03, 4))
    log_axes(ax)
    statistics = GradientStatistics(noise_scale=1.0, curvature_ratio=curvature_ratio)
    lines, texts = [], []
    for i, (rate, color) in enumerate(zip(beta1, shades(len(beta1)), strict=True)):
        recipe = Recipe(1.0, 1.0, beta1=decay_rate(rate, "beta1"))
        law = TransferLaw(recipe, statistics, moments="mean-field", horizon=1)
        unit = law.learning_rate_limit
        lines += ax.plot(
            batch_size,
            law.learning_rate(batch_size) / unit,
            color=color,
            linestyle=DASHES[i % len(DASHES)],
        )
        texts.append(f"$\\beta_1$ = {rate:.3g}")
        if law.peak:
            ax.plot(law.peak.batch_size, law.peak.learning_rate / unit, "o", color=color)
    for line, text in zip(lines, texts, strict=True):
        label_curve(ax, line, 4e-3, text)
    ax.set(xlabel=r"batch size over noise scale  $B/B_\mathrm{simple}$", ylabel=r"$lr^*/lr_\infty$")
    ax.set_title("one step")
    if own:
        caption(
            figure,
            "One step; in a run beta1 is idle (T-I1). Curves over their limits at a huge batch; "
            "dots: peaks, which need beta1 > 1/3 where R0 = 1 (T-D3; here R0 = "
            f"{curvature_ratio:g}). Mean field, eps = 0, every coordinate alike. Source: "
            "kexue.fm/archives/11301.",
        )
    return figure
