"""The root mean square of Adam's update: simulated, in mean field, and exact (T-D4, T-F4)."""

from itertools import cycle
from typing import Annotated

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from scaling.numeric.inputs.arrays import FloatArray, Real, decay_rate
from scaling.numeric.moments.models import update_moments
from scaling.numeric.moments.rms import update_rms
from scaling.numeric.moments.simulation import simulate_moments
from scaling.plotting.style import (
    BLACK,
    LONG,
    MARKERS,
    axes_of,
    caption,
    height_at,
    label_curve,
    label_ends,
    log_axes,
    new_figure,
    shades,
    styled,
)

#: Adam is simulated up to this many times 1/(1 - beta2), with so many gradients in all.
_TIMES, _GRADIENTS = 5, 2e7


@styled
def update_rms_beta1(
    beta2: Annotated[tuple[float, ...], "Adam's beta2, a curve for each"] = (
        0.9,
        0.95,
        0.99,
        0.999,
    ),
    *,
    figure: Figure | SubFigure | None = None,
) -> Figure:
    """RMS of Adam's update under pure noise, against beta1, for several beta2.

    Parameters
    ----------
    beta2 : sequence of float
        In [0, 1).
    figure : Figure or SubFigure, optional
        Where to draw; a new figure, with a caption, by default.

    Returns
    -------
    Figure

    Notes
    -----
    The first figure of kexue.fm 11267, with the exact curves (T-F4) beside it. Adam is simulated
    here, with a fixed seed.

    Examples
    --------
    >>> [ax.get_ylabel() for ax in update_rms_beta1((0.9,)).axes]
    ['RMS of the update', 'over mean field']
    """
    own = figure is None
    figure = new_figure(3.6) if figure is None else figure
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    beta1 = np.concatenate([np.linspace(0, 0.8, 6), np.linspace(0.84, 0.97, 9)])
    simulated = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95])
    lines = [upper.plot(beta1, update_rms(0.0, beta1), color=BLACK, linestyle=LONG)[0]]
    ends = [lower.plot(beta1, np.ones(beta1.size), color=BLACK, linestyle=LONG)[0]]
    for rate, color, marker in zip(beta2, shades(len(beta2)), cycle(MARKERS), strict=False):
        decay_rate(rate, "beta2")
        exact = np.array([_exact(0.0, first, rate) for first in beta1])
        rms, error = _simulated(0.0, simulated, rate)
        for ax, scale, points in (
            (upper, 1.0, 1.0),
            (lower, update_rms(0.0, beta1), update_rms(0.0, simulated)),
        ):
            (line,) = ax.plot(beta1, exact / scale, color=color)
            ax.errorbar(
                simulated,
                rms / points,
                error / points,
                color=color,
                marker=marker,
                markersize=2.6,
                linestyle="",
            )
        ends.append(line)
    upper.set(xlim=(0, 1), ylim=(0, 1.05), ylabel="RMS of the update")
    upper.text(
        0.98,
        0.95,
        "long dashes: mean field, any $\\beta_2$\nsolid: exact\nmarkers: simulated",
        transform=upper.transAxes,
        ha="right",
        va="top",
    )
    label_curve(upper, lines[0], 0.7, "all $\\beta_2$")
    lower.set(xlabel=r"$\beta_1$", ylabel="over mean field", ylim=(0.94, 1.02))
    label_ends(lower, ends, ["mean field", *(f"$\\beta_2$ = {rate:g}" for rate in beta2)], gap=0.14)
    if own:
        caption(
            upper.figure,
            "Pure noise, eps = 0. Mean field: sqrt((1 - beta1)/(1 + beta1)) for every beta2 "
            "(T-D4). Exact: stationary Adam under Gaussian noise (T-F4). Markers: Adam simulated, "
            "all on the same noise, with standard errors. Source: kexue.fm/archives/11267.",
        )
    return axes_of(upper)[1]


@styled
def update_rms_noise(
    beta1: Annotated[tuple[float, ...], "Adam's beta1, a curve for each"] = (0.0, 0.5, 0.8, 0.9),
    beta2: Annotated[float, "Adam's beta2, of the exact curves and the simulation"] = 0.95,
    *,
    ax: Axes | None = None,
) -> Figure:
    """RMS of Adam's update against the ratio of signal to noise, for several beta1.

    Parameters
    ----------
    beta1 : sequence of float
        In [0, 1).
    beta2 : float, default 0.95
        In [0, 1).
    ax : Axes, optional
        Where to draw; new ones, with a caption, by default.

    Returns
    -------
    Figure

    Notes
    -----
    The second figure of kexue.fm 11267, with the exact curve (T-F4) beside it.

    Examples
    --------
    >>> exact, mean_field, adam = update_rms_noise((0.9,), 0.9).axes[0].lines
    >>> round(float(exact.get_ydata().max() / adam.get_ydata().max()), 3)
    1.0
    """
    own = ax is None
    ax, figure = axes_of(ax, 2.7)
    ratio, simulated = np.geomspace(1e-3, 1e2, 101), np.geomspace(1e-3, 1e2, 11)
    decay_rate(beta2, "beta2")
    lines = []
    ax.set(xlim=(1e-3, 1e2), ylim=(0, 1.05))
    log_axes(ax, "x")
    for rate, color, marker in zip(beta1, shades(len(beta1)), cycle(MARKERS), strict=False):
        ax.plot(ratio, update_rms(ratio, decay_rate(rate, "beta1")), color=color, linestyle=LONG)
        (line,) = ax.plot(ratio, _exact(np.sqrt(ratio), rate, beta2), color=color)
        rms, error = _simulated(np.sqrt(simulated), rate, beta2)
        ax.errorbar(simulated, rms, error, color=color, marker=marker, markersize=2.6, linestyle="")
        lines.append(line)
    for line, rate in zip(lines, beta1, strict=True):
        ax.annotate(
            f"$\\beta_1$ = {rate:g}",
            (1.3e-3, height_at(line, 1.3e-3)),
            xytext=(0, -4),
            textcoords="offset points",
            color=line.get_color(),
            va="top",
        )
    ax.set(xlabel=r"signal to noise  $\|g\|^2 B/\mathrm{tr}\,\Sigma$", ylabel="RMS of the update")
    ax.text(
        0.98,
        0.05,
        "solid: exact\nlong dashes: mean field\nmarkers: simulated",
        transform=ax.transAxes,
        ha="right",
    )
    if own:
        caption(
            figure,
            f"eps = 0, beta2 = {beta2:g}. Mean field: sqrt((r + c)/(r + 1)), c = (1 - beta1)/(1 + "
            "beta1) (T-D4). Exact: stationary Adam under Gaussian noise (T-F4). Markers: Adam "
            "simulated, all on the same noise, with standard errors. Source: "
            "kexue.fm/archives/11267.",
        )
    return figure


def _exact(signal: Real, beta1: float, beta2: float) -> Real:
    """Root of the exact second moment at eps = 0."""
    moments = update_moments(signal, 0.0, beta1, beta2=beta2, moments="exact-adam")
    return np.sqrt(moments.second_moment)


def _simulated(signal: Real, beta1: Real, beta2: float) -> tuple[FloatArray, FloatArray]:
    """RMS of the simulated update and its standard error."""
    step = int(np.ceil(_TIMES / (1 - beta2)))
    coordinates = int(np.clip(_GRADIENTS / step, 1000, 400_000))
    found = simulate_moments(signal, 0.0, beta1, beta2=beta2, step=step, coordinates=coordinates)
    rms = np.sqrt(found.second_moment)
    return rms, found.second_moment_error / (2 * rms)
