"""Hydra: the law's range as an override, for the sweepers that know intervals."""

from collections.abc import Sequence

from scaling.engines._engine import as_size, space_of
from scaling.numeric.laws.law import Law
from scaling.numeric.laws.search_space import SearchSpace


def overrides(
    law: Law, batch_size: float, *, name: str = "lr", level: float = 0.9
) -> tuple[str, str]:
    """Overrides for ``python train.py --multirun``: the batch size, and its learning rates.

    Parameters
    ----------
    law : Law
        A law with intervals.
    batch_size : float
        In the unit of the law.
    name : str, default "lr"
        The key in the configuration, such as ``optimizer.lr``.
    level : float, default 0.9
        Confidence level of the interval.

    Returns
    -------
    tuple of str
        Without spaces, as ``lr=tag(log,interval(0.001,0.002))``. Hydra's basic sweeper knows no
        intervals; its plugins for Optuna, Ax and Nevergrad do, and take the tag ``log``. That for
        Optuna, hydra-optuna-sweeper, needs Optuna 2.10 up to its version 1.3.

    Raises
    ------
    DataError
        If the law has no interval that can be searched.

    Warns
    -----
    UserWarning
        If the batch size is far outside the law's range.
    """
    return _overrides(space_of(law, batch_size, level), name)


def form(spaces: Sequence[SearchSpace]) -> str:
    """Write ranges as overrides, one to a line: a batch size, then its learning rates."""
    return "".join(f"{line}\n" for space in spaces for line in _overrides(space, "lr"))


def _overrides(space: SearchSpace, name: str) -> tuple[str, str]:
    return (
        f"batch_size={as_size(space.batch_size)}",
        f"{name}=tag(log,interval({space.low!r},{space.high!r}))",
    )
