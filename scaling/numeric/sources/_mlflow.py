"""MLflow's runs, read from its folders or its database without MLflow."""

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from scaling.errors import DataError
from scaling.numeric.sources.records import Source, choose, read_small

_STATES = {"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"}
_MOST_ROWS = 5_000_000


def is_mlflow(folder: Path) -> bool:
    """Whether a folder is MLflow's, of experiments, or one experiment's."""
    return any(folder.glob("*/meta.yaml"))


def read_mlflow(folder: Path, study: str | None) -> Source:
    """Read the runs of an experiment from the folders ``experiment/run/{params,metrics}``."""
    if (folder / "meta.yaml").exists():
        runs = [path.parent for path in sorted(folder.glob("*/meta.yaml"))]
    else:
        experiments: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(folder.glob("*/*/meta.yaml")):
            name = _meta(path.parents[1] / "meta.yaml").get("name", path.parents[1].name)
            experiments[name].append(path.parent)
        runs = choose(experiments, study, folder, "experiment")
    records, labels = [], []
    for run in runs:
        meta = _meta(run / "meta.yaml")
        if meta.get("lifecycle_stage", "active") != "active":
            continue
        record: dict[str, Any] = {f"params.{name}": text for name, text in _texts(run / "params")}
        record |= {f"metrics.{name}": _last(text) for name, text in _texts(run / "metrics")}
        records.append(record | {"status": _STATES.get(meta.get("status", ""), "")})
        labels.append(f"run {meta.get('run_name', run.name)}")
    return Source(records, tuple(labels))


def _meta(path: Path) -> dict[str, str]:
    """Read the plain lines ``key: value`` of a meta.yaml."""
    found = re.findall(r"^(\w+): *(.*?) *$", read_small(path), re.MULTILINE)
    return {key: value.strip("'\"") for key, value in found}


def _texts(folder: Path) -> list[tuple[str, str]]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [(path.relative_to(folder).as_posix(), read_small(path)) for path in files]


def _last(text: str) -> str | None:
    """Return the value at the last step of the lines ``time value step``."""
    rows = [line.split() for line in text.splitlines() if line.strip()]
    steps = [int(row[2]) if len(row) > 2 and row[2].lstrip("-").isdigit() else 0 for row in rows]
    best = max(range(len(rows)), key=lambda i: (steps[i], i), default=None)
    return None if best is None or len(rows[best]) < 2 else rows[best][1]


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a file of SQLite to read; what is wrong with it is one line."""
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as database:
            database.text_factory = partial(str, encoding="utf-8", errors="replace")
            database.execute("PRAGMA trusted_schema = OFF")
            yield database
    except (sqlite3.Error, UnicodeError) as error:
        problem = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: not a whole database: {problem}") from None


def read_mlflow_database(path: Path, study: str | None) -> Source:
    """Read the runs of an experiment from MLflow's database in one SQLite file."""
    with opened(path) as database:
        return _read_database(database, path, study)


def _read_database(database: sqlite3.Connection, path: Path, study: str | None) -> Source:
    def rows(query: str, *values: Any) -> list[tuple[Any, ...]]:
        return database.execute(query, values).fetchmany(_MOST_ROWS)

    used = rows(
        "SELECT DISTINCT e.name, e.experiment_id FROM experiments e JOIN runs USING (experiment_id)"
    )
    experiment = choose({str(name): key for name, key in used}, study, path, "experiment")
    runs = rows(
        "SELECT run_uuid, name, status FROM runs WHERE experiment_id = ? AND lifecycle_stage = "
        "'active' ORDER BY start_time",
        experiment,
    )
    records: dict[str, dict[str, Any]] = {run: {"status": status} for run, _, status in runs}
    for run, key, value in rows("SELECT run_uuid, key, value FROM params"):
        if run in records:
            records[run][f"params.{key}"] = value
    for run, key, value, is_nan in rows("SELECT run_uuid, key, value, is_nan FROM latest_metrics"):
        if run in records:
            records[run][f"metrics.{key}"] = "nan" if is_nan else value
    return Source([*records.values()], tuple(f"run {name or run}" for run, name, _ in runs))
