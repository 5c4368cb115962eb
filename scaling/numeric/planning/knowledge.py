"""What there is to plan from: optima, runs, or only draws; and what follows from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any, Self

import numpy as np

from scaling.errors import DataError, InputError
from scaling.numeric.facts import Fact
from scaling.numeric.inference.evidence.evidence import Evidence
from scaling.numeric.inference.law import PosteriorLaw, measured
from scaling.numeric.inference.posterior import Posterior, infer
from scaling.numeric.inputs.arrays import FloatArray, non_negative
from scaling.numeric.inputs.recipe import Recipe
from scaling.numeric.laws.law import Law
from scaling.numeric.planning.readings import Place, read_careful
from scaling.numeric.planning.updating import updated, updated_here
from scaling.numeric.planning.valley import Valley
from scaling.numeric.tables.run_tables import read_runs
from scaling.numeric.tables.runs import Runs

#: Draws of a plan, and of one from more optima than that, which is to be made fast.
_DRAWS, _FEW_DRAWS, _MANY = 1000, 200, 64
#: A logarithm of a likelihood that varies less than that says nothing.
_FLAT = 0.01
#: What needs no reading.
READY = (Runs, Evidence, Recipe, Law, Posterior)
COLUMNS = dict.fromkeys(("batch_size", "learning_rate", "loss", "eps", "seed"))


@dataclass(frozen=True, eq=False)
class Knowledge:
    """What there is: optima, runs, or draws; the latter hold where no optima are with them.

    What was guessed of a table, and left out of it, is said.
    """

    evidence: Evidence | None = None
    runs: Runs | None = None
    draws: Posterior | None = None
    said: tuple[Fact, ...] = ()

    @classmethod
    def of(cls, known: Any, covariates: tuple[str, ...]) -> Self:
        """Sort out what was given."""
        if isinstance(known, Evidence):
            return cls(evidence=known)
        if isinstance(known, Runs):
            return cls(runs=known)
        if isinstance(known, Recipe):
            known = PosteriorLaw.of_tuned_run(known)
        if isinstance(known, PosteriorLaw) and (known.recipe is not None or known.optima):
            points = known.optima if known.recipe is None else (known.reference,)
            optima = replace(_optima(points), noise_scale=measured(known.noise_scale))
            return cls(optima, draws=known.posterior)
        draws = known if isinstance(known, Posterior) else getattr(known, "posterior", None)
        if draws is not None:
            return cls(draws=draws)
        if isinstance(known, Law):
            raise InputError("the law has no draws; plan from the runs, or from the tuned run")
        runs, said = read_runs(known, COLUMNS, covariates)
        return cls(runs=runs, said=said)

    def tried(self, names: tuple[str, ...]) -> tuple[list[float], list[tuple[float, ...]]]:
        """Batch sizes and settings of the covariates that were tried."""
        if self.evidence is None and self.draws is not None:
            settings = np.exp2(self.draws.groups[:, : len(names)]).tolist()
            rows = [tuple(float(f"{x:.12g}") for x in row) for row in settings]
            return self.draws.ranges[0].tolist(), sorted(set(rows))
        sizes: list[float] = []
        rows = []
        for source in (self.evidence, self.runs):
            if source is not None:
                sizes += source.batch_size.tolist()
                columns = [source.covariates[name].tolist() for name in names]
                rows += zip(*columns, strict=True) if names else [()]
        return sorted(set(sizes)), sorted(set(rows))

    def add(self, runs: Runs) -> Self:
        """Return it with further runs."""
        return replace(self, runs=runs if self.runs is None else _joined(self.runs, runs))


@dataclass(frozen=True, eq=False)
class Belief:
    """What follows from the knowledge."""

    posterior: Posterior
    valley: Valley
    evidence: Evidence | None
    likelihood: tuple[FloatArray, FloatArray] | None

    @classmethod
    def of(cls, known: Knowledge, target: Place) -> Self:
        """Infer from all there is: what the target's own cell says comes last, and whole."""
        found = read_careful(known.runs, target)
        given = [] if known.evidence is None else [known.evidence]
        parts = [*given, *found.elsewhere]
        whole = reduce(add, parts) if parts else None
        if known.draws is not None and not found.elsewhere:
            posterior = known.draws
        elif known.draws is not None and known.evidence is None and whole is not None:
            posterior = updated(known.draws, whole)
        elif whole is None or np.isinf([whole.below, whole.above]).any(axis=0).all():
            # There is nothing but the target's own.
            parts = [*parts, *([] if found.here is None else [found.here])]
            if not parts:
                raise DataError(
                    "no batch size has different losses at two learning rates, nor is there an "
                    "optimum; run two learning rates at one, or begin from a tuned run"
                )
            whole = reduce(add, parts)
            return cls(_inferred(whole), found.valley, whole, found.likelihood)
        else:
            posterior = _inferred(whole)
        if found.likelihood is None or np.ptp(found.likelihood[1]) < _FLAT:
            return cls(posterior, found.valley, whole, None)
        here = _place(target)
        try:
            posterior = updated_here(posterior, here, found.likelihood)
        except DataError:
            if known.draws is not None and known.evidence is None:
                raise
            if found.here is not None and whole is not None:
                posterior = _inferred(whole + found.here)
        return cls(posterior, found.valley, whole, found.likelihood)


