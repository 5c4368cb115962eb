"""Published measurements and our own; README.md in this folder names their sources."""

from pathlib import Path
from typing import TYPE_CHECKING

from scaling.errors import InputError

if TYPE_CHECKING:
    from scaling.numeric.tables.table import Table

__all__ = ["load", "names", "path"]

_FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """Names of the tables that come with the package.

    Examples
    --------
    >>> names()[0]
    'digits_sweep'
    """
    return tuple(sorted(_files()))


def path(name: str) -> str:
    """Where a table lies as a file, for whatever wants a path.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    str
        Path of a CSV file, or of one that gzip has compressed; whatever reads tables here reads
        both.

    Raises
    ------
    InputError
        If there is no such table.

    Examples
    --------
    >>> path("marek_adam_1d").endswith("marek_adam_1d.csv")
    True
    """
    found = _files()
    if name not in found:
        from difflib import get_close_matches

        near = get_close_matches(name, names(), 1)
        meant = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(names())}"
        raise InputError(f"no table {name!r}{meant}", "name")
    return str(_FOLDER / found[name])


def _files() -> dict[str, str]:
    """The files that hold tables, by name."""
    found = (file.name for file in _FOLDER.iterdir())
    return {
        name.removesuffix(".gz").removesuffix(".csv"): name
        for name in found
        if name.endswith((".csv", ".csv.gz"))
    }


def load(name: str) -> "Table":
    """Read a table that comes with the package.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    Table
        Named, in errors and notes, after the table rather than after where it is installed.

    Raises
    ------
    InputError
        If there is no such table.

    Examples
    --------
    >>> load("marek_adam_1d").numbers("batch_size").tolist()
    [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0]
    """
    from scaling.numeric.tables.table import read_table_file

    return read_table_file(path(name))
