"""Recognise where runs are kept, by the contents and not by the name."""

import os
import re
from pathlib import Path

from scaling.errors import DataError, InputError
from scaling.numeric.sources._folders import read_folder
from scaling.numeric.sources._logs import is_log, read_logs
from scaling.numeric.sources._mlflow import is_mlflow, opened, read_mlflow, read_mlflow_database
from scaling.numeric.sources._optuna import read_database, read_journal, read_study
from scaling.numeric.sources._tensorboard import read_events
from scaling.numeric.sources.records import Source, files_below, head_of

_URL = re.compile(r"([a-z][a-z0-9+]*)://", re.IGNORECASE)


def read_source(path: str | os.PathLike[str], study: str | None = None) -> Source | None:
    """Read the runs of a tracker or a framework.

    Parameters
    ----------
    path : path-like
        The storage of an Optuna study (URL of a database, ``.db`` file, journal); MLflow's folder
        or database; a folder with results of Ray, checkpoints of Hugging Face's Trainer, runs of
        W&B, DVCLive, Lightning's CSV logs, nanochat's checkpoints; event files of TensorBoard with
        hparams; logs of nanoGPT, nanochat, Megatron, torchtitan, Composer, one a run.
    study : str, optional
        Name of the study, or of MLflow's experiment, where there are several.

    Returns
    -------
    Source or None
        None if it is none of these, but perhaps a table.

    Raises
    ------
    DataError, InputError, MissingExtraError
        If it is one of these and cannot be read.
    """
    text = os.fspath(path)
    if not text:
        raise InputError("the name of what to read is empty")
    found: Source | None
    if _URL.match(text) and not text.startswith("file:"):
        found = read_study(text, study)
    else:
        place = Path(re.sub(r"^file:(//)?", "", text))
        is_folder = os.path.isdir(place)  # noqa: PTH112 - which answers for every name
        found = _read_folder(place, study) if is_folder else _read_file(place, study)
    if found is None and study is not None:
        raise InputError(f"{path} is a table, which has no studies; leave it out", "study")
    if found is not None and not found.records:
        raise DataError(f"{path}: holds no run")
    return found


def _read_folder(folder: Path, study: str | None) -> Source:
    if is_mlflow(folder):
        return read_mlflow(folder, study)
    for name in ("mlruns", "mlflow.db"):
        if (folder / name).exists():
            found = read_source(folder / name, study)
            if found is not None:
                return found
    if (folder / ".aim").is_dir() or folder.name == ".aim":
        raise DataError(
            f"{folder}: Aim's own database; write aim.Repo('.').query_metrics(\"metric.name == "
            "'loss'\").dataframe(only_last=True).to_csv('runs.csv') and give that"
        )
    files = list(files_below(folder))
    for read in (read_folder, read_events, read_logs):
        found = read(folder, files)
        if found is not None:
            return found
    raise DataError(
        f"{folder}: a directory without runs: neither results of a tracker or a trainer nor logs "
        "that are known"
    )


def _read_file(path: Path, study: str | None) -> Source | None:
    head = head_of(path)
    if head.startswith(b"SQLite format 3"):
        tables = _tables(path)
        if "studies" in tables:
            return read_database(path, study)
        if {"experiments", "latest_metrics"} <= tables:
            return read_mlflow_database(path, study)
        raise DataError(f"{path}: a database, but neither of an Optuna study nor of MLflow")
    if re.match(rb'\{[^\n]*"op_code"', head):
        return read_journal(path, study)
    if "tfevents" in path.name:
        return read_events(path.parent, [path])
    if head and is_log(head):
        return read_logs(path.parent, [path])
    return None


def _tables(path: Path) -> set[str]:
    with opened(path) as database:
        rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {str(name) for (name,) in rows.fetchmany(10_000)}
