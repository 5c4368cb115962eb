"""The loss valleys of a fitted sweep, one for each setting of its covariates and eps."""

from typing import Annotated

import numpy as np
from matplotlib.figure import Figure, SubFigure

from scaling.errors import InputError
from scaling.numeric.fits.fit import SweepFit, fit_sweep
from scaling.plotting.data import digits_sweep
from scaling.plotting.figures.valley import (
    add_bar,
    ceiling_of,
    draw_valley,
    limits_of,
    marks_of,
    mean_losses,
)
from scaling.plotting.style import COLUMN, axes_of, caption, new_figure, styled

_MOST_PANELS = 12
#: Bootstrap replicates behind the example's interval.
_REPLICATES = 100


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
    >>> figure = sweep_valleys(fit_sweep(runs, replicates=0))
    >>> len(figure.axes)  # the panel and the bar of its shades
    2
    """
    own = figure is None
    runs, law = fit.runs, fit.law
    columns = dict(runs.covariates) | ({} if runs.eps is None else {"eps": runs.eps})
    keys = np.stack([columns[name] for name in law.needs] or [np.zeros(len(runs))], axis=1)
    loss = np.where(runs.diverged, np.nan, runs.loss)
    groups = np.unique(keys[np.isfinite(loss)], axis=0)
    shown = groups[np.unique(np.linspace(0, len(groups) - 1, _MOST_PANELS).round().astype(int))]
    wide = min(len(shown), 2 if len(shown) in {2, 4} else 3)
    high = -(-len(shown) // wide)
    if figure is None:
        figure = new_figure(0.7 + 2.3 * high, COLUMN if wide == 1 else 2 * COLUMN)
    panels = figure.subplots(high, wide, sharex=True, sharey=True, squeeze=False)
    tables = []
    for key in shown:
        here = (keys == key).all(axis=1)
        tables.append(mean_losses(runs.batch_size[here], runs.learning_rate[here], loss[here]))
    ceiling = ceiling_of(tables)
    limits = limits_of(tables)
    for ax, key, table in zip(panels.flat, shown, tables, strict=False):
        setting = dict(zip(law.needs, key.tolist(), strict=False))
        draw_valley(ax, table, law.at(**setting), ceiling, limits)
        ax.set_title(", ".join(f"{name} = {value:.3g}" for name, value in setting.items()))
    for ax in panels.flat[len(shown) :]:
        ax.set_axis_off()
    for ax in panels.flat[max(0, len(shown) - wide) : len(shown)]:
        ax.tick_params(labelbottom=True)  # also above a panel that is not there
        ax.set_xlabel("batch size")
    for ax in panels[:, 0]:
        ax.set_ylabel("learning rate")
    add_bar(figure, list(panels.flat[: len(shown)]), shrink=1 / high)
    root = axes_of(panels[0, 0])[1]
    if own:
        few = f" {len(shown)} of {len(groups)} settings." if len(shown) < len(groups) else ""
        caption(
            root,
            f"{marks_of(tables)}{few} Line: law {law.provenance.description}, with its interval "
            f"(T-E2).{source}",
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
        fit_sweep(table, where=f"eps == {eps:g}", replicates=_REPLICATES),
        source=" A network of 32 hidden units on scikit-learn's digits, 16384 examples a run, "
        f"three seeds, eps = {eps:g}.",
    )
