"""Laws in JSON files: one form for all of them, versioned, read strictly, written atomically."""

import json
import os
from typing import TYPE_CHECKING, cast

from scaling.errors import DataError, ScalingError
from scaling.numeric.inference.optima.optima import FittedLaw
from scaling.numeric.inference.sweep_law import Covariate, SweepLaw
from scaling.numeric.inputs.json import MalformedError, Reader, open_document
from scaling.numeric.inputs.recipe import GradientStatistics, Recipe
from scaling.numeric.inputs.text import read_text, write_text
from scaling.numeric.laws.batch_size_law import BatchSizeLaw
from scaling.numeric.laws.law import Law, Point, Provenance, Source
from scaling.numeric.laws.transfer import TransferLaw

if TYPE_CHECKING:
    from scaling.numeric.inference.forms import EpsForm
    from scaling.numeric.population.gradients import GradientPopulation

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
    provenance = law.provenance
    document = {
        "format": LAW_FORMAT,
        "version": LAW_VERSION,
        **law.to_dict(),
        "provenance": {
            "source": provenance.source,
            "description": provenance.description,
            "batch_size_range": provenance.batch_size_range,
        },
    }
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
    reader = open_document(
        path,
        read_text(path),
        form=LAW_FORMAT,
        newest=LAW_VERSION,
        missing="not a law; `lr query ... --save` writes one",
    )
    try:
        return _law_from(reader)
    except (MalformedError, ScalingError) as error:
        raise DataError(f"{path}: not a valid law: {error}") from None


def _law_from(reader: Reader) -> Law:
    kind = reader.text("kind")
    provenance = _provenance_from(reader.object("provenance"))
    law: Law
    if kind == "transfer":
        recipe, statistics = reader.object("recipe"), reader.object("statistics")
        if reader.version == 1:  # which knew no beta2, step and weight decay
            for inner, key in (
                (recipe, "beta2"),
                (recipe, "weight_decay"),
                (reader, "beta2"),
                (reader, "step"),
            ):
                inner.document.setdefault(key, None)
        if reader.version < 3:  # which answered for one step
            reader.document.setdefault("horizon", 1)
        law = TransferLaw(
            Recipe(
                recipe.number("learning_rate"),
                recipe.number("batch_size"),
                recipe.number("eps"),
                recipe.optional_number("beta1"),
                recipe.optional_number("beta2"),
                recipe.optional_number("weight_decay"),
            ),
            GradientStatistics(
                statistics.number("noise_scale"),
                statistics.optional_number("grad_rms"),
                statistics.number("curvature_ratio"),
            ),
            reader.optional_number("eps"),
            reader.optional_number("beta1"),
            reader.text("moments"),
            _population_from(reader),
            provenance,
            reader.optional_number("beta2"),
            reader.optional_number("step"),
            reader.number_or_infinity("horizon"),
        )
        recipe.end()
        statistics.end()
    elif kind in ("batch-size", "fitted"):
        point = reader.object("reference")
        parameters = (
            point.number("batch_size"),
            point.number("learning_rate"),
            reader.number_or_infinity("noise_batch_size"),
            reader.number_or_infinity("critical_batch_size"),
            provenance,
        )
        point.end()
        if kind == "batch-size":
            law = BatchSizeLaw(*parameters)
        else:
            law = FittedLaw(*parameters, *_optima_from(reader.objects("optima")))
            law.parameter_intervals()  # which refuses parameters that do not fit the optima
    elif kind == "sweep":
        law = _sweep_from(reader, provenance)
    else:
        raise MalformedError(f"kind {kind!r} is unknown")
    reader.end()
    return law


def _population_from(reader: Reader) -> "str | GradientPopulation":
    """Return the name of a population, or the sketch of one."""
    if isinstance(reader.document.get("population"), str):
        return reader.text("population")
    from scaling.numeric.population.gradients import GradientPopulation

    return GradientPopulation.from_json(json.dumps(reader.object("population").document))


def _sweep_from(reader: Reader, provenance: Provenance) -> SweepLaw:
    covariates, replicates = [], []
    for row in reader.objects("covariates"):
        covariates.append(
            Covariate(row.text("name"), row.number("middle"), row.number("low"), row.number("high"))
        )
        row.end()
    for row in reader.objects("replicates"):
        replicates.append(row.numbers("parameters"))
        row.end()
    return SweepLaw(
        cast("EpsForm | None", reader.optional_text("eps_form")),
        tuple(covariates),
        reader.optional_pair("eps_range"),
        reader.number("reference_batch_size"),
        _named_numbers(reader.objects("parameters")),
        tuple(replicates),
        reader.optional_number("error"),
        provenance,
        _named_numbers(reader.objects("setting")),
    )


def _named_numbers(rows: list[Reader]) -> tuple[tuple[str, float], ...]:
    result = []
    for row in rows:
        result.append((row.text("name"), row.number("value")))
        row.end()
    return tuple(result)


def _optima_from(rows: list[Reader]) -> tuple[tuple[Point, ...], tuple[float, ...]]:
    points, weights = [], []
    for row in rows:
        points.append(Point(row.number("batch_size"), row.number("learning_rate")))
        weights.append(row.number("weight"))
        row.end()
    return tuple(points), tuple(weights)


def _provenance_from(reader: Reader) -> Provenance:
    source, description = reader.text("source"), reader.text("description")
    span = reader.optional_pair("batch_size_range")
    reader.end()
    return Provenance(cast("Source", source), description, span)
