"""Between tables with named columns and runs."""

import csv
import io
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from scaling.errors import InputError
from scaling.numeric.inputs.files import write_text
from scaling.numeric.inputs.text import csv_cell
from scaling.numeric.tables.roles import ROLES, unit_of
from scaling.numeric.tables.runs import Runs
from scaling.numeric.tables.table import Table, as_table

#: States, as trackers write them, of runs that are not at their end, and that broke off.
_UNFINISHED = (
    "running", "waiting", "pending", "queued", "scheduled", "unfinished", "paused", "pruned",
    "preempted", "preempting",
)  # fmt: skip
_BROKEN = ("crashed", "failed", "fail", "killed", "error", "aborted", "canceled", "cancelled")
_STATES = ("state", "status", "run_state", "trial_status")
#: Roles whose column may be absent.
_OPTIONAL = ("eps", "seed")


def read_runs(
    data: Any,
    columns: Mapping[str, str | None],
    covariates: tuple[str, ...] = (),
    where: str | None = None,
) -> tuple[Runs, tuple[str, ...]]:
    """Read runs from a table.

    Parameters
    ----------
    data : Table, path, mapping of names to columns, or data frame
    columns : mapping
        Name of the column by role: ``batch_size``, ``learning_rate``, ``loss``, ``eps``, ``seed``;
        None to guess.
    covariates : tuple of str
        Columns that the law is to depend on.
    where : str, optional
        Which rows.

    Returns
    -------
    runs : Runs
    said : tuple of str
        What was guessed and left out, and why.
    """
    table = as_table(data)
    said = [*table.said]
    if where is not None:
        table = table.where(where)
    table = _last_of_runs(table, said)
    names = {role: name for role, name in columns.items() if name is not None}
    guesses = _guess(table, columns, {*names.values(), *covariates})
    names |= guesses
    _check_roles(names, covariates)
    if guesses:
        said.append(f"guessed: {', '.join(_describe(table, guesses))}")
    table = _finished(table, names["loss"], said)
    if "loss" in guesses:
        table = _evaluated(table, names["loss"], said)
    _say_stopped(table, said)
    unit = unit_of(names["batch_size"])
    if unit:
        said.append(f"batch sizes are in {unit}, by the name {names['batch_size']!r}")
    runs = Runs(
        table.batch_sizes(names["batch_size"]),
        table.positive(names["learning_rate"]),
        table.numbers(names["loss"], missing=True),
        np.array(table.texts(names["seed"])) if "seed" in names else None,
        table.numbers(names["eps"]) if "eps" in names else None,
        {name: table.sizes(name) for name in covariates},
        table.source,
        table.describe_row,
        unit,
    )
    if len(table) > len(runs):
        said.append(f"{len(table) - len(runs)} rows are there twice, with the same loss: dropped")
    return runs, tuple(said)


def _describe(table: Table, guesses: Mapping[str, str]) -> Iterator[str]:
    for role, name in guesses.items():
        others = {other for other in table.candidates(role) if not table.missing(other).all()}
        others -= {name, *name.split("*")}
        instead = f" (not {', '.join(map(repr, sorted(others)))})" if others else ""
        product = "*" in name and name not in table.names
        yield f"{role.replace('_', ' ')} {'as' if product else 'from column'} {name!r}{instead}"


def _guess(table: Table, columns: Mapping[str, str | None], taken: set[str]) -> dict[str, str]:
    """Name the columns of roles that have none yet; of optional ones, where there is no doubt."""
    found = {}
    for role in (role for role, name in columns.items() if name is None):
        if role not in _OPTIONAL:
            found[role] = table.guess(role)
            continue
        possible = [name for name in table.candidates(role) if name not in taken]
        if len(possible) == 1:
            found[role] = possible[0]
    return found


def _check_roles(names: Mapping[str, str], covariates: tuple[str, ...]) -> None:
    """Refuse a column that has two roles."""
    seen: dict[str, str] = {}
    for role, name in sorted(names.items()):
        if name in seen:
            raise InputError(
                f"{name!r} is the {seen[name].replace('_', ' ')} already; choose another column",
                ROLES[role].parameter,
            )
        seen[name] = role
    for name in covariates:
        if covariates.count(name) > 1:
            raise InputError(f"{name} is given twice", "covariate")
        if name in seen:
            raise InputError(f"{name} is already another column's role", "covariate")


