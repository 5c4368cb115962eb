"""Ray Tune: the law's range as a search space, and its best guesses as the first points."""

from collections.abc import Sequence
from typing import Any

from scaling.engines._engine import as_size, engine, space_of
from scaling.numeric.laws.law import Law
from scaling.numeric.laws.search_space import SearchSpace


def param_space(
    law: Law, batch_size: float, *, name: str = "lr", level: float = 0.9
) -> dict[str, Any]:
    """Search space of the learning rate for ``tune.Tuner``.

    Parameters
    ----------
    law : Law
        A law with intervals.
    batch_size : float
        In the unit of the law. Ray's searchers know no ranges that depend on other parameters:
        give each batch size a tuner of its own.
    name : str, default "lr"
        The key in the trial's ``config``.
    level : float, default 0.9
        Confidence level of the interval.

    Returns
    -------
    dict
        ``batch_size`` as it is, so that the results tell it; and the name, ``tune.loguniform``
        over the interval.

    Raises
    ------
    DataError
        If the law has no interval that can be searched.
    MissingExtraError
        If Ray is not installed.

    Warns
    -----
    UserWarning
        If the batch size is far outside the law's range.
    """
    space = space_of(law, batch_size, level)
    tune = engine("ray.tune", "ray[tune]", "ray")
    return {"batch_size": as_size(batch_size), name: tune.loguniform(space.low, space.high)}


def points_to_evaluate(
    law: Law, batch_size: float, *, name: str = "lr", level: float = 0.9
) -> list[dict[str, float]]:
    """First points for a searcher, such as ``OptunaSearch(points_to_evaluate=...)``.

    Parameters
    ----------
    law, batch_size, name, level
        As for `param_space`.

    Returns
    -------
    list of dict
        `SearchSpace.first_points`: the law's answer, and halfway to either end.

    Raises
    ------
    DataError
        If the law has no interval that can be searched.
    """
    return [{name: point} for point in law.search_space(batch_size, level).first_points]


def form(spaces: Sequence[SearchSpace]) -> str:
    """Write ranges as Python for Ray Tune: search spaces and first points by batch size."""
    lines = ["from ray import tune", "", "param_spaces = {"]
    for space in spaces:
        size = as_size(space.batch_size)
        lines.append(
            f'    {size!r}: {{"batch_size": {size!r}, '
            f'"lr": tune.loguniform({space.low!r}, {space.high!r})}},'
        )
    lines += ["}", "points_to_evaluate = {"]
    for space in spaces:
        size = as_size(space.batch_size)
        # Without the batch size: searchers know only what they search.
        points = ", ".join(f'{{"lr": {point!r}}}' for point in space.first_points)
        lines.append(f"    {size!r}: [{points}],")
    return "\n".join([*lines, "}", ""])
