"""Entry point of ``lr``: registers the subcommands and turns errors into one line."""

import io
import sys
import warnings
from typing import Annotated

import typer

from scaling.errors import DataError, InputError, MissingExtraError

from .commands.compare import compare
from .commands.derive import derive
from .commands.fit import fit
from .commands.plan import plan
from .commands.plot import app as plot_app
from .commands.query import query
from .commands.recipe import recipe
from .commands.simulate import simulate
from .commands.sweep import sweep
from .commands.tradeoff import tradeoff
from .commands.training.doctor import doctor
from .commands.training.lab import app as lab_app
from .commands.training.measure import measure
from .options import Command, flag
from .terminal import clipped, neutral

_TOO_EXTREME = "the numbers given are so large or so small that arithmetic fails on them"

app = typer.Typer(
    name="lr",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(cls=Command)(query)
app.command(cls=Command)(compare)
app.command(cls=Command)(fit)
app.command(cls=Command)(simulate)
app.command(cls=Command)(tradeoff)
app.command(cls=Command)(recipe)
app.command(cls=Command)(sweep)
app.command(cls=Command)(plan)
app.command(cls=Command)(measure)
app.command(cls=Command)(doctor)
app.command(cls=Command)(derive)
app.add_typer(plot_app, name="plot")
app.add_typer(lab_app, name="lab")


def _show_version(asked: bool) -> None:
    if asked:
        from scaling import __version__

        typer.echo(f"lr {__version__}")
        raise typer.Exit


@app.callback()
def root(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Learning rates for Adam when the batch size or epsilon changes."""


def main() -> None:
    """Run ``lr``; exit with 0, 1 (the data cannot be used) or 2 (the call is wrong)."""
    # Overflow in an extreme call is not warned of but refused, once, by what prints the answer.
    warnings.simplefilter("ignore", RuntimeWarning)
    if sys.stdout is None:  # closed by the shell, as in `lr ... >&-`
        sys.exit(_fail("cannot write the answer: standard output is closed", 1))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows few characters
    sys.exit(_run())


def _run() -> int:
    """Run the command; return the exit status."""
    try:
        return int(app(prog_name="lr", standalone_mode=False) or 0)
    except typer.TyperException as error:
        said, status = error.format_message(), error.exit_code
    except InputError as error:
        option = f"{flag(error.parameter)}: " if error.parameter else ""
        said, status = option + error.message, 2
    except (DataError, MissingExtraError) as error:
        said, status = str(error), 1
    except ArithmeticError:
        said, status = _TOO_EXTREME, 2
    except (MemoryError, RecursionError):
        said, status = "this takes more memory than there is", 1
    except OSError as error:
        said, status = f"cannot write the answer: {error.strerror}", 1
    return _fail(said, status)


def _fail(message: str, status: int) -> int:
    """Print one line to standard error and return the exit status."""
    if message:  # empty when the help was printed for want of a command
        sys.stderr.write(f"lr: {neutral(clipped(message))}\n")
    return status
