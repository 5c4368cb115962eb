"""A folder that `torch.distributed.checkpoint` wrote: shards, and `.metadata` of what is in them.

PyTorch's own reader unpickles that file; this one does not.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scaling.errors import DataError
from scaling.measure.checkpoints._archive import read_archive
from scaling.measure.checkpoints._plain_pickle import read_pickle
from scaling.measure.checkpoints._tensors import ShardedTensor, StoredTensor, regular_file

_MOST_METADATA = 1 << 28
#: What of a parameter's state is opened.
_NEEDED = (".exp_avg_sq", ".max_exp_avg_sq", ".step")


def read_folder(folder: Path) -> dict[str, Any]:
    """Return what was saved, by its flat name, such as ``optimizer.state.0.exp_avg_sq``.

    Only what belongs to an optimizer is opened.

    Raises
    ------
    DataError
        If the folder is not such a checkpoint, or a shard is missing.
    """
    entries: dict[str, list[Any]] = {}
    for name, info in _entries(folder):
        if ".param_groups." in name or name.endswith(_NEEDED):
            entries.setdefault(name, []).append(_content(folder, info))
    return {name: _whole(parts) for name, parts in entries.items()}


def _entries(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return names, each with a place where (a part of) it is stored."""
    path = folder / ".metadata"
    if not path.exists():
        raise DataError(
            f"{folder}: not a folder of torch.distributed.checkpoint, which has a .metadata; give "
            "the file in it that holds the optimizer, such as optimizer.pt"
        )
    regular_file(path)
    if path.stat().st_size > _MOST_METADATA:
        raise DataError(f"{path}: takes {path.stat().st_size / 1e6:.0f} MB; not read")
    try:
        metadata = read_pickle(path.read_bytes())
        for index, info in metadata.state["storage_data"].items():
            yield index.state["fqn"], info.state
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except (AttributeError, KeyError, TypeError):
        raise DataError(f"{path}: not the metadata of torch.distributed.checkpoint") from None


def _content(folder: Path, info: dict[str, Any]) -> Any:
    """Read the archive in which an entry is stored."""
    try:
        name, start, length = str(info["relative_path"]), int(info["offset"]), int(info["length"])
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{folder}/.metadata: an entry has no place") from None
    if info.get("transform_descriptors"):
        raise DataError(f"{folder}: compressed; save it without extensions")
    if Path(name).name != name:
        raise DataError(f"{folder}/.metadata: a shard lies outside the folder")
    path = folder / name
    if not path.exists():
        raise DataError(f"{path}: this shard is missing; copy the whole folder")
    return read_archive(regular_file(path), start, length)


def _whole(parts: list[Any]) -> Any:
    """Put the shards of a tensor together; other values are stored once."""
    if all(isinstance(part, StoredTensor) for part in parts):
        return ShardedTensor(tuple(parts)) if len(parts) > 1 else parts[0]
    return parts[0]
