"""Laws in JSON files: one form for all of them, versioned, read strictly, written atomically."""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError, ScalingError
from scaling.numeric.inputs.documents import MalformedError, compare_keys, convert, open_document
from scaling.numeric.inputs.files import read_text, write_text
from scaling.numeric.inputs.recipe import GradientStatistics, Recipe
from scaling.numeric.laws.law import Law, Point, Provenance

LAW_FORMAT = "adam-lr-scaling law"
#: Of a file, in which it says its format.
_BEGINNING = 200
LAW_VERSION = 4
#: Kinds of files of older versions, which are read as others.
_OF_BEFORE = ("fitted", "sweep")


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
    # Thousands of draws, one a line, would be no easier to read.
    indent = None if "posterior" in document else 2
    write_text(path, json.dumps(document, indent=indent, allow_nan=False) + "\n")


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
    text = read_text(path)
    missing = (
        "not a law; lr fit RUNS --save FILE, or lr query --points OPTIMA --save FILE, writes one"
    )
    if not text.lstrip().startswith("{"):
        raise DataError(f"{path}: {missing}")
    document, version = open_document(
        path, text, form=LAW_FORMAT, newest=LAW_VERSION, missing=missing
    )
    try:
        law = _law_of(document, version)
        if document["kind"] not in _OF_BEFORE:
            compare_keys(document, _document_of(law))
    except (MalformedError, ScalingError) as error:
        raise DataError(f"{path}: not a valid law: {error}") from None
    return law


def is_law(path: str | os.PathLike[str]) -> bool:
    """Whether a file claims to be a law, rather than a table of runs."""
    try:
        if not Path(path).is_file():
            return False
        with Path(path).open("rb") as file:
            return LAW_FORMAT.encode() in file.read(_BEGINNING)
    except OSError:
        return False


def _document_of(law: Law) -> dict[str, Any]:
    provenance = asdict(law.provenance)
    if law.provenance.unit is None:  # which files did not have at first
        del provenance["unit"]
    return law.to_dict() | {"provenance": provenance}


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
            return _sweep(convert(document, _Sweep))
        case "posterior":
            return _posterior(document, version)
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
    """Infer the law anew from the optima that such a file holds (up to version 3)."""
    from scaling.numeric.fits.optima import fit_optima

    columns = zip(*((row.batch_size, row.learning_rate) for row in found["optima"]), strict=True)
    batch_size, learning_rate = columns
    return replace(fit_optima(batch_size, learning_rate), provenance=found["provenance"])


@dataclass
class _Named:
    name: str
    value: float


class _Drawn(TypedDict):
    recipe: Recipe | None
    noise_scale: float | tuple[float, float] | None
    posterior: dict[str, Any]
    eps: float | None
    second_moments: dict[str, Any] | None
    optima: list[_Point]
    setting: list[_Named]
    provenance: Provenance


def _posterior(document: dict[str, Any], version: int) -> Law:
    from scaling.numeric.inference.law import PosteriorLaw
    from scaling.numeric.inference.posterior import Posterior

    if version < 4:  # which had tuned runs only
        document.setdefault("optima", [])
        document.setdefault("setting", [])
    found: dict[str, Any] = {**convert(document, _Drawn)}
    found["posterior"] = Posterior.from_dict(found["posterior"])
    found["second_moments"] = _second_moments(found["second_moments"])
    found["optima"] = tuple(Point(row.batch_size, row.learning_rate) for row in found["optima"])
    found["setting"] = tuple((row.name, row.value) for row in found["setting"])
    return PosteriorLaw(**found)


@dataclass
class _Replicate:
    parameters: tuple[float, ...]


@dataclass
class _Covariate:
    name: str
    middle: float
    low: float
    high: float


class _Sweep(TypedDict):
    eps_form: Literal["outside", "inside", "gaussian"] | None
    covariates: tuple[_Covariate, ...]
    eps_range: tuple[float, float] | None
    reference_batch_size: float
    parameters: list[_Named]
    replicates: list[_Replicate]
    error: float | None
    provenance: Provenance
    setting: list[_Named]


def _sweep(found: _Sweep) -> Law:
    """Take the replicates of such a file (up to version 3) for draws.

    Their laws are T-E2, and T-E7 with eps; others that there were are refused.
    """
    from scaling.numeric.inference.law import PosteriorLaw
    from scaling.numeric.inference.posterior import Posterior

    octaves = _octaves(found)
    covariates = {c.name: (c.middle, c.low, c.high) for c in found["covariates"]}
    nothing = np.zeros_like(octaves["log_scale"])

    def exponents(kind: str) -> npt.NDArray[np.float64]:
        columns = [octaves.get(f"{kind}:{name}", nothing) * np.log(2) for name in covariates]
        return np.reshape(columns, (len(columns), nothing.size)).T

    parameters = {
        "level": octaves["log_scale"],
        "exponent": exponents("scale") - exponents("critical") / 2,
        "corner": octaves["log_critical"],
        "corner_exponent": exponents("critical"),
        "ratio": octaves["log_ratio"],
        "log_scatter": nothing + np.log(max(found["error"] or 0.0, 1e-5)),
    }
    if found["eps_form"]:
        parameters["eps_scale"] = octaves["log_gradient"]
    reference = found["reference_batch_size"]
    tried = found["provenance"].batch_size_range or (reference, reference)
    posterior = Posterior.of_parameters(parameters, tried, covariates, float(np.log2(reference)))
    setting = tuple((row.name, row.value) for row in found["setting"])
    return PosteriorLaw(posterior, found["provenance"], setting=setting)


def _octaves(found: _Sweep) -> dict[str, npt.NDArray[np.float64]]:
    """Replicates of each parameter, which are natural logarithms; the estimate where are none."""
    form, names = found["eps_form"], [row.name for row in found["parameters"]]
    if form in ("inside", "gaussian") or any(name.startswith("ratio:") for name in names):
        raise MalformedError(
            "it was fitted by an older version in a form that is no more; fit the runs again"
        )
    estimate = tuple(row.value for row in found["parameters"])
    rows = [row.parameters for row in found["replicates"]] or [estimate]
    if any(len(row) != len(names) for row in rows):
        raise MalformedError(f"replicates must have {len(names)} parameters each")
    needed = {"log_scale", "log_critical", "log_ratio", *(["log_gradient"] if form else [])}
    if missing := needed.difference(names):
        raise MalformedError(f"parameters lack {', '.join(sorted(missing))}")
    return dict(zip(names, np.array(rows).T / np.log(2), strict=True))
