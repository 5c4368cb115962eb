"""Rules that carry a whole recipe (lr, beta1, beta2, eps, weight decay) to another batch size.

None but the law is this project's theory; each is quoted with its source and with what it keeps.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf, isfinite, sqrt

from scaling.errors import InputError
from scaling.numeric.facts import Fact, fact
from scaling.numeric.inputs.arrays import non_negative, positive
from scaling.numeric.inputs.display import Shown
from scaling.numeric.inputs.recipe import Recipe
from scaling.numeric.laws.law import Law
from scaling.numeric.moments.models import DEFAULT_BETA1, DEFAULT_BETA2

#: Of PyTorch and optax.
_DEFAULTS = {"beta1": DEFAULT_BETA1, "beta2": DEFAULT_BETA2}
#: Beyond this factor between a tuned learning rate and the law's, the law is of another run.
_SAME_RUN = 1.5


@dataclass(frozen=True)
class RecipeRule:
    """A named rule, and what it rests on.

    Attributes
    ----------
    name : str
    sets : frozenset of str
        The fields of a recipe that it changes; all others are kept.
    source : str
        Where it is published.
    keeps : {"optimality", "equivalence"}
        What it aims at: the best setting at the new batch size, or the old run's trajectory.
    """

    name: str
    sets: frozenset[str]
    source: str
    keeps: str


RECIPE_RULES = {
    rule.name: rule
    for rule in (
        RecipeRule(
            "law",
            frozenset({"learning_rate"}),
            "this project's theory, T-E2, T-E6 and T-I2",
            "optimality",
        ),
        RecipeRule(
            "sqrt-sde",
            frozenset({"learning_rate", "beta1", "beta2", "eps"}),
            "Malladi et al. 2022, arXiv 2205.10287",
            "equivalence",
        ),
        RecipeRule(
            "half-life",
            frozenset({"beta1", "beta2"}),
            "Marek et al. 2025, arXiv 2507.07101",
            "equivalence",
        ),
        RecipeRule(
            "weight-decay",
            frozenset({"weight_decay"}),
            "Wang & Aitchison 2024, arXiv 2405.13698",
            "optimality",
        ),
    )
}


@dataclass(frozen=True, repr=False)
class RuledRecipe(Shown):
    """A recipe at another batch size, by one rule or several; made by `recipe`.

    Attributes
    ----------
    rules : tuple of RecipeRule
        Those that were applied.
    batch_size, learning_rate, eps, beta1, beta2 : float
        The recipe. A beta below 0 is shown as the rule gives it, see `in_domain`.
    weight_decay : float or None
    assumed : tuple of Fact
        What was taken for granted of the tuned run, if something was.
    warnings : tuple of Fact
        Where a rule leaves its domain.
    """

    rules: tuple[RecipeRule, ...]
    batch_size: float
    learning_rate: float
    eps: float
    beta1: float
    beta2: float
    weight_decay: float | None
    assumed: tuple[Fact, ...] = ()
    warnings: tuple[Fact, ...] = ()

    @property
    def in_domain(self) -> bool:
        """Whether an optimizer can be made of it: both decay rates within [0, 1)."""
        return 0 <= self.beta1 < 1 and 0 <= self.beta2 < 1

    def to_recipe(self) -> Recipe:
        """Return it as a recipe.

        Raises
        ------
        InputError
            If it is not one: see `in_domain`.
        """
        return Recipe(
            self.learning_rate,
            self.batch_size,
            self.eps,
            self.beta1,
            self.beta2,
            self.weight_decay,
        )


def recipe(
    known: Recipe,
    batch_size: float,
    rule: str = "law",
    *,
    law: Law | None = None,
    eps: float | None = None,
) -> RuledRecipe:
    """Carry a whole recipe to another batch size, by named rules.

    Parameters
    ----------
    known : Recipe
        The tuned run. Where beta1 or beta2 are not given, PyTorch's and optax's defaults are
        assumed, 0.9 and 0.999.
    batch_size : float
        The new batch size, positive, in the unit of the recipe's.
    rule : str, default "law"
        A key of `RECIPE_RULES`, or several that set different fields, joined by ``+``, as
        ``"law+half-life+weight-decay"``. Decay rates are set first, then the learning rate, for
        these decay rates if the law knows them, then the weight decay, for that learning rate.
    law : Law, optional
        For the rule ``law``, which needs one. ``sqrt-sde`` takes the noise scale from it.
    eps : float, optional
        Another than the recipe's; not for ``sqrt-sde``, which sets it. What the change does to the
        learning rate, the law tells if it knows eps.

    Returns
    -------
    RuledRecipe

    Raises
    ------
    InputError
        If a rule is unknown, two rules set the same field, one sets an eps that is given, a rule
        lacks what it needs (a law, a weight decay), or a number becomes too large or too small for
        arithmetic.

    Notes
    -----
    The rules disagree because they aim at different things: see `RecipeRule.keeps`.

    Examples
    --------
    >>> from scaling import GradientStatistics, TransferLaw
    >>> tuned = Recipe(3e-4, 256, beta1=0.9, beta2=0.95, weight_decay=0.1)
    >>> found = recipe(tuned, 1024, "sqrt-sde")
    >>> found.learning_rate, found.eps, round(found.beta1, 12), round(found.beta2, 12)
    (0.0006, 5e-09, 0.6, 0.8)
    >>> law = TransferLaw(Recipe(3e-4, 256), GradientStatistics(noise_scale=4000))
    >>> found = recipe(tuned, 1024, "law+half-life+weight-decay", law=law)
    >>> round(found.beta2, 4), found.rules[0].source
    (0.8145, "this project's theory, T-E2, T-E6 and T-I2")
    """
    rules = tuple(RECIPE_RULES[name] for name in _parse(rule))
    batch = positive(batch_size, "batch_size")
    eps = _new_eps(known, eps, rules)
    defaults = {name: x for name, x in _DEFAULTS.items() if getattr(known, name) is None}
    known = replace(known, **defaults)
    found = RuledRecipe(
        rules,
        batch,
        known.learning_rate,
        eps,
        float(known.beta1 or 0),
        float(known.beta2 or 0),
        known.weight_decay,
        tuple(fact("default rate", name=name, value=x) for name, x in defaults.items()),
    )
    for name, apply in _STEPS.items():
        if RECIPE_RULES[name] in rules:
            found = apply(known, found, law)
    knows = (*law.knows, *law.needs) if law and RECIPE_RULES["law"] in rules else ()
    if eps != known.eps and "eps" not in knows:
        found = replace(found, warnings=(*found.warnings, fact("change left out", name="eps")))
    _check_range(found)
    return found


def _new_eps(known: Recipe, eps: float | None, rules: tuple[RecipeRule, ...]) -> float:
    if eps is None:
        return known.eps
    for rule in rules:
        if "eps" in rule.sets:
            raise InputError(f"{rule.name} sets it; leave it out", "eps")
    return non_negative(eps, "eps")


def _check_range(found: RuledRecipe) -> None:
    betas = found.beta1, found.beta2
    numbers = (found.learning_rate, found.eps, found.weight_decay or 0.0, *betas)
    if found.learning_rate <= 0 or max(betas) >= 1 or not all(map(isfinite, numbers)):
        raise InputError("so far from the recipe's that arithmetic fails", "batch_size")


def best_rule(known: Recipe) -> str:
    """Return the rules that aim at the best recipe and not at the old run's trajectory.

    Decay rates are kept: over a run of many steps beta1 changes nothing in the best learning rate
    (T-I1).

    Examples
    --------
    >>> best_rule(Recipe(3e-4, 256)), best_rule(Recipe(3e-4, 256, weight_decay=0.1))
    ('law', 'law+weight-decay')
    """
    return "law" if known.weight_decay is None else "law+weight-decay"


def _parse(text: str) -> tuple[str, ...]:
    names = tuple(text.split("+"))
    for i, name in enumerate(names):
        if name not in RECIPE_RULES:
            raise InputError(
                f"must be one of {', '.join(RECIPE_RULES)}, or several joined by +, got {text!r}",
                "rule",
            )
        for other in names[:i]:
            both = RECIPE_RULES[name].sets & RECIPE_RULES[other].sets
            if both:
                raise InputError(
                    f"{other} and {name} both set {', '.join(sorted(both))}; choose one", "rule"
                )
    return names


def _sqrt_sde(known: Recipe, found: RuledRecipe, law: Law | None) -> RuledRecipe:
    """Malladi et al. 2022, the square root scaling rule for Adam."""
    k = found.batch_size / known.batch_size
    betas = {"beta1": 1 - k * (1 - found.beta1), "beta2": 1 - k * (1 - found.beta2)}
    warnings = [
        fact(
            "sqrt-sde below 0",
            name=name,
            beta=beta,
            batch_size=known.batch_size,
            reach=found.batch_size / (1 - beta),
        )
        for name, beta in betas.items()
        if beta < 0
    ]
    largest = max(found.batch_size, known.batch_size)
    low, high = _noise_scale(law)
    if largest > high:
        warnings.append(fact("sqrt-sde above the noise scale", noise_scale=high))
    elif largest > low:
        warnings.append(fact("sqrt-sde without noise scale"))
    return replace(
        found,
        learning_rate=found.learning_rate * sqrt(k),
        eps=found.eps / sqrt(k),
        beta1=betas["beta1"],
        beta2=betas["beta2"],
        warnings=(*found.warnings, *warnings),
    )


def _half_life(known: Recipe, found: RuledRecipe, _law: Law | None) -> RuledRecipe:
    """Marek et al. 2025: t_half = B log(1/2)/log(beta) examples is kept."""
    ratio = found.batch_size / known.batch_size
    betas = {"beta1": found.beta1**ratio, "beta2": found.beta2**ratio}
    warnings = [
        fact("half-life under one step", name=name, beta=beta)
        for name, beta in betas.items()
        if beta < 0.5 and getattr(found, name) > 0
    ]
    return replace(
        found,
        beta1=betas["beta1"],
        beta2=betas["beta2"],
        warnings=(*found.warnings, *warnings),
    )


def _by_law(known: Recipe, found: RuledRecipe, law: Law | None) -> RuledRecipe:
    """T-E6 for a whole recipe: lr_new = lr_old law(new)/law(old)."""
    if law is None:
        raise InputError("missing; the rule 'law' needs one", "law")
    old, new = _law_at(law, known), _law_at(law, found)
    before = float(old.learning_rate(known.batch_size))
    factor = float(new.learning_rate(found.batch_size)) / before
    warnings = [
        fact("change left out", name=name)
        for name in ("beta1", "beta2")
        if name not in law.knows and getattr(known, name) != getattr(found, name)
    ]
    off = before / known.learning_rate
    if not 1 / _SAME_RUN < off < _SAME_RUN:
        warnings.append(fact("law of another run", batch_size=known.batch_size, times=off))
    return replace(
        found,
        learning_rate=found.learning_rate * factor,
        warnings=(*found.warnings, *warnings, *new.warnings(found.batch_size)),
    )


def _law_at(law: Law, at: Recipe | RuledRecipe) -> Law:
    """The law for the part of a recipe that it knows, or needs; covariates stay as they are."""
    asked = {name: getattr(at, name) for name in law.knows}
    if "eps" in law.needs:
        asked = dict(law.setting) | {"eps": at.eps}
    return law.at(**asked) if asked else law


def _weight_decay(known: Recipe, found: RuledRecipe, _law: Law | None) -> RuledRecipe:
    """Wang & Aitchison 2024: the timescale B/(lr weight_decay) in examples is kept."""
    if known.weight_decay is None:
        raise InputError("missing; the rule 'weight-decay' needs it", "weight_decay")
    rates = known.learning_rate / found.learning_rate
    decay = known.weight_decay * (found.batch_size / known.batch_size) * rates
    warnings = found.warnings
    if found.learning_rate * decay >= 1:
        warnings += (fact("weight-decay under one step", product=found.learning_rate * decay),)
    return replace(found, weight_decay=decay, warnings=warnings)


def _noise_scale(law: Law | None) -> tuple[float, float]:
    """Between what B_simple lies as the law knows it; B_n is of its order (T-E2)."""
    if law is not None and law.statistics is not None:
        return law.statistics.noise_scale, law.statistics.noise_scale
    if law is None or not 0 < law.noise_batch_size < inf:
        return 0.0, inf
    found = (law.parameter_intervals() or {}).get("noise_batch_size")
    return found or (law.noise_batch_size, law.noise_batch_size)


#: In the order in which they build on each other.
_STEPS: dict[str, Callable[[Recipe, RuledRecipe, Law | None], RuledRecipe]] = {
    "half-life": _half_life,
    "sqrt-sde": _sqrt_sde,
    "law": _by_law,
    "weight-decay": _weight_decay,
}
