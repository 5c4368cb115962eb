"""``lr doctor``: plain findings about one setup of Adam."""

from dataclasses import asdict
from typing import Annotated

import typer

from scaling.errors import InputError

from ...options import BATCH_SIZE, DECAY_RATE, NON_NEGATIVE, NUMBER
from ...terminal import echo, json_text


def doctor(
    checkpoint: Annotated[
        str | None,
        typer.Argument(
            metavar="[CHECKPOINT]", help="From the middle of a run, as for `lr measure`."
        ),
    ] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.", **NUMBER)] = None,
    batch_size: Annotated[
        float | None,
        typer.Option(help="Total batch size of one step; may be a product.", **BATCH_SIZE),
    ] = None,
    eps: Annotated[float | None, typer.Option(help="Adam's epsilon.", **NON_NEGATIVE)] = None,
    beta1: Annotated[float | None, typer.Option(help="Adam's beta1.", **DECAY_RATE)] = None,
    beta2: Annotated[float | None, typer.Option(help="Adam's beta2.", **DECAY_RATE)] = None,
    noise_scale: Annotated[
        float | None,
        typer.Option(help="Gradient noise scale, in the unit of the batch size.", **BATCH_SIZE),
    ] = None,
    accumulation: Annotated[
        int, typer.Option(help="Micro-batches whose gradients a step accumulates.", min=1)
    ] = 1,
    precision: Annotated[
        str,
        typer.Option(
            metavar="TYPE", help="Of the optimizer's state: float32, bfloat16 or float16."
        ),
    ] = "float32",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check one setup of Adam: epsilon, decay rates, batch size, and what doubling it takes.

    lr doctor --lr 3e-4 --batch-size 32x16 --accumulation 16 --eps 1e-8 --beta2 0.95

    lr doctor optimizer.pt --batch-size 512 --noise-scale 4000
    """
    from scaling.measure import Setup, diagnose, read_checkpoint

    if checkpoint is None and all(x is None for x in (lr, batch_size, eps, beta1, beta2)):
        raise InputError("nothing to look at; give a checkpoint, or --batch-size, --eps, --beta2")
    try:
        setup = Setup(lr, batch_size, eps, beta1, beta2, noise_scale, accumulation, precision)
        known = {"eps": eps, "beta2": beta2}
        findings = diagnose(setup, read_checkpoint(checkpoint, **known) if checkpoint else None)
    except InputError as error:
        renamed = "lr" if error.parameter == "learning_rate" else error.parameter
        raise InputError(error.message, renamed) from None
    answer = {"findings": [asdict(finding) for finding in findings]}
    if as_json:
        echo(json_text(answer))
    else:
        from ...report.measure import say_findings

        echo(say_findings(answer["findings"]))
