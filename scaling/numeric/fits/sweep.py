"""The law from the runs of a sweep, and how well it predicts what it has not seen."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scaling.errors import DataError, InputError
from scaling.numeric.facts import Fact, fact
from scaling.numeric.inference.evidence.evidence import Evidence
from scaling.numeric.inference.evidence.valleys import Valleys, read_valleys, that_tell
from scaling.numeric.inference.law import NoiseScale, PosteriorLaw, measured
from scaling.numeric.inference.posterior import Posterior, target_of
from scaling.numeric.inference.prior import Prior
from scaling.numeric.inference.scoring import By, Score, folds, predict_left_out
from scaling.numeric.inputs.display import Shown
from scaling.numeric.laws.law import finite_or_none
from scaling.numeric.tables.run_tables import read_runs
from scaling.numeric.tables.runs import Cells, Runs, cells_of

#: Told how far the work has come: what is being done, how much is done, of how much.
Progress = Callable[[str, int, int], None]

#: A rule of thumb predicts better if its error is smaller by more than this share.
_WORTHWHILE = 0.02


@dataclass(frozen=True, eq=False, repr=False)
class SweepFit(Shown):
    """What `fit_sweep` found.

    Attributes
    ----------
    law : PosteriorLaw
        The answer; `PosteriorLaw.at` fixes covariates and eps.
    runs : Runs
    cells : Cells
        The runs by cell.
    valleys : Valleys
        Optimum of every cell, with its error or as a bound.
    scores : mapping of str to Score
        How well optima are predicted that were left out, by what was left out at a time: one
        "cell", one "batch_size", one "group", the "largest_third" of the batch sizes.
    said : tuple of Fact
        What was guessed, left out or joined when the table was read.
    """

    law: PosteriorLaw
    runs: Runs
    cells: Cells
    valleys: Valleys
    scores: Mapping[By, Score]
    said: tuple[Fact, ...]

    def summary(self) -> dict[str, str]:
        """What was fitted, how well, and the law."""
        scores = {f"left out: {by}": f"{s.rmse['law']:.2g} octave" for by, s in self.scores.items()}
        return {"runs": f"{len(self.runs)}", **scores, **self.law.summary()}

    @property
    def middle(self) -> PosteriorLaw:
        """The law at the middle of its covariates, and the smallest eps tried."""
        if not self.law.needs:
            return self.law
        middles = np.exp2(self.law.posterior.middles).tolist()
        setting = dict(zip(self.runs.covariates, middles, strict=True))
        if "eps" in self.law.needs:
            setting["eps"] = float(self.cells.eps.min())
        return self.law.at(**setting)

    def facts(self) -> tuple[Fact, ...]:
        """State what became of the runs."""
        runs, cells, found = self.runs, self.cells, []
        if diverged := int(runs.diverged.sum()):
            found.append(fact("diverged", runs=diverged, total=len(runs)))
        if lost := int(np.unique(runs.cell).size) - len(cells):
            found.append(fact("untold", cells=lost))
        if runs.seed is None and (cells.block > 0).any():
            found.append(fact("repetitions"))
        if edge := int((~self.valleys.known).sum()):
            found.append(fact("bounds", cells=edge, total=len(cells)))
        if np.unique(cells.batch_size).size == 1:
            found.append(fact("one batch size"))
        return tuple(found)

    def warnings(self) -> tuple[Fact, ...]:
        """State which rules of thumb predict better, and that most optima are not in the grid."""
        found = []
        for by, score in self.scores.items():
            best, ours = score.best_baseline, score.rmse["law"]
            if score.rmse[best] < (1 - _WORTHWHILE) * ours:
                found.append(
                    fact("a rule is better", rule=best, by=by, error=score.rmse[best], ours=ours)
                )
        known = int(self.valleys.known.sum())
        if 2 * known < len(self.cells):
            found.append(fact("mostly bounds", known=known, total=len(self.cells)))
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Return the whole summary as JSON values."""
        cells, valleys, law = self.cells, self.valleys, self.law
        eps = ["eps"] if "eps" in law.needs else []
        columns = dict(zip(self.runs.covariates, cells.covariates.T, strict=True))
        columns |= dict.fromkeys(eps, cells.eps)
        covariates = {name: columns[name] for name in self.runs.covariates}
        answer = law.posterior.answer(cells.batch_size, eps=cells.eps, covariates=covariates)
        return {
            "runs": len(self.runs),
            "diverged": int(self.runs.diverged.sum()),
            "groups": int(np.unique(cells.group).size),
            "scores": {by: _score(score) for by, score in self.scores.items()},
            "diagnostics": {
                name: finite_or_none(x) for name, x in law.posterior.diagnostics._asdict().items()
            },
            "optima": [
                {
                    "batch_size": float(cells.batch_size[i]),
                    **{name: float(column[i]) for name, column in columns.items()},
                    "learning_rate": float(np.exp2(valleys.optimum[i])),
                    "error_octaves": [
                        finite_or_none(valleys.below[i]),
                        finite_or_none(valleys.above[i]),
                    ],
                    "bound": {-1: "at most", 0: None, 1: "at least"}[int(valleys.bound[i])],
                    "predicted": float(answer.learning_rate[i]),
                    "interval": [float(answer.low[i]), float(answer.high[i])],
                }
                for i in range(len(cells))
            ],
        }


