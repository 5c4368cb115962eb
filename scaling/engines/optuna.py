"""Optuna: the law's range, its best guesses as the first trials, and runs by a plan."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from scaling.engines._engine import as_size, engine, space_of
from scaling.errors import DataError, InputError
from scaling.numeric.laws.law import Law
from scaling.numeric.laws.search_space import SearchSpace
from scaling.numeric.planning.plan import Proposal, plan
from scaling.numeric.sources.records import without_password
from scaling.numeric.tables.runs import Runs

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import FloatDistribution
    from optuna.trial import BaseTrial, FrozenTrial

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

    The trial keeps ``batch_size`` and ``lr`` as user attributes, from which `fit_sweep` reads the
    study back. A law that was fitted again may move the range of a running study.

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
        If the study has trials with another range under that name, and not at this batch size.
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
    lr = float(trial.suggest_float(name, found.low, found.high, log=True))
    trial.set_user_attr("batch_size", as_size(batch_size))
    trial.set_user_attr("lr", lr)
    return lr


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


def enqueue_runs(
    runs: Sequence[Proposal],
    storage: Any,
    study_name: str,
    *,
    name: str = "lr",
    batch_size: str = "batch_size",
) -> None:
    """Enqueue planned runs as trials of a study, which is made if there is none.

    Parameters
    ----------
    runs : sequence of Proposal
        From `Plan.ask`.
    storage : str or optuna.storages.BaseStorage
        The URL of a database, or what Optuna has made of one.
    study_name : str
    name, batch_size : str
        What Optuna calls them.

    Raises
    ------
    DataError
        If there is no such storage.
    MissingExtraError
        If Optuna is not installed.
    """
    optuna = engine("optuna", "optuna", "sweeps")
    try:
        study = optuna.create_study(storage=storage, study_name=study_name, load_if_exists=True)
    except Exception as error:
        if not isinstance(storage, str):
            raise
        # Every driver of a database has errors of its own.
        problem = " ".join(str(error).split())[:200]
        raise DataError(
            f"{without_password(storage)}: not opened by Optuna, as sqlite:///study.db would be: "
            f"{problem}"
        ) from None
    for run in runs:
        fixed = {name: run.learning_rate, batch_size: as_size(run.batch_size), **run.covariates}
        study.enqueue_trial(fixed)


class LawSampler:
    """Sampler that chooses learning rate and batch size by a plan, and leaves the rest alone.

    Finished trials are told to `scaling.plan`, failed ones as too high a learning rate, and those
    that run are outstanding. Any number of workers may share a storage: each makes the same plan
    and takes of it the place that its trial has among those that have not chosen yet.

    Parameters
    ----------
    known : Runs, path, Recipe, Evidence or Law
        What there is before the study; see `scaling.plan`.
    target_batch_size : float
        For which the learning rate is wanted.
    sampler : optuna.samplers.BaseSampler, optional
        For every other parameter; TPE by default.
    name, batch_size : str
        What Optuna calls them.
    fixed_batch_size : float, optional
        Of all trials, where the objective does not suggest one; the target's by default.
    **options
        Of `scaling.plan`, such as ``cost``.

    Raises
    ------
    MissingExtraError
        If Optuna is not installed.
    """

    def __init__(
        self,
        known: Any,
        target_batch_size: float,
        sampler: Any = None,
        *,
        name: str = "lr",
        batch_size: str = "batch_size",
        fixed_batch_size: float | None = None,
        **options: Any,
    ) -> None:
        samplers = engine("optuna.samplers", "optuna", "sweeps")
        self._states = engine("optuna.trial", "optuna", "sweeps").TrialState
        self._sampler = samplers.TPESampler() if sampler is None else sampler
        self._known, self._target, self._options = known, target_batch_size, options
        self._name, self._batch_size = name, batch_size
        self._fixed = target_batch_size if fixed_batch_size is None else fixed_batch_size

    def __getattr__(self, attribute: str) -> Any:
        """Whatever else a study asks of its sampler is the other sampler's affair."""
        if attribute.startswith("__") or attribute == "_sampler":
            raise AttributeError(attribute)
        return getattr(self._sampler, attribute)

    def infer_relative_search_space(self, study: "Study", trial: "FrozenTrial") -> dict[str, Any]:
        """What the other sampler chooses together: all but ours."""
        space = self._sampler.infer_relative_search_space(study, trial)
        return {key: x for key, x in space.items() if key not in (self._name, self._batch_size)}

    def sample_independent(
        self, study: "Study", trial: "FrozenTrial", param_name: str, param_distribution: Any
    ) -> Any:
        """Choose a learning rate or a batch size; ask the other sampler for anything else."""
        if param_name == self._batch_size:
            if hasattr(param_distribution, "choices"):
                choices = list(param_distribution.choices)
            else:
                low, high = param_distribution.low, param_distribution.high
                choices = [size for size in self._sizes() if low <= size <= high] or [high]
            size = self._propose(study, trial, choices).batch_size
            return min(choices, key=lambda choice: abs(choice - size))
        if param_name == self._name:
            rate = self._propose(study, trial, [self._size(trial)]).learning_rate
            return min(max(rate, param_distribution.low), param_distribution.high)
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def _sizes(self) -> list[float]:
        """Batch sizes at which the plan would make runs."""
        return plan(self._known, self._target, **self._options).batch_sizes

    def _propose(self, study: "Study", trial: "FrozenTrial", sizes: list[float]) -> Proposal:
        """Plan anew from the study's trials, and take the run that is this trial's turn."""
        state = plan(self._known, self._target, batch_sizes=sizes, **self._options)
        trials = study.get_trials(deepcopy=False)
        chosen = [other for other in trials if self._name in other.params]
        if runs := self._ended(chosen):
            state.tell(Runs(*np.array(runs, dtype=float).T))
        running = {t.number for t in trials if t.state == self._states.RUNNING} - {trial.number}
        for other in chosen:
            if other.number in running:
                state.expect(self._size(other), other.params[self._name])
        # Those that began before and have not chosen yet take the runs before this one's.
        waiting = running - {other.number for other in chosen}
        turn = sum(number < trial.number for number in waiting)
        return state.preview(turn + 1)[turn]

    def _ended(self, trials: "list[FrozenTrial]") -> list[tuple[float, float, float | None]]:
        """Batch size, learning rate and loss of trials that are at their end; failed: diverged."""
        states = self._states
        return [
            (self._size(t), t.params[self._name], t.value if t.state == states.COMPLETE else None)
            for t in trials
            if t.state in (states.COMPLETE, states.FAIL)
        ]

    def _size(self, trial: "FrozenTrial") -> float:
        return float(trial.params.get(self._batch_size, self._fixed))


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
    """Refuse a study whose trials have another range for another batch size, or for none known.

    Samplers would silently mix them. At one batch size a range that moves is no other question.
    """
    for trial in study.get_trials(deepcopy=False):
        known = trial.distributions.get(name)
        if known is None or known == wanted:
            continue
        if trial.user_attrs.get("batch_size") != as_size(batch_size):
            raise InputError(
                f"the study {study.study_name!r} already has trials with {name} from {known}, the "
                f"law asks for {wanted} at batch size {batch_size:.10g}; take another name, such "
                f"as {name}_{as_size(batch_size)}, or another study",
                "study",
            )
