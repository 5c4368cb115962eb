"""Is a law worth it? Trials until the loss is within 1 % of the best, with and without.

Known valleys: the best learning rate scatters about T-E2 by 0.3 octave, as that of real sweeps
does about a fit (theory.md H), and the loss rises by 1 % of itself at a known distance (in octaves
of the learning rate) from it. The law is fitted to nine such optima and asked for a tenth, at a
batch size among theirs and at one twice beyond. Both ways use Optuna's default sampler and the
same budget: the law's range with its first trials, against four decades. Medians over 50 seeds (of
the sampler and of the optima). What the nine optima cost is not counted: a law pays from the
second sweep on.
"""

import statistics
import sys
import warnings
from functools import partial

import numpy as np
import optuna
from timing import report

from scaling import BatchSizeLaw, fit_optima
from scaling.engines.optuna import enqueue_first_trials, suggest_lr

TRUTH = BatchSizeLaw.from_limit(1e-3, noise_batch_size=4000, critical_batch_size=200)
TUNED_AT = 2.0 ** np.arange(4, 13)
SCATTER = 0.3  # octave
WIDTHS = (0.25, 0.5, 1.0)  # octaves from the best rate at which the loss is 1 % worse
ASKED = (512, 8192)
SEEDS = 50
BUDGET = 60
DECADES = (1e-5, 1e-1)
LOSS = 3.0


def trials_needed(study, suggest, best, width):
    """Trials until the loss is within 1 %; more than the budget counts as budget + 1."""

    def loss(trial):
        octaves = np.log2(suggest(trial) / best)
        return float(LOSS * (1 + 0.01 * (octaves / width) ** 2))

    def stop(study, trial):
        if trial.value <= 1.01 * LOSS:
            study.stop()

    study.optimize(loss, n_trials=BUDGET, callbacks=[stop])
    run = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])  # others may be in the queue
    return len(run) if study.best_value <= 1.01 * LOSS else BUDGET + 1


def over_decades(trial):
    """What a sweep without a law searches."""
    return trial.suggest_float("lr", *DECADES, log=True)


def optimum(rng, batch_size):
    """The best learning rate of a run."""
    return TRUTH.learning_rate(batch_size) * 2 ** rng.normal(
        scale=SCATTER, size=np.shape(batch_size)
    )


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore")  # of the range that is widened at the largest batch size
    generators = [np.random.default_rng(seed) for seed in range(SEEDS)]
    laws = [fit_optima(TUNED_AT, optimum(rng, TUNED_AT)) for rng in generators]
    results = []
    for batch_size in ASKED:
        valleys = [float(optimum(rng, batch_size)) for rng in generators]
        for width in WIDTHS:
            guided, default = [], []
            for seed, (law, best) in enumerate(zip(laws, valleys, strict=True)):
                study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
                enqueue_first_trials(study, law, batch_size)
                suggest = partial(suggest_lr, law=law, batch_size=batch_size)
                guided.append(trials_needed(study, suggest, best, width))
                study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
                default.append(trials_needed(study, over_decades, best, width))
            medians = statistics.median(guided), statistics.median(default)
            missed = sum(count > BUDGET for count in guided), sum(c > BUDGET for c in default)
            print(
                f"batch size {batch_size}, 1 % within {width:g} octave: trials {medians[0]:g} with "
                f"the law, {medians[1]:g} without; means {np.mean(guided):.1f}, "
                f"{np.mean(default):.1f}; not within {BUDGET}: {missed[0]}, {missed[1]} of {SEEDS}"
            )
            results.append(report("  with / without", medians[0] / medians[1], 1 / 3))
    sys.exit(not all(results))
