"""Figures of users' own data: laws, steps and sweeps of any shape."""

from io import BytesIO

import numpy as np
import pytest
from matplotlib.figure import Figure

from scaling import (
    BatchSizeLaw,
    DataError,
    GradientStatistics,
    InputError,
    Recipe,
    TransferLaw,
    fit_optima,
    fit_sweep,
    simulate_sweep,
)
from scaling.numeric.fits import known_law
from scaling.plotting import (
    learning_rate,
    loss_valley,
    steps_against_examples,
    sweep_valleys,
)
from scaling.plotting.saving import write_figure

INFINITY = float("inf")


def as_png(figure):
    data = BytesIO()
    write_figure(figure, data, "png")
    assert len(data.getvalue()) > 5000
    return figure.axes[0]


LAWS = {
    "plain": BatchSizeLaw(256, 3e-4, 4000, 200),
    "no peak": BatchSizeLaw(256, 3e-4, 100, 200),
    "sgd": BatchSizeLaw(256, 3e-4, 0, 200),
    "pure surge": BatchSizeLaw(256, 3e-4, INFINITY, 200),
    "never saturates": BatchSizeLaw(256, 3e-4, 0, INFINITY),
    "never rises": BatchSizeLaw(256, 3e-4, INFINITY, 0),
    "tokens": BatchSizeLaw(4e6, 3e-4, 4e7, 2e6),
    "tiny": BatchSizeLaw(1e-9, 1e-12, 1e-9, 1e-9),
    "run": TransferLaw(Recipe(3e-4, 256), GradientStatistics(4000)),
    "three optima": fit_optima([16, 64, 256], [1e-3, 2e-3, 3e-3]),
    "seeds": fit_optima([16, 16, 64, 64, 256, 256], [1e-3, 2e-3, 2e-3, 3e-3, 3e-3, 2e-3]),
}


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("asked", [(), (512.0,), (1e-3, 1e9)])
def test_any_law_can_be_drawn(name, asked):
    law = LAWS[name]
    ax = as_png(learning_rate(law, asked))
    (line,) = [line for line in ax.lines if str(line.get_label()).startswith("law")]
    x, y = (np.asarray(values, dtype=float) for values in line.get_data())
    assert y == pytest.approx(law.learning_rate(x))
    low, high = ax.get_ylim()
    assert low < y.min()
    assert y.max() < high
    for batch in (law.reference.batch_size, *asked):
        assert x.min() <= batch <= x.max()
    assert bool(ax.collections) == (law.interval(64.0) is not None)


def test_rules_can_be_left_out():
    with_rules = learning_rate(LAWS["plain"]).axes[0]
    without = learning_rate(LAWS["plain"], rules=False).axes[0]
    assert len(with_rules.lines) == len(without.lines) + 4


def sweep(*, diverged=False, seeds=1):
    """Runs on a grid that differs from batch size to batch size, seeds in any order."""
    generator = np.random.default_rng(3)
    rows = [
        (batch, rate, 2 + np.log(rate / best) ** 2 + 0.01 * generator.standard_normal())
        for batch, best in ((8, 1e-3), (32, 2e-3), (256, 4e-3), (1000, 4e-3))
        for rate in best * 2.0 ** np.arange(-3, 3 + batch % 3)
        for _ in range(seeds)
    ]
    if diverged:
        rows[5] = (*rows[5][:2], np.nan)
        rows[-1] = (*rows[-1][:2], np.inf)
    return np.array(rows)[generator.permutation(len(rows))].T


@pytest.mark.parametrize("diverged", [False, True])
@pytest.mark.parametrize("seeds", [1, 3])
def test_valley(diverged, seeds):
    batch, rate, loss = sweep(diverged=diverged, seeds=seeds)
    law = fit_optima([8, 32, 256, 1000], [1e-3, 2e-3, 4e-3, 4e-3])
    ax = as_png(loss_valley(batch, rate, loss, law))
    (heat,) = ax.collections
    settings = {*zip(batch, rate, strict=True)}
    dots, crosses, rings = ax.lines[:3]
    assert len(dots.get_xdata()) + len(crosses.get_xdata()) == len(settings)
    assert len(crosses.get_xdata()) == 2 * diverged
    assert len(heat.get_paths()) == len(dots.get_xdata())
    assert sorted(rings.get_xdata()) == [8, 32, 256, 1000]
    # Every run lies in its own rectangle and in no other.
    boxes = [path.get_extents() for path in heat.get_paths()]
    for point in zip(dots.get_xdata(), dots.get_ydata(), strict=True):
        assert sum(box.contains(*point) for box in boxes) == 1
    low, high = ax.get_ylim()
    assert low < min(rate)
    assert max(rate) < high


