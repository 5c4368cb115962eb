"""``lr recipe``: a whole recipe carried to another batch size, by several rules side by side."""

from typing import TYPE_CHECKING, Annotated

import typer

from scaling.errors import InputError

from ..options import BATCH_SIZE, NON_NEGATIVE, LawOptions, RecipeOptions, make_law, takes
from ..terminal import echo, json_text

if TYPE_CHECKING:
    from scaling import Recipe
    from scaling.numeric.laws import Law


@takes("given", RecipeOptions)
def recipe(
    given: LawOptions,
    tuned: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RECIPE",
            help="The tuned run: lr=3e-4,batch_size=32x8, and of eps, beta1, beta2 and "
            "weight_decay what differs from the defaults.",
        ),
    ] = None,
    batch_size: Annotated[
        list[float] | None,
        typer.Option(help="The new batch size; repeatable; may be a product.", **BATCH_SIZE),
    ] = None,
    eps: Annotated[
        float | None,
        typer.Option(help="Adam's new epsilon (default: the tuned run's).", **NON_NEGATIVE),
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            "--rule",  # or typer 0.27 takes the metavar for its name
            metavar="RULE",
            help="law, sqrt-sde, half-life, weight-decay, or several joined by +; repeatable "
            "(default: the recommended one, and all others that can be applied).",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print whole recipes for other batch sizes by several rules, and which to take.

    Each comes with its source, what it assumes, and lines to paste.

    lr recipe --from lr=3e-4,batch_size=256,beta2=0.95 --batch-size 1024

    lr recipe --from lr=3e-4,batch_size=256,weight_decay=0.1 --batch-size 1024
    --noise-scale 4e3 --rule law+weight-decay --rule sqrt-sde
    """
    from scaling import recipe as carry

    from ..report.recipe import document, show

    known = _read(tuned)
    if not batch_size:
        raise InputError("missing; say for which batch size you want a recipe", "batch_size")
    rules = dict.fromkeys(_rules(rule, known, eps))
    law = _law(given, known, eps)
    found = [
        (name, carry(known, batch, name, law=law, eps=eps))
        for name in rules
        for batch in dict.fromkeys(batch_size)
    ]
    place = "inside" if law.model and law.model.eps == "inside" else "outside"
    if as_json:
        echo(json_text(document(known, found, place) | {"unit": law.provenance.unit}))
        return
    if law.provenance.unit is not None:
        echo(f"batch sizes are in {law.provenance.unit}, as the law's")
    show(known, found, place)
    for name, reason in {} if rule else _left_out(known, eps).items():
        echo(f"{name}: left out, {reason}")


def _read(tuned: str | None) -> "Recipe":
    from scaling.numeric.recipes.recipe_text import parse_recipe

    if not tuned:
        raise InputError("missing; give the tuned run, as lr=3e-4,batch_size=256", "from")
    try:
        return parse_recipe(tuned)
    except InputError as error:
        raise InputError(error.message, "from") from None


def _rules(asked: list[str] | None, known: "Recipe", eps: float | None) -> list[str]:
    """Rules to apply: those asked for, or the best and all others that have what they need."""
    from scaling.numeric.recipes import RECIPE_RULES, best_rule

    left_out = _left_out(known, eps)
    for name in (name for names in asked or [] for name in names.split("+")):
        if name in left_out:
            raise InputError(f"{name} {left_out[name]}", "rule")
    best = best_rule(known)
    others = RECIPE_RULES.keys() - left_out.keys() - set(best.split("+"))
    return asked or [best, *(name for name in RECIPE_RULES if name in others)]


def _left_out(known: "Recipe", eps: float | None) -> dict[str, str]:
    """Rules that cannot be applied, and why."""
    found = {}
    if eps is not None:
        found["sqrt-sde"] = "sets eps itself; leave out --eps for it"
    if known.weight_decay is None:
        found["weight-decay"] = "needs weight_decay in --from"
    return found


def _law(given: LawOptions, known: "Recipe", eps: float | None) -> "Law":
    """Make the law: from a file, or through the recipe itself."""
    if "points" in given or "law" in given:
        return make_law(given, eps=known.eps)
    from scaling.numeric.moments.models import DEFAULT_MODEL, moment_model

    run: LawOptions = {
        **given,
        "ref_lr": known.learning_rate,
        "ref_batch_size": known.batch_size,
        "ref_eps": known.eps,
        "eps": known.eps if eps is None else eps,
    }
    if known.beta1 is not None:
        run["ref_beta1"] = known.beta1
    if (
        known.beta2 is not None
        and isinstance(given.get("noise_scale"), float)
        and "beta2" in moment_model(given.get("moments", DEFAULT_MODEL)).knows
    ):
        run["ref_beta2"] = known.beta2
    try:
        return make_law(run)
    except InputError as error:
        if error.parameter not in ("ref_beta1", "ref_beta2"):
            raise
        raise InputError(f"{error.parameter[4:]} {error.message}", "from") from None
