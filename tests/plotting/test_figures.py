"""The figures as readers see them: committed, legible, and drawn from the right numbers."""

import csv
import gzip
import inspect
import math
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Annotation, Text
from matplotlib.transforms import ScaledTranslation

from scaling import data, plotting
from scaling.errors import InputError
from scaling.plotting.gallery import FIGURES
from scaling.plotting.saving import DEFAULT_DPI, write_figure

DRAWN = Path(__file__).parents[2] / "figures"

#: A pixel differs if a channel does by this much, of 1.
LEVEL = 1 / 8
#: Share of pixels that may differ. Another processor's rounding moves a curve by far less than a
#: thousandth of a pixel, which changes no channel by 1/8 except where a text or a tick snaps to
#: the pixel grid: a tick is 20 pixels of 350 000, 0.006 %, a digit as much. A curve of the
#: least length here that moves by two line widths changes ten times more than this.
TOLERANCE = 0.0002


def raster(figure):
    data = BytesIO()
    figure.savefig(data, format="png", dpi=DEFAULT_DPI)
    data.seek(0)
    return imread(data)[..., :3]


def share_different(image, other):
    if image.shape != other.shape:
        return 1.0
    return float((np.abs(image - other).max(axis=-1) > LEVEL).mean())


def drawn_by(path):
    """Version of Matplotlib that wrote a PNG."""
    from PIL import Image

    with Image.open(path) as image:
        return image.info["Software"].split("version")[1].split(",")[0]


