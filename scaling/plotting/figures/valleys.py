"""Loss valleys: runs over batch size and learning rate, and a law through the valley.

One of any runs, those of a fitted sweep (one for each setting of its covariates and eps), and that
of the sweep that comes with the package.
"""

from typing import Annotated, TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure, SubFigure

from scaling.errors import InputError
from scaling.numeric.fits.sweep import SweepFit, fit_sweep
from scaling.numeric.inputs.arrays import FloatArray, as_array, as_positive
from scaling.numeric.laws.law import Law
from scaling.plotting.data import digits_sweep
from scaling.plotting.style import (
    BLACK,
    COLUMN,
    GREY,
    axes_of,
    batch_size_axis,
    caption,
    light_part,
    log_axes,
    new_figure,
    panel_grid,
    styled,
)

#: Batch size, learning rate and mean loss of every setting; NaN where a run diverged.
Settings: TypeAlias = tuple[FloatArray, FloatArray, FloatArray]

_COLORS = light_part("cividis_r", 0.0, 0.9)
#: Losses beyond this quantile share one shade: one run that nearly diverged must not hide the rest.
_QUANTILE = 0.8
_MOST_PANELS = 12


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
        Drawn with its 90 % interval, if it knows one.
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
    settings = _mean_losses(batch_size, learning_rate, loss)
    ax, figure = axes_of(ax, 3.0)
    _draw_valley(ax, settings, law, _ceiling_of([settings]))
    ax.set(xlabel="batch size", ylabel="learning rate")
    _add_bar(figure, ax)
    if own:
        line = f" Line: law {law.provenance.description}, with its interval (T-E2)." if law else ""
        caption(figure, f"{_marks_of([settings])}{line}{source}")
    return figure


