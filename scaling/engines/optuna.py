"""Optuna: the law's range as a distribution, and its best guesses as the first trials."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import uuid4

from scaling.engines._engine import as_size, engine, space_of
from scaling.errors import InputError
from scaling.numeric.laws.law import Law
from scaling.numeric.laws.search_space import SearchSpace

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import FloatDistribution
    from optuna.trial import BaseTrial

#: Begins the names of the study's attributes by which workers agree who enqueues.
_CLAIM = "adam-lr-scaling: first trials of"


def suggest_lr(
    trial: "Trial | BaseTrial",
    law: Law,
    batch_size: float,
    *,
    name: str = "lr",
    level: float = 0.9,
) -> float:
    """Suggest a learning rate, log-uniformly within the law's interval.

    Parameters
    ----------
    trial : optuna.Trial
        The trial, inside an objective.
    law : Law
        A law with intervals.
    batch_size : float
        The trial's batch size, in the unit of the law.
    name : str, default "lr"
        What Optuna is to call it. In a study of several batch sizes each has a range, and hence
        needs a name, of its own, such as ``f"lr_{batch_size}"``.
    level : float, default 0.9
        Confidence level of the interval.

    Returns
    -------
    float

    Raises
    ------
    InputError
        If the study already has trials with another range under that name.
    DataError
        If the law has no interval that can be searched.
    MissingExtraError
        If Optuna is not installed.

    Warns
    -----
    UserWarning
        If the batch size is far outside the law's range.
    """
    found = _distribution(space_of(law, batch_size, level))
    study = getattr(trial, "study", None)  # a FixedTrial has none
    if study is not None:
        _check_range(study, name, found, batch_size)
    return trial.suggest_float(name, found.low, found.high, log=True)


def enqueue_first_trials(
    study: "Study", law: Law, batch_size: float, *, name: str = "lr", level: float = 0.9
) -> bool:
    """Enqueue the law's best guesses as a study's first trials, once.

    They are `SearchSpace.first_points`: the law's answer, and halfway to either end. Every worker
    that shares the study may call this; on a ``JournalStorage``, and within one process, one of
    them enqueues (killed at that very moment, it leaves the sampler to begin by itself). Other
    storages do not order what workers write at the same moment: there, call it where the study is
    created.

    Parameters
    ----------
    study : optuna.Study
    law, batch_size, name, level
        As for `suggest_lr`.

    Returns
    -------
    bool
        Whether this call did it.

    Raises
    ------
    InputError, DataError, MissingExtraError
        As `suggest_lr`.

    Warns
    -----
    UserWarning
        As `suggest_lr`.
    """
    space = space_of(law, batch_size, level)
    _check_range(study, name, _distribution(space), batch_size)
    claim = f"{_CLAIM} {name}, by"
    if not any(key.startswith(claim) for key in study.user_attrs):
        own = f"{claim} {uuid4()}"
        study.set_user_attr(own, space.first_points)
        # A journal is one sequence: all workers see the same claim as the first.
        if own == next(key for key in study.user_attrs if key.startswith(claim)):
            for point in space.first_points:
                study.enqueue_trial({name: point})
            return True
    return False


def form(spaces: Sequence[SearchSpace]) -> str:
    """Write ranges as Optuna's JSON: by batch size, ``fixed_distributions`` for `Study.ask`."""
    to_json = engine("optuna.distributions", "optuna", "sweeps").distribution_to_json
    found = {
        str(as_size(space.batch_size)): {"lr": json.loads(to_json(_distribution(space)))}
        for space in spaces
    }
    return json.dumps(found, indent=2, allow_nan=False) + "\n"


def _distribution(space: SearchSpace) -> "FloatDistribution":
    distributions = engine("optuna.distributions", "optuna", "sweeps")
    found: FloatDistribution = distributions.FloatDistribution(space.low, space.high, log=True)
    return found


def _check_range(study: "Study", name: str, wanted: "FloatDistribution", batch_size: float) -> None:
    """Refuse a study whose trials know another range, which samplers would silently mix."""
    for trial in study.get_trials(deepcopy=False):
        known = trial.distributions.get(name)
        if known is not None and known != wanted:
            raise InputError(
                f"the study {study.study_name!r} already has trials with {name} from {known}, the "
                f"law asks for {wanted} at batch size {batch_size:.10g}; take another name, such "
                f"as {name}_{as_size(batch_size)}, or another study",
                "study",
            )
