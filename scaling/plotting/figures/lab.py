"""What the laboratory's trainings say: optima over batch size, epsilon, beta1, and the rest.

The figures show whatever tables of the laboratory come with the package.
"""

from collections.abc import Iterable
from itertools import product
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.laws.quadratic import quadratic_optimum
from scaling.numeric.population.second_moments import SecondMoments
from scaling.plotting.data import LAB_PROBLEMS, LabOptima, lab_optima, lab_problems
from scaling.plotting.style import (
    BLACK,
    BLUE,
    DASHED,
    GREEN,
    GREY,
    LONG,
    MARKERS,
    VERMILLION,
    caption,
    log_axes,
    new_figure,
    panel_grid,
    shades,
    styled,
)

_Setting: TypeAlias = dict[str, float | str]

_EPS = (1e-8, 1e-4, 1e-2, 1e-1)
_BUDGETS = ("examples", "steps")
_DECAYS = ("linear", "constant")
#: Budget, decay, beta1 and beta2 at which epsilon was varied.
_ARMS = tuple(product(_BUDGETS, _DECAYS, (0.9, 0.0), (0.999, 0.95)))
_COLORS = dict(zip(LAB_PROBLEMS, (BLUE, GREEN, VERMILLION), strict=True))
_MARKS = dict(zip(LAB_PROBLEMS, MARKERS, strict=False))
_SOURCE = "Runs: `lr lab run`, tables lab_*. Bars: standard errors over seeds."


@styled
def lab_optimum() -> Figure:
    """Best learning rate over the batch size for each epsilon, and what one tuned run predicts.

    Returns
    -------
    Figure

    Examples
    --------
    >>> lab_optimum().axes[0].get_title("left")
    'logistic, examples'
    """
    problems = lab_problems()
    figure = new_figure(0.7 + 1.75 * len(problems))
    panels = figure.subplots(len(problems), 2, sharex=True, sharey="row", squeeze=False)
    for row, problem in zip(panels, problems, strict=True):
        found = lab_optima(problem)
        for ax, budget in zip(row, _BUDGETS, strict=True):
            base = found.where(budget=budget)
            tuned = len(base) // 2
            ax.set(xscale="log", yscale="log")
            for eps, color in zip(_EPS, shades(len(_EPS)), strict=True):
                optima = found.where(budget=budget, eps=eps)
                _points(ax, optima, color=color, marker="o", label=f"{eps:g}")
                sizes = np.geomspace(base.batch_size[0], base.batch_size[-1], 61)
                ax.plot(sizes, _transfer(base, tuned, sizes, eps), color=color, linewidth=0.8)
            ring: Any = {"markersize": 7, "markerfacecolor": "none", "markeredgewidth": 0.8}
            at = base.batch_size[tuned], 2 ** base.log_rate[tuned]
            ax.plot(*at, "o", color=BLACK, zorder=5, **ring)
            ax.set_title(f"{problem}, {budget}")
        log_axes(row[0], "y")
        row[0].set_ylabel("best learning rate")
    for ax in panels[-1]:
        ax.set_xlabel("batch size")
    log_axes(panels[0, 0], "x")
    panels[0, 0].legend(
        title="eps", fontsize=6, title_fontsize=6, handlelength=1, labelspacing=0.2, borderpad=0.1
    )
    caption(
        figure,
        "A fixed number of examples or of steps, linear decay. Lines: predicted from the ringed "
        "run alone, its noise scale and its second moments half-way (T-J3, over a run: T-I2). "
        f"{_SOURCE}",
    )
    return figure


