"""The options by which a user says which law is meant, shared by the commands."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from scaling.errors import DataError, InputError

if TYPE_CHECKING:
    from scaling import Recipe
    from scaling.numeric.inference import SweepLaw
    from scaling.numeric.laws import Law


def _parser(name: str, metavar: str) -> dict[str, Any]:
    """Make Typer read an option by a function of the numeric layer, imported when needed."""

    def parse(text: str) -> float:
        from scaling.numeric.inputs import text as _text

        try:
            number: float = getattr(_text, name)(text)
        except InputError as error:
            raise typer.BadParameter(error.message) from None
        return number

    return {"parser": parse, "metavar": metavar}


#: Name of the parameter: its type, its help, and how Typer reads it.
_Options: TypeAlias = dict[str, tuple[Any, str, dict[str, Any]]]

NUMBER = _parser("parse_positive", "NUMBER")
NON_NEGATIVE = _parser("parse_non_negative", "NUMBER")
DECAY_RATE = _parser("parse_decay_rate", "NUMBER")
BATCH_SIZE = _parser("parse_batch_size", "SIZE")

_RUN = "From a tuned run"
_TABLE = "From a table or a file"

#: Options that only make sense with a tuned run.
_RUN_OPTIONS: _Options = {
    "ref_lr": (float, "Learning rate tuned at the reference batch size.", NUMBER),
    "ref_batch_size": (
        float,
        "Its batch size; may be a product, per-device x devices x accumulation: 32x8.",
        BATCH_SIZE,
    ),
    "noise_scale": (
        float,
        "Gradient noise scale tr(Sigma)/|g|^2, in the unit of the batch size.",
        NUMBER,
    ),
    "ref_eps": (float, "Adam's epsilon in the reference run (default: --eps).", NON_NEGATIVE),
    "ref_beta1": (float, "Adam's beta1 in the reference run (default: --beta1).", DECAY_RATE),
    "ref_beta2": (float, "Adam's beta2 in the reference run (default: --beta2).", DECAY_RATE),
    "grad_rms": (
        float,
        "RMS of the gradient's entries, in the unit of eps; without it eps cannot enter.",
        NUMBER,
    ),
    "curvature_ratio": (
        float,
        "sign(g)^T H sign(g) / tr(H), which is 1 for a diagonal Hessian (default: 1).",
        NUMBER,
    ),
    "moments": (
        str,
        "Model of Adam's update: sgd, sign, sign-isru, clip, article, mean-field (eps inside the "
        "root), mean-field-outside (eps as in PyTorch); without stand-ins exact-softsign, "
        "exact-adam (eps as in PyTorch), exact-adam-inside (default: mean-field-outside).",
        {"metavar": "MODEL"},
    ),
    "population": (
        str,
        "How gradients differ between coordinates: uniform (not at all), gaussian, or the file of "
        "a sketch, GradientPopulation.to_json(), which also tells noise scale and RMS "
        "(default: uniform).",
        {"metavar": "NAME|FILE.json"},
    ),
    "step": (
        float,
        "Number of the step, for exact-adam (default: many steps, stationary averages).",
        NUMBER,
    ),
}
#: Options that change the optimizer of a tuned run, or of a saved law that came from one.
_OPTIMIZER_OPTIONS: _Options = {
    "eps": (float, "Adam's epsilon (default: 1e-8; with --law its own).", NON_NEGATIVE),
    "beta1": (
        float,
        "Adam's beta1 (default: 0.9, or 0 if --moments has none; with --law its own).",
        DECAY_RATE,
    ),
    "beta2": (
        float,
        "Adam's beta2, for exact-adam (default: 0.999; with --law its own).",
        DECAY_RATE,
    ),
}
_FILE_OPTIONS: _Options = {
    "points": (str, "CSV of optima, columns batch_size and learning_rate.", {"metavar": "FILE"}),
    "law": (str, "Law saved with `lr query --save` or `lr fit --save`.", {"metavar": "FILE"}),
    "covariate": (
        list[str],
        "What a law from `lr fit` is to answer for, such as N=1e9; repeatable.",
        {"metavar": "NAME=NUMBER"},
    ),
}


def takes_law(command: Callable[..., None]) -> Callable[..., None]:
    """Replace a command's parameter ``law`` by the options from which a law is made."""
    panels = {_RUN: _RUN_OPTIONS | _OPTIMIZER_OPTIONS, _TABLE: _FILE_OPTIONS}
    return _takes("law", panels, make_law, command)


def takes_law_of_recipe(command: Callable[..., None]) -> Callable[..., None]:
    """Replace a command's parameter ``given`` by what turns a recipe into a law, or gives one."""
    run = {name: how for name, how in _RUN_OPTIONS.items() if not name.startswith("ref_")}
    return _takes("given", {_RUN: run, _TABLE: _FILE_OPTIONS}, lambda given: given, command)


def _takes(
    parameter: str,
    panels: dict[str, _Options],
    make: Callable[[dict[str, Any]], Any],
    command: Callable[..., None],
) -> Callable[..., None]:
    """Replace a command's parameter by options, and make it from those that are given."""
    own = [p for p in inspect.signature(command).parameters.values() if p.name != parameter]
    shared = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                kind | None,
                typer.Option(flag(name), help=text, rich_help_panel=panel, **how),
            ],
        )
        for panel, options in panels.items()
        for name, (kind, text, how) in options.items()
    ]

    @wraps(command)
    def with_options(**given: Any) -> None:
        source = {p.name: given.pop(p.name) for p in shared}
        made = make({k: v for k, v in source.items() if v is not None and v != []})
        command(**{parameter: made}, **given)

    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + shared
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {p.name: p.annotation for p in parameters}
    return with_options