def _finished(table: Table, loss: str, said: list[str]) -> Table:
    """Leave out the runs that have not come to their end, where a column tells their state.

    A run that broke off and whose loss is written as nan or inf diverged.
    """
    names = [name for name in table.names if name.lower().rpartition(".")[2] in _STATES]
    if len(names) != 1:
        return table
    written = np.array([state.strip() for state in table.texts(names[0])])
    states = np.char.lower(written)
    diverged = np.array([_is_not_finite(text) for text in table.texts(loss)])
    broken = np.isin(states, _BROKEN)
    left_out = np.isin(states, _UNFINISHED) | (broken & ~diverged)
    for state in np.unique(written[left_out | broken]).tolist():
        gone = int((left_out & (written == state)).sum())
        what = "not finished" if state.lower() in _UNFINISHED else "broke off, and not by its loss"
        if gone:
            said.append(f"{gone} of {states.size} runs left out: {what} ({state})")
        if kept := int(((written == state) & ~left_out).sum()):
            said.append(f"{kept} of {states.size} runs diverged: {state}, and the loss not finite")
    return table.take(np.flatnonzero(~left_out))


def _say_stopped(table: Table, said: list[str]) -> None:
    """Say that trials of Ray are of several lengths: it does not tell which a scheduler stopped."""
    name = "training_iteration"
    lengths = set(table.texts(name)) - {""} if name in table.names else set()
    if len(lengths) > 1:
        listed = ", ".join(map(repr, sorted(lengths)[:5]))
        said.append(
            f"runs differ in {name} ({listed}); if a scheduler stopped some early, leave them out "
            "by a condition (where)"
        )


def _is_not_finite(text: str) -> bool:
    return text.strip().lower().lstrip("+-") in {"nan", "inf", "infinity"}


def _evaluated(table: Table, loss: str, said: list[str]) -> Table:
    """Leave out runs without the loss that was guessed, which have another: not evaluated."""
    missing = table.missing(loss)
    for other in (name for name in table.candidates("loss") if name != loss):
        has_other = np.isfinite(table.numbers(other, missing=True)) & missing
        if has_other.any():
            said.append(
                f"{has_other.sum()} of {missing.size} runs left out: no {loss!r}, but {other!r}"
            )
            table, missing = table.take(np.flatnonzero(~has_other)), missing[~has_other]
    return table


def _last_of_runs(table: Table, said: list[str]) -> Table:
    """Of each run's history, as Aim has it, keep the last row; of DVC's rows, the experiments."""
    if {"rev", "typ"} <= set(table.names):
        cells = zip(*map(table.texts, table.names), strict=True)
        runs = np.array(["workspace" not in row and "!" not in row for row in cells])
        if not runs.all():
            said.append(f"{(~runs).sum()} of {runs.size} rows left out: no finished experiments")
        table = table.take(np.flatnonzero(runs))
    if not {"run.hash", "step"} <= set(table.names):
        return table
    if "metric.name" in table.names and len(set(table.texts("metric.name"))) > 1:
        raise InputError(
            f"{table.source} has several metrics; choose one, as \"metric.name == 'loss'\"", "where"
        )
    keys = ["run.hash", *(name for name in table.names if name.startswith("metric.context."))]
    labels = list(zip(*(table.texts(name) for name in keys), strict=True))
    steps = table.numbers("step", missing=True)
    last = {labels[row]: row for row in np.argsort(steps, kind="stable").tolist()}
    if len({label[0] for label in last}) < len(last):
        raise InputError(
            f"{table.source} has runs in several contexts; choose one, as "
            f"\"{keys[1]} == '{labels[0][1]}'\"",
            "where",
        )
    if len(last) < len(table):
        said.append(f"of {len(table)} rows the last of each of {len(last)} runs is kept")
    return table.take(np.array(sorted(last.values()), dtype=np.intp))


def write_runs(runs: Runs, path: str | os.PathLike[str] | None) -> str | None:
    """Write runs as CSV, whole or not at all; return the text if there is no path."""
    columns = {"batch_size": runs.batch_size, "learning_rate": runs.learning_rate}
    columns |= runs.covariates
    columns |= {name: c for name, c in (("eps", runs.eps), ("seed", runs.seed)) if c is not None}
    columns["loss"] = runs.loss
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(csv_cell, columns))
    writer.writerows(
        [f"{value:.8g}" for value in row] for row in zip(*columns.values(), strict=True)
    )
    if path is None:
        return file.getvalue()
    write_text(path, file.getvalue())
    return None
