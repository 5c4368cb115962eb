"""``lr lab``: training runs that check the theory."""

from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from ...options import Command
from ...terminal import echo, progress

#: Exit status after Ctrl-C, as shells have it.
INTERRUPTED = 130

app = typer.Typer(no_args_is_help=True, add_completion=False)


class Backend(StrEnum):
    """Where cells are trained."""

    loky = "loky"
    dask = "dask"


@app.callback()
def main() -> None:
    """Train small models at many learning rates, to see whether the theory holds."""


@app.command("list", cls=Command)
def list_configurations() -> None:
    """List the configurations that are shipped."""
    from scaling.lab import read_configuration, shipped_configurations

    for name in shipped_configurations():
        found = read_configuration(name)
        cells = found.cells()
        runs = sum(len(cell.seeds) * cell.rates for cell in cells)
        echo(f"{name:<12} {len(cells):>4} cells {runs:>6} runs  {found.description}")


@app.command(cls=Command)
def run(
    configuration: Annotated[
        str, typer.Argument(metavar="CONFIG", help="A TOML file, or a name from `lr lab list`.")
    ],
    out: Annotated[
        str, typer.Option(metavar="FILE.csv", help="The table of runs that `lr fit` reads.")
    ],
    jobs: Annotated[
        int, typer.Option(min=1, help="Cells to train at a time, one thread each.")
    ] = 1,
    backend: Annotated[
        Backend, typer.Option(help="loky: processes of this machine; dask: a cluster.")
    ] = Backend.loky,
    address: Annotated[
        str | None,
        typer.Option(metavar="tcp://HOST:PORT", help="The scheduler of the Dask cluster."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the table.")] = False,
) -> None:
    """Train all that a configuration asks for, and write the runs as a table.

    lr lab run network --out network.csv --jobs 2

    lr fit network.csv --where "budget == 'examples' and decay == 'linear' and beta1 == 0.9"

    It may be stopped at any moment: the same command goes on where it was. What
    was measured along the best runs goes beside the table, to FILE.measured.csv.
    """
    from scaling import lab

    found = lab.read_configuration(configuration)
    try:
        with progress() as report:
            lab.run_configuration(
                found,
                out,
                jobs=jobs,
                backend=backend.value,
                address=address,
                force=force,
                progress=partial(report, "training"),
            )
    except KeyboardInterrupt:
        echo("lr: interrupted; the same command goes on where it was", err=True)
        raise typer.Exit(INTERRUPTED) from None