@styled
def sweep_valleys(
    fit: SweepFit, *, figure: Figure | SubFigure | None = None, source: str = ""
) -> Figure:
    """Loss valleys of a fitted sweep, a panel for each setting of its covariates and eps.

    Parameters
    ----------
    fit : SweepFit
        From `scaling.fit_sweep`. Of more than 12 settings, 12 are shown, evenly spread; the caption
        says so.
    figure : Figure or SubFigure, optional
        Where to draw; a new figure, with a caption, by default.
    source : str, optional
        Where the runs come from, for the caption.

    Returns
    -------
    Figure

    Examples
    --------
    >>> from scaling import BatchSizeLaw, fit_sweep, simulate_sweep
    >>> truth = BatchSizeLaw.from_limit(1e-3, noise_batch_size=4000, critical_batch_size=200)
    >>> runs = simulate_sweep(truth, [16, 64, 256, 1024, 4096], seed=1)
    >>> figure = sweep_valleys(fit_sweep(runs, scores=False))
    >>> figure.axes[-1].get_ylabel()
    'loss above the best at that batch size'
    """
    own, law = figure is None, fit.law
    tables = _tables_of(fit)
    chosen = np.linspace(0, len(tables) - 1, _MOST_PANELS).round().astype(int)
    shown = {key: table for i, (key, table) in enumerate(tables.items()) if i in chosen}
    wide = min(len(shown), 2 if len(shown) in {2, 4} else 3)
    high = -(-len(shown) // wide)
    if figure is None:
        figure = new_figure(0.7 + 2.3 * high, COLUMN if wide == 1 else 2 * COLUMN)
    panels = panel_grid(figure, len(shown), wide, "batch size", "learning rate")
    drawn = list(shown.values())
    ceiling, limits = _ceiling_of(drawn), _limits_of(drawn)
    for ax, (key, table) in zip(panels, shown.items(), strict=True):
        setting = dict(zip(law.needs, key, strict=False))
        _draw_valley(ax, table, law.at(**setting), ceiling, limits)
        ax.set_title(", ".join(f"{name} = {value:.3g}" for name, value in setting.items()))
    _add_bar(figure, panels, shrink=1 / high)
    root = axes_of(panels[0])[1]
    if own:
        few = f" {len(shown)} of {len(tables)} settings." if len(shown) < len(tables) else ""
        caption(
            root,
            f"{_marks_of(drawn)}{few} Line: law {law.provenance.description}, with 90 % of "
            f"new sweeps (T-I4, T-K1).{source}",
        )
    return root


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
    table = digits_sweep()
    known = np.unique(table.numbers("eps"))
    if eps not in known:
        choices = ", ".join(f"{value:g}" for value in known)
        raise InputError(f"must be one of {choices}, got {eps:g}", "eps")
    return sweep_valleys(
        fit_sweep(table, where=f"eps == {eps:g}", scores=False),
        source=" A network of 32 hidden units on scikit-learn's digits, 16384 examples a run, "
        f"three seeds, eps = {eps:g}.",
    )


def _tables_of(fit: SweepFit) -> dict[tuple[float, ...], Settings]:
    """Mean losses of each setting of covariates and eps in which some run did not diverge."""
    runs = fit.runs
    columns = dict(runs.covariates) | ({} if runs.eps is None else {"eps": runs.eps})
    keys = np.stack([columns[name] for name in fit.law.needs] or [np.zeros(len(runs))], axis=1)
    loss = np.where(runs.diverged, np.nan, runs.loss)
    tables = {}
    for key in np.unique(keys[np.isfinite(loss)], axis=0):
        here = (keys == key).all(axis=1)
        columns_of = runs.batch_size[here], runs.learning_rate[here], loss[here]
        tables[tuple(key.tolist())] = _mean_losses(*columns_of)
    return tables


def _draw_valley(
    ax: Axes,
    settings: Settings,
    law: Law | None,
    ceiling: float,
    limits: tuple[FloatArray, FloatArray] | None = None,
) -> None:
    """Draw one valley on axes."""
    sizes, rates, losses = settings
    excess = losses - _best(sizes, losses)
    finite = np.isfinite(excess)
    cells = _cells(np.log(sizes), np.log(rates))
    heat = PolyCollection(
        np.exp(cells[finite]).tolist(),
        array=np.minimum(excess[finite], ceiling),
        cmap=_COLORS,
        norm=PowerNorm(0.5, 0, ceiling),
        edgecolors="face",
        linewidths=0.3,
    )
    ax.add_collection(heat)
    across, along = _limits_of([settings]) if limits is None else limits
    ax.set(xlim=across, ylim=along)
    log_axes(ax)
    batch_size_axis(ax, sizes)
    ax.plot(sizes[finite], rates[finite], ".", color=BLACK, markersize=1.5)
    ax.plot(sizes[~finite], rates[~finite], "x", color=GREY, markersize=3, markeredgewidth=0.6)
    lowest = finite & (excess == 0)
    ax.plot(sizes[lowest], rates[lowest], "o", color=BLACK, markerfacecolor="white", zorder=4)
    if law is not None:
        _draw_law(ax, law, across)


def _add_bar(figure: Figure | SubFigure, panels: Axes | list[Axes], shrink: float = 1) -> None:
    """Explain the shades."""
    first = panels[0] if isinstance(panels, list) else panels
    bar = figure.colorbar(
        first.collections[0], ax=panels, extend="max", aspect=30, pad=0.02, shrink=shrink
    )
    bar.set_label("loss above the best at that batch size")


def _marks_of(tables: list[Settings]) -> str:
    """Say what the dots are."""
    diverged = any(np.isnan(losses).any() for _, _, losses in tables)
    crosses = "; crosses: some run there diverged" if diverged else ""
    return f"Dots: runs, seeds averaged; rings: the best at each batch size{crosses}."


def _ceiling_of(tables: list[Settings]) -> float:
    """Excess from which on all losses have the darkest shade."""
    excess = np.concatenate([losses - _best(sizes, losses) for sizes, _, losses in tables])
    return float(np.nanquantile(excess, _QUANTILE)) or 1.0


def _limits_of(tables: list[Settings]) -> tuple[FloatArray, FloatArray]:
    """Range of batch sizes and learning rates that the rectangles of all tables cover."""
    corners = np.concatenate(
        [_cells(np.log(sizes), np.log(rates)).reshape(-1, 2) for sizes, rates, _ in tables]
    )
    low, high = np.exp(corners.min(axis=0)), np.exp(corners.max(axis=0))
    return np.array([low[0], high[0]]), np.array([low[1], high[1]])


def _mean_losses(
    batch_size: npt.ArrayLike, learning_rate: npt.ArrayLike, loss: npt.ArrayLike
) -> Settings:
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


def _cells(x: FloatArray, y: FloatArray) -> FloatArray:
    """Rectangle around each setting, halfway to its neighbours, shape (settings, 4, 2).

    Columns may have different ordinates; nothing is interpolated.
    """
    columns = np.unique(x)
    left, right = _midpoints(columns)
    corners = np.empty((x.size, 4, 2))
    for column, low, high in zip(columns, left, right, strict=True):
        here = np.flatnonzero(x == column)
        bottom, top = _midpoints(y[here])
        corners[here, :, 0] = [low, high, high, low]
        corners[here, :, 1] = np.stack([bottom, bottom, top, top], axis=1)
    return corners


def _midpoints(values: FloatArray) -> tuple[FloatArray, FloatArray]:
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
