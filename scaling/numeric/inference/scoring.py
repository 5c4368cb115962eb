"""How well the posterior, and every baseline, predicts optima that it has not seen."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from scaling.errors import InputError
from scaling.numeric.inference.baselines import BASELINES, fit_baseline
from scaling.numeric.inference.evidence.cells import Gathered
from scaling.numeric.inference.evidence.valleys import USUAL_ASYMMETRY, height
from scaling.numeric.inference.family import Design
from scaling.numeric.inference.posterior import Posterior, posterior_of
from scaling.numeric.inference.sampler import sample
from scaling.numeric.inference.target import Target
from scaling.numeric.inputs.arrays import FloatArray

BoolArray = npt.NDArray[np.bool_]
By = Literal["cell", "batch_size", "group", "largest_third"]
#: Every so many draws of the posterior of everything are enough to begin with.
_THINNED = 2
#: Of more cells than this one or a few hardly move the posterior: fewer moves settle the draws.
_MANY, _MOVES, _MOVES_OF_MANY = 64, 4, 1
#: Threads: more wait for each other.
_WORKERS = 2
#: More folds than this are joined; cells, which are the easiest to predict, into fewer.
_MOST_FOLDS, _MOST_FOLDS_OF_CELLS = 25, 10


@dataclass(frozen=True)
class Score:
    """How optima that were left out compare with their predictions, in octaves.

    Attributes
    ----------
    count : int
        Optima that were predicted; bounds are not.
    rmse : dict of str to float
        Root mean square error of the law ("law") and of every baseline.
    excess : dict of str to float
        Mean loss, as a share, that the learning rates predicted would have cost beyond the
        lowest, in a valley of the sweep's median curvature; NaN where that is not known.
    coverage, width : float
        Share of the optima inside the interval of a new sweep's optimum, and the interval's
        median width.
    """

    count: int
    rmse: dict[str, float]
    excess: dict[str, float]
    coverage: float
    width: float

    @property
    def best_baseline(self) -> str:
        """Name of the baseline that predicts best."""
        return min(BASELINES, key=self.rmse.__getitem__)


@dataclass(frozen=True, eq=False)
class Predictions:
    """What was predicted of every cell by those that do not know it, log2, each (n,).

    Attributes
    ----------
    by : dict of str to ndarray
        Posterior median ("law") and baselines; NaN for cells that were never left out.
    low, high : ndarray
        Interval of a new sweep's optimum.
    """

    by: dict[str, FloatArray]
    low: FloatArray
    high: FloatArray

    def score(self, optimum: FloatArray, curvature: float = np.nan) -> Score:
        """Compare with optima (n,), log2; NaN is left out.

        The curvature is that of log losses, as `Valleys` has it.
        """
        known = np.isfinite(optimum) & np.isfinite(self.low)
        errors = {name: (value - optimum)[known] for name, value in self.by.items()}
        inside = (self.low <= optimum) & (optimum <= self.high)
        if not known.any():
            nothing = dict.fromkeys(errors, np.nan)
            return Score(0, nothing, nothing, np.nan, np.nan)
        usual = np.array(USUAL_ASYMMETRY)
        return Score(
            int(known.sum()),
            {name: float(np.sqrt(np.mean(e * e))) for name, e in errors.items()},
            {n: curvature * float(np.mean(height(e, usual))) for n, e in errors.items()},
            float(np.mean(inside[known])),
            float(np.median((self.high - self.low)[known])),
        )


def folds(gathered: Gathered, by: By) -> BoolArray:
    """Which cells each fold leaves out, shape (folds, n).

    Parameters
    ----------
    gathered : Gathered
    by : {"cell", "batch_size", "group", "largest_third"}
        One cell, one batch size in all groups, one setting of covariates and eps at a time, or
        the largest third of the batch sizes.

    Examples
    --------
    >>> from scaling.numeric.inference.evidence.cells import gather
    >>> from scaling.numeric.inference.evidence.evidence import Evidence
    >>> folds(gather(Evidence([1, 2, 4], [1e-3, 1e-3, 1e-3])), "largest_third").tolist()
    [[False, False, True]]
    """
    if by not in get_args(By):
        raise InputError(f"must be one of {get_args(By)}, got {by!r}", "by")
    batch = gathered.design.batch
    sizes = np.unique(batch)
    if by == "largest_third":
        return np.asarray(batch > sizes[sizes.size - 1 - -(-sizes.size // 3)])[None]
    labels = {
        "cell": np.arange(batch.size),
        "batch_size": np.searchsorted(sizes, batch),
        "group": gathered.cells.group,
    }[by]
    most = _MOST_FOLDS_OF_CELLS if by == "cell" else _MOST_FOLDS
    if labels.max() >= most:
        # Spread over the folds by a fixed shuffle.
        order = np.random.default_rng(0).permutation(labels.max() + 1)
        labels = order[labels] % most
    return np.asarray(labels == np.arange(labels.max() + 1)[:, None])


def predict_left_out(
    target: Target,
    posterior: Posterior,
    left_out: BoolArray,
    *,
    level: float = 0.9,
    progress: Callable[[], None] = lambda: None,
) -> Predictions:
    """Predict the cells that each fold leaves out from the others.

    Parameters
    ----------
    target : Target
        See `target_of`.
    posterior : Posterior
        Of everything; a few hundred draws are enough.
    left_out : ndarray of bool, shape (folds, n)
        See `folds`. Folds that leave out everything that is not a bound are passed over.
    level : float, default 0.9
        Of the interval.
    progress : callable, optional
        Called after every fold.
    """
    size = left_out.shape[1]
    by = {name: np.full(size, np.nan) for name in ("law", *BASELINES)}
    low, high = np.full((2, size), np.nan)
    gathered = target.gathered
    known = gathered.cells.bound == 0
    tails = [(1 - level) / 2, (1 + level) / 2]

    def predict(out: BoolArray) -> None:
        if not (known & ~out).any() or not out.any():
            return
        there = _rows(gathered.design, out)
        reduced = without(target, posterior, out)
        law = reduced.law(there)
        by["law"][out] = np.median(law, axis=0)
        low[out], high[out] = np.quantile(reduced.new_optimum(law), tails, axis=0)
        for name in BASELINES:
            by[name][out] = fit_baseline(name, gathered, ~out).evaluate(there)

    # NumPy lets other threads compute meanwhile, and no fold depends on another.
    pool = ThreadPoolExecutor(_WORKERS)
    try:
        for _ in pool.map(predict, left_out):
            progress()
    finally:
        pool.shutdown(cancel_futures=True)
    return Predictions(by, low, high)


def without(target: Target, posterior: Posterior, out: BoolArray) -> Posterior:
    """Posterior that has not seen some cells: the likelihood of those is taken back.

    The sampler starts at the draws of everything, which are close already.
    """
    gathered = target.gathered
    kept = replace(
        target,
        gathered=gathered._replace(
            cells=gathered.cells.take(~out),
            design=_rows(gathered.design, ~out),
            groups=gathered.groups[np.unique(gathered.cells.group[~out])],
        ),
    )

    rng = np.random.default_rng(0)
    draws = posterior.draws[::_THINNED]
    moves = _MOVES_OF_MANY if out.size > _MANY else _MOVES
    found = sample(_TakenBack(target, kept, draws), len(draws), rng, moves)
    return posterior_of(kept, found, rng)


@dataclass(frozen=True, eq=False)
class _TakenBack:
    """From the posterior of everything to that of what is kept (a `Problem`)."""

    everything: Target
    kept: Target
    draws: FloatArray

    def propose(
        self, _power: float, _size: int, _rng: np.random.Generator, /
    ) -> tuple[FloatArray, FloatArray]:
        """The draws of everything, whatever the power."""
        everything = self.everything
        return self.draws, everything.log_prior(self.draws) + everything.log_likelihood(self.draws)

    def redraw(
        self, draws: FloatArray, _power: float, rng: np.random.Generator, /
    ) -> tuple[FloatArray, FloatArray]:
        """As for what is kept, whatever the power."""
        return self.kept.redraw(draws, 1.0, rng)

    def redraw_density(self, draws: FloatArray, _power: float, /) -> FloatArray:
        """As for what is kept, whatever the power."""
        return self.kept.redraw_density(draws, 1.0)

    def log_density(self, draws: FloatArray, power: float, /) -> tuple[FloatArray, FloatArray]:
        """Posterior of everything, and what takes the likelihood of the others back."""
        prior, kept = self.everything.log_prior(draws), self.kept.log_likelihood(draws)
        if power == 1.0:
            # Likelihoods are what takes the time.
            return prior, kept
        everything = self.everything.log_likelihood(draws)
        return prior + everything, kept - everything


def _rows(design: Design, rows: BoolArray) -> Design:
    return Design(design.batch[rows], design.covariates[rows], design.eps[rows])