def flag(parameter: str) -> str:
    """Command-line option of a parameter."""
    return "--" + parameter.replace("_", "-")


def make_law(given: dict[str, Any]) -> "Law":
    """Make the law from the options that were given."""
    sources: list[str] = [name for name in ("points", "law", "ref_lr") if name in given]
    if not sources:
        missing = "--ref-lr is missing" if given else "nothing to answer from"
        raise InputError(
            f"{missing}; give a tuned run (--ref-lr, --ref-batch-size, --noise-scale), "
            "a table of optima (--points) or a saved law (--law)"
        )
    if sources[0] == "ref_lr":
        return _transfer(given)
    allowed: set[str] = {sources[0]}
    if sources[0] == "law":
        allowed |= {"covariate", *_OPTIMIZER_OPTIONS}
    for name in given:
        if name not in allowed:
            raise InputError(f"cannot be combined with {flag(sources[0])}; leave one out", name)
    if not given[sources[0]]:
        raise InputError("needs the name of a file", sources[0])
    return _fit(given["points"]) if sources[0] == "points" else _load(given)


def _transfer(given: dict[str, Any]) -> "Law":
    from scaling import GradientStatistics, Recipe, TransferLaw
    from scaling.numeric.population.averages import POPULATIONS

    population = given.get("population", "uniform")
    sketch = population.endswith(".json")
    if not sketch and population not in POPULATIONS:
        raise InputError(
            f"must be {', '.join(POPULATIONS)} or the file of a sketch, named *.json, got "
            f"{population!r}",
            "population",
        )
    for name in ("ref_batch_size", *(() if sketch else ("noise_scale",))):
        if name not in given:
            raise InputError("missing; a tuned run (--ref-lr) is not enough without it", name)
    if "covariate" in given:
        raise InputError(
            "only a law from `lr fit` (--law) has covariates; leave it out", "covariate"
        )
    optimizer = {name: given[name] for name in _OPTIMIZER_OPTIONS if name in given}
    own = {
        name.removeprefix("ref_"): given[name]
        for name in ("ref_eps", "ref_beta1", "ref_beta2")
        if name in given
    }
    reference = optimizer | own
    statistics = ("noise_scale", "grad_rms", "curvature_ratio")
    model = ("moments", "population", "step")
    _check_reference(given.get("moments"), own.get("beta1"), own.get("beta2"))
    recipe = Recipe(given["ref_lr"], given["ref_batch_size"], **reference)
    chosen = optimizer | {name: given[name] for name in model if name in given}
    known = {name: given[name] for name in statistics if name in given}
    if sketch:
        return _transfer_of_sketch(recipe, chosen, known)
    return TransferLaw(recipe, GradientStatistics(**known), **chosen)


def _transfer_of_sketch(recipe: "Recipe", chosen: dict[str, Any], known: dict[str, Any]) -> "Law":
    """Make the law of a model's own population of gradients."""
    from scaling import GradientPopulation, TransferLaw
    from scaling.numeric.inputs.text import read_text

    path = chosen.pop("population")
    for name in ("noise_scale", "grad_rms"):
        if name in known:
            raise InputError("cannot be combined with a sketch, which tells it; leave it out", name)
    try:
        population = GradientPopulation.from_json(read_text(path))
        return TransferLaw.from_population(recipe, population, **known, **chosen)
    except DataError as error:
        text = str(error)
        raise DataError(text if text.startswith(path) else f"{path}: {text}") from None


def _check_reference(moments: str | None, beta1: float | None, beta2: float | None) -> None:
    """Let an error about the reference's beta1 or beta2 name the option that was typed."""
    from scaling.numeric.moments.models import DEFAULT_MODEL, moment_model

    model = moment_model(moments or DEFAULT_MODEL)
    try:
        model.defaults(beta1, beta2)
    except InputError as error:
        raise InputError(error.message, f"ref_{error.parameter}") from None


def _fit(path: str) -> "Law":
    from scaling import fit_optima
    from scaling.numeric.tables import read_optima

    columns = read_optima(path)
    try:
        return fit_optima(*columns, name=path)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _load(given: dict[str, Any]) -> "Law":
    from scaling import TransferLaw, load_law
    from scaling.numeric.inference import SweepLaw

    law = load_law(given.pop("law"))
    if isinstance(law, SweepLaw):
        return _at_setting(law, given)
    if given and not isinstance(law, TransferLaw):
        raise InputError(
            "cannot be changed: the law was fitted to runs with one optimizer; leave it out",
            next(iter(given)),
        )
    if "covariate" in given:
        raise InputError("only a law from `lr fit` has covariates; leave it out", "covariate")
    return replace(law, **given) if isinstance(law, TransferLaw) else law


def _at_setting(law: "SweepLaw", given: dict[str, Any]) -> "SweepLaw":
    """Fix the covariates, and eps, of a law from a sweep."""
    setting = read_pairs(given.pop("covariate", []), "covariate")
    if law.eps_form is not None and "eps" in given:
        setting["eps"] = given.pop("eps")
    if given:
        raise InputError(
            "cannot be changed: it was the same in all runs that the law was fitted to; leave it "
            "out",
            next(iter(given)),
        )
    if not setting and law.setting:
        return law
    return law.at(**setting)


def read_pairs(texts: list[str], option: str) -> dict[str, float]:
    """Read NAME=NUMBER, the number with k, M, B or T if need be."""
    from scaling.numeric.inputs import text as _text

    result: dict[str, float] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise InputError(f"must be NAME=NUMBER, got {text!r}", option)
        if name.strip() in result:
            raise InputError(f"{name.strip()} is given twice", option)
        try:
            result[name.strip()] = _text.parse_size(value)
        except InputError as error:
            raise InputError(f"{name.strip()} {error.message}", option) from None
    return result
