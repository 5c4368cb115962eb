"""A law against the batch size: its interval, its landmarks, the optima, the rules of thumb.

And what runs that are planned would do to it.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scaling.numeric.fits.optima import fit_optima
from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.laws.law import Law
from scaling.numeric.laws.rules_of_thumb import DEFAULT_ALPHA, rules_of_thumb
from scaling.numeric.planning.plan import Plan, Proposal
from scaling.numeric.planning.plan import plan as make_plan
from scaling.numeric.tables.runs import Runs
from scaling.plotting.data import digits_sweep, published_optima
from scaling.plotting.style import (
    BLACK,
    BLUE,
    DASH_DOTTED,
    DASHED,
    DOTTED,
    GREEN,
    LONG,
    PURPLE,
    SKY,
    VERMILLION,
    axes_of,
    batch_size_axis,
    caption,
    log_axes,
    new_figure,
    styled,
)

#: Without a fitted range, how far the curve goes from the reference, either way.
_REACH = 64.0
#: The plan: batch sizes whose runs are known, that of the target, and how many runs to propose.
_KNOWN, _TARGET, _RUNS = 64.0, 2048.0, 9
_RULES = {
    "sqrt": (BLUE, DASHED, "sqrt"),
    "linear": (VERMILLION, DOTTED, "linear"),
    "openai": (GREEN, DASH_DOTTED, f"OpenAI, $\\alpha$ = {DEFAULT_ALPHA:g}"),
    "sgd": (PURPLE, LONG, "SGD"),
}


@styled
def learning_rate(
    law: Law,
    batch_size: Sequence[float] = (),
    *,
    rules: bool = True,
    ax: Axes | None = None,
    source: str = "",
) -> Figure:
    """A law's optimal learning rate against the batch size, beside the rules of thumb.

    Parameters
    ----------
    law : Law
        Any law. What it knows is drawn: where 90 % of new sweeps would find the optimum, the 90 %
        interval of the law itself, the optima it was fitted to, its reference point, its peak.
    batch_size : sequence of float, optional
        Batch sizes whose answers are marked; the axes reach as far as they do.
    rules : bool, default True
        Whether the rules of thumb are drawn through the law's reference point.
    ax : Axes, optional
        Where to draw; new ones, with a caption, by default.
    source : str, optional
        Where the numbers come from, for the caption, if more is to be said than the law does.

    Returns
    -------
    Figure

    Examples
    --------
    >>> from scaling import BatchSizeLaw
    >>> figure = learning_rate(BatchSizeLaw.from_limit(1e-3, 4000, 200), [512])
    >>> figure.axes[0].get_xlabel()
    'batch size'
    """
    own = ax is None
    ax, figure = axes_of(ax, 2.9)
    low, high = _span(law, batch_size)
    batches = np.geomspace(low, high, 241)
    rate = law.learning_rate(batches)
    interval = law.interval(batches)
    bottom, top = _limits(law, rate, interval)
    ax.set(xlim=(low, high), ylim=(bottom, top))
    log_axes(ax)
    for bounds in (interval, law.law_interval(batches)):
        if bounds is not None:
            ax.fill_between(batches, *bounds, color=SKY, alpha=0.3, linewidth=0)
    if rules:
        _draw_rules(ax, law, batches)
    ax.plot(batches, rate, color=BLACK, linewidth=1.6, label=f"law ({law.provenance.source})")
    _draw_points(ax, law, batch_size)
    if law.optima:
        batch_size_axis(ax, [point.batch_size for point in law.optima])
    ax.legend(loc="best", labelspacing=0.3)
    ax.set(xlabel="batch size", ylabel="learning rate")
    if own:
        through = " Rules pass through the law's reference point (T-A9)." if rules else ""
        caption(
            figure,
            f"Law: {law.provenance.description} ({', '.join(law.theory)}).{_marks(law)}{through} "
            f"It knows neither schedule nor budget.{source}",
        )
    return figure


@styled
def marek() -> Figure:
    """Law fitted to the optima of Marek et al. (2025).

    Returns
    -------
    Figure

    Examples
    --------
    >>> marek().axes[0].get_ylabel()
    'learning rate'
    """
    law = fit_optima(*published_optima(), name="Marek et al. 2025 (arXiv 2507.07101)")
    return learning_rate(law, source=" 11M-parameter language model, fixed token budget.")


def _span(law: Law, batch_size: Sequence[float]) -> tuple[float, float]:
    """Range of the abscissa."""
    reference = law.reference.batch_size
    low, high = law.provenance.batch_size_range or (reference / _REACH, reference * _REACH)
    sizes = [low, high, *batch_size]
    return min(sizes) / 1.5, max(sizes) * 1.5


def _marks(law: Law) -> str:
    """Say what the band and the dots are."""
    said = ""
    if law.interval(law.reference.batch_size):
        said = " Bands: where 90 % of new sweeps would find the optimum, and the law (T-K1)."
    return said + (" Dots: optima." if law.optima else "")


def _limits(
    law: Law, rate: FloatArray, interval: tuple[FloatArray, FloatArray] | None
) -> tuple[float, float]:
    """Range of the ordinate, from law and optima; rules and wide intervals run out of it."""
    values = [float(rate.min()), float(rate.max())]
    if law.optima:
        values += [point.learning_rate for point in law.optima]
    low, high = min(values), max(values)
    if interval is not None:
        low = max(float(np.nanmin(interval[0])), low / 2)
        high = min(float(np.nanmax(interval[1])), high * 2)
    return low / 1.4, high * 1.9


def _draw_rules(ax: Axes, law: Law, batches: FloatArray) -> None:
    """Draw the rules of thumb."""
    for name, rate in rules_of_thumb(law, batches).items():
        color, dashes, label = _RULES[name]
        ax.plot(batches, rate, color=color, linestyle=dashes, linewidth=1, label=label)


def _draw_points(ax: Axes, law: Law, batch_size: Sequence[float]) -> None:
    """Mark optima or the reference, the peak, and the batch sizes asked for."""
    if law.optima:
        for point in law.optima:
            ax.plot(*point, "o", color=BLACK)
    else:
        known = "tuned run" if law.recipe else "reference"
        ax.plot(*law.reference, "o", color=BLACK, label=known)
    if law.peak is not None and ax.get_xlim()[0] < law.peak.batch_size < ax.get_xlim()[1]:
        ax.plot(*law.peak, "|", color=BLACK, markersize=9)
        ax.annotate(
            "peak", law.peak, xytext=(0, -7), textcoords="offset points", ha="center", va="top"
        )
    if len(batch_size):
        asked = np.asarray(batch_size, dtype=float)
        ax.plot(asked, law.learning_rate(asked), "D", color=VERMILLION, label="asked for")


@styled
def planned_runs(plan: Plan, runs: Sequence[Proposal], *, source: str = "") -> Figure:
    """The law with its band before and after some runs, and the excess loss against their cost.

    Parameters
    ----------
    plan : Plan
        From `scaling.plan`.
    runs : sequence of Proposal
        What it proposes.
    source : str, optional
        Where the numbers come from, for the caption.

    Returns
    -------
    Figure

    Examples
    --------
    >>> from scaling import Recipe, plan
    >>> first = plan(Recipe(3e-4, 256), 4096)
    >>> figure = planned_runs(first, first.preview(3))
    >>> figure.axes[1].get_xlabel()
    'cost so far, runs'
    """
    figure = new_figure(3.1)
    law, saved = figure.subplots(1, 2, width_ratios=[1.5, 1])
    sizes = [run.batch_size for run in runs]
    seen = plan.runs.batch_size.tolist() if plan.runs is not None else []
    ends = [*sizes, *seen, *plan.batch_sizes, plan.batch_size]
    batch = np.geomspace(min(ends) / 1.3, max(ends) * 1.3, 121)
    middle, now, then = plan.bands(batch, runs)
    law.plot(batch, middle, color=BLACK, linewidth=1.2, label="law")
    law.fill_between(batch, *now, color=SKY, alpha=0.3, linewidth=0, label="90 % of it, now")
    law.fill_between(batch, *then, color=BLUE, alpha=0.5, linewidth=0, label="and after the runs")
    if plan.runs is not None:
        there = ~plan.runs.diverged
        law.plot(
            plan.runs.batch_size[there], plan.runs.learning_rate[there], ".", color=BLACK,
            markersize=1.5, label="runs seen",
        )  # fmt: skip
    rates = [run.learning_rate for run in runs]
    law.plot(sizes, rates, "D", color=VERMILLION, markersize=4, label="runs proposed")
    for number, run in enumerate(runs, start=1):
        law.annotate(
            f"{number}", (run.batch_size, run.learning_rate), xytext=(4, 0),
            textcoords="offset points", va="center", fontsize=6,
        )  # fmt: skip
    law.set(xlabel="batch size", ylabel="learning rate", ylim=_limits_of_plan(now, rates))
    law.set_xlim(batch[0], batch[-1])
    log_axes(law)
    batch_size_axis(law, plan.batch_sizes)
    law.legend(loc="upper left", labelspacing=0.3, frameon=True, framealpha=0.9, edgecolor="none")
    cost = np.cumsum([0.0, *(run.cost for run in runs)])
    excess = 100 * np.array([plan.excess_loss, *(run.excess_loss for run in runs)])
    saved.plot(cost, excess, "-D", color=VERMILLION, markersize=4, linewidth=1)
    falls = np.flatnonzero(np.diff(excess, prepend=np.inf) < 0)
    for number in falls.tolist():
        saved.annotate(
            f"{number or 'now'}", (cost[number], excess[number]), xytext=(4, 3),
            textcoords="offset points", fontsize=6,
        )  # fmt: skip
    saved.set(xlabel="cost so far, runs", ylabel="expected excess loss, %")
    saved.set_ylim(excess.min() / 1.3, excess.max() * 1.5)
    saved.set_xlim(-0.06 * cost[-1], 1.15 * cost[-1])
    log_axes(saved, "y")
    caption(
        figure,
        f"Runs proposed for the learning rate at batch size {plan.batch_size:.10g}, in order; "
        f"expectations if what comes is as expected (T-K1).{source}",
    )
    return figure


@styled
def plan() -> Figure:
    """What to run next once the small batch sizes of the digits sweep are known.

    Returns
    -------
    Figure

    Examples
    --------
    >>> plan().axes[0].get_ylabel()
    'learning rate'
    """
    table = digits_sweep().where(f"eps == 1e-8 and batch_size <= {_KNOWN:g}")
    settings = table.numbers("batch_size"), table.numbers("learning_rate")
    runs = Runs(*settings, table.numbers("loss", missing=True))
    found = make_plan(runs, _TARGET, cost="examples")
    source = (
        f" Our own runs on digits at batch sizes up to {_KNOWN:g}; runs of as many steps each, "
        "cost in runs at the target."
    )
    return planned_runs(found, found.preview(_RUNS), source=source)


def _limits_of_plan(now: FloatArray, rates: Sequence[float]) -> tuple[float, float]:
    """Range of the ordinate: band and proposals; runs seen far away run out of it."""
    return min(now.min(), *rates) / 1.5, max(now.max(), *rates) * 20
