"""Steps against examples (T-A4) for every group of a table, and across model sizes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from scaling.errors import DataError
from scaling.numeric.facts import Fact, extrapolation, fact
from scaling.numeric.inputs.arrays import FloatArray, IntArray
from scaling.numeric.inputs.display import Shown
from scaling.numeric.tables.table import Table, as_table
from scaling.numeric.tradeoff.steps import StepsLaw, fit_steps
from scaling.numeric.tradeoff.trend import PowerTrend, fit_trend

#: What is fitted in each group.
QUANTITIES = ("critical_batch_size", "steps_min", "examples_min")

#: How many groups an error lists.
_LISTED = 5


@dataclass(frozen=True)
class TradeoffGroup:
    """One group of a table, such as the runs of one model.

    Attributes
    ----------
    name : str
        What stands in the column of groups; empty where there is none.
    runs : int
        How many it has.
    covariate : float or None
        Its size, if groups have one.
    law : StepsLaw or None
        The fitted law; None if it cannot be fitted.
    problem : str
        Why the steps do not tell of a critical batch size; empty if they do.
    """

    name: str
    runs: int
    covariate: float | None
    law: StepsLaw | None
    problem: str

    @property
    def is_usable(self) -> bool:
        """Whether the steps tell of a critical batch size."""
        return not self.problem


@dataclass(frozen=True, repr=False)
class Tradeoff(Shown):
    """T-A4 fitted group by group; made by `fit_tradeoff`.

    Attributes
    ----------
    source : str
        The table.
    columns : dict of str
        Which column was taken for which role: ``batch_size``, ``steps``, ``group``, ``covariate``.
    groups : tuple of TradeoffGroup
        In the order of the table.
    trends : dict of PowerTrend
        How ``critical_batch_size``, ``steps_min`` and ``examples_min`` depend on the covariate;
        empty if there is none, or too few groups.
    notes : tuple of Fact
        What was left out, taken for granted or could not be done.
    """

    source: str
    columns: dict[str, str]
    groups: tuple[TradeoffGroup, ...]
    trends: dict[str, PowerTrend]
    notes: tuple[Fact, ...]

    def warnings(self, covariate: float) -> tuple[Fact, ...]:
        """State why the trends should not be trusted at this covariate, if so."""
        ranges = [trend.covariate_range for trend in self.trends.values()]
        return tuple(
            dict.fromkeys(
                found for span in ranges for found in extrapolation("covariate", covariate, span)
            )
        )


def fit_tradeoff(
    data: Any,
    *,
    batch_size_column: str | None = None,
    steps_column: str | None = None,
    group_column: str | None = None,
    covariate: str | None = None,
    where: str | None = None,
) -> Tradeoff:
    """Fit steps to a target loss at several batch sizes, group by group, and across groups.

    Parameters
    ----------
    data : table
        Anything that `as_table` takes: a path, a data frame, a dict of columns. Runs that never
        reached the target have no steps there (empty, nan or inf) and are left out.
    batch_size_column, steps_column, group_column : str, optional
        Names of columns; guessed where that is unambiguous. Without a column of groups all rows
        are one group.
    covariate : str, optional
        Column of a size that each group has one of, such as the number of parameters; numbers may
        end in k, M, B or T. By default the column of groups itself, if all of it reads as sizes.
    where : str, optional
        Condition on the rows, see `Table.where`.

    Returns
    -------
    Tradeoff

    Raises
    ------
    DataError
        If the table cannot be used, or no group can be fitted.
    InputError
        If a column is not found, or cannot be guessed.

    Notes
    -----
    theory.md T-A4 within groups (see `fit_steps`). Across groups each quantity is fitted by a power
    law of the covariate, by meta-regression (see `PowerTrend`), the error of a single run being
    taken as the same in all groups. Each is fitted by itself, so that the ratio of E_min to S_min
    on their lines is the critical batch size on its line only within the intervals.

    Examples
    --------
    >>> tradeoff = fit_tradeoff({
    ...     "model": ["1B", "1B", "1B", "4B", "4B", "4B"],
    ...     "batch_size": [100, 1000, 10000, 100, 1000, 10000],
    ...     "steps": [11000, 2000, 1100, 42000, 6000, 2400],
    ... })
    >>> [round(group.law.critical_batch_size) for group in tradeoff.groups]
    [1000, 2000]
    >>> round(tradeoff.trends["critical_batch_size"].exponent, 6)
    0.5
    """
    table = as_table(data)
    if where is not None:
        table = table.where(where)
    columns = _columns(table, batch_size_column, steps_column, group_column, covariate)
    reached = np.flatnonzero(np.isfinite(table.numbers(columns["steps"], missing=True)))
    if not reached.size:
        raise DataError(f"{table.source}: no row has a number of steps in {columns['steps']}")
    runs = table.take(reached)
    groups = tuple(_groups(runs, columns))
    if not any(group.is_usable for group in groups):
        said = [f"{group.name}: {group.problem}".removeprefix(": ") for group in groups[:_LISTED]]
        more = ["and so on"] if len(groups) > _LISTED else []
        raise DataError(f"{table.source}: no group can be fitted: {'; '.join(said + more)}")
    trends = _trends(groups)
    notes = (*_of_rows(table, runs, columns), *_of_trends(columns.get("covariate"), groups, trends))
    return Tradeoff(table.source, columns, groups, trends, notes)


def _columns(
    table: Table,
    batch_size: str | None,
    steps: str | None,
    group: str | None,
    covariate: str | None,
) -> dict[str, str]:
    """Name the column of each role."""
    columns = {
        "batch_size": batch_size or table.guess("batch_size"),
        "steps": steps or table.guess("steps"),
    }
    group = group or _guess_group(table, covariate)
    if group is not None:
        columns["group"] = group
        if covariate is None and _reads_as_sizes(table, group):
            covariate = group
    if covariate is not None:
        columns["covariate"] = covariate
    return columns


def _guess_group(table: Table, covariate: str | None) -> str | None:
    others = [name for name in table.candidates("group") if name != covariate]
    if len(others) > 1:
        return table.guess("group")  # which tells what they are
    return others[0] if others else covariate


def _reads_as_sizes(table: Table, name: str) -> bool:
    try:
        table.sizes(name)
    except DataError:
        return False
    return True


def _of_rows(table: Table, runs: Table, columns: dict[str, str]) -> Iterator[Fact]:
    """State which rows are not fitted, and which learning rates are not the best ones."""
    if missing := len(table) - len(runs):
        yield fact("never reached", column=columns["steps"], rows=missing, total=len(table))
    for name in runs.candidates("learning_rate"):
        keys = [runs.texts(columns[role]) for role in ("group", "batch_size") if role in columns]
        cells = list(zip(*keys, strict=True))
        if len(set(zip(cells, runs.texts(name), strict=True))) > len(set(cells)):
            yield fact("several rates", column=name)
    if "group" in columns and "covariate" not in columns:
        yield fact("groups without size", column=columns["group"])


def _groups(table: Table, columns: dict[str, str]) -> Iterator[TradeoffGroup]:
    """Fit each group."""
    sizes = table.sizes(columns["covariate"]) if "covariate" in columns else None
    batch_size = table.batch_sizes(columns["batch_size"])
    steps = table.positive(columns["steps"])
    names = table.texts(columns["group"]) if "group" in columns else [""] * len(table)
    rows_of: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows_of.setdefault(name, []).append(row)
    for name, members in rows_of.items():
        rows = np.array(members)
        size = None if sizes is None else _one_size(table, columns, rows, sizes)
        law, problem = None, ""
        try:
            law = fit_steps(batch_size[rows], steps[rows])
        except DataError as error:
            problem = str(error)
        if law is not None and law.critical_batch_size == 0:
            problem = "steps do not fall with the batch size"
        yield TradeoffGroup(name, rows.size, size, law, problem)


def _one_size(table: Table, columns: dict[str, str], rows: IntArray, sizes: FloatArray) -> float:
    different = np.flatnonzero(sizes[rows] != sizes[rows[0]])
    if different.size:
        raise DataError(
            f"{table.describe_row(int(rows[different[0]]))}: {columns['covariate']} differs from "
            f"that of {table.describe_row(int(rows[0]))}, which is in the same group"
        )
    return float(sizes[rows[0]])


def _trends(groups: tuple[TradeoffGroup, ...]) -> dict[str, PowerTrend]:
    """Fit how each quantity depends on the covariate."""
    usable = [(g.covariate, g.law) for g in groups if g.is_usable and g.covariate is not None]
    sizes, laws = [size for size, _ in usable], [law for _, law in usable if law is not None]
    pooled = _pooled_square(laws)
    found = {
        name: fit_trend(
            sizes,
            [getattr(law, name) for law in laws],
            [pooled * law.unit_variances[name] for law in laws],
        )
        for name in QUANTITIES
    }
    return {name: trend for name, trend in found.items() if trend is not None}


def _pooled_square(laws: Iterable[StepsLaw]) -> float:
    """Square of one run's error, from all groups together: that of one group is too uncertain."""
    fits = [(law.fit.degrees_of_freedom, law.error**2) for law in laws]
    freedom = sum(n for n, _ in fits)
    return sum(n * square for n, square in fits if n) / max(freedom, 1)


def _of_trends(
    covariate: str | None, groups: tuple[TradeoffGroup, ...], trends: dict[str, PowerTrend]
) -> Iterator[Fact]:
    """State which groups are not in the dependence on the covariate, or why there is none."""
    if covariate is None:
        return
    if "critical_batch_size" not in trends:
        yield fact("no trend", covariate=covariate)
        return
    for group in groups:
        if group.law is None or not 0 < group.law.critical_batch_size < np.inf:
            yield fact("not in the trend", group=group.name, covariate=covariate)
    if trends["critical_batch_size"].groups == 2:
        yield fact("trend of two")
