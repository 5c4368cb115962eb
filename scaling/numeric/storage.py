"""Laws in JSON files: one form for all of them, versioned, read strictly, written atomically."""

import json
import os
from typing import Any, cast

from scaling.errors import DataError, ScalingError
from scaling.numeric._files import write_whole
from scaling.numeric._text import read_text
from scaling.numeric.batch_size_law import BatchSizeLaw
from scaling.numeric.law import Law, Point, Provenance, Source
from scaling.numeric.optima import FittedLaw
from scaling.numeric.recipe import GradientStatistics, Recipe
from scaling.numeric.transfer import TransferLaw

LAW_FORMAT = "adam-lr-scaling law"
LAW_VERSION = 2


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
    text = json.dumps(document, indent=2, allow_nan=False) + "\n"
    write_whole(path, text.encode())


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
    document = _parse(path, read_text(path))
    if not isinstance(document, dict) or document.pop("format", None) != LAW_FORMAT:
        raise DataError(f"{path}: not a law; `lr query ... --save` writes one")
    version = document.pop("version", None)
    if type(version) is not int or version < 1:
        raise DataError(f"{path}: the version must be a whole number, got {version!r}")
    if version > LAW_VERSION:
        raise DataError(
            f"{path}: written in version {version}, this program reads up to {LAW_VERSION}; "
            "update adam-lr-scaling"
        )
    if version == 1 and document.get("kind") == "transfer":
        _add_beta2(document)
    try:
        return _law_from(_Reader(document))
    except (_MalformedError, ScalingError) as error:
        raise DataError(f"{path}: not a valid law: {error}") from None


def _add_beta2(document: dict[str, Any]) -> None:
    """Bring a transfer law of version 1, which knew no beta2 and no step, up to date."""
    for key in ("beta2", "step"):
        document.setdefault(key, None)
    if isinstance(document.get("recipe"), dict):
        document["recipe"].setdefault("beta2", None)


def _parse(path: str | os.PathLike[str], text: str) -> Any:
    """Read JSON, strictly: no NaN, no key twice."""

    def refuse(constant: str) -> None:
        raise DataError(f"{path}: holds {constant}, which is not a number; save the law again")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            raise DataError(f"{path}: a key stands twice among {', '.join(k for k, _ in pairs)}")
        return result

    try:
        return json.loads(text, parse_constant=refuse, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}: not a whole JSON file: {error.msg} at line {error.lineno}; save the law again"
        ) from None
    except DataError:
        raise
    except (RecursionError, ValueError):
        raise DataError(f"{path}: not a law: nested too deeply, or a number too long") from None


class _MalformedError(Exception):
    """A JSON value that is not what it should be; says where."""


class _Reader:
    """A JSON object read key by key; every key must be there, and be read."""

    def __init__(self, document: Any, where: str = "") -> None:
        if not isinstance(document, dict):
            raise _MalformedError(f"{where or 'the file'} must be an object")
        self.document, self.where = dict(document), where

    def value(self, key: str) -> Any:
        if key not in self.document:
            raise _MalformedError(f"{self.where}{key} is missing")
        return self.document.pop(key)

    def text(self, key: str) -> str:
        value = self.value(key)
        if not isinstance(value, str):
            raise _MalformedError(f"{self.where}{key} must be a text, got {value!r}")
        return value

    def number(self, key: str) -> float:
        value = self.value(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _MalformedError(f"{self.where}{key} must be a number, got {value!r}")
        try:
            number = float(value)
        except OverflowError:
            number = float("inf")
        if not abs(number) < float("inf"):
            raise _MalformedError(f"{self.where}{key} is too large for a number")
        return number

    def optional_number(self, key: str) -> float | None:
        if self.document.get(key, 0) is not None:
            return self.number(key)
        del self.document[key]
        return None

    def number_or_infinity(self, key: str) -> float:
        value = self.optional_number(key)
        return float("inf") if value is None else value

    def optional_pair(self, key: str) -> tuple[float, float] | None:
        value = self.value(key)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != 2:
            raise _MalformedError(f"{self.where}{key} must be null or two numbers")
        pair = _Reader(dict(zip("01", value, strict=True)), f"{self.where}{key}.")
        return pair.number("0"), pair.number("1")

    def object(self, key: str) -> "_Reader":
        return _Reader(self.value(key), f"{self.where}{key}.")

    def objects(self, key: str) -> "list[_Reader]":
        values = self.value(key)
        if not isinstance(values, list):
            raise _MalformedError(f"{self.where}{key} must be a list")
        return [_Reader(value, f"{self.where}{key}[{i}].") for i, value in enumerate(values)]

    def end(self) -> None:
        for key in self.document:
            raise _MalformedError(f"{self.where}{key} is unknown")


def _law_from(reader: _Reader) -> Law:
    kind = reader.text("kind")
    provenance = _provenance_from(reader.object("provenance"))
    law: Law
    if kind == "transfer":
        recipe, statistics = reader.object("recipe"), reader.object("statistics")
        law = TransferLaw(
            Recipe(
                recipe.number("learning_rate"),
                recipe.number("batch_size"),
                recipe.number("eps"),
                recipe.optional_number("beta1"),
                recipe.optional_number("beta2"),
            ),
            GradientStatistics(
                statistics.number("noise_scale"),
                statistics.optional_number("grad_rms"),
                statistics.number("curvature_ratio"),
            ),
            reader.optional_number("eps"),
            reader.optional_number("beta1"),
            reader.text("moments"),
            reader.text("population"),
            provenance,
            reader.optional_number("beta2"),
            reader.optional_number("step"),
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
    else:
        raise _MalformedError(f"kind {kind!r} is unknown")
    reader.end()
    return law


def _optima_from(rows: list[_Reader]) -> tuple[tuple[Point, ...], tuple[float, ...]]:
    points, weights = [], []
    for row in rows:
        points.append(Point(row.number("batch_size"), row.number("learning_rate")))
        weights.append(row.number("weight"))
        row.end()
    return tuple(points), tuple(weights)


def _provenance_from(reader: _Reader) -> Provenance:
    source, description = reader.text("source"), reader.text("description")
    span = reader.optional_pair("batch_size_range")
    reader.end()
    return Provenance(cast("Source", source), description, span)
