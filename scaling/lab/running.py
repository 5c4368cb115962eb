"""Running a configuration: in parallel, and so that it can be cut off and taken up again."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from joblib import Parallel, delayed, parallel_config

from scaling.errors import DataError, InputError, MissingExtraError
from scaling.lab.cells import Result, make_problem, run_cell
from scaling.lab.configuration import Cell, Configuration
from scaling.lab.results import Journal, write_tables


def run_configuration(
    configuration: Configuration,
    out: str | os.PathLike[str],
    *,
    jobs: int = 1,
    backend: Literal["loky", "dask"] = "loky",
    address: str | None = None,
    force: bool = False,
    progress: Callable[[float, float], None] | None = None,
) -> None:
    """Train all cells of a configuration and write their tables.

    Cells that are finished are kept in a journal beside the table, ``.runs.csv.journal``: after an
    interruption the same call goes on where it was. The tables are the same byte by byte, whatever
    the number of workers and interruptions.

    Parameters
    ----------
    configuration : Configuration
    out : path
        Where the table of runs is written. What was measured goes beside it, to
        ``runs.measured.csv``.
    jobs : int, default 1
        Cells at a time, one thread each.
    backend : {"loky", "dask"}
        Processes on this machine, or the workers of a Dask cluster.
    address : str, optional
        Of the cluster's scheduler.
    force : bool, default False
        Whether a table that exists already is written anew.
    progress : callable, optional
        Told the costs of the cells that are done and of all, whenever one is finished.

    Raises
    ------
    DataError
        If the table exists already, or a file cannot be read or written.
    InputError
        If a Dask cluster is asked for without its address, or the reverse.
    MissingExtraError
        If Dask is asked for and not installed.
    """
    path = Path(out)
    journal = _open_journal(path, force=force)
    make_problem(configuration.problem)  # if an extra is missing, here and not in a worker
    cells = configuration.cells()
    left = [cell for cell in cells if cell not in journal.results]
    # The longest first, so that no worker is left with one when the others are done.
    left.sort(key=lambda cell: -cell.cost)
    total = sum(cell.cost for cell in cells)
    done = total - sum(cell.cost for cell in left)
    say = progress or (lambda *_: None)
    say(done, total)
    with _workers(jobs, backend, address):
        for result in _results(left):
            journal.add(result)
            done += result.cell.cost
            say(done, total)
    write_tables((journal.results[cell] for cell in cells), path)
    journal.path.unlink(missing_ok=True)


def _open_journal(path: Path, *, force: bool) -> Journal:
    """Read which cells are done; refuse to write where there is a whole table, or no folder."""
    journal = Journal(path.with_name(f".{path.name}.journal"))
    if path.exists() and not (force or journal.results):
        raise DataError(f"{path}: exists already; --force overwrites it")
    if not path.parent.is_dir():
        raise DataError(f"{path}: cannot be written: there is no folder {path.parent}")
    return journal


def _results(cells: list[Cell]) -> Iterator[Result]:
    found: Iterator[Result] = Parallel(return_as="generator_unordered")(
        delayed(run_cell)(cell) for cell in cells
    )
    return found


def _workers(jobs: int, backend: str, address: str | None) -> AbstractContextManager[Any]:
    """Where joblib finds its workers."""
    if backend == "dask":
        if address is None:
            raise InputError("missing; give that of the Dask scheduler", "address")
        return _cluster(address)
    if address is not None:
        raise InputError("is that of a Dask cluster; it goes with --backend dask", "address")
    context: AbstractContextManager[Any] = parallel_config(
        backend="loky", n_jobs=jobs, inner_max_num_threads=1
    )
    return context


@contextmanager
def _cluster(address: str) -> Iterator[None]:
    try:
        distributed: Any = import_module("distributed")
    except ModuleNotFoundError:
        raise MissingExtraError("distributed", "dask") from None
    try:
        client = distributed.Client(address)
    except (OSError, ValueError) as error:
        raise DataError(f"{address}: no Dask scheduler answers: {error}") from None
    with client, parallel_config(backend="dask"):
        yield
