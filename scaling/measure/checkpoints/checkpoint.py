"""Second moments from the checkpoint of a tuned run, in flat memory; nothing in it is executed."""

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling.errors import DataError, InputError
from scaling.measure.checkpoints._archive import read_archive
from scaling.measure.checkpoints._distributed import read_folder
from scaling.measure.checkpoints._safetensors import read_safetensors
from scaling.measure.checkpoints._tensors import regular_file
from scaling.numeric.inputs.display import Shown
from scaling.numeric.inputs.files import read_text
from scaling.numeric.population.optimizer_state import AdamGroup, adam_groups, number_of
from scaling.numeric.population.second_moments import SecondMoments

#: What nests deeper is not looked at.
_DEEPEST = 8
#: By which an archive of zip, a pickle and the oldest files of PyTorch begin.
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"


@dataclass(frozen=True, repr=False)
class MeasuredGroup(Shown):
    """Parameters that Adam treats alike, and their second moments.

    Attributes
    ----------
    name : str
    learning_rate, beta1, beta2, eps : float
        NaN where the checkpoint does not say.
    steps : tuple of float
        The least and the most steps that a parameter has made.
    moments : SecondMoments
    """

    name: str
    learning_rate: float
    beta1: float
    beta2: float
    eps: float
    steps: tuple[float, float]
    moments: SecondMoments


@dataclass(frozen=True, repr=False)
class Checkpoint(Shown):
    """What a checkpoint says of Adam.

    Attributes
    ----------
    source : str
        The file or folder.
    groups : tuple of MeasuredGroup
    others : int
        Parameters without second moments: frozen, unused, or left to another rule.
    """

    source: str
    groups: tuple[MeasuredGroup, ...]
    others: int

    @property
    def moments(self) -> SecondMoments:
        """The second moments of all groups."""
        first, *rest = (group.moments for group in self.groups)
        for moments in rest:
            first += moments
        return first


def read_checkpoint(
    path: str | os.PathLike[str],
    *,
    eps: float | None = None,
    beta2: float | None = None,
    step: float | None = None,
) -> Checkpoint:
    """Read Adam's second moments and settings from a checkpoint.

    Parameters
    ----------
    path : path-like
        What `torch.save` wrote (an optimizer's ``state_dict()``, ``optimizer.pt`` of the Hugging
        Face Trainer, a checkpoint of Lightning: optimizers are found wherever they are inside), a
        folder of `torch.distributed.checkpoint`, or a .safetensors file with tensors named
        ``*.exp_avg_sq`` and ``*.step``.
    eps, beta2, step : float, optional
        What the checkpoint does not say. What it does say may not be contradicted.

    Returns
    -------
    Checkpoint

    Raises
    ------
    DataError
        If the file is none of these, is cut short, or holds no second moments.
    InputError
        If the checkpoint says otherwise than an argument.

    Notes
    -----
    Pickles are decoded, never executed, and whatever in them is no tensor, number or container is
    passed over, so that files from strangers may be read. Tensors are read some millions of values
    at a time.
    """
    given = {"eps": eps, "beta2": beta2}
    groups = []
    others = 0
    optimizers = list(_optimizers(Path(path), step))
    for name, optimizer in optimizers:
        prefix = f"{name}:" if len(optimizers) > 1 else ""
        for group in _adam_groups(path, optimizer, given):
            groups.append(_measured(path, prefix, group))
            others += group.others
    return Checkpoint(str(path), tuple(groups), others)


def read_second_moments(path: str | os.PathLike[str]) -> SecondMoments:
    """Read second moments from a checkpoint, or from what `SecondMoments.to_json` wrote.

    Parameters
    ----------
    path : path-like
        A checkpoint as `read_checkpoint` takes it, or a file named ``*.json``.

    Returns
    -------
    SecondMoments
        Of all groups together.

    Raises
    ------
    DataError
        If there are none to be read.
    """
    if Path(path).suffix.lower() != ".json":
        return read_checkpoint(path).moments
    try:
        return SecondMoments.from_json(read_text(regular_file(path)))
    except DataError as error:
        text = str(error)
        raise DataError(text if text.startswith(str(path)) else f"{path}: {text}") from None


def _adam_groups(
    path: str | os.PathLike[str], optimizer: Mapping[str, Any], given: dict[str, float | None]
) -> list[AdamGroup]:
    """Return an optimizer's groups, completed by what the caller knows."""
    known = {"eps": given["eps"], "beta2": given["beta2"]}
    groups = [_completed(group, known) for group in optimizer["param_groups"]]
    try:
        return adam_groups({"state": optimizer["state"], "param_groups": groups})
    except DataError as error:
        text = str(error)
        raise DataError(text if text.startswith(str(path)) else f"{path}: {text}") from None


