"""``lr query``: the learning rate at given batch sizes, with its reasons."""

from typing import TYPE_CHECKING, Annotated

import typer

from ..options import BATCH_SIZE, LEVEL, LEVEL_OPTION, LawOptions, check_outputs, make_law, takes
from ..terminal import echo, json_text

if TYPE_CHECKING:
    from scaling.numeric.laws import Law


@takes("law", LawOptions, make_law)
def query(
    law: "Law",
    batch_size: Annotated[
        list[float] | None,
        typer.Option(help="Batch size to answer for; repeatable; may be a product.", **BATCH_SIZE),
    ] = None,
    level: Annotated[float, typer.Option(**LEVEL_OPTION)] = LEVEL,
    save: Annotated[
        str | None, typer.Option(metavar="FILE", help="Save the law, for --law.")
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Draw the law, as .png, .svg or .pdf."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print Adam's best learning rate at other batch sizes than you tuned at.

    Say what you have: a tuned run, a table of optima, or a saved law.

    lr query --ref-lr 3e-4 --ref-batch-size 256 --noise-scale 4e3 --batch-size 512

    lr query --points optima.csv --batch-size 512 --save law.json
    """
    from scaling.errors import InputError

    from ..report.answer import answers, describe

    if not batch_size:
        raise InputError(
            "missing; say at which batch size you want the learning rate", "batch_size"
        )
    check_outputs(save, plot)
    results = answers(law, batch_size, level)
    if as_json:
        text = json_text({"law": describe(law, level), "results": results})
    else:
        from ..report.prose import explain

        text = explain(law, results, level)
    if save is not None:
        from scaling import save_law

        save_law(law, save)
    if plot is not None:
        from scaling.plotting import learning_rate, save_figure

        save_figure(learning_rate(law, batch_size), plot, title="Adam's best learning rate")
    echo(text)
