"""The law from a sweep: choose how to fit it, compare it, and say how far it is trusted."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from scaling.errors import DataError, InputError
from scaling.numeric.fits.bootstrap import resample
from scaling.numeric.fits.cross_validation import Errors
from scaling.numeric.fits.fitting import Fitted, Scores, design_of, fit_form, fold_all, score
from scaling.numeric.fits.forms import COMPETITORS, Adam, EpsForm, Form
from scaling.numeric.fits.surge import Surge, surge_of
from scaling.numeric.fits.sweep_law import Covariate, SweepLaw
from scaling.numeric.fits.valleys.fits import find_valleys
from scaling.numeric.fits.valleys.valleys import Route, Valleys
from scaling.numeric.inputs.arrays import FloatArray
from scaling.numeric.inputs.display import Shown
from scaling.numeric.laws.law import Provenance, finite_or_none
from scaling.numeric.tables.run_tables import read_runs
from scaling.numeric.tables.runs import Cells, Runs, cells_of

#: Told how far the work has come: what is being done, how much is done, of how much.
Progress = Callable[[str, int, int], None]

_FEWEST_BATCH_SIZES = 3
#: A more intricate candidate must predict better by this share.
_WORTHWHILE = 0.02
_EPS_FORMS: tuple[EpsForm, ...] = ("outside", "inside", "gaussian")
_SHAPES = (
    "one B_crit and one B_n/B_crit for all",
    "B_crit log-linear in the covariates, one B_n/B_crit for all",
    "B_crit and B_n/B_crit log-linear in the covariates",
)


@dataclass(frozen=True, eq=False)
class Standing:
    """A form, fitted and cross-validated.

    Attributes
    ----------
    name : str
    fitted : Fitted
    scores : Scores
    """

    name: str
    fitted: Fitted
    scores: Scores

    @property
    def ranked(self) -> Errors:
        """The errors by which forms are ranked: of new groups, or new cells of one group."""
        return self.scores.group or self.scores.cell

    @property
    def rank(self) -> float:
        """RMSE in octaves times the root of the regret, which is about quadratic in it."""
        found = self.ranked
        if not np.isfinite(found.rmse):
            return np.inf
        return found.rmse * float(np.sqrt(max(found.regret, 1e-12)))

    def to_dict(self) -> dict[str, Any]:
        """Return the standing as JSON values; null where the sweep cannot tell."""
        return {
            "name": self.name,
            "leave_one_cell_out": _errors(self.scores.cell),
            "leave_one_batch_size_out": _errors(self.scores.batch_size),
            "leave_one_group_out": _errors(self.scores.group),
            "extrapolation": _errors(self.scores.extrapolation),
            "parameters": self.fitted.parameters,
            "aic": finite_or_none(self.fitted.aic),
            "bic": finite_or_none(self.fitted.bic),
        }


def _errors(found: Errors | None) -> dict[str, Any] | None:
    if found is None or not found.count:
        return None
    return {
        "rmse_octaves": finite_or_none(found.rmse),
        "median_octaves": finite_or_none(found.median),
        "mean_regret": finite_or_none(found.regret),
        "predictions": found.count,
    }


@dataclass(frozen=True, eq=False, repr=False)
class SweepFit(Shown):
    """What `fit_sweep` found.

    Attributes
    ----------
    law : SweepLaw
        The answer; `SweepLaw.at` fixes covariates and eps.
    runs : Runs
    valleys : dict of Valleys
        The cells' optima by route, "surface" (all runs at once) and "cells" (each by itself).
    chosen : Standing
        The law's fit and cross-validation.
    candidates, competitors : tuple of Standing
        Other ways to fit the law; other laws.
    surge : Surge
        Whether the data support that lr* falls beyond a peak.
    said : tuple of str
        What was guessed, left out or joined on the way.
    """

    law: SweepLaw
    runs: Runs
    valleys: dict[Route, Valleys]
    chosen: Standing
    candidates: tuple[Standing, ...]
    competitors: tuple[Standing, ...]
    surge: Surge
    said: tuple[str, ...]

    def summary(self) -> dict[str, str]:
        """What was fitted, how well, and the law."""
        return {
            "runs": f"{len(self.runs)}",
            "form": self.chosen.name,
            "error": f"{self.chosen.ranked.rmse:.2g} octave",
            "surge": self.surge.verdict,
            **self.law.summary(),
        }

    @property
    def cells(self) -> Cells:
        """The runs by cell."""
        return self.chosen.fitted.valleys.cells

    def resampled(self, replicates: int) -> "Iterator[SweepFit]":
        """Yield the fit with more and more bootstrap replicates.

        Parameters
        ----------
        replicates : int
            How many in the end.
        """
        fit = self
        for chunk in resample(self.chosen.fitted, replicates):
            more = tuple(tuple(map(float, theta)) for theta in chunk)
            fit = replace(fit, law=replace(fit.law, replicates=(*fit.law.replicates, *more)))
            yield fit

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """Say in words which competitors predict better, and what else is amiss."""
        said = []
        for other in self.competitors:
            better = [
                f"{what} ({theirs.rmse:.2g} against {ours.rmse:.2g} octave)"
                for what, theirs, ours in (
                    ("left-out cells", other.scores.cell, self.chosen.scores.cell),
                    ("left-out groups", other.scores.group, self.chosen.scores.group),
                    (
                        "larger batches",
                        other.scores.extrapolation,
                        self.chosen.scores.extrapolation,
                    ),
                )
                if theirs is not None
                and ours is not None
                and theirs.count
                and theirs.rmse < (1 - _WORTHWHILE) * ours.rmse
            ]
            if better:
                said.append(f"the {other.name} rule predicts better: {', '.join(better)}")
        known = int(self.valleys["cells"].known.sum())
        if 2 * known < len(self.cells):
            said.append(
                f"only {known} of {len(self.cells)} cells have their best learning rate inside "
                "what was tried; the others give bounds; try more learning rates"
            )
        return tuple(said)

    def to_dict(self) -> dict[str, Any]:
        """Return the whole summary as JSON values."""
        cells, valleys = self.cells, self.valleys[self.chosen.fitted.valleys.route]
        names = [c.name for c in self.law.covariates]
        return {
            "runs": len(self.runs),
            "diverged": int(self.runs.diverged.sum()),
            "groups": int(np.unique(cells.group).size),
            "law": self.chosen.to_dict()
            | {"route": valleys.route, "parameters_by_name": dict(self.law.parameters)},
            "scatter_octaves": self.chosen.fitted.scatter / np.log(2),
            "surge": {
                "verdict": self.surge.verdict,
                "ratio": finite_or_none(self.surge.ratio),
                "ratio_interval": [finite_or_none(x) for x in self.surge.ratio_interval],
                "evidence": self.surge.evidence,
                "needed": self.surge.needed,
            },
            "candidates": [standing.to_dict() for standing in self.candidates],
            "competitors": [standing.to_dict() for standing in self.competitors],
            "optima": [
                {
                    "batch_size": float(cells.batch_size[i]),
                    **{name: float(cells.covariates[i, k]) for k, name in enumerate(names)},
                    **({"eps": float(cells.eps[i])} if self.law.eps_form else {}),
                    "learning_rate": float(np.exp(valleys.optimum[i])),
                    "standard_error_octaves": float(valleys.standard_error[i] / np.log(2)),
                    "bound": {-1: "at most", 0: None, 1: "at least"}[int(valleys.bound[i])],
                    "predicted": float(np.exp(self.chosen.fitted.predicted[i])),
                }
                for i in range(len(cells))
            ],
            "said": list(self.said),
            "warnings": list(self.warnings),
        }


def fit_sweep(
    data: Any,
    *,
    batch_size_column: str | None = None,
    lr_column: str | None = None,
    loss_column: str | None = None,
    eps_column: str | None = None,
    seed_column: str | None = None,
    covariates: Sequence[str] = (),
    where: str | None = None,
    replicates: int = 200,
    progress: Progress | None = None,
) -> SweepFit:
    """Fit the law to the runs of a sweep.

    Parameters
    ----------
    data : Runs, Table, path, mapping of names to columns, or data frame
        The runs, one a row; see `as_table`. The options up to ``where`` do not go with `Runs`.
    batch_size_column, lr_column, loss_column, eps_column, seed_column : str, optional
        Names of columns, guessed where the table leaves no doubt.
    covariates : sequence of str
        Columns of positive numbers on which the law depends log-linearly, as ``["N", "D"]``.
    where : str, optional
        Which rows, as ``"D == 1e10"``.
    replicates : int, default 200
        Of the bootstrap behind the intervals; 0 for none.
    progress : callable, optional
        Called as ``progress(what, done, total)``.

    Returns
    -------
    SweepFit

    Raises
    ------
    InputError
        If a column or an option is wrong.
    DataError
        If the runs cannot be used: naming the row where one is at fault.

    Notes
    -----
    theory.md T-E2, T-E6, T-E7, T-F3. Two ways to the cells' optima (each by itself, or all runs
    at once) and three ways for the shape to vary with the covariates are compared by leaving out
    groups (cells, where there is one group), and the best is taken; the errors reported are those
    of the comparison. Exponents of B_crit and of B_n/B_crit in a covariate are drawn to 0 as if
    known to be 0 +- 0.7, so that sweeps which do not determine them do not extrapolate wildly.

    Examples
    --------
    >>> from scaling import BatchSizeLaw, simulate_sweep
    >>> truth = BatchSizeLaw.from_limit(1e-3, noise_batch_size=4000, critical_batch_size=200)
    >>> runs = simulate_sweep(truth, [16, 64, 256, 1024, 4096], seed=1)
    >>> fit = fit_sweep(runs, replicates=40)
    >>> low, high = fit.law.interval(512, level=0.9)
    >>> bool(low < truth.learning_rate(512) < high)
    True
    """
    if isinstance(replicates, bool) or not isinstance(replicates, int) or replicates < 0:
        raise InputError(f"must be a whole number, at least 0, got {replicates!r}", "replicates")
    said: tuple[str, ...] = ()
    if isinstance(data, Runs):
        runs = data
    else:
        columns = {
            "batch_size": batch_size_column,
            "learning_rate": lr_column,
            "loss": loss_column,
            "eps": eps_column,
            "seed": seed_column,
        }
        runs, said = read_runs(data, columns, tuple(covariates), where)
    report = progress or (lambda _what, _done, _total: None)
    fit = _fit(runs, said, report)
    for step in fit.resampled(replicates):
        fit = step
        report("bootstrap", len(fit.law.replicates), replicates)
    return fit


def _fit(runs: Runs, said: tuple[str, ...], report: Progress) -> SweepFit:
    runs, said = _without_constant_eps(runs, said)
    cells = cells_of(runs)
    _check(runs, cells)
    report("valleys", 0, 1)
    valleys = find_valleys(cells, runs.name)
    # A batch size that was tried, near the middle.
    tried = np.unique(cells.batch_size)
    middle = np.exp(np.mean(np.log(tried)))
    reference = float(tried[np.argmin(np.abs(np.log(tried / middle)))])
    middles = np.log(cells.covariates).mean(axis=0)
    design = design_of(cells, reference, middles)
    targets = valleys["cells"]
    law_forms = _candidates(cells, runs.eps is not None)
    total = 2 * len(law_forms) + len(COMPETITORS)
    standings: list[Standing] = []
    tables = {route: fold_all(valleys[route]) for route in _ROUTES}

    def stand(form: Form, route: Route, name: str) -> Standing:
        fitted = fit_form(form, design, valleys[route], tables[route])
        standing = Standing(name, fitted, score(fitted, targets))
        standings.append(standing)
        report("cross-validation", len(standings), total)
        return standing

    candidates = [
        stand(form, route, _title(form, route, bool(runs.covariates)))
        for form in law_forms
        for route in _ROUTES
    ]
    chosen = candidates[0]
    for other in candidates[1:]:
        if other.rank < (1 - _WORTHWHILE) * chosen.rank:
            chosen = other
    route = chosen.fitted.valleys.route
    competitors = tuple(stand(form, route, form.name) for form in COMPETITORS)
    law = _law(runs, cells, chosen, reference, middles)
    others = tuple(standing for standing in candidates if standing is not chosen)
    said = (*said, *_counts(runs, cells, targets))
    return SweepFit(law, runs, valleys, chosen, others, competitors, surge_of(chosen.fitted), said)


_ROUTES: tuple[Route, ...] = ("surface", "cells")


def _title(form: Adam, route: Route, has_covariates: bool) -> str:
    """Say how a candidate fits the law."""
    parts = [_SHAPES[form.varying]] if has_covariates else []
    if form.eps is not None:
        parts.append(
            {
                "outside": "eps outside the root (T-E7)",
                "inside": "eps inside the root (T-E1)",
                "gaussian": "Gaussian population (T-F3)",
            }[form.eps]
        )
    parts.append("all runs at once" if route == "surface" else "each cell by itself")
    return "; ".join(parts)


def _candidates(cells: Cells, has_eps: bool) -> list[Adam]:
    groups = np.unique(cells.covariates, axis=0).shape[0]
    most = 2 if groups > cells.covariates.shape[1] + 2 else 1 if cells.covariates.shape[1] else 0
    kinds: tuple[EpsForm | None, ...] = _EPS_FORMS if has_eps else (None,)
    return [Adam("law", varying, eps=kind) for varying in range(most + 1) for kind in kinds]


def _without_constant_eps(runs: Runs, said: tuple[str, ...]) -> tuple[Runs, tuple[str, ...]]:
    if runs.eps is None or np.unique(runs.eps).size > 1:
        return runs, said
    return replace(runs, eps=None), (*said, f"eps is {runs.eps[0]:g} in every run: not varied")


def _check(runs: Runs, cells: Cells) -> None:
    """Refuse sweeps that cannot determine a law."""
    sizes = np.unique(cells.batch_size)
    if sizes.size < _FEWEST_BATCH_SIZES:
        listed = " and ".join(f"{size:.10g}" for size in sizes)
        raise DataError(
            f"{runs.name}: there are runs that did not diverge at {sizes.size} batch "
            f"size{'s' if sizes.size > 1 else ''} only, {listed}; a law needs "
            f"{_FEWEST_BATCH_SIZES} or more"
        )
    for name, column in runs.covariates.items():
        if np.unique(column).size == 1:
            raise DataError(
                f"{runs.name}: the covariate {name} has one value, {column[0]:.6g}; leave it out"
            )
    logs = np.log(cells.covariates)
    if logs.shape[1]:
        table = np.column_stack([np.ones(len(cells)), logs - logs.mean(axis=0)])
        if np.linalg.matrix_rank(table, tol=1e-6 * np.linalg.norm(table)) < table.shape[1]:
            raise DataError(
                f"{runs.name}: the covariates {', '.join(runs.covariates)} vary together, so "
                "that their effects cannot be told apart; leave one out"
            )


def _counts(runs: Runs, cells: Cells, targets: Valleys) -> Iterator[str]:
    """Say what became of the runs."""
    diverged = int(runs.diverged.sum())
    if diverged:
        yield f"{diverged} of {len(runs)} runs diverged; they bound the optimum from above"
    lost = int(np.unique(runs.cell).size) - len(cells)
    if lost:
        yield f"{lost} cells in which every run diverged are left out"
    if runs.seed is None and (cells.block > 0).any():
        yield "runs with the same settings count as repetitions, each with a seed of its own"
    edge = int((~targets.known).sum())
    if edge:
        yield (
            f"{edge} of {len(cells)} cells have their lowest loss at the edge of the learning "
            "rates tried: they count as bounds"
        )


def _law(
    runs: Runs, cells: Cells, chosen: Standing, reference: float, middles: FloatArray
) -> SweepLaw:
    names = tuple(runs.covariates)
    form = chosen.fitted.form
    assert isinstance(form, Adam)  # noqa: S101 - candidates are
    span = (float(cells.batch_size.min()), float(cells.batch_size.max()))
    groups = np.unique(cells.group).size
    where = f"{groups} groups" if groups > 1 else "one group"
    name = runs.name if runs.name.isprintable() else ascii(runs.name)
    eps = cells.eps
    return SweepLaw(
        form.eps,
        tuple(
            Covariate(
                label,
                float(np.exp(middles[k])),
                float(cells.covariates[:, k].min()),
                float(cells.covariates[:, k].max()),
            )
            for k, label in enumerate(names)
        ),
        (float(eps.min()), float(eps.max())) if form.eps else None,
        reference,
        tuple(zip(form.names(names), map(float, chosen.fitted.theta), strict=True)),
        (),
        finite_or_none(chosen.ranked.rmse),
        Provenance(
            "fitted",
            f"fitted to {len(runs)} runs at {len(cells)} settings in {where}, batch sizes "
            f"{span[0]:.10g} to {span[1]:.10g}, of {name}",
            span,
        ),
    )
