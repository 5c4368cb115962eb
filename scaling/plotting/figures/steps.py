"""Steps against examples to a given loss: the hyperbola of T-A4 and measurements on it."""

from collections.abc import Mapping
from itertools import cycle

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scaling.errors import DataError
from scaling.numeric.tradeoff.steps import fit_steps
from scaling.plotting.data import steps_to_target
from scaling.plotting.style import BLACK, MARKERS, axes_of, caption, log_axes, shades, styled, tick


@styled
def steps_against_examples(
    runs: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]],
    *,
    ax: Axes | None = None,
    source: str = "",
) -> Figure:
    r"""Steps against examples to a loss, each over its fitted minimum, with the hyperbola of T-A4.

    Parameters
    ----------
    runs : mapping of str to (batch_size, steps)
        Runs to one and the same loss, by the name of what was trained; two batch sizes or more
        each. T-A4 is fitted to each by `scaling.fit_steps`.
    ax : Axes, optional
        Where to draw; new ones, with a caption, by default.
    source : str, optional
        Where the runs come from, for the caption.

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        If a series cannot be fitted, or none shows a critical batch size.

    Examples
    --------
    >>> figure = steps_against_examples({"a run": ([64, 256, 1024], [17000, 5000, 2000])})
    >>> figure.axes[0].get_ylabel()
    'steps  $S/S_\\mathrm{min}$'
    """
    own = ax is None
    ax, figure = axes_of(ax, 2.6)
    laws = {name: fit_steps(*table) for name, table in runs.items()}
    usable = [name for name, law in laws.items() if 0 < law.critical_batch_size < np.inf]
    if not usable:
        raise DataError(
            "no series shows both a fewest number of steps and of examples: the steps fall in "
            "proportion to the batch, or not at all; add smaller and larger batch sizes"
        )
    farthest = 1.0
    for name, color, marker in zip(usable, shades(len(usable)), cycle(MARKERS), strict=False):
        law = laws[name]
        batch, steps = (np.asarray(column, dtype=float) for column in runs[name])
        x, y = batch * steps / law.examples_min, steps / law.steps_min
        farthest = max(farthest, float(x.max()), float(y.max()))
        label = f"{name}: {tick(float(f'{law.critical_batch_size:.3g}'))}"
        ax.plot(x, y, marker, color=color, markerfacecolor="none", label=label)
    farthest *= 1.3
    # In these units it is the same for every series.
    law = laws[usable[0]]
    batch = law.critical_batch_size * np.geomspace(0.3 / farthest, 3 * farthest, 401)
    hyperbola = law.examples(batch) / law.examples_min, law.steps(batch) / law.steps_min
    ax.plot(*hyperbola, color=BLACK, zorder=1)
    ax.set(xlim=(0.8, farthest), ylim=(0.8, farthest))
    log_axes(ax)
    ax.plot(2, 2, "+", color=BLACK, markersize=9)
    ax.annotate("critical batch size", (2, 2), xytext=(5, 3), textcoords="offset points")
    ax.legend(title=r"$B_\mathrm{crit}$ fitted", loc="upper right", labelspacing=0.3)
    ax.set(
        xlabel=r"examples  $E/E_\mathrm{min}$  (larger batches →)",
        ylabel=r"steps  $S/S_\mathrm{min}$",
    )
    if own:
        left_out = "".join(
            f" {name} shows no critical batch size and is left out."
            for name in runs
            if name not in usable
        )
        caption(
            figure,
            f"Line: (S/S_min - 1)(E/E_min - 1) = 1, that is S = S_min (1 + B_crit/B) (T-A4, T-E4; "
            f"McCandlish et al. 2018), S_min and E_min fitted to each series.{left_out}{source}",
        )
    return figure


@styled
def steps_examples() -> Figure:
    """Steps against examples of the published runs of Zhang et al. (2024).

    Returns
    -------
    Figure

    Examples
    --------
    >>> steps_examples().axes[0].get_legend().get_texts()[0].get_text()  # and its B_crit
    '85M: 2190'
    """
    return steps_against_examples(
        steps_to_target(),
        source=" Markers: models of 85M to 1.2B parameters, batches of "
        "512-token sequences, Zhang et al. 2024 (arXiv 2410.21676).",
    )
