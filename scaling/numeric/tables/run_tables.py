"""Between tables with named columns and runs."""

import csv
import io
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from scaling.errors import InputError
from scaling.numeric.inputs.files import write_text
from scaling.numeric.inputs.text import csv_cell
from scaling.numeric.tables.roles import ROLES
from scaling.numeric.tables.runs import Runs
from scaling.numeric.tables.table import Table, as_table

#: States, as Optuna and W&B write them, of runs whose last loss is not their final one.
_UNFINISHED = {"RUNNING", "WAITING", "PENDING", "PRUNED", "PREEMPTED", "PREEMPTING"}
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
        What was guessed.
    """
    table = as_table(data)
    if where is not None:
        table = table.where(where)
    table, said = _finished(table)
    names = {role: name for role, name in columns.items() if name is not None}
    guesses = _guess(table, columns, {*names.values(), *covariates})
    if guesses:
        listed = (
            f"{role.replace('_', ' ')} from column {name!r}" for role, name in guesses.items()
        )
        said.insert(0, f"guessed: {', '.join(listed)}")
    names |= guesses
    _check_roles(names, covariates)
    runs = Runs(
        table.batch_sizes(names["batch_size"]),
        table.positive(names["learning_rate"]),
        table.numbers(names["loss"], missing=True),
        np.array(table.texts(names["seed"])) if "seed" in names else None,
        table.numbers(names["eps"]) if "eps" in names else None,
        {name: table.sizes(name) for name in covariates},
        table.source,
        table.describe_row,
    )
    if len(table) > len(runs):
        said.append(f"{len(table) - len(runs)} rows are there twice, with the same loss: dropped")
    return runs, tuple(said)


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


def _finished(table: Table) -> tuple[Table, list[str]]:
    """Leave out the runs that have not come to their end, where a column tells their state."""
    columns = [name for name in table.names if name.lower() == "state"]
    if len(columns) != 1:
        return table, []
    states = np.array([state.strip().upper() for state in table.texts(columns[0])])
    unfinished = np.isin(states, sorted(_UNFINISHED))
    if not unfinished.any():
        return table, []
    found = ", ".join(sorted(set(states[unfinished].tolist())))
    return table.take(np.flatnonzero(~unfinished)), [
        f"{unfinished.sum()} of {states.size} runs left out: not finished ({found})"
    ]


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
