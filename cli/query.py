"""``lr query``: the learning rate at given batch sizes, with its reasons."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from .options import BATCH_SIZE, takes_law

if TYPE_CHECKING:
    from scaling import Law


@takes_law
def query(
    law: "Law",
    batch_size: Annotated[
        list[float] | None,
        typer.Option(help="Batch size to answer for; repeatable; may be a product.", **BATCH_SIZE),
    ] = None,
    save: Annotated[
        str | None, typer.Option(metavar="FILE", help="Save the law, for --law.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print Adam's best learning rate at other batch sizes than you tuned at.

    Say what you have: a tuned run, a table of optima, or a saved law.

    lr query --ref-lr 3e-4 --ref-batch-size 256 --noise-scale 4e3 --batch-size 512

    lr query --points optima.csv --batch-size 512 --save law.json
    """
    from scaling import save_law
    from scaling.errors import InputError

    from .answer import answers, describe

    if not batch_size:
        raise InputError(
            "missing; say at which batch size you want the learning rate", "batch_size"
        )
    results = answers(law, batch_size)
    if as_json:
        text = json.dumps({"law": describe(law), "results": results}, indent=2, allow_nan=False)
    else:
        from .prose import explain

        text = explain(law, results)
    if save is not None:
        save_law(law, save)
    typer.echo(text)
