"""The house style: legible at the width of a journal's column, in colour and in grey.

Colours are those of Okabe and Ito, which readers with any colour vision tell apart; dashes and
markers differ too. Curves are named where they run rather than in a legend. The settings hold only
while a figure is made (see `styled`); Matplotlib's global ones stay as they are.
"""

import textwrap
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

P = ParamSpec("P")
R = TypeVar("R")

#: Width of a column of text, inches.
COLUMN: Final = 3.4

BLACK, BLUE, VERMILLION, GREEN = "#000000", "#0072B2", "#D55E00", "#009E73"
PURPLE, ORANGE, SKY = "#CC79A7", "#E69F00", "#56B4E9"
GREY: Final = "#666666"

SOLID: Final = "-"
DASHED: Final = (0, (4, 1.5))
DOTTED: Final = (0, (1, 1.2))
DASH_DOTTED: Final = (0, (6, 1.5, 1, 1.5))
LONG: Final = (0, (9, 2))
DASHES: Final = (SOLID, LONG, DASHED, DASH_DOTTED, DOTTED)
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")

#: Line width, points.
LINE: Final = 1.2

_SETTINGS: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "mathtext.fontset": "dejavusans",
    "axes.titlesize": 7.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "lines.linewidth": LINE,
    "lines.markersize": 3.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "hatch.linewidth": 0.5,
    "contour.negative_linestyle": "dashed",
}
_CAPTION_SIZE: Final = 5.6


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Make a function draw in the house style, and leave Matplotlib's settings as they were."""

    @wraps(draw)
    def within(*args: P.args, **kwargs: P.kwargs) -> R:
        # From the defaults, so that what a user has set elsewhere does not show.
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_SETTINGS)
            return draw(*args, **kwargs)

    return within


def new_figure(height: float, width: float = COLUMN) -> Figure:
    """Return an empty figure, size in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def panel_grid(
    figure: Figure | SubFigure, count: int, wide: int, xlabel: str, ylabel: str
) -> list[Axes]:
    """Return panels in rows, which share their axes; the lowest and the leftmost are labelled."""
    panels = figure.subplots(-(-count // wide), wide, sharex=True, sharey=True, squeeze=False).flat
    for ax in panels[count:]:
        ax.remove()
    for ax in panels[max(0, count - wide) : count]:
        ax.set_xlabel(xlabel)
        ax.tick_params(labelbottom=True)  # also above a panel that is not there
    for ax in panels[:count:wide]:
        ax.set_ylabel(ylabel)
    return list(panels[:count])


def axes_of(ax: Axes | None, height: float = 2.5) -> tuple[Axes, Figure]:
    """Return the axes given, or new ones, and the figure that they are in."""
    if ax is None:
        ax = new_figure(height).subplots()
    figure: Figure | SubFigure = ax.figure
    while isinstance(figure, SubFigure):
        figure = figure.figure
    return ax, figure


def caption(figure: Figure, text: str) -> None:
    """Write what is assumed, and where it comes from, below a figure of one's own."""
    width = int(figure.get_figwidth() * 72 / (0.55 * _CAPTION_SIZE))
    figure.supxlabel(
        textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False),
        x=0.01,
        horizontalalignment="left",
        fontsize=_CAPTION_SIZE,
        color=GREY,
        linespacing=1.25,
    )


def shades(count: int) -> npt.NDArray[np.float64]:
    """Colours of an ordered family, dark to light but never pale, alike in grey."""
    return np.asarray(mpl.colormaps["viridis"](np.linspace(0.0, 0.7, max(count, 2))))[:count]


def light_part(name: str, lightest: float, darkest: float) -> Colormap:
    """Part of a colour map, so light that black text on it stays legible."""
    return ListedColormap(mpl.colormaps[name](np.linspace(lightest, darkest, 256)))


def label_curve(ax: Axes, line: Line2D, at: float, text: str) -> None:
    """Write a curve's name on it, at an abscissa; the curve is interrupted there."""
    ax.text(
        at,
        height_at(line, at),
        text,
        color=line.get_color(),
        ha="center",
        va="center",
        bbox={"boxstyle": "square,pad=0.12", "facecolor": "white", "edgecolor": "none"},
        zorder=line.get_zorder() + 0.5,
    )


def point_out(ax: Axes, line: Line2D, at: float, text: str, offset: tuple[float, float]) -> None:
    """Write a curve's name beside it, ``offset`` points away, with a thin line to the curve."""
    ax.annotate(
        text,
        (at, height_at(line, at)),
        xytext=offset,
        textcoords="offset points",
        color=line.get_color(),
        ha="left" if offset[0] > 0 else "right" if offset[0] < 0 else "center",
        va="bottom" if offset[1] > 0 else "top" if offset[1] < 0 else "center",
        arrowprops={
            "arrowstyle": "-",
            "color": line.get_color(),
            "linewidth": 0.5,
            "shrinkA": 0,
            "shrinkB": 1,
        },
    )


