"""Adam's state as PyTorch keeps it, live or as its ``state_dict``, read without PyTorch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scaling.errors import DataError, InputError
from scaling.numeric.inputs.arrays import FloatArray

#: Values held at a time: what crosses from a device at once.
_PIECE = 1 << 21


@dataclass(frozen=True)
class AdamGroup:
    """One group of parameters that Adam treats alike, with its state.

    Attributes
    ----------
    name : str
        The group's own name, or its number.
    learning_rate, beta1, beta2, eps : float
        As in the optimizer; NaN where it does not say.
    states : tuple of (tensor, float)
        The second moment and the number of steps of each parameter that has any.
    others : int
        Parameters without a second moment: frozen, unused, or left to another rule.
    """

    name: str
    learning_rate: float
    beta1: float
    beta2: float
    eps: float
    states: tuple[tuple[Any, float], ...]
    others: int = 0

    def v_hat(self) -> Iterator[FloatArray]:
        """Return the bias-corrected second moments, some millions of values at a time."""
        for second_moment, step in self.states:
            unbiased = -np.expm1(step * np.log(self.beta2)) if self.beta2 else 1.0
            for values in _pieces(second_moment):
                yield values / unbiased


def adam_groups(optimizer: Any) -> list[AdamGroup]:
    """Return the groups of parameters that have second moments.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer or mapping
        Adam or one of its kin, or what its ``state_dict`` returned: whatever has a ``state``, which
        holds ``exp_avg_sq`` (with amsgrad ``max_exp_avg_sq``, by which that divides) and ``step``
        for each parameter, and ``param_groups``. A tensor is one of PyTorch, an array, or has
        ``pieces()``, an iterator of arrays.

    Raises
    ------
    InputError
        If it is no optimizer.
    DataError
        If it is not Adam's, has made no step, or lacks a number.
    """
    state, groups = _parts(optimizer)
    found = [_group(state, group, number) for number, group in enumerate(groups)]
    adam = [group for group in found if group.states]
    if not adam:
        raise DataError(f"no second moments: {_what_else(state)}")
    for group in adam:
        if not 0 <= group.beta2 < 1:
            raise DataError(
                f"group {group.name}: beta2 is {group.beta2:g}, without which second moments "
                "cannot be corrected; say it (beta2)"
            )
        for _, step in group.states:
            if not 1 <= step < np.inf:
                raise DataError(
                    f"group {group.name}: a step count is {step:g}; it must be at least 1"
                )
    return adam


def _parts(optimizer: Any) -> tuple[Mapping[Any, Any], list[Mapping[str, Any]]]:
    if isinstance(optimizer, Mapping):
        parts = optimizer.get("state"), optimizer.get("param_groups")
    else:
        parts = getattr(optimizer, "state", None), getattr(optimizer, "param_groups", None)
    state, groups = parts
    if not isinstance(state, Mapping) or not isinstance(groups, list | tuple):
        raise InputError("must be an optimizer of PyTorch, or its state_dict()", "optimizer")
    return state, [group for group in groups if isinstance(group, Mapping)]


def _group(state: Mapping[Any, Any], group: Mapping[str, Any], number: int) -> AdamGroup:
    betas = group.get("betas") or (np.nan, np.nan)
    entries = [state.get(parameter) for parameter in group.get("params", ())]
    moment = "max_exp_avg_sq" if group.get("amsgrad") else "exp_avg_sq"
    states = tuple(
        (entry[moment], number_of(entry.get("step", np.nan)))
        for entry in entries
        if isinstance(entry, Mapping) and entry.get(moment) is not None
    )
    return AdamGroup(
        str(group.get("name", number)),
        number_of(group.get("lr", np.nan)),
        number_of(betas[0]),
        number_of(betas[1]),
        number_of(group.get("eps", np.nan)),
        states,
        len(entries) - len(states),
    )


def number_of(value: Any) -> float:
    """Return a number that may be a tensor of one element; NaN where it is something else."""
    if hasattr(value, "to_local"):
        value = value.to_local()
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        return float("nan")


def _what_else(state: Mapping[Any, Any]) -> str:
    """Say what kind of state there is, where it is not Adam's."""
    entries = [entry for entry in state.values() if isinstance(entry, Mapping) and entry]
    if not entries:
        return "the optimizer has no state, as before its first step or in SGD without momentum"
    names = sorted({str(name) for entry in entries[:100] for name in entry})
    return f"the state holds {', '.join(names)[:200]}, and no exp_avg_sq as Adam's would"


def _pieces(tensor: Any) -> Iterator[FloatArray]:
    """Cut a tensor into vectors of float64, of which one is held at a time."""
    if hasattr(tensor, "pieces"):
        yield from tensor.pieces()
        return
    if hasattr(tensor, "to_local"):  # of a tensor that is sharded over ranks, this rank's share
        tensor = tensor.to_local()
    if isinstance(tensor, np.ndarray):
        yield tensor.reshape(-1).astype(np.float64)
        return
    try:
        flat = tensor.detach().reshape(-1)
        for start in range(0, flat.shape[0], _PIECE):
            yield flat[start : start + _PIECE].cpu().double().numpy()
    except (AttributeError, TypeError, RuntimeError) as error:
        said = str(error).partition("\n")[0][:200]
        raise DataError(f"a second moment cannot be read: {said}") from None
