"""Entry point of ``lr``: registers the subcommands and turns errors into one line."""

import sys

import typer

from scaling.errors import DataError, InputError

from .derive import derive

app = typer.Typer(
    name="lr",
    help="Which learning rate should Adam use when the batch size or epsilon changes?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root() -> None:
    """Learning rates for Adam when the batch size or epsilon changes."""


app.command()(derive)


def main() -> None:
    """Run ``lr``; exit with 0, 1 (the data cannot be used) or 2 (the call is wrong)."""
    try:
        status = app(prog_name="lr", standalone_mode=False)
    except typer.TyperException as error:
        sys.exit(fail(error.format_message(), error.exit_code))
    except InputError as error:
        sys.exit(fail(str(error), 2))
    except DataError as error:
        sys.exit(fail(str(error), 1))
    sys.exit(status)


def fail(message: str, status: int) -> int:
    """Print one line to standard error and return the exit status."""
    sys.stderr.write("lr: " + " ".join(message.split()) + "\n")
    return status
