"""``lr recipe``: a whole recipe carried to another batch size, by several rules side by side."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling.errors import InputError

from ..options import BATCH_SIZE, LawOptions, make_law, takes_law_of_recipe

if TYPE_CHECKING:
    from scaling import Recipe
    from scaling.numeric.laws import Law
    from scaling.numeric.recipes import RuledRecipe

_COLUMNS = {
    "learning_rate": "lr",
    "beta1": "beta1",
    "beta2": "beta2",
    "eps": "eps",
    "weight_decay": "weight decay",
}

_NO_LAW = "needs a law; give --noise-scale, a table (--points) or a saved law (--law)"


@takes_law_of_recipe
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
        float | None, typer.Option(help="The new batch size; may be a product.", **BATCH_SIZE)
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE",
            help="law, sqrt-sde, half-life, weight-decay, or several joined by +; repeatable "
            "(default: each of them for which there is enough).",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print whole recipes for another batch size, by several rules.

    Each with its source and what it assumes, and ready to paste.

    lr recipe --from lr=3e-4,batch_size=256,beta2=0.95 --batch-size 1024

    lr recipe --from lr=3e-4,batch_size=256,weight_decay=0.1 --batch-size 1024
    --noise-scale 4e3 --rule law+weight-decay --rule sqrt-sde
    """
    from scaling import recipe as carry

    known = _read(tuned)
    if batch_size is None:
        raise InputError("missing; say for which batch size you want a recipe", "batch_size")
    law = _law(given, known)
    found = {
        name: carry(known, batch_size, name, law=law)
        for name in dict.fromkeys(_rules(rule, known, law))
    }
    eps = "inside" if law and law.model and law.model.eps == "inside" else "outside"
    if as_json:
        typer.echo(json.dumps(_as_json(known, found, eps), indent=2, allow_nan=False))
        return
    _print(known, found, eps)
    for name, reason in {} if rule else _left_out(known, law).items():
        typer.echo(f"{name}: left out, {reason}")


def _read(tuned: str | None) -> "Recipe":
    from scaling.numeric.recipes.recipe_text import parse_recipe

    if not tuned:
        raise InputError("missing; give the tuned run, as lr=3e-4,batch_size=256", "from")
    try:
        return parse_recipe(tuned)
    except InputError as error:
        raise InputError(error.message, "from") from None


def _rules(asked: list[str] | None, known: "Recipe", law: "Law | None") -> list[str]:
    """Rules to apply: those asked for, or all that have what they need."""
    from scaling.numeric.recipes import RECIPE_RULES

    left_out = _left_out(known, law)
    for name in (name for names in asked or [] for name in names.split("+")):
        if name in left_out:
            raise InputError(f"{name} {left_out[name]}", "rule")
    return asked or [name for name in RECIPE_RULES if name not in left_out]


def _left_out(known: "Recipe", law: "Law | None") -> dict[str, str]:
    """Rules that lack what they need, and what that is."""
    found = {}
    if law is None:
        found["law"] = _NO_LAW
    if known.weight_decay is None:
        found["weight-decay"] = "needs weight_decay in --from"
    return found


def _law(given: LawOptions, known: "Recipe") -> "Law | None":
    """Make the law: from a file, or through the recipe itself."""
    if not given:
        return None
    if "points" in given or "law" in given:
        return make_law(given)
    if "noise_scale" not in given and not str(given.get("population", "")).endswith(".json"):
        raise InputError("cannot enter without --noise-scale; leave it out", next(iter(given)))
    from scaling.numeric.moments.models import DEFAULT_MODEL, moment_model

    run: LawOptions = {
        **given,
        "ref_lr": known.learning_rate,
        "ref_batch_size": known.batch_size,
        "eps": known.eps,
    }
    if known.beta1 is not None:
        run["ref_beta1"] = known.beta1
    if (
        known.beta2 is not None
        and "beta2" in moment_model(given.get("moments", DEFAULT_MODEL)).knows
    ):
        run["ref_beta2"] = known.beta2
    try:
        return make_law(run)
    except InputError as error:
        if error.parameter not in ("ref_beta1", "ref_beta2"):
            raise
        raise InputError(f"{error.parameter[4:]} {error.message}", "from") from None


def _lines(found: "RuledRecipe", eps: str) -> dict[str, str]:
    from scaling.numeric.recipes import constructor_lines

    return constructor_lines(found.to_recipe(), eps=eps) if found.in_domain else {}


def _as_json(known: "Recipe", found: "dict[str, RuledRecipe]", eps: str) -> dict[str, Any]:
    from ..report.sentences import say_all

    return {
        "from": asdict(known),
        "eps": eps,
        "results": [
            {
                "rule": name,
                "batch_size": one.batch_size,
                **{column: getattr(one, column) for column in _COLUMNS},
                "sources": [rule.source for rule in one.rules],
                "keeps": [rule.keeps for rule in one.rules],
                "assumptions": [rule.assumption for rule in one.rules],
                "warnings": say_all(one.warnings),
                "lines": _lines(one, eps),
            }
            for name, one in found.items()
        ],
    }


def _print(known: "Recipe", found: "dict[str, RuledRecipe]", eps: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from ..report.prose import field
    from ..report.sentences import say_all

    (batch_size,) = {one.batch_size for one in found.values()}
    title = f"For batch size {batch_size:.10g}, from a run tuned at {known.batch_size:.10g}"
    table = Table(box=box.SIMPLE, pad_edge=False, title=title, title_justify="left")
    table.add_column("rule", overflow="fold")
    for name in _COLUMNS.values():
        table.add_column(name, justify="right", no_wrap=True)
    for name, one in ({"(tuned)": known} | found).items():
        table.add_row(name, *(_cell(column, getattr(one, column)) for column in _COLUMNS))
    Console(highlight=False, width=max(Console().width, 80)).print(table)
    for text in dict.fromkeys(text for one in found.values() for text in one.assumed):
        typer.echo("\n".join(field("assumed", text)))
    for name, one in found.items():
        typer.echo(f"\n{name}")
        for rule in one.rules:
            which = f"{rule.name} keeps " if len(one.rules) > 1 else ""
            text = f"{which}{rule.keeps}: {rule.assumption} ({rule.source})"
            typer.echo("\n".join(field("" if which else "keeps", text)))
        for text in say_all(one.warnings):
            typer.echo("\n".join(field("WARNING", text)))
        _print_lines(_lines(one, eps))
    typer.echo()


def _print_lines(lines: dict[str, str]) -> None:
    for line in lines.values():
        typer.echo(f"  {line}")
    if not lines:
        typer.echo("  # no optimizer can be made of this")
    elif "torch" not in lines:
        typer.echo("  # PyTorch has no eps inside the root")


def _cell(column: str, value: float | None) -> str:
    if value is None:
        return "-"
    # A decay rate says nothing in its first digits once it is near 1.
    return f"{value:.6g}" if column.startswith("beta") else f"{value:.3g}"