def test_rings_are_at_the_lowest_mean():
    batch = [8, 8, 8, 8, 64, 64]
    rate = [0.1, 0.1, 0.2, 0.2, 0.1, 0.2]
    loss = [1.0, 4.0, 2.0, 2.2, 3.0, 5.0]  # one lucky seed does not make the best rate
    rings = loss_valley(batch, rate, loss).axes[0].lines[2]
    assert list(zip(rings.get_xdata(), rings.get_ydata(), strict=True)) == [(8, 0.2), (64, 0.1)]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (([1, 2], [1, 2], [1]), "same length"),
        (([[1, 2]], [[1, 2]], [[1, 2]]), "same length"),
        (([1, 0], [1, 2], [1, 2]), "batch_size: .* element 1"),
        (([1, 2], [np.nan, 2], [1, 2]), "learning_rate: .* element 0"),
        (([1, 2], [1, 2], [np.nan, np.inf]), "loss: has no finite"),
        ((["1"], [1], [1]), "batch_size: must be a number"),
    ],
)
def test_valley_refuses(columns, words):
    with pytest.raises(InputError, match=words):
        loss_valley(*columns)


def test_valley_of_one_run_and_of_equal_losses():
    as_png(loss_valley([8], [0.1], [2.0]))
    as_png(loss_valley([8, 8, 16], [0.1, 0.2, 0.1], [2.0, 2.0, 2.0]))


def test_steps_of_any_names():
    runs = {
        f"run {i}": ([64, 256, 1024], [1000 * (1 + c / 64), 1000 * (1 + c / 256), 1000 + c / 1.024])
        for i, c in enumerate((100, 1000, 10000, 300, 30, 3000, 700, 70))
    }
    ax = as_png(steps_against_examples(runs))
    markers = [line for line in ax.lines if str(line.get_label()).startswith("run")]
    assert len(markers) == 8
    for line in markers:
        x, y = (np.asarray(values, dtype=float) for values in line.get_data())
        assert (x - 1) * (y - 1) == pytest.approx(np.ones(3), rel=0.05)


def test_steps_that_show_no_critical_batch_size():
    proportional = ([64, 256, 1024], [16000, 4000, 1000])
    good = ([64, 256, 1024], [17000, 5000, 2000])
    figure = steps_against_examples({"good": good, "straight": proportional})
    assert "straight shows no critical batch size" in " ".join(figure.get_supxlabel().split())
    assert len(as_png(figure).get_legend().get_texts()) == 1
    with pytest.raises(DataError, match="no series"):
        steps_against_examples({"straight": proportional})


TRUTH = known_law(
    learning_rate=1e-3,
    reference_batch_size=256,
    noise_batch_size=4000,
    critical_batch_size=400,
    covariates={"N": 1e9},
    learning_rate_exponents={"N": -0.3},
)


def fitted(sizes):
    truth = TRUTH if len(sizes) > 1 else TRUTH.at(N=sizes[0])
    covariates = {"N": sizes} if len(sizes) > 1 else None
    runs = simulate_sweep(truth, [16, 64, 256, 1024], covariates=covariates, seed=1)
    return fit_sweep(runs, scores=False)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 14])
def test_valleys_of_a_sweep(count):
    sizes = np.geomspace(1e8, 1e9, count).round(-6)
    fit = fitted(sizes)
    figure = sweep_valleys(fit)
    as_png(figure)
    panels = [ax for ax in figure.axes if ax.get_label() != "<colorbar>" and ax.axison]
    assert len(panels) == min(count, 12)
    text = " ".join(figure.get_supxlabel().split())
    assert ("12 of 14 settings" in text) == (count > 12)
    if fit.law.needs:
        shown = {float(ax.get_title(loc="left").split("N = ")[1].split(",")[0]) for ax in panels}
        assert {float(f"{size:.3g}") for size in (sizes[0], sizes[-1])} <= shown
    # The law drawn is that of the panel's own setting.
    ax = panels[-1]
    line = ax.lines[-1]
    law = fit.law.at(N=sizes[-1]) if fit.law.needs else fit.law
    x, y = (np.asarray(values, dtype=float) for values in line.get_data())
    assert y == pytest.approx(law.learning_rate(x))
    # Every column of panels ends in one that names its axis.
    assert sum(bool(ax.get_xlabel()) for ax in panels) == min(
        len(panels), 2 if len(panels) in {2, 4} else 3
    )


def test_valleys_on_a_given_figure():
    figure = Figure(figsize=(7, 3))
    left, right = figure.subfigures(1, 2)
    fit = fitted([1e8, 1e9])
    assert sweep_valleys(fit, figure=right) is figure
    assert right.axes
    assert not left.axes
    assert figure.get_supxlabel() == ""
