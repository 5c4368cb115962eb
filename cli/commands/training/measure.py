"""``lr measure``: what epsilon does, from the checkpoint of a tuned run."""

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...options import BATCH_SIZE, DECAY_RATE, NON_NEGATIVE, NUMBER
from ...terminal import echo, json_text

if TYPE_CHECKING:
    from scaling.measure import Checkpoint


def measure(
    checkpoint: Annotated[
        str,
        typer.Argument(
            metavar="CHECKPOINT",
            help="What torch.save wrote, such as optimizer.pt; a folder of "
            "torch.distributed.checkpoint; or .safetensors.",
        ),
    ],
    batch_size: Annotated[
        float | None,
        typer.Option(help="Batch size of the run; may be a product.", **BATCH_SIZE),
    ] = None,
    eps: Annotated[
        float | None,
        typer.Option(help="Adam's epsilon, if the checkpoint does not say.", **NON_NEGATIVE),
    ] = None,
    beta2: Annotated[
        float | None,
        typer.Option(help="Adam's beta2, if the checkpoint does not say.", **DECAY_RATE),
    ] = None,
    step: Annotated[
        float | None,
        typer.Option(help="Steps made, if the checkpoint does not say.", **NUMBER),
    ] = None,
    save: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Save the second moments, as JSON of some 100 kB."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Read Adam's second moments from a checkpoint, and say what epsilon does.

    No code in the file is run, and the file is read piece by piece.

    lr measure optimizer.pt --batch-size 512 --save moments.json
    """
    from scaling.measure import read_checkpoint
    from scaling.numeric.inputs.files import check_writable

    check_writable(save)
    found = read_checkpoint(checkpoint, eps=eps, beta2=beta2, step=step)
    answer = _answer(found, batch_size)
    if save is not None:
        from scaling.numeric.inputs.files import write_text

        write_text(save, found.moments.to_json())
    if as_json:
        echo(json_text(answer))
    else:
        from ...report.measure import say_checkpoint

        echo(say_checkpoint(answer))


def _answer(found: "Checkpoint", batch_size: float | None) -> dict[str, Any]:
    from scaling.measure import eps_effect

    groups = []
    for group in found.groups:
        moments = group.moments
        said = {"group": group.name} if math.isnan(group.eps) else eps_effect(group)
        groups.append(
            said
            | {
                name: None if math.isnan(value) else value
                for name in ("learning_rate", "beta1", "beta2", "eps")
                for value in [getattr(group, name)]
            }
            | {
                "mean_root": moments.mean_root,
                "steps": list(group.steps),
                "values": moments.count,
                "zeros": moments.zeros,
                "left_out": moments.negatives + moments.nans + moments.infinities,
            }
        )
    return {
        "source": found.source,
        "batch_size": batch_size,
        "groups": groups,
        "others": found.others,
    }
