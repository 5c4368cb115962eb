"""The sampler by a plan, against Optuna."""

import threading

import numpy as np
import optuna
import pytest

from scaling import Recipe
from scaling.engines.optuna import LawSampler, enqueue_runs

optuna.logging.set_verbosity(optuna.logging.WARNING)
TUNED = Recipe(3e-4, 256)
SIZES = [256, 1024, 4096]


def objective(trial):
    batch = trial.suggest_categorical("batch_size", SIZES)
    rate = trial.suggest_float("lr", 1e-6, 1e-1, log=True)
    trial.suggest_float("wd", 0, 1)
    return 3 * np.exp(0.02 * (np.log2(rate / 3e-4) - 0.5 * np.log2(batch / 256)) ** 2)


def test_a_study_just_uses_it():
    sampler = LawSampler(TUNED, 4096, optuna.samplers.TPESampler(seed=0, multivariate=True))
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=8)
    at_target = [t for t in study.trials if t.params["batch_size"] == 4096]
    best = min(at_target, key=lambda trial: trial.value)
    assert abs(np.log2(best.params["lr"] / 1.2e-3)) < 0.5
    assert len({trial.params["wd"] for trial in study.trials}) == 8


def test_a_fixed_batch_size_needs_no_parameter():
    study = optuna.create_study(sampler=LawSampler(TUNED, 4096, fixed_batch_size=1024))
    trial = study.ask()
    assert 1e-4 < trial.suggest_float("lr", 1e-6, 1e-1, log=True) < 2e-3
    trial = optuna.create_study(sampler=LawSampler(TUNED, 4096, fixed_batch_size=1024)).ask()
    assert trial.suggest_float("lr", 0.5, 0.6, log=True) == 0.5


def test_a_failed_trial_is_too_high_a_learning_rate():
    study = optuna.create_study(sampler=LawSampler(TUNED, 4096))
    first = study.ask()
    high = first.suggest_float("lr", 1e-6, 1e-1, log=True)
    study.tell(first, state=optuna.trial.TrialState.FAIL)
    assert study.ask().suggest_float("lr", 1e-6, 1e-1, log=True) < high


def test_workers_at_the_same_moment_do_not_choose_the_same():
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(storage=storage, study_name="s")
    workers, chosen = 4, []
    started = threading.Barrier(workers)

    def work():
        study = optuna.load_study(storage=storage, study_name="s", sampler=LawSampler(TUNED, 4096))
        trial = study.ask()
        started.wait(60)
        chosen.append(trial.suggest_float("lr", 1e-6, 1e-1, log=True))

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(chosen)) == workers


def test_planned_runs_are_enqueued(tmp_path):
    from scaling import plan

    storage = f"sqlite:///{tmp_path}/s.db"
    enqueue_runs(plan(TUNED, 4096).preview(3), storage, "s")
    study = optuna.load_study(storage=storage, study_name="s")
    waiting = [trial.system_attrs["fixed_params"] for trial in study.trials]
    assert [params["lr"] for params in waiting] == [
        pytest.approx(run.learning_rate) for run in plan(TUNED, 4096).preview(3)
    ]
    study.optimize(lambda t: t.suggest_float("lr", 1e-6, 1, log=True), n_trials=1)
    assert study.trials[0].params["lr"] == waiting[0]["lr"]
