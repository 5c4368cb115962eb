"""Optuna's studies, by Optuna itself; opened to read, never created or upgraded."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scaling.errors import DataError, MissingExtraError, ScalingError
from scaling.numeric.inputs.files import LARGEST
from scaling.numeric.sources.records import Source, choose


def read_study(url: str, study: str | None, source: str | None = None) -> Source:
    """Read a study from a database; ``source`` is what messages call it."""
    optuna = _optuna()

    def connect() -> Any:
        return optuna.storages.RDBStorage(url, skip_table_creation=True)

    return _read(connect, study, source or url)


def read_journal(path: Path, study: str | None) -> Source:
    """Read a study from a journal."""
    optuna = _optuna()
    if path.stat().st_size > LARGEST:
        raise DataError(f"{path}: not read: it is larger than {LARGEST / 2**20:.10g} MiB")

    def connect() -> Any:
        from optuna.storages.journal import JournalFileBackend

        return optuna.storages.JournalStorage(JournalFileBackend(os.fspath(path)))

    return _read(connect, study, str(path))


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise MissingExtraError("optuna", "sweeps") from None
    return optuna


def _read(connect: Callable[[], Any], name: str | None, source: str) -> Source:
    try:
        storage = connect()
        studies = {study.study_name: study for study in storage.get_all_studies()}
        found = choose(studies, name, source, "study")
        trials = storage.get_all_trials(found._study_id, deepcopy=False)  # noqa: SLF001
    except ScalingError:
        raise
    except Exception as error:  # noqa: BLE001 - every driver of a database has errors of its own
        problem = " ".join(str(error).split())[:200]
        raise DataError(f"{source}: not read by Optuna: {problem}") from None
    directions = [direction.name for direction in found.directions]
    if directions != ["MINIMIZE"]:
        raise DataError(
            f"{source}: the study {found.study_name!r} does not minimize one loss: "
            f"{', '.join(directions).lower()}"
        )
    records = [_record(trial) for trial in trials]
    return Source(records, tuple(f"trial {trial.number}" for trial in trials))


def _record(trial: Any) -> dict[str, Any]:
    """Name settings and results as `Study.trials_dataframe` does."""
    record = {f"params_{name}": value for name, value in trial.params.items()}
    record |= {f"user_attrs_{name}": value for name, value in trial.user_attrs.items()}
    reported = trial.intermediate_values
    value = trial.value if trial.state.name == "COMPLETE" else None
    # Optuna takes no nan for a result and calls the trial failed; what was reported tells.
    if trial.state.name == "FAIL" and reported and not math.isfinite(reported[max(reported)]):
        value = "nan"
    return record | {"value": value, "state": trial.state.name}
