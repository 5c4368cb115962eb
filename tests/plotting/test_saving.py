"""Files of figures: whole or not at all."""

import os

import pytest
from matplotlib.figure import Figure

from scaling import DataError, InputError
from scaling.plotting import save_figure, softsign_and_clip

HEADS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.mark.parametrize("kind", HEADS)
def test_formats(tmp_path, kind):
    path = tmp_path / f"figure.{kind.upper()}"
    for _ in range(2):  # and over what is there
        save_figure(softsign_and_clip(), path, title="a title")
    data = path.read_bytes()
    assert data.startswith(HEADS[kind])
    assert list(tmp_path.iterdir()) == [path]
    if kind != "pdf":  # there it is compressed
        assert b"a title" in data
        assert b"the clipped line has its slope" in data


def test_dots_per_inch(tmp_path):
    save_figure(softsign_and_clip(), tmp_path / "a.png", dpi=100)
    save_figure(softsign_and_clip(), tmp_path / "b.png", dpi=300)
    assert (tmp_path / "b.png").stat().st_size > 2 * (tmp_path / "a.png").stat().st_size


@pytest.mark.parametrize("name", ["figure", "figure.jpg", "figure.png.txt", ".png"])
def test_unknown_formats(tmp_path, name):
    with pytest.raises(InputError, match=r"\.png, \.svg, \.pdf"):
        save_figure(softsign_and_clip(), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dpi", [0, -100, 19.9, 1e9, float("nan")])
def test_unreasonable_dots_per_inch(tmp_path, dpi):
    with pytest.raises(InputError, match="20 to 2400"):
        save_figure(softsign_and_clip(), tmp_path / "figure.png", dpi=dpi)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written(tmp_path):
    (tmp_path / "directory.png").mkdir()
    for path in (tmp_path / "none" / "figure.png", tmp_path / "directory.png", "a\0b.png"):
        with pytest.raises(DataError, match="cannot be written"):
            save_figure(softsign_and_clip(), path)


def test_a_figure_that_cannot_be_drawn_leaves_the_file_alone(tmp_path):
    path = tmp_path / "figure.png"
    path.write_bytes(b"as it was")
    figure = Figure()
    figure.supxlabel("$no such \\formula$")
    with pytest.raises(ValueError, match="formula"):
        save_figure(figure, path)
    assert path.read_bytes() == b"as it was"
    assert os.listdir(tmp_path) == ["figure.png"]