@styled
def lab_beta1() -> Figure:
    """What beta1 does to the best learning rate: over a run nearly nothing, in one step much.

    Returns
    -------
    Figure

    Examples
    --------
    >>> lab_beta1().axes[0].get_ylabel()
    'octaves from beta1 = 0 to 0.9'
    """
    figure = new_figure(2.6)
    panels = figure.subplots(1, 2, sharey=True)
    tables = {problem: lab_optima(problem) for problem in lab_problems()}
    for ax, budget in zip(panels, _BUDGETS, strict=True):
        largest = 1.0
        for problem, found in tables.items():
            for decay in _DECAYS:
                with_, without = (
                    found.where(budget=budget, decay=decay, beta1=beta1) for beta1 in (0.9, 0.0)
                )
                largest = max([largest, *without.batch_size])
                _differences(ax, with_, without, problem, filled=decay == "linear")
        sizes = np.geomspace(1, largest, 17)
        ax.plot(sizes, _one_step(sizes), color=BLACK, linestyle=LONG, label="one step, exact")
        ax.axhline(0, color=GREY, linewidth=0.6)
        ax.set_xscale("log")
        log_axes(ax, "x")
        ax.set(title=f"fixed {budget}", xlabel="batch size")
    panels[0].set_ylabel("octaves from beta1 = 0 to 0.9")
    panels[0].set_ylim(bottom=-4.5)
    panels[0].legend(*_unique_handles(panels), fontsize=6, handlelength=1.4, loc="lower left")
    caption(
        figure,
        "Difference of the best learning rates; filled: linear decay, hollow: constant. Dashes: "
        "one stationary step of Adam on a random quadratic with a noise scale of 300, by T-F4, as "
        f"one-step theory (T-E1) has it; over a run noise adds up again (T-I2). {_SOURCE}",
    )
    return figure


@styled
def lab_rise() -> Figure:
    """Where the rise of the best learning rate ends, and how sharply: the optimum over sqrt(B).

    Returns
    -------
    Figure

    Examples
    --------
    >>> lab_rise().axes[-1].get_title("left")
    'fixed steps, constant'
    """
    figure = new_figure(3.9)
    panels = panel_grid(figure, 4, 2, "batch size", "octaves over sqrt rule")
    tables = {problem: lab_optima(problem) for problem in lab_problems()}
    for ax, (decay, budget) in zip(panels, product(_DECAYS, _BUDGETS), strict=True):
        for problem, found in tables.items():
            _draw_over_sqrt(ax, found.where(budget=budget, decay=decay), problem)
        ax.axhline(0, color=GREY, linewidth=0.6)
        ax.set_title(f"fixed {budget}, {decay}")
        ax.set_xscale("log")
    log_axes(panels[0], "x")
    panels[2].legend(*_unique_handles(panels), fontsize=6, handlelength=1.4, loc="lower left")
    caption(
        figure,
        "Best learning rate over the square-root rule's from the middle batch size; level: the "
        "rule holds. Lines: sqrt(B/(B + B_n)) (T-I2), B_n measured at that batch size. Real "
        f"corners are sharper, and may fall (T-I4). {_SOURCE}",
    )
    return figure


@styled
def lab_eps() -> Figure:
    """What epsilon does to the best learning rate: measured, and by Adam's own second moment.

    Returns
    -------
    Figure

    Examples
    --------
    >>> lab_eps().axes[0].get_xlabel()
    'octaves predicted'
    """
    figure = new_figure(3.2)
    ax = figure.subplots()
    said = []
    for problem in lab_problems():
        predicted, measured = eps_shifts(lab_optima(problem))
        off = float(np.sqrt(np.mean((predicted - measured) ** 2)))
        said.append(f"{problem}: off by {off:.2f} octave RMSE")
        style: Any = {"color": _COLORS[problem], "markerfacecolor": "none"}
        ax.plot(predicted, measured, _MARKS[problem], markeredgewidth=0.7, **style)
    ends = np.linspace(*ax.get_xlim(), 11)
    ax.plot(ends, ends, color=BLACK, linewidth=0.8)
    ax.set(xlabel="octaves predicted", ylabel="octaves measured")
    for i, (text, problem) in enumerate(zip(said, lab_problems(), strict=True)):
        ax.text(
            0.02, 0.97 - 0.07 * i, text, color=_COLORS[problem], transform=ax.transAxes, va="top"
        )
    caption(
        figure,
        "Shift of the best learning rate from eps = 1e-8 to 1e-4, 1e-2 and 0.1, at all budgets, "
        "decays, betas and batch sizes; predicted from v half-way through the run at 1e-8 (T-J1). "
        f"{_SOURCE}",
    )
    return figure


