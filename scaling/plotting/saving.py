"""Figures to files: the same figure gives the same bytes."""

import os
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from scaling.errors import InputError
from scaling.numeric.inputs.files import write_whole

#: What a file says of itself, by format; nothing that changes from day to day.
_METADATA: dict[str, tuple[str, str, dict[str, None]]] = {
    "png": ("Title", "Description", {}),
    "svg": ("Title", "Description", {"Date": None}),
    "pdf": ("Title", "Subject", {"CreationDate": None, "ModDate": None}),
}
FORMATS = tuple(_METADATA)
DEFAULT_DPI = 200.0
_DPI_RANGE = (20, 2400)


def figure_format(path: str | os.PathLike[str], parameter: str = "out") -> str:
    """Return the format that a file's name asks for; errors name the parameter it came by.

    Raises
    ------
    InputError
        If it asks for none of `FORMATS`.

    Examples
    --------
    >>> figure_format("figures/beta.svg")
    'svg'
    """
    suffix = Path(path).suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        known = ", ".join(f".{name}" for name in FORMATS)
        raise InputError(
            f"the file's name must end in one of {known}, got {str(path)!r}", parameter
        )
    return suffix


def save_figure(
    figure: Figure, path: str | os.PathLike[str], *, title: str = "", dpi: float = DEFAULT_DPI
) -> None:
    """Write a figure to a PNG, SVG or PDF file, whole or not at all.

    Parameters
    ----------
    figure : Figure
        Any figure.
    path : path-like
        The format follows from its ending.
    title : str, optional
        Kept in the file, as is the figure's caption.
    dpi : float, default 200
        Dots per inch, from 20 to 2400, of a PNG and of maps in the others.

    Raises
    ------
    InputError
        If the format is unknown, or dpi out of its range.
    DataError
        If the file cannot be written.

    Notes
    -----
    No dates are written and SVG ids are reproducible, so with the same versions of Matplotlib and
    NumPy the same figure gives the same bytes. Text in an SVG is outlines, so that it looks the
    same where the font is missing; the caption stays searchable in the file's description.
    """
    data = BytesIO()
    write_figure(figure, data, figure_format(path), title=title, dpi=dpi)
    write_whole(path, data.getvalue())


def write_figure(
    figure: Figure, file: IO[bytes], kind: str, *, title: str = "", dpi: float = DEFAULT_DPI
) -> None:
    """Write a figure to an open file in one of `FORMATS`; see `save_figure`."""
    low, high = _DPI_RANGE
    if not low <= dpi <= high:
        raise InputError(f"must be from {low} to {high}, got {dpi:g}", "dpi")
    name_of_title, name_of_text, fixed = _METADATA[kind]
    text = {name_of_title: title, name_of_text: " ".join(figure.get_supxlabel().split())}
    metadata = {name: value for name, value in text.items() if value} | fixed
    settings: Any = {"svg.hashsalt": "adam-lr-scaling", "svg.fonttype": "path", "pdf.fonttype": 42}
    with mpl.rc_context(settings):
        figure.savefig(file, format=kind, dpi=dpi, metadata=metadata)