def _score(score: Score) -> dict[str, Any]:
    return {
        "predictions": score.count,
        "rmse_octaves": score.rmse,
        "excess_loss": score.excess,
        "inside": score.coverage,
        "median_width_octaves": score.width,
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
    noise_scale: NoiseScale | None = None,
    prior: Prior | None = None,
    scores: bool = True,
    progress: Progress | None = None,
) -> SweepFit:
    """Infer the law from the runs of a sweep.

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
    noise_scale : float or tuple of float, optional
        What was measured besides, at the middle of the covariates: a number, good to a factor of
        2, or two between which it lies with probability 0.9.
    prior : Prior, optional
        What is believed before; learned from other sweeps by default.
    scores : bool, default True
        Whether the law, and rules of thumb beside it, are tried on what is left out, which
        takes most of the time.
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
    theory.md T-I4, T-J1, T-K1 to T-K4.

    Examples
    --------
    >>> from scaling import BatchSizeLaw, simulate_sweep
    >>> truth = BatchSizeLaw.from_limit(1e-3, noise_batch_size=4000, critical_batch_size=200)
    >>> fit = fit_sweep(simulate_sweep(truth, [16, 64, 256, 1024, 4096], seed=1))
    >>> low, high = fit.law.interval(512, level=0.9)
    >>> bool(low < truth.learning_rate(512) < high)
    True
    """
    if isinstance(covariates, str):
        raise InputError(f"must be a list of names, as [{covariates!r}]", "covariates")
    said: tuple[Fact, ...] = ()
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
    if runs.eps is not None and np.unique(runs.eps).size == 1:
        said = (*said, fact("one eps", eps=float(runs.eps[0])))
        runs = replace(runs, eps=None)
    losses = runs.loss[~runs.diverged]
    if losses.size > 1 and np.ptp(losses) == 0:
        raise DataError(
            f"{runs.name}: every loss is {losses[0]:.10g}, so no learning rate is better than "
            "another; write the losses with more digits"
        )
    cells = that_tell(cells_of(runs))
    _check_covariates(runs, cells)
    report("optima", 0, 1)
    valleys = read_valleys(cells)
    report("optima", 1, 1)
    evidence = Evidence.from_cells(cells, valleys, tuple(runs.covariates))
    report("law", 0, 1)
    law = PosteriorLaw.of_evidence(evidence, _description(runs, cells), noise_scale, prior=prior)
    law = replace(law, provenance=replace(law.provenance, unit=runs.unit))
    report("law", 1, 1)
    curvature = float(np.median(valleys.curvature))
    known = replace(evidence, noise_scale=measured(noise_scale))
    found = _scores(known, law.posterior, prior, curvature, report) if scores else {}
    return SweepFit(law, runs, cells, valleys, found, said)


def _check_covariates(runs: Runs, cells: Cells) -> None:
    """Refuse covariates whose effects cannot be told."""
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


def _description(runs: Runs, cells: Cells) -> str:
    groups = np.unique(cells.group).size
    where = f"{groups} groups" if groups > 1 else "one group"
    name = runs.name if runs.name.isprintable() else ascii(runs.name)
    low, high = cells.batch_size.min(), cells.batch_size.max()
    tried = f"batch sizes {low:.10g} to {high:.10g}" if low < high else f"batch size {low:.10g}"
    return (
        f"fitted to {len(runs)} runs in {len(cells)} {'cells' if len(cells) > 1 else 'cell'} of "
        f"{where}, {tried}{f' {runs.unit}' if runs.unit else ''}, of {name}"
    )


def _scores(
    evidence: Evidence,
    posterior: Posterior,
    prior: Prior | None,
    curvature: float,
    report: Progress,
) -> dict[By, Score]:
    """Predict what is left out in every way that the sweep allows."""
    target = target_of(evidence, prior)
    gathered = target.gathered
    groups, sizes = len(gathered.groups), np.unique(gathered.design.batch).size
    ways: list[By] = ["batch_size"]
    ways += ["cell", "group"] if groups > 1 else []
    ways += ["largest_third"] if sizes > 3 else []
    outs = {by: folds(gathered, by) for by in ways}
    optimum = np.where(gathered.cells.bound == 0, gathered.cells.optimum, np.nan)
    total = sum(len(out) for out in outs.values())
    count = itertools.count(1)

    def step() -> None:
        report("what is left out", next(count), total)

    found = {
        by: predict_left_out(target, posterior, out, progress=step).score(optimum, curvature)
        for by, out in outs.items()
    }
    return {by: score for by, score in found.items() if score.count}