def test_there_is_a_file_for_every_figure_and_no_other():
    expected = {f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")}
    assert {path.name for path in DRAWN.iterdir()} == expected
    assert sum(path.stat().st_size for path in DRAWN.iterdir()) < 6e6


@pytest.mark.parametrize("name", FIGURES)
def test_figure(name):
    figure = FIGURES[name].draw()
    check_panels(figure)
    check_texts(figure)
    check_file(figure, name)


def check_file(figure, name):
    """The committed file is what is drawn now, and would not be if a curve moved."""
    path = DRAWN / f"{name}.png"
    now, then = mpl.__version__.split(".")[:2], drawn_by(path).strip().split(".")[:2]
    if now != then:
        pytest.skip(
            f"drawn by Matplotlib {'.'.join(then)}, this is {'.'.join(now)}, which may set text "
            "otherwise; `make figures` draws them anew"
        )
    image = raster(figure)
    assert share_different(image, imread(path)[..., :3]) <= TOLERANCE, "run `make figures`"
    moved = move_a_curve(figure)
    assert share_different(raster(figure), image) > 5 * TOLERANCE, moved


def move_a_curve(figure):
    """Move the shortest curve by two of its line widths; return what was moved."""
    curves = [
        (line, line.axes)
        for ax in figure.axes
        for line in ax.lines
        if len(line.get_xdata()) > 10 and line.get_linestyle() != "None"
    ]
    if curves:
        artist = min((line for line, _ in curves), key=visible_length)
        width = artist.get_linewidth()
    else:
        artist = next(
            child
            for ax in figure.axes
            for child in ax.get_children()
            if isinstance(child, ContourSet) and not child.filled
        )
        width = float(np.max(artist.get_linewidths()))
    shift = ScaledTranslation(0, 2 * width / 72, figure.dpi_scale_trans)
    artist.set_transform(artist.get_transform() + shift)
    return artist


def visible_length(line):
    """Length of a curve within its axes, in pixels."""
    points = line.get_transform().transform(line.get_xydata())
    inside = line.axes.bbox.padded(1)
    seen = [inside.contains(*point) for point in points]
    steps = np.hypot(*np.diff(points, axis=0).T)
    return float(sum(step for step, here in zip(steps, seen[1:], strict=True) if here))


def words(figure):
    """Texts that show, with the rectangles that they fill."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    texts = [*figure.texts, *figure.findobj(Annotation)]
    for ax in figure.axes:
        texts += [ax.title, ax._left_title, *ax.texts, ax.xaxis.label, ax.yaxis.label]
        legend = ax.get_legend()
        texts += [] if legend is None else [legend.get_title(), *legend.get_texts()]
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            texts += [
                tick.label1
                for tick in axis.get_major_ticks()
                if low * (1 - 1e-9) <= tick.get_loc() <= high * (1 + 1e-9)
            ]
    for text in dict.fromkeys(texts):
        if text.get_visible() and text.get_text().strip():
            # Without the line that leads from an annotation to its curve.
            yield text, Text.get_window_extent(text, renderer)


def check_texts(figure):
    """Texts neither overlap nor leave the figure."""
    shown = list(words(figure))
    assert len(shown) > 10
    page = figure.bbox.padded(1)
    for text, box in shown:
        assert page.contains(box.x0, box.y0), text
        assert page.contains(box.x1, box.y1), text
    for i, (text, box) in enumerate(shown):
        for other, other_box in shown[:i]:
            if text.get_rotation() % 90 or other.get_rotation() % 90:
                continue  # numbers along contours, whose rectangles say little
            assert not box.padded(-1).overlaps(other_box.padded(-1)), (text, other)


def check_panels(figure):
    """Every panel shows something and says what."""
    for ax in figure.axes:
        if ax.get_label() == "<colorbar>":
            assert ax.get_xlabel() or ax.get_ylabel()
            continue
        assert ax.lines or ax.collections
        for axis in (ax.xaxis, ax.yaxis):
            # Panels that share an axis name it at the edge.
            group = ax.get_shared_x_axes() if axis is ax.xaxis else ax.get_shared_y_axes()
            names = [
                (other.xaxis if axis is ax.xaxis else other.yaxis).get_label_text()
                for other in group.get_siblings(ax)
            ]
            assert any(names)
    assert figure.get_supxlabel().count("T-") >= 1
    assert figure.get_figwidth() <= 3.4


def test_same_bytes_twice():
    for name in ("softsign-and-clip", "error-atlas", "marek"):
        twice = []
        for _ in range(2):
            data = BytesIO()
            write_figure(FIGURES[name].draw(), data, "svg", title=name)
            twice.append(data.getvalue())
        assert twice[0] == twice[1], name
        assert b"<dc:date>" not in twice[0]


def test_global_settings_stay(monkeypatch):
    monkeypatch.setitem(mpl.rcParams, "lines.linewidth", 7.5)
    monkeypatch.setitem(mpl.rcParams, "font.size", 20)
    before = dict(mpl.rcParams)
    figure = plotting.beta()
    assert figure.axes[0].lines[0].get_linewidth() == 1.2  # the style's, not the user's
    with pytest.raises(InputError):
        plotting.beta((-1.0,))
    assert dict(mpl.rcParams) == before


SINGLE = [name for name, f in FIGURES.items() if "ax" in inspect.signature(f.draw).parameters]
SEVERAL = [name for name, f in FIGURES.items() if "figure" in inspect.signature(f.draw).parameters]


@pytest.mark.parametrize("name", ["beta", "momentum", "surge-momentum"])
def test_given_axes_are_drawn_on(name):
    figure = Figure(figsize=(7, 3))
    left, right = figure.subfigures(1, 2)
    ax = right.subplots()
    assert FIGURES[name].draw(ax=ax) is figure
    assert ax.lines or ax.collections
    assert not left.axes
    assert figure.get_supxlabel() == right.get_supxlabel() == ""


@pytest.mark.parametrize("name", ["erf-stand-ins", "second-moment", "error-atlas"])
def test_given_figures_are_drawn_on(name):
    figure = Figure(figsize=(7, 3))
    left, right = figure.subfigures(1, 2)
    assert FIGURES[name].draw(figure=right) is figure
    assert right.axes
    assert not left.axes
    own = Figure()
    assert FIGURES[name].draw(figure=own) is own


def test_every_figure_takes_axes_or_a_figure_or_comes_with_its_data():
    alone = set(FIGURES) - set(SINGLE) - set(SEVERAL)
    lab = {name for name in FIGURES if name.startswith("lab-")}
    assert alone == {"steps-examples", "marek", "valley", "plan"} | lab


def curve(figure, panel, label):
    (line,) = [line for line in figure.axes[panel].lines if line.get_label() == label]
    return (np.asarray(values, dtype=float) for values in line.get_data())


# What the curves say, against formulas written out here.


def test_erf_and_its_stand_ins():
    upper, lower = FIGURES["erf-stand-ins"].draw().axes
    x = upper.lines[0].get_xdata()
    true = [math.erf(v) for v in x]
    algebraic = [v / math.sqrt(v * v + math.pi / 4) for v in x]
    clipped = [max(-1.0, min(1.0, 2 * v / math.sqrt(math.pi))) for v in x]
    for line, expected in zip(upper.lines, (true, algebraic, clipped), strict=True):
        assert line.get_ydata() == pytest.approx(expected, abs=1e-12)
    assert {text.get_text() for text in lower.texts} == {
        f"{max(np.subtract(algebraic, true)):.3f}",
        f"{max(np.subtract(clipped, true)):.3f}",
    }


def test_mean_and_second_moment_are_without_momentum():
    a, (b,) = 1.25, (0.8,)
    for draw, expected in (
        (plotting.mean_update, a / math.sqrt(a * a + b * b + 1)),
        (plotting.second_moment, (a * a + 1) / (a * a + b * b + 1)),
    ):
        x, y = curve(draw((b,)), 0, "mean field")
        assert np.interp(a, x, y) == pytest.approx(expected, abs=1e-4)


def test_beta():
    lines = plotting.beta((0.0, 2.0)).axes[0].lines
    x = np.asarray(lines[0].get_xdata(), dtype=float)
    # (1 + lambda kappa^2/B)^(-1/2) with kappa^2 = 1/(1 + eps^2), T-B8 and T-E1.
    for line, ratio in ((lines[0], 1.0), (lines[1], math.pi / 2), (lines[3], 1 / 5)):
        assert line.get_ydata() == pytest.approx((1 + ratio / x) ** -0.5)
    # T-A5 is exact without epsilon.
    assert lines[2].get_ydata() == pytest.approx([math.erf(math.sqrt(v / 2)) for v in x])


def test_large_eps_is_the_limit_of_sgd():
    ratio = 12.0
    lower = plotting.learning_rate_eps((0.0, 3000.0), ratio).axes[1]
    x, scaled = lower.lines[0].get_data()
    expected = ratio / (ratio + math.pi / 2 / np.asarray(x))  # T-B11
    assert lower.lines[1].get_ydata() == pytest.approx(expected, rel=1e-12)
    large = np.asarray(x) > 0.1
    assert np.asarray(scaled)[large] == pytest.approx(expected[large], rel=1e-4)


def test_momentum_peaks():
    ax = plotting.momentum((0.2, 0.6, 0.9)).axes[0]
    peaks = [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 1]
    assert peaks == pytest.approx([(1 - b) / (3 * b - 1) for b in (0.6, 0.9)])  # T-D3


def test_where_the_articles_surge_ends():
    line = plotting.surge_eps().axes[0].lines[0]
    eps, ratio = (np.asarray(values, dtype=float) for values in line.get_data())
    # R0 nu^2 > 2 with nu^2 = 1/(1 + eps^2): T-E3 without momentum.
    expected = np.sqrt(np.maximum(ratio / 2 - 1, 0))
    assert eps == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_update_rms():
    upper = plotting.update_rms_beta1((0.95,)).axes[0]
    beta1, mean_field = (np.asarray(v, dtype=float) for v in upper.lines[0].get_data())
    assert mean_field == pytest.approx(np.sqrt((1 - beta1) / (1 + beta1)))
    ax = plotting.update_rms_noise((0.9,), 0.9).axes[0]
    ratio, rms = (np.asarray(v, dtype=float) for v in ax.lines[0].get_data())
    assert rms == pytest.approx(np.sqrt((ratio + 1 / 19) / (ratio + 1)))


def test_steps_lie_where_they_were_measured(zhang):
    ax = FIGURES["steps-examples"].draw().axes[0]
    with zhang.open() as file:
        rows = [row for row in csv.DictReader(file) if row["model"] == "302M"]
    steps = np.array([float(row["steps"]) for row in rows])
    batch = np.array([float(row["batch_size"]) for row in rows])
    (line,) = [line for line in ax.lines if str(line.get_label()).startswith("302M")]
    x, y = (np.asarray(values, dtype=float) for values in line.get_data())
    assert y / y[0] == pytest.approx(steps / steps[0])
    assert x / x[0] == pytest.approx(batch * steps / (batch[0] * steps[0]))
    hyperbola = ax.lines[5]
    x, y = (np.asarray(values, dtype=float) for values in hyperbola.get_data())
    assert (x - 1) * (y - 1) == pytest.approx(np.ones(x.size))


def test_marek_shows_the_optima_and_the_law(marek):
    ax = FIGURES["marek"].draw().axes[0]
    with marek.open() as file:
        expected = {
            (float(row["batch_size"]), float(row["learning_rate"])) for row in csv.DictReader(file)
        }
    dots = {
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in ax.lines
        if line.get_marker() == "o"
    }
    assert dots == expected
    x, y = curve(ax.figure, 0, "sqrt")
    assert np.diff(np.log(y)) / np.diff(np.log(x)) == pytest.approx(0.5)


@pytest.fixture(scope="module")
def logistic():
    """The laboratory's runs of one problem, averaged over seeds: {setting: {rate: loss}}."""
    valleys = {}
    with gzip.open(data.path("lab_logistic"), "rt") as file:
        for row in csv.DictReader(file):
            setting = tuple(row[name] for name in ("budget", "decay", "beta1", "beta2", "eps"))
            valley = valleys.setdefault((*setting, float(row["batch_size"])), {})
            valley.setdefault(float(row["learning_rate"]), []).append(float(row["loss"]))
    return {
        setting: {rate: np.nan_to_num(np.mean(loss), nan=np.inf) for rate, loss in valley.items()}
        for setting, valley in valleys.items()
    }


def best(logistic, *setting):
    valley = logistic[setting]
    return min(valley, key=valley.get)


def bars(ax, number):
    """Where the markers of an errorbar are."""
    return (np.asarray(v, dtype=float) for v in ax.containers[number].lines[0].get_data())


def test_the_laboratorys_optima_are_at_the_least_losses(logistic):
    examples, steps = FIGURES["lab-optimum"].draw().axes[:2]
    for ax, budget in ((examples, "examples"), (steps, "steps")):
        for number, eps in enumerate(("1e-08", "0.0001", "0.01", "0.1")):
            sizes, rates = bars(ax, number)
            assert sizes.tolist() == [2.0**k for k in range(12)]
            for size, rate in zip(sizes, rates, strict=True):
                lowest = best(logistic, budget, "linear", "0.9", "0.999", eps, size)
                # Rates are half an octave apart.
                assert abs(np.log2(rate / lowest)) <= 0.5


def test_what_one_run_predicts_goes_through_it():
    ax = FIGURES["lab-optimum"].draw().axes[0]
    (ring,) = [line for line in ax.lines if len(line.get_xdata()) == 1]
    (size,), (rate,) = ring.get_data()
    curve = next(line for line in ax.lines if len(line.get_xdata()) > 10)
    assert np.interp(size, *curve.get_data()) == pytest.approx(rate, rel=0.01)


def test_beta1_hardly_matters_over_a_run_and_much_in_a_step(logistic):
    ax = FIGURES["lab-beta1"].draw().axes[0]
    sizes, octaves = bars(ax, 0)
    for size, difference in zip(sizes, octaves, strict=True):
        with_, without = (
            best(logistic, "examples", "linear", beta1, "0.999", "1e-08", size)
            for beta1 in ("0.9", "0")
        )
        assert abs(difference - np.log2(with_ / without)) <= 1
    x, y = curve(ax.figure, 0, "one step, exact")
    # T-E1, coordinate by coordinate, with c = 1/19 and with 1; the exact law differs a little.
    signal = np.random.default_rng(0).standard_normal(32) ** 2
    share = signal / (signal + 300 / x[:, None])
    damped, plain = ((share + c * (1 - share)).sum(axis=1) for c in (1 / 19, 1))
    assert y == pytest.approx(np.log2(plain / damped), abs=0.2)


def test_the_shift_by_eps_is_what_second_moments_say():
    ax = FIGURES["lab-eps"].draw().axes[0]
    predicted, measured = (np.asarray(v, dtype=float) for v in ax.lines[0].get_data())
    assert measured.size > 200
    assert np.sqrt(np.mean((predicted - measured) ** 2)) < 0.2
    assert np.sqrt(np.mean(measured**2)) > 1
