"""Logs of training programs, one run each: settings that they print, and their last losses."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scaling.numeric.sources.records import Source, flatten, head_of, parse_dict, read_small

_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
_NUMBER = r"([-+\d.,eE]+|[-+]?nan|[-+]?inf)"


class _Format(NamedTuple):
    """How a program logs; patterns of lines, of which the last match counts.

    ``mark`` is found in the logs of this program only. ``columns`` give values by name;
    ``pairs`` a name and a value each. ``progress`` gives a step and perhaps the last one.
    """

    name: str
    mark: str
    columns: dict[str, str]
    pairs: tuple[str, ...] = ()
    progress: str = ""
    total: str = ""


_FORMATS = (
    _Format(
        "nanoGPT",
        r"^step \d+: train loss \S+, val loss ",
        {
            "train_loss": rf"^step \d+: train loss {_NUMBER}, val loss",
            "val_loss": rf"^step \d+: train loss \S+, val loss {_NUMBER}",
            "tokens_per_iteration": rf"^tokens per iteration will be: {_NUMBER}",
        },
        (r"^(?:Overriding: )?(\w+) = ([^#\n]+)",),
        r"^iter (\d+): loss",
        r"^(?:Overriding: )?max_iters = (\d+)",
    ),
    _Format(
        "nanochat",
        r"^Step \d+ \| Validation bpb: ",
        {
            "val_bpb": rf"^Step \d+ \| Validation bpb: {_NUMBER}",
            "train_loss": rf"^step \d+/\d+ .*\| loss: {_NUMBER}",
            "batch_size_in_tokens": rf"^Total batch size {_NUMBER} =>",
            "lr_scale": rf"^Scaling LRs by {_NUMBER} for batch size",
        },
        (r"^Overriding: (\w+) = ([^#\n]+)",),
        r"^step (\d+)/\d+ ",
        r"^step \d+/(\d+) ",
    ),
    _Format(
        "Megatron-LM",
        r"^.* iteration +\d+/ *\d+ \| consumed samples: ",
        {
            "train_loss": rf"\| lm loss: {_NUMBER} ",
            "val_loss": rf"validation loss at iteration \d+[^|]*\| lm loss value: {_NUMBER} ",
        },
        (r"^(?:.*?: )? *(\w+) \.{3,} ([^\n]+)",),
        r" iteration +(\d+)/ *\d+ \|",
        r" iteration +\d+/ *(\d+) \|",
    ),
    _Format(
        "torchtitan",
        r"(?<!validate )step: *\d+ +loss: ",
        {
            "train_loss": rf"(?<!validate )step: *\d+ +loss: *{_NUMBER}",
            "val_loss": rf"validate step: *\d+ +loss: *{_NUMBER}",
            "global_batch_size": rf"global batch size {_NUMBER}",
            "seq_len": rf"sequence length {_NUMBER}",
        },
        (r"Running with ((?:args|configs?)): (\{.*\})",),
        r"(?<!validate )step: *(\d+) +loss:",
        r"total steps (\d+)",
    ),
    _Format(
        "Composer",
        r"^\[(?:metric\]\[batch=\d+|hyperparameter)\]: ",
        {},
        (
            r"^\[hyperparameter\]: ([^:\n]+): ([^\n]+)",
            r"^\[metric\]\[batch=\d+\]: ([^:\n]+): ([^\n]+)",
        ),
    ),
)


def is_log(head: bytes) -> bool:
    """Whether a file begins as one of the logs."""
    return _format(_ESCAPES.sub("", head.decode("utf-8", "replace"))) is not None


def read_logs(folder: Path, files: Sequence[Path]) -> Source | None:
    """Read the logs below a folder, one a run; None if there are none."""
    records, labels, names = [], [], set()
    for path in files:
        if path.suffix not in {".log", ".txt", ".out", ""} or not is_log(head_of(path)):
            continue
        text = _ESCAPES.sub("", read_small(path))
        form = _format(text)
        if form is not None:
            records.append(_record(form, text, path))
            labels.append(path.relative_to(folder).as_posix())
            names.add(form.name)
    if not records:
        return None
    return Source(records, tuple(labels), f"logs of {', '.join(sorted(names))}")


def _format(text: str) -> _Format | None:
    return next((f for f in _FORMATS if re.search(f.mark, text, re.MULTILINE)), None)


def _record(form: _Format, text: str, path: Path) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for pattern in form.pairs:
        for name, value in re.findall(pattern, text, re.MULTILINE):
            inner = parse_dict(value)
            record |= flatten(inner, path) if inner else {name: value.strip().strip("'\"")}
    # What the program says of itself is surer than a setting, which may be -1 for its default.
    record = {k: v for k, v in record.items() if k.rpartition(".")[2] not in form.columns}
    for name, pattern in form.columns.items():
        found = re.findall(pattern, text, re.MULTILINE)
        if found:
            record[name] = found[-1].replace(",", "")
    if form.progress and _is_short(form, text):
        record["state"] = "UNFINISHED"
    return record


def _is_short(form: _Format, text: str) -> bool:
    """Whether a log ends by more than one interval of logging before its last step."""
    steps = [int(step) for step in re.findall(form.progress, text, re.MULTILINE)]
    total = re.findall(form.total, text, re.MULTILINE)
    return len(steps) > 1 and bool(total) and 2 * steps[-1] - steps[-2] < int(total[-1])
