"""Entry point of ``lr``: registers the commands and turns errors into one line."""

import io
import sys
import warnings
from importlib import import_module
from typing import Annotated

import typer

from scaling.errors import DataError, InputError, MissingExtraError

from .options import Command, flag
from .terminal import clipped, neutral

_TOO_EXTREME = "the numbers given are so large or so small that arithmetic fails on them"

#: Commands by name, in the order in which the help lists them, and where they are.
COMMANDS = {
    "query": "query",
    "compare": "compare",
    "fit": "fit",
    "simulate": "simulate",
    "tradeoff": "tradeoff",
    "recipe": "recipe",
    "sweep": "sweep",
    "plan": "plan",
    "measure": "training.measure",
    "doctor": "training.doctor",
    "derive": "derive",
    "plot": "plot",
    "lab": "training.lab",
}


def make_app(*names: str) -> typer.Typer:
    """Make the program with some of its commands, or all: each takes a while to build."""
    app = typer.Typer(
        name="lr",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(root)
    for name in names or COMMANDS:
        module = import_module(f".commands.{COMMANDS[name]}", __package__)
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(cls=Command)(getattr(module, name))
    return app


def _show_version(asked: bool) -> None:
    if asked:
        from scaling import __version__

        typer.echo(f"lr {__version__}")
        raise typer.Exit


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
        app = make_app(*(name for name in sys.argv[1:2] if name in COMMANDS))
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
