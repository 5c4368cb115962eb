"""Recipes as text: read as users type them, written as optimizers are constructed."""

from math import floor, log10

from scaling.errors import InputError
from scaling.numeric.inputs.recipe import Recipe
from scaling.numeric.inputs.text import (
    parse_decay_rate,
    parse_non_negative,
    parse_positive,
    parse_settings,
    parse_size,
)

#: How each entry of a recipe is read, and which field it is.
_ENTRIES = {
    "lr": ("learning_rate", parse_positive),
    "batch_size": ("batch_size", parse_size),
    "eps": ("eps", parse_non_negative),
    "beta1": ("beta1", parse_decay_rate),
    "beta2": ("beta2", parse_decay_rate),
    "weight_decay": ("weight_decay", parse_non_negative),
}
_NEEDED = ("lr", "batch_size")


def parse_recipe(text: str) -> Recipe:
    """Read a recipe from ``name=value`` pairs, separated by commas.

    Parameters
    ----------
    text : str
        ``lr`` and ``batch_size`` (which may be a product), and optionally ``eps``, ``beta1``,
        ``beta2``, ``weight_decay``.

    Returns
    -------
    Recipe

    Raises
    ------
    InputError
        If an entry is unknown, malformed, given twice or missing.

    Examples
    --------
    >>> parse_recipe("lr=3e-4, batch_size=32x8, beta1=0.9").batch_size
    256.0
    """
    parsers = {name: parse for name, (_, parse) in _ENTRIES.items()}
    found = parse_settings(text.split(","), parsers=parsers)
    for name in _NEEDED:
        if name not in found:
            raise InputError(f"{name} is missing, as in lr=3e-4,batch_size=256")
    return Recipe(**{_ENTRIES[name][0]: value for name, value in found.items()})


def constructor_lines(recipe: Recipe, *, eps: str = "outside") -> dict[str, str]:
    """Write a recipe as the lines that construct its optimizer.

    Parameters
    ----------
    recipe : Recipe
        With beta1 and beta2. Without a weight decay, plain Adam.
    eps : {"outside", "inside"}
        Where eps stands: outside the root, m/(sqrt(v) + eps), as PyTorch and optax have it
        by default, after bias correction; or inside, m/sqrt(v + eps^2), which optax can and
        PyTorch cannot.

    Returns
    -------
    dict
        Lines of Python by library: ``torch``, unless eps stands inside and is not 0, and
        ``optax``. Each ends in a comment that says which eps it means.

    Raises
    ------
    InputError
        If beta1 or beta2 is missing, or ``eps`` is neither.

    Examples
    --------
    >>> tuned = Recipe(3e-4, 256, beta1=0.9, beta2=0.95, weight_decay=0.1)
    >>> for line in constructor_lines(tuned).values():
    ...     print(line)
    torch.optim.AdamW(model.parameters(), lr=0.0003, betas=(0.9, 0.95), eps=1e-08,
        weight_decay=0.1)  # eps outside the root: m/(sqrt(v) + eps)
    optax.adamw(learning_rate=0.0003, b1=0.9, b2=0.95, eps=1e-08, eps_root=0.0,
        weight_decay=0.1)  # eps outside the root: m/(sqrt(v) + eps)
    """
    if recipe.beta1 is None or recipe.beta2 is None:
        raise InputError("must have both decay rates, beta1 and beta2", "recipe")
    if eps not in ("outside", "inside"):
        raise InputError(f"must be 'outside' or 'inside', got {eps!r}", "eps")
    rate, beta1, beta2 = _number(recipe.learning_rate), _rate(recipe.beta1), _rate(recipe.beta2)
    decay, named = "", "adam"
    if recipe.weight_decay is not None:
        decay, named = f", weight_decay={_number(recipe.weight_decay)}", "adamw"
    outside = eps == "outside" or recipe.eps == 0
    own, root = (recipe.eps, 0.0) if outside else (0.0, recipe.eps**2)
    comment = (
        "eps outside the root: m/(sqrt(v) + eps)"
        if outside
        else "eps inside the root: m/sqrt(v + eps_root)"
    )
    lines = {}
    if outside:
        lines["torch"] = (
            f"torch.optim.{'Adam' if named == 'adam' else 'AdamW'}(model.parameters(), lr={rate}, "
            f"betas=({beta1}, {beta2}), eps={_number(own)}{decay})  # {comment}"
        )
    lines["optax"] = (
        f"optax.{named}(learning_rate={rate}, b1={beta1}, b2={beta2}, eps={_number(own)}, "
        f"eps_root={_number(root)}{decay})  # {comment}"
    )
    return lines


def _number(value: float) -> str:
    """Six digits, as Python writes a float."""
    return repr(float(f"{value:.6g}"))


def _rate(beta: float) -> str:
    """A decay rate such that 1 - beta has six digits."""
    return repr(round(beta, 5 - floor(log10(1 - beta))))
