"""Options that several commands share: those from which a law is made."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, TypedDict, get_type_hints

import typer
from typer.core import TyperCommand, TyperOption

from scaling.errors import DataError, InputError

if TYPE_CHECKING:
    from scaling import Recipe
    from scaling.numeric.laws import Law


def _parser(name: str, metavar: str) -> dict[str, Any]:
    """Make Typer read an option by a function of the numeric layer, imported when needed."""

    def parse(text: str | float) -> Any:
        if not isinstance(text, str):  # a default
            return text
        from scaling.numeric.inputs import text as _text

        try:
            return getattr(_text, name)(text)
        except InputError as error:
            raise typer.BadParameter(error.message) from None

    return {"parser": parse, "metavar": metavar}


NUMBER = _parser("parse_positive", "NUMBER")
NON_NEGATIVE = _parser("parse_non_negative", "NUMBER")
BATCH_SIZE = _parser("parse_size", "SIZE")
DECAY_RATE = _parser("parse_decay_rate", "NUMBER")
#: Of all intervals that are reported, unless another is asked for.
LEVEL = 0.9
LEVEL_OPTION: dict[str, Any] = {
    "help": "Probability with which the intervals hold the optimum.",
    **NUMBER,
}


PRIOR: dict[str, Any] = {
    "help": 'Your own prior, such as {"scales": {"corner": [0, 4]}}; what it leaves out is '
    "as learned from published sweeps.",
    "metavar": "FILE.json",
}
#: A number, or two.
NOISE_SCALE: dict[str, Any] = {
    "help": "Gradient noise scale tr(Sigma)/|g|^2, in the unit of the batch size: a number, which "
    "is trusted to a factor of 2, or a range that holds it with probability 0.9 (default: as in "
    "sweeps of other models).",
    **_parser("parse_range", "SIZE|LOW..HIGH"),
}


class Command(TyperCommand):
    """A command that refuses an option given twice of which it would take one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Count the options before they are read."""
        if not ctx.resilient_parsing:
            _, _, given = self.make_parser(ctx).parse_args(list(args))
            for option in given:
                if not isinstance(option, TyperOption) or option.is_flag or option.multiple:
                    continue
                if given.count(option) > 1:
                    raise InputError(f"{option.opts[0]} is given twice; leave one out")
        return super().parse_args(ctx, args)


def _panel(title: str, **shared: Any) -> Callable[..., Any]:
    """Make options that `--help` shows under a title of their own."""

    def option(text: str, **how: Any) -> Any:
        return typer.Option(help=text, rich_help_panel=title, **shared, **how)

    return option


_run = _panel("From a tuned run")
_file = _panel("From a table or a file")
column = _panel("Columns, guessed where unambiguous", metavar="COLUMN")
_theory = _panel("For those who know the theory")


# Each class is a group of options as Typer reads them, and the type of those that were given.
# The plain ones come first.


class _TunedRun(TypedDict, total=False):
    ref_lr: Annotated[float, _run("Learning rate tuned at the reference batch size.", **NUMBER)]
    ref_batch_size: Annotated[
        float,
        _run(
            "Its batch size; may be a product, per-device x devices x accumulation: 32x8.",
            **BATCH_SIZE,
        ),
    ]


class _NoiseScale(TypedDict, total=False):
    noise_scale: Annotated[Any, typer.Option(rich_help_panel="From a tuned run", **NOISE_SCALE)]


class _Eps(TypedDict, total=False):
    eps: Annotated[
        float, _run("Adam's epsilon (default: 1e-8; with --law its own).", **NON_NEGATIVE)
    ]
    ref_eps: Annotated[
        float, _run("Adam's epsilon in the tuned run (default: 1e-8).", **NON_NEGATIVE)
    ]


class _SecondMoments(TypedDict, total=False):
    second_moments: Annotated[
        str,
        _run(
            "Adam's second moments half-way through the tuned run; they tell what another eps "
            "does. A checkpoint such as optimizer.pt, or SecondMoments.to_json() as *.json.",
            metavar="FILE",
        ),
    ]


class _Files(TypedDict, total=False):
    points: Annotated[
        str, _file("CSV of optima, columns batch_size and learning_rate.", metavar="FILE")
    ]
    law: Annotated[
        str,
        _file(
            "Law saved by `lr query --save` or `lr fit --save`; for `lr plan` also a table of "
            "runs.",
            metavar="FILE",
        ),
    ]
    covariate: Annotated[
        list[str],
        _file(
            "Covariate at which a law from `lr fit` answers, such as N=1e9; repeatable.",
            metavar="NAME=NUMBER",
        ),
    ]


class _Beliefs(TypedDict, total=False):
    prior: Annotated[str, typer.Option(rich_help_panel="For those who know the theory", **PRIOR)]


class _Theory(TypedDict, total=False):
    moments: Annotated[
        str,
        _theory(
            "Model of Adam's update: sgd, sign, sign-isru, clip, article, mean-field (eps inside "
            "the root), mean-field-outside (eps as in PyTorch); without stand-ins exact-softsign, "
            "exact-adam (eps as in PyTorch), exact-adam-inside (default: mean-field-outside).",
            metavar="MODEL",
        ),
    ]
    population: Annotated[
        str,
        _theory(
            "How gradients differ between coordinates: uniform (not at all), gaussian, or a "
            "file of GradientPopulation.to_json(), which also gives the noise scale and the RMS "
            "(default: uniform).",
            metavar="NAME|FILE.json",
        ),
    ]
    curvature_ratio: Annotated[
        float,
        _theory(
            "sign(g)^T H sign(g) / tr(H), which is 1 for a diagonal Hessian (default: 1).",
            **NUMBER,
        ),
    ]
    horizon: Annotated[
        float,
        _theory(
            "Number of steps over which noise adds up; 1 gives the best rate of one step, as in "
            "the articles (default: a run of many steps).",
            **NUMBER,
        ),
    ]
    step: Annotated[
        float,
        _theory(
            "Step at which exact-adam is evaluated (default: after many, averages stationary).",
            **NUMBER,
        ),
    ]
    grad_rms: Annotated[
        float,
        _theory(
            "RMS of the entries of the mean gradient, in the unit of eps (a batch's gradient will "
            "not do: it is mostly noise). Tells what eps does where --second-moments cannot.",
            **NUMBER,
        ),
    ]


class _DecayRates(TypedDict, total=False):
    beta1: Annotated[
        float,
        _theory(
            "Adam's beta1 (default: 0.9, or 0 if --moments has none; with --law its own).",
            **DECAY_RATE,
        ),
    ]
    beta2: Annotated[
        float,
        _theory("Adam's beta2, for exact-adam (default: 0.999; with --law its own).", **DECAY_RATE),
    ]
    ref_beta1: Annotated[
        float, _theory("Adam's beta1 in the tuned run (default: --beta1).", **DECAY_RATE)
    ]
    ref_beta2: Annotated[
        float, _theory("Adam's beta2 in the tuned run (default: --beta2).", **DECAY_RATE)
    ]


class RecipeOptions(_NoiseScale, _SecondMoments, _Files, _Beliefs, _Theory, total=False):
    """Options that turn a recipe into a law, or name one."""


class PlanOptions(_TunedRun, _NoiseScale, _Files, total=False):
    """Options that say what there is to plan from."""


class LawOptions(
    _TunedRun,
    _NoiseScale,
    _Eps,
    _SecondMoments,
    _Files,
    _Beliefs,
    _Theory,
    _DecayRates,
    total=False,
):
    """Options from which a law is made."""


_OPTIMIZER = ("eps", "beta1", "beta2")
#: What a table of optima can be combined with.
_EVIDENCE = ("noise_scale", "prior")


def takes(
    parameter: str, group: type, make: Callable[[Any], Any] = dict
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace a command's parameter by a group of options, and make it from those given."""
    options = {
        name: inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in get_type_hints(group, include_extras=True).items()
    }

    def replaced(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def with_options(**given: Any) -> None:
            found = {name: given.pop(name) for name in options}
            made = make({name: x for name, x in found.items() if x is not None and x != []})
            command(**{parameter: made}, **given)

        own = [p for p in inspect.signature(command).parameters.values() if p.name != parameter]
        every = [*(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own), *options.values()]
        with_options.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
        with_options.__annotations__ = {p.name: p.annotation for p in every}
        return with_options

    return replaced


def check_outputs(save: str | None, plot: str | None) -> None:
    """Refuse, before the work, a file that cannot be written, or a figure of no known format."""
    from scaling.numeric.inputs.files import check_writable

    check_writable(save)
    if plot is not None:
        from scaling.plotting.saving import figure_format

        figure_format(plot, "plot")
        check_writable(plot)


def flag(parameter: str) -> str:
    """Command-line option of a parameter."""
    return "--" + parameter.replace("_", "-")


def make_law(given: LawOptions, **needed: float) -> "Law":
    """Make the law from the options that were given, and what else a saved one may need."""
    source = next((name for name in ("points", "law", "ref_lr") if name in given), None)
    if source is None:
        missing = "--ref-lr is missing" if given else "nothing to answer from"
        raise InputError(
            f"{missing}; give a tuned run (--ref-lr, --ref-batch-size), "
            "a table of optima (--points) or a saved law (--law)"
        )
    if source == "ref_lr":
        return _transfer(given)
    from_table = source == "points"
    allowed = {"points", *_EVIDENCE} if from_table else {"law", "covariate", *_OPTIMIZER}
    for name in given:
        if name not in allowed:
            raise InputError(f"cannot be combined with {flag(source)}; leave one out", name)
    if not given.get(source):
        raise InputError("needs the name of a file", source)
    return _fit(given) if from_table else _load(given, needed)


def _transfer(given: LawOptions) -> "Law":
    """Make the law through a tuned run: by a model of Adam's update if one is asked for."""
    if "ref_batch_size" not in given:
        raise InputError(
            "missing; a tuned run (--ref-lr) is not enough without it", "ref_batch_size"
        )
    if "covariate" in given:
        raise InputError(
            "only a law from `lr fit` (--law) has covariates; leave it out", "covariate"
        )
    theory = [name for name in given if name in _THEORY]
    return _by_theory(given, theory[0]) if theory else _posterior(given)


def _by_theory(given: LawOptions, asked_by: str) -> "Law":
    """Make the law of a model of Adam's update through a tuned run."""
    from scaling import GradientStatistics, Recipe, TransferLaw

    if "prior" in given:
        raise InputError(f"cannot be combined with {flag(asked_by)}; leave one out", "prior")
    sketch = _is_sketch(given.get("population"))
    if not sketch and not isinstance(given.get("noise_scale"), float):
        raise InputError("needs --noise-scale, as one number", asked_by)
    _check_reference(given)
    optimizer = _pick(given, *_OPTIMIZER)
    own = {name.removeprefix("ref_"): x for name, x in _pick(given, *_OF_REFERENCE).items()}
    betas = _pick(given, "beta1", "beta2")
    recipe = Recipe(given["ref_lr"], given["ref_batch_size"], **(betas | own))
    if not (sketch or recipe.eps == given.get("eps", recipe.eps)):
        _check_eps(given, recipe.eps)
    chosen = optimizer | _pick(given, "moments", "population", "step", "horizon")
    known = _pick(given, "noise_scale", "grad_rms", "curvature_ratio")
    if sketch:
        if "second_moments" in given:
            raise InputError("cannot be combined with a sketch; leave one out", "second_moments")
        return _transfer_of_sketch(recipe, chosen, known)
    if "second_moments" in given:
        chosen["second_moments"] = _second_moments(given["second_moments"])
    return TransferLaw(recipe, GradientStatistics(**known), **chosen)


def _is_sketch(population: str | None) -> bool:
    """Whether a population is a file; refuse what is neither one nor a name."""
    from scaling.numeric.population.averages import POPULATIONS

    if population is None or population in POPULATIONS:
        return False
    if population.endswith(".json"):
        return True
    known = ", ".join(POPULATIONS)
    raise InputError(
        f"must be {known} or the file of a sketch, named *.json, got {population!r}", "population"
    )


def _read(path: str, kind: str) -> Any:
    """Read a summary of gradients that was saved as JSON; errors name the file."""
    import scaling
    from scaling.numeric.inputs.files import read_text

    text = read_text(path)
    with errors_name(path):
        return getattr(scaling, kind).from_json(text)


@contextmanager
def errors_name(path: str) -> Iterator[None]:
    """Let errors about data begin with the file that they come from."""
    try:
        yield
    except DataError as error:
        said = str(error)
        raise DataError(said if said.startswith(path) else f"{path}: {said}") from None


def _second_moments(path: str) -> Any:
    """Read Adam's second moments from a summary of ours, or from a checkpoint."""
    if path.lower().endswith(".json"):
        return _read(path, "SecondMoments")
    from scaling.measure import read_second_moments

    return read_second_moments(path)


def _check_eps(given: LawOptions, reference: float) -> None:
    """Refuse a change of epsilon of which nothing tells what it does."""
    if "second_moments" not in given and "grad_rms" not in given:
        said = (
            f"{given['eps']:g}, the tuned run had {reference:g}; to know what the change does, "
            "give --second-moments (or --grad-rms)"
        )
        if "ref_eps" not in given:
            said += f"; if the tuned run had this eps too, give --ref-eps {given['eps']:g}"
        raise InputError(said, "eps")


def _posterior(given: LawOptions) -> "Law":
    """Make the law of which a tuned run, and what is known besides, is the evidence."""
    from scaling import Recipe
    from scaling.numeric.inference.law import PosteriorLaw

    own = {name.removeprefix("ref_"): x for name, x in _pick(given, *_OF_REFERENCE).items()}
    run = Recipe(given["ref_lr"], given["ref_batch_size"], **(_pick(given, "beta1") | own))
    if run.eps != given.get("eps", run.eps):
        _check_eps(given, run.eps)
    moments = given.get("second_moments")
    return PosteriorLaw.of_tuned_run(
        run,
        given.get("noise_scale"),
        prior=read_prior(given.get("prior")),
        eps=given.get("eps"),
        second_moments=None if moments is None else _second_moments(moments),
    )


#: Options that say something of a model of Adam's update, which needs the noise scale.
_THEORY = (
    "moments", "population", "curvature_ratio", "horizon", "step", "grad_rms",
    "beta2", "ref_beta2",
)  # fmt: skip
_OF_REFERENCE = ("ref_eps", "ref_beta1", "ref_beta2")


def _pick(given: LawOptions, *names: str) -> dict[str, Any]:
    return {name: x for name, x in given.items() if name in names}


def _transfer_of_sketch(recipe: "Recipe", chosen: dict[str, Any], known: dict[str, Any]) -> "Law":
    """Make the law of a model's own population of gradients."""
    from scaling import TransferLaw

    path = chosen.pop("population")
    for name in ("noise_scale", "grad_rms"):
        if name in known:
            raise InputError("cannot be combined with a sketch, which tells it; leave it out", name)
    population = _read(path, "GradientPopulation")
    with errors_name(path):
        return TransferLaw.from_population(recipe, population, **known, **chosen)


def _check_reference(given: LawOptions) -> None:
    """Let an error about the reference's beta1 or beta2 name the option that was typed."""
    from scaling.numeric.moments.models import DEFAULT_MODEL, moment_model

    model = moment_model(given.get("moments", DEFAULT_MODEL))
    try:
        model.defaults(given.get("ref_beta1"), given.get("ref_beta2"))
    except InputError as error:
        raise InputError(error.message, f"ref_{error.parameter}") from None


def read_prior(path: str | None) -> Any:
    """Read what is believed before any evidence; None where that is as learned."""
    from scaling.numeric.inference.prior import Prior

    return None if path is None else Prior.load(path)


def _fit(given: LawOptions) -> "Law":
    """Infer the law from a table of optima, and a noise scale if there is one."""
    from scaling import fit_optima
    from scaling.numeric.tables import read_optima, read_table_file
    from scaling.numeric.tables.roles import unit_of

    table = read_table_file(given["points"])
    columns = read_optima(table)
    prior = read_prior(given.get("prior"))
    with errors_name(table.source):
        law = fit_optima(
            *columns, noise_scale=given.get("noise_scale"), prior=prior, name=table.source
        )
    unit = unit_of(table.guess("batch_size"))
    return replace(law, provenance=replace(law.provenance, unit=unit))


def _load(given: LawOptions, needed: Mapping[str, float]) -> "Law":
    """Read a law, and ask it for the covariates and the optimizer given."""
    from scaling import load_law
    from scaling.numeric.inputs.text import parse_settings

    law = load_law(given["law"])
    setting = {name: value for name, value in needed.items() if name in law.needs}
    setting |= parse_settings(given.get("covariate", []), "covariate")
    setting |= _pick(given, *_OPTIMIZER)
    return law.at(**setting) if setting or not law.setting else law
