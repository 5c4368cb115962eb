"""Steps against examples to a given loss: the hyperbola of T-A4 and measurements on it."""

from collections.abc import Mapping
from itertools import cycle

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scaling.numeric.steps import StepsLaw, fit_steps
from scaling.plotting.data import steps_to_target
from scaling.plotting.style import BLACK, MARKERS, axes_of, caption, log_axes, shades, styled


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

    Examples
    --------
    >>> figure = steps_against_examples({"a run": ([64, 256, 1024], [17000, 5000, 2000])})
    >>> figure.axes[0].get_ylabel()
    'steps  $S/S_\\mathrm{min}$'
    """
    own = ax is None
    ax, figure = axes_of(ax, 2.6)
    colors = shades(len(runs))
    farthest = 1.0
    for (name, (batch_size, steps)), color, marker in zip(
        runs.items(), colors, cycle(MARKERS), strict=False
    ):
        law = fit_steps(batch_size, steps)
        batch, measured = np.asarray(batch_size, dtype=float), np.asarray(steps, dtype=float)
        x, y = batch * measured / law.examples_min, measured / law.steps_min
        farthest = max(farthest, float(x.max()), float(y.max()))
        ax.plot(
            x,
            y,
            marker,
            color=color,
            markerfacecolor="none",
            label=f"{name}: {law.critical_batch_size:.0f}",
        )
    farthest *= 1.3
    unit = StepsLaw(1.0, 1.0, 1.0, None, 0.0)
    batch_size = np.geomspace(0.3 / farthest, 3 * farthest, 401)
    ax.plot(unit.examples(batch_size), unit.steps(batch_size), color=BLACK, zorder=1)
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
        caption(
            figure,
            "Line: (S/S_min - 1)(E/E_min - 1) = 1, that is S = S_min (1 + B_crit/B) (T-A4, T-E4; "
            "McCandlish et al. 2018), S_min and E_min fitted to each series." + source,
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
    >>> len(steps_examples().axes[0].get_legend().get_texts())
    5
    """
    return steps_against_examples(
        steps_to_target(),
        source=" Markers: models of 85M to 1.2B parameters, batches of "
        "512-token sequences, Zhang et al. 2024 (arXiv 2410.21676).",
    )
