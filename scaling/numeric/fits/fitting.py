"""One form fitted to the valleys of a sweep: estimate, scatter, criteria, cross-validation."""

from dataclasses import dataclass, replace

import numpy as np

from scaling.numeric.fits.cross_validation import (
    Errors,
    errors,
    folds_by,
    largest_third,
    left_out,
)
from scaling.numeric.fits.forms import Design, Form
from scaling.numeric.fits.likelihood import (
    SCATTERS,
    Curves,
    at_scale,
    best_of,
    fold,
    minimise,
)
from scaling.numeric.fits.valleys.valleys import Valleys
from scaling.numeric.inputs.arrays import BoolArray, FloatArray, IntArray
from scaling.numeric.tables.runs import Cells

#: The prior density of log tau falls as tau to minus this.
_SMALLER = 2.0


@dataclass(frozen=True)
class Scores:
    """How well a form predicts what it has not seen; None where the sweep cannot tell.

    Attributes
    ----------
    cell : Errors
        One batch size in one group left out at a time.
    batch_size : Errors, optional
        One batch size in all groups left out at a time.
    group : Errors, optional
        One combination of covariates and eps left out at a time.
    extrapolation : Errors, optional
        The largest third of the batch sizes, from the rest.
    """

    cell: Errors
    batch_size: Errors | None
    group: Errors | None
    extrapolation: Errors | None


@dataclass(frozen=True, eq=False)
class Fitted:
    """A form fitted to valleys.

    Attributes
    ----------
    form, design, valleys
        What was fitted to what, where.
    theta : ndarray, shape (P,)
        Parameters.
    scatter : float
        tau, the scatter of the cells' optima about the form (natural logarithm of lr).
    scatter_weights : ndarray, shape (T,)
        Probabilities of the scatters that were tried.
    deviance : float
        Minus twice the log likelihood, priors left out.
    hessian : ndarray, shape (P, P)
        Second derivatives of the cost at the parameters.
    tables : Curves
        The cells' curves, folded with the scatter.
    """

    form: Form
    design: Design
    valleys: Valleys
    theta: FloatArray
    scatter: float
    scatter_weights: FloatArray
    deviance: float
    hessian: FloatArray
    tables: Curves

    @property
    def parameters(self) -> int:
        """Number of parameters, the scatter included."""
        return self.theta.size + 1

    @property
    def aic(self) -> float:
        """Akaike's information criterion."""
        return self.deviance + 2 * self.parameters

    @property
    def bic(self) -> float:
        """Bayesian information criterion; the cells count as the data."""
        return self.deviance + float(np.log(len(self.valleys.cells))) * self.parameters

    @property
    def predicted(self) -> FloatArray:
        """Log learning rate of the form at every cell, shape (C,)."""
        return np.asarray(self.form.evaluate(self.theta[None], self.design)[0][0])

    def starts(self) -> FloatArray:
        """A few places from which to begin again, shape (S, P)."""
        optimum = self.valleys.optimum
        others = self.form.starts(self.design)
        return at_scale(self.form, self.design, others, optimum)[:: max(1, len(others) // 3)]

    def refit(self, weights: FloatArray) -> FloatArray:
        """Parameters with other weights of the cells, at the same scatter, shape (R, P)."""
        # From the fit to everything, and in case leaving cells out moves it far, from afar.
        starts = np.concatenate([self.theta[None], self.starts()])
        rows = np.repeat(np.arange(weights.shape[0]), len(starts))
        found = minimise(
            self.form,
            self.design,
            self.tables,
            np.tile(starts, (weights.shape[0], 1)),
            weights=weights[rows],
        )
        return best_of(found, len(starts)).theta

    def predictions(self, seen: BoolArray) -> FloatArray:
        """Predictions at all cells by fits that saw only some, shape (folds, C)."""
        return self.form.evaluate(self.refit(seen.astype(float)), self.design)[0]


def design_of(cells: Cells, reference: float, centers: FloatArray) -> Design:
    """Where the cells are, relative to a reference batch size and middles of log covariates."""
    with np.errstate(divide="ignore"):
        return Design(
            np.log(cells.batch_size / reference),
            np.log(cells.covariates) - centers,
            np.log(cells.eps),
        )


def fold_all(valleys: Valleys) -> Curves:
    """Fold the cells' curves with every scatter that is tried."""
    return fold(valleys.grid, valleys.cost, SCATTERS)


def fit_form(form: Form, design: Design, valleys: Valleys, tables: Curves) -> Fitted:
    """Fit a form and the scatter about it.

    Parameters
    ----------
    form, design, valleys
        What is fitted to what.
    tables : Curves
        By `fold_all`, which all forms share.
    """
    # Starts at a middling scatter, where the cost has few minima; then every scatter.
    middle = np.full(1, SCATTERS.size // 2)
    starts = at_scale(form, design, form.starts(design), valleys.optimum)
    first = minimise(form, design, tables, starts, table=np.repeat(middle, len(starts)))
    order = np.argsort(first.cost)[:3]
    keep = first.theta[order]
    every = np.repeat(np.arange(SCATTERS.size), len(keep))
    found = best_of(
        minimise(form, design, tables, np.tile(keep, (SCATTERS.size, 1)), table=every), len(keep)
    )
    _, determinant = np.linalg.slogdet(found.hessian)
    marginal = found.cost + determinant
    # Small departures are likelier than large ones before anything is known.
    posterior = marginal + 2 * _SMALLER * np.log(SCATTERS)
    weights = np.exp(-(posterior - posterior.min()) / 2)
    weights /= weights.sum()
    best = int(np.argmin(marginal))
    spread = form.spreads(design.z.shape[1])
    theta = found.theta[best]
    chosen = replace(
        tables,
        value=tables.value[best : best + 1],
        slope=tables.slope[best : best + 1],
        best=tables.best[best : best + 1],
    )
    return Fitted(
        form,
        design,
        valleys,
        theta,
        float(SCATTERS[best]),
        weights,
        float(found.cost[best] - np.sum((theta / spread) ** 2)),
        found.hessian[best],
        chosen,
    )


def score(fitted: Fitted, targets: Valleys) -> Scores:
    """Cross-validate against the optima that the cells show by themselves.

    Parameters
    ----------
    fitted : Fitted
    targets : Valleys
        By the route "cells", so that what is predicted does not depend on what predicts.
    """
    cells = fitted.valleys.cells
    optimum = np.where(targets.known, targets.optimum, np.nan)
    batch = np.unique(cells.batch_size, return_inverse=True)[1].reshape(-1)

    def by(labels: IntArray, kinds: int) -> Errors | None:
        if np.unique(labels).size < kinds:
            return None
        return errors(left_out(folds_by(labels), fitted.predictions), optimum, targets.regret)

    large = largest_third(cells.batch_size)
    extrapolation = None
    if np.unique(batch[~large]).size >= 2:
        predicted = np.where(large, fitted.predictions(~large[None])[0], np.nan)
        extrapolation = errors(predicted, optimum, targets.regret)
    leave_cell = by(np.arange(len(cells)), 2)
    enough_groups = 2 + cells.covariates.shape[1]
    return Scores(
        leave_cell or errors(np.full(len(cells), np.nan), optimum),
        by(batch, 3) if np.unique(cells.group).size > 1 else None,
        by(cells.group, enough_groups) if cells.group.max() else None,
        extrapolation,
    )