def _completed(group: Mapping[str, Any], known: dict[str, float | None]) -> dict[str, Any]:
    betas = group.get("betas")
    pair = [number_of(beta) for beta in betas] if isinstance(betas, list | tuple) else []
    beta1, beta2 = pair if len(pair) == 2 else (math.nan, math.nan)
    said = {"eps": number_of(group.get("eps")), "beta2": beta2}
    for name, value in known.items():
        if value is None:
            continue
        if not math.isnan(said[name]) and not math.isclose(said[name], value):
            raise InputError(f"the checkpoint says {said[name]:g}; leave it out", name)
        said[name] = value
    return dict(group) | {"eps": said["eps"], "betas": (beta1, said["beta2"])}


def _measured(path: str | os.PathLike[str], prefix: str, group: AdamGroup) -> MeasuredGroup:
    steps = [step for _, step in group.states]
    moments = SecondMoments.from_chunks(group.v_hat())
    if not moments.count:
        raise DataError(f"{path}: group {group.name}: no second moment is positive: {moments!r}")
    return MeasuredGroup(
        prefix + group.name,
        group.learning_rate,
        group.beta1,
        group.beta2,
        group.eps,
        (min(steps), max(steps)),
        moments,
    )


def _optimizers(path: Path, step: float | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Return the optimizers in a checkpoint, each with the name under which it is kept."""
    if path.is_dir():
        yield from _from_names(path, read_folder(path), step)
        return
    kind = _first_bytes(regular_file(path))
    if kind.startswith(_ZIP):
        found = list(_within(read_archive(path), "optimizer", 0))
        if not found:
            raise DataError(
                f"{path}: holds no optimizer; save optimizer.state_dict(), not only the model"
            )
        yield from found
    elif kind.startswith(_PICKLE):
        raise DataError(
            f"{path}: a pickle and not an archive of tensors; it is not opened. torch.save has "
            "written archives since PyTorch 1.6"
        )
    elif kind[8:9] == b"{":
        yield from _from_names(path, read_safetensors(path), step)
    else:
        raise DataError(
            f"{path}: not a checkpoint; give a file of torch.save, a folder of "
            "torch.distributed.checkpoint, or .safetensors"
        )


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(9)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _within(value: Any, name: str, depth: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Find the states of optimizers in nested containers."""
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        if isinstance(value.get("state"), dict) and isinstance(value.get("param_groups"), list):
            yield name, value
            return
        items = list(value.items())
    else:
        items = list(enumerate(value)) if isinstance(value, list | tuple) else []
    for key, item in items:
        if isinstance(item, dict | list | tuple):
            yield from _within(item, str(key), depth + 1)


def _from_names(
    path: Path, entries: Mapping[str, Any], step: float | None
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Rebuild optimizers from flat names: ``<optimizer>.state.<parameter>.exp_avg_sq``."""
    optimizers: dict[str, dict[str, Any]] = {}
    for full, value in entries.items():
        rest, _, field = full.rpartition(".")
        if field in {"exp_avg_sq", "max_exp_avg_sq", "step"}:
            name, _, parameter = rest.rpartition(".state.") if ".state." in rest else ("", "", rest)
            kept = optimizers.setdefault(name, {"state": {}, "groups": {}})["state"]
        elif ".param_groups." in rest:
            name, _, parameter = rest.rpartition(".param_groups.")
            kept = optimizers.setdefault(name, {"state": {}, "groups": {}})["groups"]
        else:
            continue
        kept.setdefault(parameter, {})[field] = value
    if not optimizers:
        raise DataError(f"{path}: holds no tensor named *.exp_avg_sq; is it only the model?")
    for name, found in optimizers.items():
        for entry in found["state"].values():
            if "step" not in entry and step is not None:
                entry["step"] = step
        yield name, {"state": found["state"], "param_groups": _groups(found)}


def _groups(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Name the parameters of each group; flat checkpoints have a group for each parameter."""
    groups = found["groups"]
    if not groups:
        return [{"params": list(found["state"])}]
    merged: dict[str, dict[str, Any]] = {}
    for name, group in groups.items():
        params = group.get("params")
        if isinstance(params, list):
            merged[name] = group | {"params": [str(parameter) for parameter in params]}
            continue
        betas = group.get("betas")
        pair = betas if isinstance(betas, list | tuple) else ()
        numbers = map(number_of, (group.get("lr"), group.get("eps"), *pair))
        alike = repr((*numbers, bool(group.get("amsgrad"))))
        merged.setdefault(alike, group | {"params": []})["params"].append(name)
    return list(merged.values())
