"""``lr sweep``: the learning rates worth trying, as a sweep engine takes them."""

from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaling.errors import DataError, InputError

from ..options import BATCH_SIZE, LEVEL, LEVEL_OPTION, LawOptions, make_law, takes
from ..terminal import echo

if TYPE_CHECKING:
    from scaling.numeric.laws import Law


class Engine(StrEnum):
    """Whose form ``lr sweep`` prints."""

    optuna = "optuna"
    ray = "ray"
    wandb = "wandb"
    hydra = "hydra"


@takes("law", LawOptions, make_law)
def sweep(
    law: "Law",
    engine: Annotated[
        Engine | None,
        typer.Option(
            help="optuna: distributions as JSON; ray: Python; wandb: YAML; hydra: overrides."
        ),
    ] = None,
    batch_size: Annotated[
        list[float] | None,
        typer.Option(help="Batch size to sweep at; repeatable; may be a product.", **BATCH_SIZE),
    ] = None,
    level: Annotated[float, typer.Option(**LEVEL_OPTION)] = LEVEL,
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write to a file instead.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Print the learning rates to sweep, in the form of a sweep engine.

    The range is where a new sweep would find the best one:

    lr sweep --engine optuna --law law.json --batch-size 512 --batch-size 1024

    It widens outside the batch sizes that the law was fitted on.
    """
    from ..report.sentences import say_all

    if engine is None:
        raise InputError(f"missing; choose one of {', '.join(Engine)}", "engine")
    if not batch_size:
        raise InputError("missing; say at which batch sizes you sweep", "batch_size")
    _check_out(out, force=force)
    spaces = [law.search_space(size, level=level) for size in dict.fromkeys(batch_size)]
    for text in say_all(tuple(fact for space in spaces for fact in space.warnings)):
        echo(f"WARNING: {text}", err=True)
    if law.provenance.unit is not None:
        echo(f"NOTE: batch sizes are in {law.provenance.unit}, as the law's", err=True)
    text = import_module(f"scaling.engines.{engine}").form(spaces)
    if out is None:
        echo(text, nl=False)
    else:
        from scaling.numeric.inputs.files import write_text

        write_text(out, text)


def _check_out(out: str | None, *, force: bool) -> None:
    """Refuse, before the work, to overwrite a file, or one that cannot be written."""
    from scaling.numeric.inputs.files import check_writable

    if force and out is None:
        raise InputError("needs a file to overwrite, --out", "force")
    if out is not None and not force and Path(out).exists():
        raise DataError(f"{out}: exists already; --force overwrites it")
    check_writable(out)
