"""What a run costs, in any unit: only ratios matter."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from scaling.errors import DataError, InputError
from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.tables.runs import Runs

#: Cost of runs by their batch sizes and covariates.
Cost = Callable[[FloatArray, Mapping[str, FloatArray]], FloatArray]

#: Powers of the batch size: every run counts the same; runs see the same examples and steps are
#: paid; runs take the same steps and examples are paid.
POWERS = {"runs": 0.0, "steps": -1.0, "examples": 1.0}


def cost_of(cost: str | npt.ArrayLike, runs: Runs | None) -> Cost:
    """Return the cost by its name, a covariate, or what the runs seen did cost.

    Parameters
    ----------
    cost : str or array_like, shape (runs,)
        One of `POWERS`, a covariate, or the costs of the runs seen: a product of powers of batch
        size and covariates is fitted to them.
    runs : Runs, optional

    Raises
    ------
    InputError
        If there is no such cost.
    DataError
        If costs are not positive.
    """
    names = tuple(runs.covariates) if runs is not None else ()
    if isinstance(cost, str):
        if cost in POWERS:
            power = POWERS[cost]
            return lambda batch, _: batch**power
        if cost in names:
            return lambda _, covariates: covariates[cost]
        known = ", ".join([*POWERS, *names])
        raise InputError(f"must be one of {known}, or a column of the runs, got {cost!r}", "cost")
    paid: Any = np.asarray(cost, dtype=float)
    if runs is None or paid.shape != runs.batch_size.shape:
        raise InputError("must be a number for each of the runs seen", "cost")
    if not ((paid > 0) & np.isfinite(paid)).all():
        raise DataError("a cost is not positive")

    def columns(batch: FloatArray, covariates: Mapping[str, FloatArray]) -> FloatArray:
        return np.log(np.stack([batch, *(covariates[name] for name in names)], axis=1))

    seen = columns(runs.batch_size, runs.covariates)
    middle, level = seen.mean(axis=0), float(np.log(paid).mean())
    # What was not varied does not enter: of all solutions the smallest.
    powers = np.linalg.lstsq(seen - middle, np.log(paid) - level, rcond=1e-9)[0]
    return lambda batch, cov: np.exp(level + (columns(batch, cov) - middle) @ powers)
