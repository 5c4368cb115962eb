"""Laws in JSON files: one form for all of them, versioned, read strictly, written atomically."""

import json
import os
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypedDict

from scaling.errors import DataError, ScalingError
from scaling.numeric.inputs.documents import MalformedError, compare_keys, convert, open_document
from scaling.numeric.inputs.files import read_text, write_text
from scaling.numeric.inputs.recipe import GradientStatistics, Recipe
from scaling.numeric.laws.law import Law, Point, Provenance

LAW_FORMAT = "adam-lr-scaling law"
LAW_VERSION = 3


def save_law(law: Law, path: str | os.PathLike[str]) -> None:
    """Save a law as JSON; `load_law` reads it.

    Parameters
    ----------
    law : Law
        Any law.
    path : path-like
        Written whole or not at all: beside it first, then renamed.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    document = {"format": LAW_FORMAT, "version": LAW_VERSION, **_document_of(law)}
    write_text(path, json.dumps(document, indent=2, allow_nan=False) + "\n")


def load_law(path: str | os.PathLike[str]) -> Law:
    """Read a law that `save_law`, or ``lr query --save``, has written.

    Parameters
    ----------
    path : path-like
        A JSON file.

    Returns
    -------
    Law

    Raises
    ------
    DataError
        If the file cannot be read, is malformed, or comes from a newer version.
    """
    document, version = open_document(
        path,
        read_text(path),
        form=LAW_FORMAT,
        newest=LAW_VERSION,
        missing="not a law; `lr query ... --save` writes one",
    )
    try:
        law = _law_of(document, version)
        compare_keys(document, _document_of(law))
    except (MalformedError, ScalingError) as error:
        raise DataError(f"{path}: not a valid law: {error}") from None
    return law


def _document_of(law: Law) -> dict[str, Any]:
    return law.to_dict() | {"provenance": asdict(law.provenance)}


def _law_of(document: dict[str, Any], version: int) -> Law:
    match document.get("kind"):
        case "transfer":
            return _transfer(document, version)
        case "batch-size":
            from scaling.numeric.laws.batch_size_law import BatchSizeLaw

            return BatchSizeLaw(*_parameters(convert(document, _Plain)))
        case "fitted":
            return _fitted(convert(document, _Fitted))
        case "sweep":
            return _sweep(document)
        case "posterior":
            return _posterior(document)
        case kind:
            raise MalformedError(f"kind {kind!r} is unknown")


class _Transfer(TypedDict):
    recipe: Recipe
    statistics: GradientStatistics
    eps: float | None
    beta1: float | None
    moments: str
    population: str | dict[str, Any]
    provenance: Provenance
    beta2: float | None
    step: float | None
    horizon: float | None
    second_moments: dict[str, Any] | None


def _transfer(document: dict[str, Any], version: int) -> Law:
    from scaling.numeric.laws.transfer import TransferLaw

    if version == 1:  # which knew no beta2, step and weight decay
        recipe = document.get("recipe")
        for inner, names in ((document, ("beta2", "step")), (recipe, ("beta2", "weight_decay"))):
            if isinstance(inner, dict):
                inner.update({name: None for name in names if name not in inner})
    if version < 3:  # which answered for one step
        document.setdefault("horizon", 1)
        document.setdefault("second_moments", None)
    found: dict[str, Any] = {**convert(document, _Transfer)}
    if found["horizon"] is None:
        found["horizon"] = float("inf")
    if not isinstance(found["population"], str):
        from scaling.numeric.population.gradients import GradientPopulation

        found["population"] = GradientPopulation.from_json(json.dumps(found["population"]))
    found["second_moments"] = _second_moments(found["second_moments"])
    return TransferLaw(**found)


def _second_moments(found: dict[str, Any] | None) -> Any:
    """Read Adam's second moments, where a law has them."""
    if found is None:
        return None
    from scaling.numeric.population.second_moments import SecondMoments

    return SecondMoments.from_json(json.dumps(found))


@dataclass
class _Point:
    batch_size: float
    learning_rate: float


@dataclass
class _Optimum(_Point):
    weight: float


class _Plain(TypedDict):
    reference: _Point
    noise_batch_size: float | None
    critical_batch_size: float | None
    provenance: Provenance


class _Fitted(_Plain):
    optima: list[_Optimum]


def _parameters(found: _Plain) -> tuple[float, float, float, float, Provenance]:
    """Arguments of a law in its plainest form; null stands for infinite."""
    shifts = found["noise_batch_size"], found["critical_batch_size"]
    noise, critical = (float("inf") if shift is None else shift for shift in shifts)
    point = found["reference"]
    return point.batch_size, point.learning_rate, noise, critical, found["provenance"]


def _fitted(found: _Fitted) -> Law:
    from scaling.numeric.fits.optima.optima import FittedLaw

    optima = tuple(Point(row.batch_size, row.learning_rate) for row in found["optima"])
    law = FittedLaw(*_parameters(found), optima, tuple(row.weight for row in found["optima"]))
    law.parameter_intervals()  # which refuses parameters that do not fit the optima
    return law


def _posterior(document: dict[str, Any]) -> Law:
    from scaling.numeric.inference.law import PosteriorLaw
    from scaling.numeric.inference.posterior import Posterior

    class Drawn(TypedDict):
        recipe: Recipe | None
        noise_scale: tuple[float, float] | None
        posterior: dict[str, Any]
        eps: float | None
        second_moments: dict[str, Any] | None
        provenance: Provenance

    found: dict[str, Any] = {**convert(document, Drawn)}
    found["posterior"] = Posterior.from_dict(found["posterior"])
    found["second_moments"] = _second_moments(found["second_moments"])
    return PosteriorLaw(**found)


@dataclass
class _Named:
    name: str
    value: float


@dataclass
class _Replicate:
    parameters: tuple[float, ...]


def _sweep(document: dict[str, Any]) -> Law:
    from scaling.numeric.fits.sweep_law import Covariate, SweepLaw

    class Sweep(TypedDict):
        eps_form: Literal["outside", "inside", "gaussian"] | None
        covariates: tuple[Covariate, ...]
        eps_range: tuple[float, float] | None
        reference_batch_size: float
        parameters: list[_Named]
        replicates: list[_Replicate]
        error: float | None
        provenance: Provenance
        setting: list[_Named]

    found: dict[str, Any] = {**convert(document, Sweep)}
    for name in ("parameters", "setting"):
        found[name] = tuple((row.name, row.value) for row in found[name])
    found["replicates"] = tuple(row.parameters for row in found["replicates"])
    return SweepLaw(**found)