def height_at(line: Line2D, at: float) -> float:
    """Ordinate of a curve at an abscissa."""
    x, y = (np.asarray(data, dtype=float) for data in line.get_data())
    return float(np.interp(at, x, y))


def label_ends(ax: Axes, lines: Sequence[Line2D], texts: Sequence[str], gap: float = 0.075) -> None:
    """Write the names of curves right of their ends, moved apart to at least ``gap`` of the axes.

    The vertical limits of the axes must have been set.
    """
    to_axes = ax.transData + ax.transAxes.inverted()
    ends = [
        to_axes.transform((float(line.get_xdata()[-1]), float(line.get_ydata()[-1])))[1]  # type: ignore[index,arg-type]
        for line in lines
    ]
    for line, text, height in zip(lines, texts, spread_heights(ends, gap), strict=True):
        ax.annotate(
            text,
            (1, height),
            xycoords="axes fraction",
            xytext=(3, 0),
            textcoords="offset points",
            color=line.get_color(),
            va="center",
            annotation_clip=False,
        )


def spread_heights(heights: Sequence[float], gap: float) -> npt.NDArray[np.float64]:
    """Move heights as little as that leaves at least ``gap`` between any two.

    Examples
    --------
    >>> spread_heights([0.5, 0.5, 0.0], 0.1).round(2).tolist()
    [0.45, 0.55, 0.0]
    """
    order = np.argsort(heights, kind="stable")
    placed = np.asarray(heights, dtype=float)[order]
    # Groups that touch move as one, about their mean.
    groups: list[list[float]] = []
    for height in placed:
        groups.append([height])
        while len(groups) > 1 and _top(groups[-2], gap) + gap > _bottom(groups[-1], gap):
            last = groups.pop()
            groups[-1] += last
    result = np.empty(placed.size)
    result[order] = np.concatenate(
        [_bottom(group, gap) + gap * np.arange(len(group)) for group in groups] or [np.empty(0)]
    )
    return result


def _bottom(group: list[float], gap: float) -> float:
    return float(np.mean(group)) - gap * (len(group) - 1) / 2


def _top(group: list[float], gap: float) -> float:
    return float(np.mean(group)) + gap * (len(group) - 1) / 2


def log_axes(ax: Axes, which: str = "xy") -> None:
    """Make axes logarithmic with ticks that people read: 0.01, 0.1, 1, 10, or powers of ten.

    To be called when the limits are set, for they decide how many ticks there are.
    """
    for name in which:
        axis = ax.xaxis if name == "x" else ax.yaxis
        low, high = sorted(ax.get_xlim() if name == "x" else ax.get_ylim())
        (ax.set_xscale if name == "x" else ax.set_yscale)("log")
        (ax.set_xlim if name == "x" else ax.set_ylim)(low, high)
        decades = np.log10(high) - np.log10(low)
        subs = (
            (1.0,) if decades > 1.8 else (1.0, 2.0, 5.0) if decades > 0.7 else tuple(range(1, 10))
        )
        axis.set_major_locator(LogLocator(subs=subs, numticks=9 if decades > 1.8 else 20))
        axis.set_major_formatter(FuncFormatter(lambda value, _: tick(value)))
        if decades > 7:
            axis.set_minor_locator(NullLocator())
        else:
            axis.set_minor_locator(LogLocator(subs=tuple(range(1, 10)), numticks=20))
        axis.set_minor_formatter(FuncFormatter(lambda _, __: ""))


def batch_size_axis(ax: Axes, batch_size: npt.ArrayLike) -> None:
    """Put the ticks of a logarithmic abscissa at batch sizes that were run, if they are few."""
    sizes = np.unique(np.asarray(batch_size, dtype=float))
    if sizes.size > 14 or sizes.max() / sizes.min() < 1.5 ** (sizes.size - 1):
        return
    while sizes.size > 7:
        sizes = sizes[::2]
    ax.xaxis.set_major_locator(FixedLocator(sizes.tolist()))
    ax.xaxis.set_minor_locator(NullLocator())


def tick(value: float) -> str:
    """Write a number on an axis: plainly where that is short, else as a power of ten.

    Examples
    --------
    >>> tick(0.01), tick(4096.0), tick(1e-5)
    ('0.01', '4096', '$10^{-5}$')
    """
    if value == 0 or 1e-4 <= abs(value) < 1e5:
        return f"{value:.5g}"
    factor, power = f"{value:.2e}".split("e")
    times = "" if float(factor) == 1 else f"{float(factor):g}\\times"
    return f"${times}10^{{{int(power)}}}$"
