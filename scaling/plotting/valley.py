"""The loss valley of a sweep: every run, and the fitted learning rate through the valley."""

from typing import Annotated

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from scaling.errors import InputError
from scaling.numeric._arrays import FloatArray, as_array, as_positive
from scaling.numeric.law import Law
from scaling.numeric.optima import fit_optima
from scaling.plotting.data import digits_sweep
from scaling.plotting.style import (
    BLACK,
    GREY,
    axes_of,
    batch_size_axis,
    caption,
    log_axes,
    pale,
    styled,
)

#: Losses beyond this quantile share one shade: one run that nearly diverged must not hide the rest.
_QUANTILE = 0.8


@styled
def loss_valley(
    batch_size: npt.ArrayLike,
    learning_rate: npt.ArrayLike,
    loss: npt.ArrayLike,
    law: Law | None = None,
    *,
    ax: Axes | None = None,
    source: str = "",
) -> Figure:
    """Loss of a sweep over batch size and learning rate, with the law fitted to it.

    Parameters
    ----------
    batch_size, learning_rate, loss : array_like, shape (runs,)
        One value per run, in any order; grids need not be complete. Runs that agree in batch size
        and learning rate (seeds) are averaged. A loss that is NaN or infinite is a run that
        diverged, and is crossed.
    law : Law, optional
        Drawn with its 95 % interval, if it knows one.
    ax : Axes, optional
        Where to draw; new ones, with a caption, by default.
    source : str, optional
        Where the runs come from, for the caption.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        If the columns are not vectors of one length with positive batch sizes and learning rates,
        or no run has a finite loss.

    Examples
    --------
    >>> figure = loss_valley([8, 8, 64, 64], [0.1, 0.2, 0.1, 0.2], [3.0, 2.0, 2.5, 1.5])
    >>> figure.axes[0].get_ylabel()
    'learning rate'
    """
    own = ax is None
    sizes, rates, losses = _settings(batch_size, learning_rate, loss)
    ax, figure = axes_of(ax, 3.0)
    excess = losses - _best(sizes, losses)
    finite = np.isfinite(excess)
    ceiling = float(np.quantile(excess[finite], _QUANTILE)) or 1.0
    cells, limits = _cells(np.log(sizes), np.log(rates))
    heat = PolyCollection(
        np.exp(cells[finite]).tolist(),
        array=np.minimum(excess[finite], ceiling),
        cmap=pale("cividis_r", 0.0, 0.9),
        norm=PowerNorm(0.5, 0, ceiling),
        edgecolors="face",
        linewidths=0.3,
        rasterized=True,
    )
    ax.add_collection(heat)
    ax.set(xlim=np.exp(limits[0]), ylim=np.exp(limits[1]))
    log_axes(ax)
    batch_size_axis(ax, sizes)
    ax.plot(sizes[finite], rates[finite], ".", color=BLACK, markersize=1.5)
    ax.plot(sizes[~finite], rates[~finite], "x", color=GREY, markersize=3, markeredgewidth=0.6)
    lowest = finite & (excess == 0)
    ax.plot(sizes[lowest], rates[lowest], "o", color=BLACK, markerfacecolor="white", zorder=4)
    if law is not None:
        _draw_law(ax, law, np.exp(limits[0]))
    ax.set(xlabel="batch size", ylabel="learning rate")
    bar = figure.colorbar(heat, ax=ax, extend="max", aspect=30, pad=0.02)
    bar.set_label("loss above the best at that batch size")
    if own:
        crosses = " Crosses: runs that diverged." if not finite.all() else ""
        line = f" Line: law {law.provenance.description}, with its interval (T-E2)." if law else ""
        caption(
            figure,
            f"Dots: runs; rings: the best at each batch size.{crosses}{line}{source}",
        )
    return figure


