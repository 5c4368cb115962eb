"""The Optuna adapter, against Optuna."""

import json
import subprocess
import sys
import threading

import optuna
import pytest
from optuna.distributions import FloatDistribution, json_to_distribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FixedTrial, TrialState

from scaling import BatchSizeLaw, DataError, InputError, save_law
from scaling.engines.optuna import enqueue_first_trials, form, suggest_lr

optuna.logging.set_verbosity(optuna.logging.WARNING)


def journal(path):
    return JournalStorage(JournalFileBackend(str(path)))


def test_suggestions_are_log_uniform_within_the_interval(law):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    rates = [suggest_lr(study.ask(), law, 512) for _ in range(20)]
    low, high = law.interval(512, 0.9)
    assert all(low <= rate <= high for rate in rates)
    known = study.trials[0].distributions["lr"]
    assert (known.low, known.high) == (pytest.approx(low), pytest.approx(high))
    assert known.log
    wider = suggest_lr(optuna.create_study().ask(), law, 512, name="rate", level=0.999)
    assert law.interval(512, 0.999)[0] <= wider <= law.interval(512, 0.999)[1]


def test_it_finds_the_valley(law):
    def objective(trial):
        lr = suggest_lr(trial, law, 512)
        return 3 + 0.1 * (lr / 0.0055 + 0.0055 / lr - 2)

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    enqueue_first_trials(study, law, 512)
    study.optimize(objective, n_trials=12)
    assert study.best_value < 3.0001
    assert study.trials[0].params["lr"] == law.learning_rate(512)


def test_a_fixed_trial_needs_no_study(law):
    assert suggest_lr(FixedTrial({"lr": 0.006}), law, 512) == 0.006


def test_another_range_under_the_name_is_refused(law):
    study = optuna.create_study(study_name="mine")
    study.ask().suggest_float("lr", 1e-5, 1e-1, log=True)
    for call in (
        lambda: suggest_lr(study.ask(), law, 512),
        lambda: enqueue_first_trials(study, law, 512),
    ):
        with pytest.raises(InputError, match=r"'mine' already has trials with lr from .*lr_512"):
            call()
    assert suggest_lr(study.ask(), law, 512, name="lr_512")
    assert suggest_lr(study.ask(), law, 1024, name="lr_1024")
    assert suggest_lr(study.ask(), law, 512, name="lr_512")
    with pytest.raises(InputError, match="lr_512"):
        suggest_lr(study.ask(), law, 1024, name="lr_512")


def test_outside_the_range_it_warns(law):
    trial = optuna.create_study().ask()
    with pytest.warns(UserWarning, match="extrapolated: .* high 4096"):
        suggest_lr(trial, law, 16384)
    space = law.search_space(16384)
    assert trial.distributions["lr"] == FloatDistribution(space.low, space.high, log=True)


def test_a_law_without_intervals_is_refused():
    with pytest.raises(DataError, match="has no intervals"):
        suggest_lr(optuna.create_study().ask(), BatchSizeLaw(256, 1e-3, 4000.0, 200.0), 512)


def test_first_trials_are_enqueued_once(law):
    study = optuna.create_study()
    assert enqueue_first_trials(study, law, 512)
    assert not enqueue_first_trials(study, law, 512)
    points = [trial.system_attrs["fixed_params"]["lr"] for trial in study.trials]
    assert points == list(law.search_space(512).first_points)
    study.optimize(lambda trial: suggest_lr(trial, law, 512), n_trials=4)
    assert [trial.params["lr"] for trial in study.trials[:3]] == points
    assert not enqueue_first_trials(study, law, 512)
    assert enqueue_first_trials(study, law, 1024, name="lr_1024")
    assert len(study.get_trials(states=[TrialState.WAITING])) == 3


def test_first_trials_once_though_all_workers_find_none(law, tmp_path, monkeypatch):
    """Every worker looks before any of them writes: the worst moment."""
    optuna.create_study(storage=journal(tmp_path / "log"), study_name="s")
    workers, did = 4, []
    looked = threading.Barrier(workers)
    write = optuna.Study.set_user_attr

    def write_after_all_have_looked(study, key, value):
        looked.wait(60)
        write(study, key, value)

    monkeypatch.setattr(optuna.Study, "set_user_attr", write_after_all_have_looked)

    def work():
        study = optuna.load_study(storage=journal(tmp_path / "log"), study_name="s")
        did.append(enqueue_first_trials(study, law, 512))

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(did) == [False] * (workers - 1) + [True]
    study = optuna.load_study(storage=journal(tmp_path / "log"), study_name="s")
    assert len(study.trials) == 3


WORKER = """
import optuna, pathlib, scaling
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from scaling.engines.optuna import enqueue_first_trials
law = scaling.load_law("law.json")
study = optuna.load_study(storage=JournalStorage(JournalFileBackend("log")), study_name="s")
print("ready", flush=True)
input()
print(enqueue_first_trials(study, law, 512))
"""


def test_first_trials_once_from_several_processes(law, tmp_path):
    save_law(law, tmp_path / "law.json")
    optuna.create_study(storage=journal(tmp_path / "log"), study_name="s")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    started = [
        subprocess.Popen([sys.executable, "-c", WORKER], cwd=tmp_path, text=True, **pipes)
        for _ in range(3)
    ]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    answers = sorted(process.communicate(timeout=120)[0].strip() for process in started)
    assert answers == ["False", "False", "True"]
    study = optuna.load_study(storage=journal(tmp_path / "log"), study_name="s")
    assert len(study.trials) == 3


def test_form_is_read_by_optuna(law):
    found = json.loads(form([law.search_space(512), law.search_space(1024)]))
    assert list(found) == ["512", "1024"]
    study = optuna.create_study()
    distributions = {
        name: json_to_distribution(json.dumps(value)) for name, value in found["512"].items()
    }
    trial = study.ask(distributions)
    space = law.search_space(512)
    assert trial.distributions["lr"] == FloatDistribution(space.low, space.high, log=True)
    # The same range as suggest_lr's, so that both may serve one study.
    assert suggest_lr(study.ask(), law, 512)
