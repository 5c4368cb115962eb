"""Entry point of ``lr``: registers the subcommands and turns errors into one line."""

import sys
import warnings

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
from .options import flag

app = typer.Typer(
    name="lr",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(query)
app.command()(compare)
app.command()(fit)
app.command()(simulate)
app.command()(tradeoff)
app.command()(recipe)
app.command()(sweep)
app.command()(plan)
app.command()(measure)
app.command()(doctor)
app.command()(derive)
app.add_typer(plot_app, name="plot")
app.add_typer(lab_app, name="lab")


@app.callback()
def root() -> None:
    """Learning rates for Adam when the batch size or epsilon changes."""


def main() -> None:
    """Run ``lr``; exit with 0, 1 (the data cannot be used) or 2 (the call is wrong)."""
    # Overflow in an extreme call is not warned of but refused, once, by what prints the answer.
    warnings.simplefilter("ignore", RuntimeWarning)
    if sys.stdout is None:  # closed by the shell, as in `lr ... >&-`
        sys.exit(_fail("cannot write the answer: standard output is closed", 1))
    try:
        status = app(prog_name="lr", standalone_mode=False)
    except typer.TyperException as error:
        status = _fail(error.format_message(), error.exit_code)
    except InputError as error:
        option = f"{flag(error.parameter)}: " if error.parameter else ""
        status = _fail(option + error.message, 2)
    except (DataError, MissingExtraError) as error:
        status = _fail(str(error), 1)
    except OSError as error:
        status = _fail(f"cannot write the answer: {error.strerror}", 1)
    sys.exit(status)


def _fail(message: str, status: int) -> int:
    """Print one line to standard error and return the exit status."""
    if message:  # empty when the help was printed for want of a command
        sys.stderr.write("lr: " + " ".join(message.split()) + "\n")
    return status