@styled
def valley(
    eps: Annotated[float, "Adam's epsilon in the sweep: 1e-8, 1e-3 or 0.1"] = 1e-8,
) -> Figure:
    """Loss valley of the sweep that comes with the package, a small network on digits.

    Parameters
    ----------
    eps : float, default 1e-8
        Which of the sweep's values of Adam's epsilon.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        If the sweep has no such epsilon.

    Examples
    --------
    >>> valley().axes[0].get_xlabel()
    'batch size'
    """
    sweep = digits_sweep()
    if eps not in sweep:
        known = ", ".join(f"{value:g}" for value in sweep)
        raise InputError(f"must be one of {known}, got {eps:g}", "eps")
    batch_size, learning_rate, loss = sweep[eps]
    sizes, rates, losses = _settings(batch_size, learning_rate, loss)
    lowest = losses == _best(sizes, losses)
    law = fit_optima(sizes[lowest], rates[lowest], name="the sweep")
    return loss_valley(
        batch_size,
        learning_rate,
        loss,
        law,
        source=f" Network of 32 hidden units on scikit-learn's digits, 16384 examples a run, three "
        f"seeds, eps = {eps:g}.",
    )


def _settings(
    batch_size: npt.ArrayLike, learning_rate: npt.ArrayLike, loss: npt.ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Different settings, ascending, and the mean loss of each."""
    columns = (
        as_positive(batch_size, "batch_size"),
        as_positive(learning_rate, "learning_rate"),
        as_array(loss, "loss"),
    )
    if any(column.ndim != 1 or column.shape != columns[0].shape for column in columns):
        raise InputError("must be vectors of the same length", "batch_size, learning_rate, loss")
    for column, name in zip(columns, ("batch_size", "learning_rate"), strict=False):
        bad = np.flatnonzero(np.isnan(column))
        if bad.size:
            raise InputError(f"must be positive and finite, but element {bad[0]} is not", name)
    settings, inverse = np.unique(np.stack(columns[:2], axis=1), axis=0, return_inverse=True)
    inverse = inverse.ravel()
    with np.errstate(invalid="ignore"):
        mean = np.bincount(inverse, columns[2]) / np.bincount(inverse)
    mean = np.where(np.isfinite(mean), mean, np.nan)
    if not np.isfinite(mean).any():
        raise InputError("has no finite value", "loss")
    return settings[:, 0], settings[:, 1], mean


def _best(sizes: FloatArray, losses: FloatArray) -> FloatArray:
    """Lowest loss at the batch size of each setting; NaN where all diverged."""
    best = np.full(sizes.shape, np.nan)
    for size in np.unique(sizes):
        here = sizes == size
        if np.isfinite(losses[here]).any():
            best[here] = np.nanmin(losses[here])
    return best


def _cells(x: FloatArray, y: FloatArray) -> tuple[FloatArray, tuple[FloatArray, FloatArray]]:
    """Rectangle around each setting, halfway to its neighbours, and the range they cover.

    Columns may have different ordinates; nothing is interpolated.
    """
    columns = np.unique(x)
    left, right = _halfway(columns)
    corners = np.empty((x.size, 4, 2))
    for column, low, high in zip(columns, left, right, strict=True):
        here = np.flatnonzero(x == column)
        bottom, top = _halfway(y[here])
        corners[here, :, 0] = [low, high, high, low]
        corners[here, :, 1] = np.stack([bottom, bottom, top, top], axis=1)
    flat = corners.reshape(-1, 2)
    return corners, (
        np.array([flat[:, 0].min(), flat[:, 0].max()]),
        np.array([flat[:, 1].min(), flat[:, 1].max()]),
    )


def _halfway(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Borders below and above ascending values; those at the ends are as far out as in."""
    if values.size == 1:
        half = float(np.log(2)) / 2
        return values - half, values + half
    between = (values[1:] + values[:-1]) / 2
    first, last = 2 * values[0] - between[0], 2 * values[-1] - between[-1]
    return np.concatenate([[first], between]), np.concatenate([between, [last]])


def _draw_law(ax: Axes, law: Law, limits: FloatArray) -> None:
    """Draw the law, white-edged so that it shows on every shade."""
    batches = np.geomspace(limits[0], limits[1], 201)
    interval = law.interval(batches)
    if interval is not None:
        for bound in interval:
            ax.plot(batches, bound, color=BLACK, linewidth=0.7, linestyle="--")
    rate = law.learning_rate(batches)
    ax.plot(batches, rate, color="white", linewidth=2.4)
    ax.plot(batches, rate, color=BLACK, linewidth=1.3)
