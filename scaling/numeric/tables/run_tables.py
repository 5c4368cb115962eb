"""Runs, read from tables with named columns and written to them."""

import csv
import io
import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from scaling.errors import InputError
from scaling.numeric.facts import Fact, fact
from scaling.numeric.inputs.files import write_text
from scaling.numeric.inputs.text import csv_cell
from scaling.numeric.tables.roles import ROLES, unit_of
from scaling.numeric.tables.runs import Runs, number_rows
from scaling.numeric.tables.table import Table, as_table

#: States, as trackers write them, of runs that are not at their end, and that broke off.
_UNFINISHED = (
    "running", "waiting", "pending", "queued", "scheduled", "unfinished", "paused", "pruned",
    "preempted", "preempting",
)  # fmt: skip
_BROKEN = ("crashed", "failed", "fail", "killed", "error", "aborted", "canceled", "cancelled")
_STATES = ("state", "status", "run_state", "trial_status")
_BETTER_HIGHER = re.compile(r"(?!.*(loss|err))(.*[^a-z])?(acc(uracy)?|auc|reward)([^a-z]|$)").match
#: So many runs at each of its values tell a setting from a result.
_RUNS_OF_A_SETTING = 3
#: Roles whose column may be absent.
_OPTIONAL = ("eps", "seed")


def read_runs(
    data: Any,
    columns: Mapping[str, str | None],
    covariates: tuple[str, ...] = (),
    where: str | None = None,
) -> tuple[Runs, tuple[Fact, ...]]:
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
    facts : tuple of Fact
        What was guessed and left out, and why.
    """
    table = as_table(data)
    facts = [fact("read as", kind=table.kind, runs=len(table))] if table.kind else []
    if where is not None:
        table = table.where(where)
    table = _keep_last_rows(_keep_experiments(table, facts), facts)
    names = {role: name for role, name in columns.items() if name is not None}
    guesses = _guess(table, columns, {*names.values(), *covariates})
    names |= guesses
    _check_roles(names, covariates)
    if guesses:
        facts.append(_guessed(table, guesses))
    unit = unit_of(names["batch_size"])
    if unit:
        facts.append(fact("batch sizes in", unit=unit, column=names["batch_size"]))
    table = _drop_unfinished(table, names["loss"], facts)
    if "loss" in guesses:
        table = _drop_unevaluated(table, names["loss"], facts)
    _state_lengths(table, facts)
    _state_unused(table, names, covariates, facts)
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
        facts.append(fact("rows twice", rows=len(table) - len(runs)))
    return runs, tuple(facts)


def _guessed(table: Table, guesses: Mapping[str, str]) -> Fact:
    """Name for each role what was taken, then the columns that could have been."""
    found = {}
    for role, name in guesses.items():
        others = {other for other in table.candidates(role) if not table.missing(other).all()}
        found[role] = name, *sorted(others - {name, *name.split("*")})
    return fact("guessed", **found)


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
    """Refuse a column that has two roles, and a loss that is none by its name."""
    if _BETTER_HIGHER(names["loss"].lower()):
        raise InputError(
            f"{names['loss']!r} is the better the higher, by its name; give a loss, or an error "
            "rate, in a column of its own",
            "loss_column",
        )
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


def _drop_unfinished(table: Table, loss: str, facts: list[Fact]) -> Table:
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
        broke = state.lower() in _BROKEN
        if gone := int((left_out & (written == state)).sum()):
            facts.append(
                fact("left out, by state", runs=gone, total=states.size, state=state, broke=broke)
            )
        if kept := int(((written == state) & ~left_out).sum()):
            facts.append(fact("diverged, by state", runs=kept, total=states.size, state=state))
    return table.take(np.flatnonzero(~left_out))


def _state_lengths(table: Table, facts: list[Fact]) -> None:
    """State that trials of Ray differ in length: it does not tell which a scheduler stopped."""
    name = "training_iteration"
    lengths = set(table.texts(name)) - {""} if name in table.names else set()
    if len(lengths) > 1:
        facts.append(fact("several lengths", column=name, values=tuple(sorted(lengths)[:5])))


def _state_unused(
    table: Table, names: Mapping[str, str], covariates: tuple[str, ...], facts: list[Fact]
) -> None:
    """State which columns vary among runs that otherwise differ only in what is looked for.

    A setting, as model size, has several runs at each value; a result hardly has two alike.
    """
    apart = [table.batch_sizes(names["batch_size"]), *map(table.sizes, covariates)]
    cells = number_rows([*apart, *([table.numbers(names["eps"])] if "eps" in names else [])])
    roles = set(ROLES) - {"steps", "group"}
    known = {*covariates, *names.values()}.union(*map(table.candidates, roles))
    found = []
    for name in dict.fromkeys(table.names):
        if name in known or table.names.count(name) > 1:
            continue
        values = table.numbered(name, _RUNS_OF_A_SETTING)
        if values is not None and number_rows([cells, values]).max() > cells.max():
            found.append(name)
    if found:
        facts.append(fact("not used", columns=tuple(found)))


def _is_not_finite(text: str) -> bool:
    return text.strip().lower().lstrip("+-") in {"nan", "inf", "infinity"}


def _drop_unevaluated(table: Table, loss: str, facts: list[Fact]) -> Table:
    """Leave out runs without the loss that was guessed, which have another: not evaluated."""
    missing = table.missing(loss)
    for other in (name for name in table.candidates("loss") if name != loss):
        has_other = np.isfinite(table.numbers(other, missing=True)) & missing
        if has_other.any():
            runs = {"runs": int(has_other.sum()), "total": missing.size}
            facts.append(fact("not evaluated", **runs, loss=loss, other=other))
            table, missing = table.take(np.flatnonzero(~has_other)), missing[~has_other]
    return table


def _keep_experiments(table: Table, facts: list[Fact]) -> Table:
    """Of the rows of DVC keep those of finished experiments."""
    if not {"rev", "typ"} <= set(table.names):
        return table
    cells = zip(*map(table.texts, table.names), strict=True)
    runs = np.array(["workspace" not in row and "!" not in row for row in cells])
    if not runs.all():
        facts.append(fact("no experiments", rows=int((~runs).sum()), total=runs.size))
    return table.take(np.flatnonzero(runs))


def _keep_last_rows(table: Table, facts: list[Fact]) -> Table:
    """Of each run's history, as Aim has it, keep the last row."""
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
        facts.append(fact("last rows", rows=len(table), runs=len(last)))
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