#: What is changed, in words; settings of the base and of what is compared with it.
_CHANGES: dict[str, tuple[_Setting, _Setting]] = {
    "beta2 0.95, not 0.999": ({}, {"beta2": 0.95}),
    "constant, not linear": ({}, {"decay": "constant"}),
    "cosine, not linear": ({}, {"decay": "cosine"}),
    "warm-up of 10 %": ({}, {"warm_up": 0.1}),
    "warm-up of 30 %": ({}, {"warm_up": 0.3}),
    "weight decay 0.01": ({}, {"weight_decay": 0.01}),
    "weight decay 0.1": ({}, {"weight_decay": 0.1}),
    "weight decay 1": ({}, {"weight_decay": 1.0}),
    "eps 0.1 inside the root": ({"eps": 0.1}, {"eps": 0.1, "eps_inside": "True"}),
}


@styled
def lab_changes() -> Figure:
    """What beta2, the schedule, warm-up and weight decay do to the best learning rate.

    Returns
    -------
    Figure

    Examples
    --------
    >>> lab_changes().axes[0].get_title("left")
    'beta2 0.95, not 0.999'
    """
    tables = {problem: lab_optima(problem) for problem in lab_problems()}
    shown = {
        title: change
        for title, change in _CHANGES.items()
        if any(len(found.where(budget="examples", **change[1])) for found in tables.values())
    }
    figure = new_figure(0.9 + 1.4 * -(-len(shown) // 2))
    panels = panel_grid(figure, len(shown), 2, "batch size", "octaves")
    for ax, (title, (base, changed)) in zip(panels, shown.items(), strict=True):
        for (problem, found), budget in product(tables.items(), _BUDGETS):
            before, after = (found.where(budget=budget, **s) for s in (base, changed))
            _differences(ax, after, before, problem, filled=budget == "examples")
        ax.axhline(0, color=GREY, linewidth=0.6)
        ax.set_title(title)
        ax.set_xscale("log")
        ax.tick_params(labelbottom=True)
    log_axes(panels[0], "x")
    panels[0].legend(*_unique_handles(panels), fontsize=6, handlelength=1.4)
    caption(
        figure,
        "Difference of the best learning rates with and without the change; filled: fixed "
        "examples, hollow: fixed steps. Otherwise linear decay, beta1 = 0.9, beta2 = 0.999, eps = "
        f"1e-8. None of these is in the theory (T-A1). {_SOURCE}",
    )
    return figure


def eps_shifts(found: LabOptima) -> tuple[FloatArray, FloatArray]:
    """Shifts of the optimum from eps = 1e-8, in octaves: predicted by T-J1, and measured."""
    predicted, measured = [], []
    for budget, decay, beta1, beta2 in _ARMS:
        setting: _Setting = {"budget": budget, "decay": decay, "beta1": beta1, "beta2": beta2}
        base = found.where(**setting)
        for eps in _EPS[1:]:
            for i, j in _common_rows(base, other := found.where(**(setting | {"eps": eps}))):
                moments = SecondMoments.from_json(base.second_moments[i])
                predicted.append(np.log2(moments.eps_shift(eps, 1e-8)))
                measured.append(other.log_rate[j] - base.log_rate[i])
    return np.array(predicted), np.array(measured)


def _common_rows(some: LabOptima, others: LabOptima) -> list[tuple[int, int]]:
    """Rows of the batch sizes that both have."""
    _, left, right = np.intersect1d(some.batch_size, others.batch_size, return_indices=True)
    return list(zip(left.tolist(), right.tolist(), strict=True))


def _transfer(base: LabOptima, tuned: int, sizes: FloatArray, eps: float) -> FloatArray:
    """Learning rates that one tuned run predicts (T-J3)."""
    noise, own = base.noise_scale[tuned], base.batch_size[tuned]
    moments = SecondMoments.from_json(base.second_moments[tuned])
    shift = np.array(
        [moments.at_batch_size(b, own, noise).eps_shift(eps) for b in sizes]
    ) / moments.eps_shift(1e-8)
    return np.asarray(2 ** base.log_rate[tuned] * _rise(sizes, own, noise) * shift)


def _rise(batch_size: FloatArray, reference: float, noise_scale: float) -> FloatArray:
    """Factor on the best learning rate from a reference to other batch sizes, R0 = 1 (T-I2)."""
    return np.asarray(
        np.sqrt((1 / reference + 1 / noise_scale) / (1 / batch_size + 1 / noise_scale))
    )


def _one_step(sizes: FloatArray) -> FloatArray:
    """Octaves between the exact optima of one step at beta1 = 0.9 and at 0, on a quadratic."""
    generator = np.random.default_rng(0)
    gradient, variance = generator.standard_normal(32), np.full(32, 300.0)
    best = [
        [
            quadratic_optimum(
                gradient, variance, np.eye(32), b, beta1=beta1, moments="exact-adam"
            ).learning_rate
            for b in sizes
        ]
        for beta1 in (0.9, 0.0)
    ]
    return np.asarray(np.log2(best[0]) - np.log2(best[1]))


def _points(ax: Axes, optima: LabOptima, **style: Any) -> None:
    """Optima with their errors, on logarithmic axes."""
    rate = 2**optima.log_rate
    bars = rate * (1 - 2**-optima.error), rate * (2**optima.error - 1)
    ax.errorbar(
        optima.batch_size, rate, bars, linestyle="", markersize=2.6, elinewidth=0.7, **style
    )


def _differences(ax: Axes, new: LabOptima, old: LabOptima, problem: str, *, filled: bool) -> None:
    """Octaves between optima at the batch sizes that both have."""
    pairs = _common_rows(new, old)
    if not pairs:
        return
    i, j = np.transpose(pairs)
    ax.errorbar(
        new.batch_size[i],
        new.log_rate[i] - old.log_rate[j],
        np.hypot(new.error[i], old.error[j]),
        color=_COLORS[problem],
        marker=_MARKS[problem],
        markersize=3,
        markerfacecolor=None if filled else "white",
        linewidth=0.5,
        linestyle="-" if filled else DASHED,
        elinewidth=0.5,
        label=problem if filled else None,
    )


def _draw_over_sqrt(ax: Axes, optima: LabOptima, problem: str) -> None:
    """Octaves by which optima differ from the square-root rule from the middle batch size."""
    middle = len(optima) // 2
    own, noise = optima.batch_size[middle], optima.noise_scale[middle]
    above = optima.log_rate - optima.log_rate[middle] - np.log2(optima.batch_size / own) / 2
    style: Any = {"color": _COLORS[problem], "marker": _MARKS[problem], "markersize": 2.6}
    ax.errorbar(
        optima.batch_size, above, optima.error, linestyle="", elinewidth=0.6, label=problem, **style
    )
    sizes = np.geomspace(optima.batch_size[0], optima.batch_size[-1], 61)
    law = np.log2(_rise(sizes, own, noise)) - np.log2(sizes / own) / 2
    ax.plot(sizes, law, color=_COLORS[problem], linewidth=0.8)


def _unique_handles(panels: Iterable[Axes]) -> tuple[list[Any], list[str]]:
    """Handles and labels of a legend of several panels, each label once."""
    found: dict[str, Any] = {}
    for ax in panels:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)
