"""The answer of `lr recipe`: JSON values, and for people a table and lines to paste."""

from dataclasses import asdict
from typing import Any

from rich import box
from rich.table import Table

from scaling import Recipe
from scaling.numeric.recipes import RuledRecipe, best_rule, constructor_lines

from ..terminal import echo, print_table
from .prose import field
from .sentences import say_all

_COLUMNS = {
    "learning_rate": "lr",
    "beta1": "beta1",
    "beta2": "beta2",
    "eps": "eps",
    "weight_decay": "decay",
}

_WIDEST_RULE = 16


_WHY = (
    "the law aims at the best learning rate, and came nearer to the optima of other models' sweeps "
    "than the square root; over a run of many steps the decay rates change nothing in it (T-I1). "
    "sqrt-sde and half-life aim at the old run's trajectory instead"
)

#: What each rule takes for granted.
_ASSUMES = {
    "law": "lr times law(new)/law(old); all else kept",
    "sqrt-sde": (
        "the same stochastic differential equation, hence the same losses after the same "
        "examples, where noise dominates the gradient and steps are small: for k times the "
        "batch, lr sqrt(k), 1 - beta times k, eps / sqrt(k)"
    ),
    "half-life": (
        "the moments average over as many examples as before: beta to the power B_new / B_old; "
        "proposed and tested for beta2, here for beta1 too"
    ),
    "weight-decay": (
        "weights average updates over as many examples as before, which was found to be best: "
        "lr x weight decay / batch size is kept; decoupled decay (AdamW)"
    ),
}


def _lines(found: RuledRecipe, eps: str) -> dict[str, str]:
    return constructor_lines(found.to_recipe(), eps=eps) if found.in_domain else {}


def document(known: Recipe, found: list[tuple[str, RuledRecipe]], eps: str) -> dict[str, Any]:
    """Return everything as JSON values."""
    return {
        "from": asdict(known),
        "eps": eps,
        "best": {"rule": best_rule(known), "why": _WHY},
        "results": [
            {
                "rule": name,
                "batch_size": one.batch_size,
                **{column: getattr(one, column) for column in _COLUMNS},
                "sources": [rule.source for rule in one.rules],
                "keeps": [rule.keeps for rule in one.rules],
                "assumptions": [_ASSUMES[rule.name] for rule in one.rules],
                "warnings": say_all(one.warnings),
                "lines": _lines(one, eps),
            }
            for name, one in found
        ],
    }


def show(known: Recipe, found: list[tuple[str, RuledRecipe]], eps: str) -> None:
    """Print a table of all recipes, then each rule with its reasons, and lines to paste."""
    _print_table(known, found)
    for text in say_all(fact for _, one in found for fact in one.assumed):
        echo("\n".join(field("assumed", text)))
    echo("\n".join(field("take", f"{best_rule(known)}: {_WHY}")))
    for name in dict.fromkeys(name for name, _ in found):
        echo(f"\n{name}")
        _print_rule([one for its, one in found if its == name], eps)
    echo("")


def _print_table(known: Recipe, found: list[tuple[str, RuledRecipe]]) -> None:
    title = f"From a run tuned at batch size {known.batch_size:.10g}"
    table = Table(box=box.SIMPLE, pad_edge=False, title=title, title_justify="left")
    table.add_column("rule", overflow="fold", max_width=_WIDEST_RULE)
    for name in ("batch", *_COLUMNS.values()):
        table.add_column(name, justify="right", no_wrap=True)
    rows: list[tuple[str, Any]] = [("(tuned)", known), *found]
    for name, one in rows:
        cells = (_cell(column, getattr(one, column)) for column in _COLUMNS)
        table.add_row(name.replace("+", " + "), f"{one.batch_size:.10g}", *cells)
    print_table(table)


def _print_rule(found: list[RuledRecipe], eps: str) -> None:
    """Say what a rule rests on, where it ends, and what it gives at each batch size."""
    for rule in found[0].rules:
        which = f"{rule.name} keeps " if len(found[0].rules) > 1 else ""
        text = f"{which}{rule.keeps}: {_ASSUMES[rule.name]} ({rule.source})"
        echo("\n".join(field("" if which else "keeps", text)))
    for one in found:
        if len(found) > 1:
            echo(f"  # batch size {one.batch_size:.10g}")
        for text in say_all(one.warnings):
            echo("\n".join(field("WARNING", text)))
        lines = _lines(one, eps)
        for line in lines.values():
            echo(f"  {line}")
        if not lines:
            echo("  # no optimizer can be made of this")
        elif "torch" not in lines:
            echo("  # PyTorch has no eps inside the root")


def _cell(column: str, value: float | None) -> str:
    if value is None:
        return "-"
    # A decay rate says nothing in its first digits once it is near 1.
    return f"{value:.6g}" if column.startswith("beta") else f"{value:.3g}"