def _inferred(whole: Evidence) -> Posterior:
    return infer(whole, draws=_DRAWS if len(whole) <= _MANY else _FEW_DRAWS)


def _place(target: Place) -> Evidence:
    """The target as a row of evidence, whose optimum is of no consequence."""
    batch_size, covariates, eps = target
    around = {name: np.array([value]) for name, value in covariates.items()}
    return Evidence(np.array([batch_size]), np.ones(1), covariates=around, eps=np.array([eps]))


def check_covariates(known: Knowledge, given: Mapping[str, float]) -> None:
    """Refuse a target that names other covariates than there are."""
    has: set[str] = set()
    for source in (known.evidence, known.runs, known.draws):
        has |= set(source.covariates) if source is not None else set()
    for name in sorted(has ^ set(given)):
        wrong = "missing; say it for the target" if name in has else "is not in what is known"
        raise InputError(f"{name} {wrong}", "covariate")


def eps_of(known: Knowledge, eps: float | None) -> float:
    """Epsilon that is meant: the only one tried, unless several were."""
    columns = [source.eps for source in (known.runs, known.evidence) if source is not None]
    tried = sorted({x for column in columns if column is not None for x in column.tolist()})
    if eps is not None:
        non_negative(eps, "eps")
    if known.draws is not None and known.draws.family.eps:
        if eps is None:
            raise InputError("missing; the law was fitted to runs at several", "eps")
        return eps
    if eps is None and len(tried) > 1:
        listed = ", ".join(f"{x:g}" for x in tried)
        raise InputError(f"missing; the runs have {listed}", "eps")
    if eps is not None and len(tried) <= 1 and eps not in tried:
        raise InputError("was not varied in what is known, so what it does is unknown", "eps")
    return (tried or [0.0])[0] if eps is None else eps


def _optima(points: Sequence[tuple[float, float]]) -> Evidence:
    return Evidence(*np.transpose(points))


def _joined(one: Runs, other: Runs) -> Runs:
    """Both tables; seeds are only repetitions."""
    if set(one.covariates) != set(other.covariates) or (one.eps is None) != (other.eps is None):
        raise InputError("must have the columns of those seen", "runs")

    def both(name: str) -> FloatArray:
        return np.concatenate([getattr(one, name), getattr(other, name)])

    covariates = {n: np.concatenate([v, other.covariates[n]]) for n, v in one.covariates.items()}
    eps = None if one.eps is None else both("eps")
    settings = both("batch_size"), both("learning_rate")
    return Runs(*settings, both("loss"), eps=eps, covariates=covariates)
