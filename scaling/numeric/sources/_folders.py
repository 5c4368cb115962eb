"""Folders of trainings: in each, a file of results and perhaps one of settings."""

import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scaling.errors import DataError
from scaling.numeric.sources.records import (
    Source,
    flatten,
    read_lines_of_json,
    read_mapping,
    read_small,
)

Record = dict[str, Any]


def _ray(path: Path) -> Record:
    """The last report of a trial of Ray; what it says of the trial itself is kept apart."""
    rows = read_lines_of_json(path)
    record = flatten(rows[-1], path) if rows else {}
    failed = any(path.with_name(name).exists() for name in ("error.txt", "error.pkl"))
    return record | {"state": "ERROR" if failed else "TERMINATED" if rows else "PENDING"}


def _trainer_state(path: Path) -> Record:
    """What the Trainer of Hugging Face logged: its last losses, and the peak of its rate."""
    state = read_mapping(path)
    logged = state.pop("log_history", None)
    log = [row for row in logged if isinstance(row, dict)] if isinstance(logged, list) else []
    record: Record = {}
    for row in log:
        record |= {name: value for name, value in row.items() if name in ("loss", "eval_loss")}
    record["train_loss"] = record.pop("loss", None)
    # Without a model card this is all there is: it counts neither accumulated batches nor ranks.
    record["per_device_train_batch_size"] = state.get("train_batch_size")
    rates = [row["learning_rate"] for row in log if isinstance(row.get("learning_rate"), float)]
    record["max_learning_rate"] = max(rates, default=None)
    done, wanted = state.get("global_step"), state.get("max_steps")
    is_short = isinstance(done, int) and isinstance(wanted, int) and 0 < done < wanted
    return record | {"state": "UNFINISHED" if is_short else "FINISHED"}


_CARD = re.compile(r"^- (\w+): (.+?)\s*$", re.MULTILINE)


def _card(path: Path) -> Record:
    """Read the settings that the Trainer lists in the model card, and what they multiply to."""
    _, _, listed = read_small(path).partition("hyperparameters were used")
    card: Record = dict(_CARD.findall(listed.partition("\n#")[0]))
    if "train_batch_size" in card:  # the total is left out where it is the same
        card.setdefault("total_train_batch_size", card["train_batch_size"])
    if "learning_rate" in card:
        card["max_learning_rate"] = None
    return card


def _wandb_settings(path: Path) -> Record:
    """W&B keeps each setting as ``{value: ...}``, and its own beside them."""
    found = read_mapping(path)
    return {
        f"config.{name.removesuffix('.value')}": value
        for name, value in found.items()
        if not name.startswith("_wandb") and not name.endswith(".desc")
    }


def _last_values(path: Path) -> Record:
    """The last value of each column of a CSV, which Lightning fills in different rows."""
    try:
        rows = list(csv.DictReader(read_small(path).splitlines(), strict=True))
    except csv.Error as error:
        raise DataError(f"{path}: not a CSV file: {error}") from None
    return {name: cell for row in rows for name, cell in row.items() if name and cell}


class _Kind(NamedTuple):
    """A file of results, and where the settings of the same run lie; readers of both."""

    name: str
    results: str
    read: Callable[[Path], Record]
    settings: tuple[str, ...] = ()
    read_settings: Callable[[Path], Record] = read_mapping


_YAML = (".hydra/config.yaml", "params.yaml", "../params.yaml", "config.yaml", "config.json")
_KINDS = (
    _Kind("trials of Ray Tune", r"result\.json", _ray),
    _Kind(
        "trainings of Hugging Face's Trainer",
        r"trainer_state\.json",
        _trainer_state,
        ("README.md", "../README.md"),
        _card,
    ),
    _Kind("runs of W&B", r"wandb-summary\.json", read_mapping, ("config.yaml",), _wandb_settings),
    _Kind("checkpoints of nanochat", r"meta_\d+\.json", read_mapping),
    _Kind("Lightning's CSV logs", r"metrics\.csv", _last_values, ("hparams.yaml",)),
    _Kind("runs with a metrics.json", r"(metrics|results)\.json", read_mapping, _YAML),
)
#: Folders of which a run has several, the last with the highest number.
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")


def read_folder(folder: Path, files: Sequence[Path]) -> Source | None:
    """Read the trainings below a folder; None if there are none."""
    for kind in _KINDS:
        runs: dict[Path, Path] = {}
        for path in sorted(
            filter(lambda path: re.fullmatch(kind.results, path.name), files), key=_age
        ):
            home = path.parent
            runs[home.parent if _CHECKPOINT.fullmatch(home.name) else home] = path
        if runs:
            records = [_record(kind, path) for path in runs.values()]
            labels = tuple(run.relative_to(folder).as_posix() for run in runs)
            return Source(records, labels, kind.name)
    return None


def _age(path: Path) -> tuple[str, bool, int, str]:
    """Sort the results of one run by how far it was: checkpoints by number, then its own."""
    step = _CHECKPOINT.fullmatch(path.parent.name)
    number = re.search(r"\d+", path.name)
    home = path.parent.parent if step else path.parent
    return str(home), not step, int(step[1] if step else number[0] if number else 0), path.name


def _record(kind: _Kind, path: Path) -> Record:
    settings = next(
        (found for name in kind.settings if (found := path.parent / name).is_file()), None
    )
    results = kind.read(path)
    return results | (kind.read_settings(settings) if settings else {})
