"""`lr plot` and `lr query --plot` as a user meets them."""

import pytest

from scaling import data, plotting
from scaling.plotting import gallery

SWEEP = data.path("digits_sweep")
RUN = ("--ref-lr", "3e-4", "--ref-batch-size", "32x8", "--noise-scale", "4000")


@pytest.fixture
def in_an_empty_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_list(lr):
    ran = lr("plot", "--list")
    assert (ran.status, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert [line.split()[0] for line in lines] == list(plotting.FIGURES)
    assert max(map(len, lines)) <= 110
    assert all(len(line.split("  ", 1)[1].strip()) > 20 for line in lines)


@pytest.mark.parametrize("out", [None, "a.png", "a.svg", "A.PDF"])
def test_a_figure(lr, in_an_empty_directory, out):
    ran = lr("plot", "softsign-and-clip", *(["--out", out] if out else []))
    name = out or "softsign-and-clip.png"
    assert (ran.status, ran.out, ran.err) == (0, f"wrote {name}\n", "")
    assert [path.name for path in in_an_empty_directory.iterdir()] == [name]


@pytest.mark.usefixtures("in_an_empty_directory")
def test_options_reach_the_figure(lr, monkeypatch):
    seen = {}

    def spy(name):
        figure = plotting.FIGURES[name]

        def draw(**given):
            seen.update(given)
            return figure.draw(**given)

        draw.__wrapped__ = figure.draw  # its signature
        draw.__annotations__ = figure.draw.__annotations__
        monkeypatch.setitem(gallery.FIGURES, name, gallery.NamedFigure(name, figure.summary, draw))

    spy("learning-rate-eps")
    ran = lr("plot", "learning-rate-eps", "--eps", "0", "--eps", "3", "--curvature-ratio", "5",
             "--moments", "mean-field", "--dpi", "50")  # fmt: skip
    assert ran.status == 0
    assert seen == {"eps": (0.0, 3.0), "curvature_ratio": 5.0, "moments": "mean-field"}
    seen.clear()
    lr("plot", "learning-rate-eps")
    assert seen == {}


def test_all(lr, in_an_empty_directory, monkeypatch):
    few = {name: plotting.FIGURES[name] for name in ("softsign-and-clip", "marek")}
    monkeypatch.setattr(plotting, "FIGURES", few)
    ran = lr("plot", "--all", "--out", "new/figures", "--dpi", "60")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.count("\n") == 1
    written = {path.name for path in (in_an_empty_directory / "new" / "figures").iterdir()}
    assert written == {f"{name}.{kind}" for name in few for kind in ("png", "svg")}


@pytest.mark.parametrize("columns", [80, 120])
def test_help(lr, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    everything = lr("plot", "--help")
    for name in plotting.FIGURES:
        assert name in everything.out
        ran = lr("plot", name, "--help")
        assert ran.status == 0
        assert max(map(len, ran.out.splitlines())) <= columns
        for option in ("out", "dpi", *(o.name for o in plotting.FIGURES[name].options)):
            assert "--" + option.replace("_", "-") in ran.out
    assert max(map(len, everything.out.splitlines())) <= columns


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--list"),
        (["bta"], "'bta'; did you mean beta"),
        (["learning_rate_eps"], "learning-rate-eps"),
        (["zzzz"], "choose from erf-stand-ins"),
        (["beta", "--out", "beta.jpg"], "--out: the file's name must end in"),
        (["beta", "--out", ""], "--out: the file's name must end in"),
        (["beta", "--dpi", "-3"], "--dpi"),
        (["beta", "--dpi", "1e9"], "--dpi: must be from 20 to 2400"),
        (["beta", "--eps", "-1"], "--eps"),
        (["beta", "--eps", "nan"], "--eps"),
        (["beta", "--epss", "1"], "--epss"),
        (["update-rms-beta1", "--beta2", "1"], "--beta2: must be"),
        (["softsign-and-clip", "--eps", "0"], "--eps: must be positive"),
        (["learning-rate-eps", "--moments", "adam"], "--moments: unknown"),
        (["learning-rate-eps", "--moments", "sign"], "--eps: cannot enter"),
        (["learning-rate-eps", "--curvature-ratio", "0"], "--curvature-ratio"),
        (["valley", "--eps", "1"], "--eps: must be one of 1e-08"),
        (["--out", "x.png", "beta"], "--out: put it after"),
        (["--list", "--all"], "--all: cannot be combined"),
        (["--list", "--dpi", "100"], "--dpi: cannot be combined"),
        (["beta", "extra"], "extra"),
    ],
)
def test_wrong_calls_are_one_line_and_status_2(lr, in_an_empty_directory, arguments, words):
    ran = lr("plot", *arguments)
    assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert words in ran.err
    assert not list(in_an_empty_directory.iterdir())


@pytest.mark.parametrize("arguments", [["beta", "--out"], ["--all", "--out"]])
def test_what_cannot_be_written_is_one_line_and_status_1(lr, tmp_path, arguments):
    (tmp_path / "file").write_text("in the way")
    ran = lr("plot", *arguments, tmp_path / "file" / "beta.png")
    assert (ran.status, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_query_draws_its_law(lr, in_an_empty_directory, marek):
    plain = lr("query", *RUN, "--batch-size", "1024")
    drawn = lr("query", *RUN, "--batch-size", "1024", "--plot", "curve.svg")
    assert (drawn.status, drawn.out) == (0, plain.out)
    assert (in_an_empty_directory / "curve.svg").read_text().startswith("<?xml")
    assert lr("query", "--points", marek, "--batch-size", 512, "--plot", "c.png").status == 0


def test_fit_draws_its_valleys(lr, in_an_empty_directory):
    arguments = ("fit", SWEEP, "--where", "eps == 1e-8")
    plain = lr(*arguments)
    drawn = lr(*arguments, "--plot", "valley.png")
    assert (drawn.status, drawn.out, drawn.err) == (0, plain.out, "")
    assert [path.name for path in in_an_empty_directory.iterdir()] == ["valley.png"]


def test_fit_refuses_a_figure_before_the_work(lr, in_an_empty_directory):
    ran = lr("fit", SWEEP, "--plot", "valley.gif", "--save", "law.json")
    assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "--plot: the file's name" in ran.err
    assert not list(in_an_empty_directory.iterdir())


@pytest.mark.parametrize(
    ("plot", "status", "words"),
    [
        ("curve.gif", 2, "--plot: the file's name"),
        ("none/curve.png", 1, "none/curve.png: cannot be written"),
    ],
)
def test_query_that_cannot_draw_answers_nothing(lr, in_an_empty_directory, plot, status, words):
    ran = lr("query", *RUN, "--batch-size", "1024", "--plot", plot, "--save", "law.json")
    assert (ran.status, ran.out, ran.err.count("\n")) == (status, "", 1)
    assert words in ran.err
    if status == 2:
        assert not list(in_an_empty_directory.iterdir())
