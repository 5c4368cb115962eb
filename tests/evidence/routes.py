"""The routes to a learning rate, each tried on real trainings beside the rules of thumb.

A route is a function of a sweep and a prior: what a user of it would have known of the sweep goes
in, and predictions of the optima that he would not have known come out.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from sweeps import excess

from scaling import GradientStatistics, Recipe, SecondMoments, TransferLaw
from scaling.numeric.inference.baselines import BASELINES
from scaling.numeric.inference.evidence.evidence import Evidence
from scaling.numeric.inference.law import PosteriorLaw
from scaling.numeric.inference.posterior import infer, target_of
from scaling.numeric.inference.scoring import Predictions, folds, predict_left_out

#: Rules that need a tuned run only: the power of the batch size.
RULES = {"constant": 0.0, "sqrt": 0.5, "linear": 1.0}
#: Half the width of a normal distribution's 90 % interval, in standard deviations.
_OF_90 = 1.645


class Outcome(NamedTuple):
    """Predictions, the optima that were found (log2), and what the predictions would have cost."""

    found: Predictions
    optimum: np.ndarray
    excess: dict  # percent of the loss by predictor; empty where losses are not known

    @classmethod
    def of(cls, found, optimum, curves):
        losses = {}
        if curves:
            losses = {
                name: np.array([excess(*at) for at in zip(curves, values, strict=True)])
                for name, values in found.by.items()
            }
        return cls(found, optimum, losses)


def pooled(outcomes):
    """All predictions as if of one sweep; those of trainings without losses have no excess."""
    found, optima, losses = zip(*outcomes, strict=True)
    by = {name: np.concatenate([f.by[name] for f in found]) for name in found[0].by}
    low, high = (np.concatenate([getattr(f, end) for f in found]) for end in ("low", "high"))
    names = {name for part in losses for name in part}
    lost = {n: np.concatenate([part[n] for part in losses if part]) for n in names}
    return Outcome(Predictions(by, low, high), np.concatenate(optima), lost)


def _from_one_run(sweep, rows, answer, octaves, tuned):
    """Predictions of rows by a law's answer, and by the rules from the tuned rate (log2)."""
    law, low, high = (np.log2(x) for x in answer)
    by = {name: np.full(law.size, np.nan) for name in ("law", *BASELINES)}
    by |= {name: tuned + power * octaves for name, power in RULES.items()}
    found = Predictions(by | {"law": law}, low, high)
    curves = [sweep.curves[i] for i in rows] if sweep.curves else []
    return Outcome.of(found, sweep.optimum[rows], curves)


def _others(sweep):
    """Rows whose optimum is known, but for the middle one, and octaves from it."""
    batch, middle = sweep.evidence.batch_size, sweep.middle
    rows = np.flatnonzero(np.isfinite(sweep.optimum))
    rows = rows[rows != middle]
    return rows, np.log2(batch[rows] / batch[middle])


def tuned(sweep, prior, noise_scale):
    """One run at the middle batch size and what is known of its noise scale, if anything."""
    middle = sweep.middle
    batch, rate = sweep.evidence.batch_size[middle], np.exp2(sweep.optimum[middle])
    rows, octaves = _others(sweep)
    answer = infer(Evidence([batch], [rate], noise_scale=noise_scale), prior).answer(
        sweep.evidence.batch_size[rows]
    )
    return _from_one_run(sweep, rows, answer[:3], octaves, sweep.optimum[middle])


def tuned_run(sweep, prior):
    """The best learning rate at the middle batch size, and nothing else."""
    return tuned(sweep, prior, None)


def noise_scale(sweep, prior):
    """One run at the middle batch size, and the noise scale measured half-way through it.

    Beside it T-I2 itself, which takes the noise scale for B_n: no prior, and no interval.
    """
    if sweep.noise_scale is None:
        return None
    found = tuned(sweep, prior, sweep.noise_scale)
    middle, (rows, _) = sweep.middle, _others(sweep)
    run = Recipe(float(np.exp2(sweep.optimum[middle])), float(sweep.evidence.batch_size[middle]))
    law = TransferLaw(run, GradientStatistics(sweep.noise_scale.value))
    found.found.by["T-I2"] = np.log2(law.learning_rate(sweep.evidence.batch_size[rows]))
    return found


def optima(sweep, prior):
    """The best learning rates at all other batch sizes, as a table without errors."""
    known = np.isfinite(sweep.optimum)
    table = sweep.take(known)
    e = table.evidence
    return _left_out(replace(table, evidence=Evidence(e.batch_size, np.exp2(table.optimum))), prior)


def runs(sweep, prior):
    """The runs at all other batch sizes: optima with their errors, and bounds."""
    return _left_out(sweep, prior)


def _left_out(sweep, prior, by="cell"):
    target = target_of(sweep.evidence, prior)
    posterior = infer(sweep.evidence, prior)
    found = predict_left_out(target, posterior, folds(target.gathered, by))
    e = sweep.evidence
    # The order of the gathered cells.
    rows = np.lexsort([*e.covariates.values(), e.eps, e.batch_size][::-1])
    curves = [sweep.curves[i] for i in rows] if sweep.curves else []
    return Outcome.of(found, sweep.optimum[rows], curves)


def whole_group(sweep, prior):
    """The runs at all other settings of eps or of covariates, such as sizes of a model."""
    return _left_out(sweep, prior, "group")


def whole_batch_size(sweep, prior):
    """The runs at all other batch sizes, all settings together."""
    return _left_out(sweep, prior, "batch_size")


def second_moments(sweeps, prior):
    """One run at the middle batch size and a small eps, and its second moments half-way.

    Every batch size at every eps is predicted; ``sweeps`` are those of one training by eps, the
    smallest first.
    """
    return _over_eps(sweeps, prior, None)


def second_moments_and_noise_scale(sweeps, prior):
    """One run at the middle batch size and a small eps, its second moments and noise scale."""
    base = next(iter(sweeps.values()))
    if base.noise_scale is None:
        return None
    scale, error = base.noise_scale.value, base.noise_scale.factor**_OF_90
    return _over_eps(sweeps, prior, (scale / error, scale * error))


def _over_eps(sweeps, prior, between):
    (small, base), *_ = sweeps.items()
    middle = base.middle
    batch, rate = float(base.evidence.batch_size[middle]), float(np.exp2(base.optimum[middle]))
    law = PosteriorLaw.of_tuned_run(
        Recipe(rate, batch, eps=small),
        between,
        prior=prior,
        second_moments=SecondMoments.from_json(base.measured[middle].second_moments),
    )
    found = []
    for eps, sweep in sweeps.items():
        rows = np.flatnonzero(np.isfinite(sweep.optimum))
        if eps == small:
            rows = rows[rows != middle]
        sizes = sweep.evidence.batch_size[rows]
        there = law.at(eps=eps)
        answer = (there.learning_rate(sizes), *there.interval(sizes, 0.9))
        # The rules start at the run that was tuned, whatever the eps.
        found.append(
            _from_one_run(sweep, rows, answer, np.log2(sizes / batch), base.optimum[middle])
        )
    return pooled(found)
