"""Optuna's studies, read by Optuna itself; nothing is created or upgraded."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scaling.errors import DataError, MissingExtraError, ScalingError
from scaling.numeric.inputs.files import LARGEST
from scaling.numeric.sources.records import Source, choose, without_password


def read_study(url: str, study: str | None) -> Source:
    """Read a study from a database, by its URL."""
    optuna = _optuna()
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        name = make_url(url)
        name.get_dialect()
    except (ArgumentError, NoSuchModuleError):
        raise DataError(
            f"{without_password(url)}: neither a file nor the URL of a database"
        ) from None
    if name.get_backend_name() == "sqlite" and name.database:
        return read_database(Path(name.database), study)
    return _read_rdb(optuna, url, study, without_password(url))


def read_database(path: Path, study: str | None) -> Source:
    """Read a study from a file of SQLite, which would create it where there is none."""
    optuna = _optuna()
    from sqlalchemy.engine import URL

    if not path.is_file():
        raise DataError(f"{path}: cannot be read: No such file")
    name = f"file:{quote(str(path.absolute()))}"
    url = URL.create("sqlite", database=name, query={"mode": "ro", "uri": "true"})
    return _read_rdb(optuna, url.render_as_string(), study, str(path))


def _read_rdb(optuna: Any, url: str, study: str | None, source: str) -> Source:
    return _read(lambda: optuna.storages.RDBStorage(url, skip_table_creation=True), study, source)


def read_journal(path: Path, study: str | None) -> Source:
    """Read a study from a journal."""
    optuna = _optuna()
    if path.stat().st_size > LARGEST:
        raise DataError(f"{path}: not read: it is larger than {LARGEST / 2**20:.10g} MiB")
    backend = optuna.storages.journal.JournalFileBackend
    return _read(lambda: optuna.storages.JournalStorage(backend(os.fspath(path))), study, str(path))


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
