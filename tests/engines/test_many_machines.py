"""Two processes share a study; one is killed in a trial and resumed."""

import importlib.util
import signal
import subprocess
import sys
import time
from datetime import timedelta

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from scaling import save_law

from .pages import PAGES

optuna.logging.set_verbosity(optuna.logging.WARNING)
SCRIPT = PAGES / "many_machines.py"
TRIALS = 10


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("many_machines", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def start(law, tmp_path):
    """Start the script in a worker's name; whatever still runs is killed in the end."""
    save_law(law, tmp_path / "law.json")
    started = []

    def begin(worker, seconds=0):
        command = [
            sys.executable, SCRIPT, "--law", "law.json", "--batch-size", "512", "--journal", "log",
            "--worker", worker, "--trials", TRIALS, "--seconds", seconds,
        ]  # fmt: skip
        process = subprocess.Popen(
            [str(word) for word in command], cwd=tmp_path, stderr=subprocess.DEVNULL
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def trials(path, state):
    storage = JournalStorage(JournalFileBackend(str(path)))
    if not storage.get_all_studies():
        return []
    study = optuna.load_study(storage=storage, study_name="lr at batch size 512")
    return [trial for trial in study.trials if trial.state == state]


def wait_for(condition, process):
    while not condition():
        assert process.poll() is None
        time.sleep(0.05)


def test_killed_and_resumed_no_trial_is_lost_or_run_twice(start, tmp_path, law):
    log = tmp_path / "log"
    killed = start("a", seconds=1000)
    wait_for(lambda: [t for t in trials(log, TrialState.RUNNING) if t.params], killed)
    other = start("b")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert other.wait(120) == 0
    # The other has done all but the trial in which the first was killed, which is its own.
    (left,) = trials(log, TrialState.RUNNING)
    assert left.user_attrs["worker"] == "a-0"
    assert len(trials(log, TrialState.COMPLETE)) == TRIALS - 1

    assert start("a").wait(120) == 0
    done = trials(log, TrialState.COMPLETE)
    assert len(done) == TRIALS
    assert len({trial.params["lr"] for trial in done}) == TRIALS
    assert left.params["lr"] in {trial.params["lr"] for trial in done}
    (again,) = [trial for trial in done if "retry_of" in trial.user_attrs]
    assert (again.user_attrs["retry_of"], again.params) == (left.number, left.params)
    assert [trial.number for trial in trials(log, TrialState.FAIL)] == [left.number]
    first = set(law.search_space(512).first_points)
    assert first < {trial.params["lr"] for trial in done}
    assert trials(log, TrialState.RUNNING) == trials(log, TrialState.WAITING) == []

    # Once more, now that nothing is left to do.
    assert start("a").wait(120) == 0
    assert trials(log, TrialState.COMPLETE) == done


def test_killed_between_queueing_again_and_giving_up(script):
    """Neither half of a retry is done twice."""
    study = optuna.create_study()
    trial = study.ask({"lr": optuna.distributions.FloatDistribution(1e-4, 1e-2, log=True)})
    trial.set_user_attr("worker", "a")
    study.add_trial(
        optuna.create_trial(state=TrialState.WAITING, user_attrs={"retry_of": trial.number})
    )
    script.retry_abandoned(study, "a")
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.WAITING]


def test_a_trial_without_a_name_is_retried_after_a_while(script):
    study = optuna.create_study()
    study.enqueue_trial({"lr": 0.005})
    study.ask()  # killed before it said its name
    script.retry_abandoned(study, "b")
    assert [t.state for t in study.trials] == [TrialState.RUNNING]
    script.retry_abandoned(study, "b", nameless=timedelta(0))
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.WAITING]
    assert study.ask().suggest_float("lr", 1e-4, 1e-1, log=True) == 0.005


def test_trials_of_others_are_left_alone(script):
    study = optuna.create_study()
    study.ask().set_user_attr("worker", "a")
    script.retry_abandoned(study, "b", nameless=timedelta(0))
    assert [t.state for t in study.trials] == [TrialState.RUNNING]


def test_no_more_trials_than_asked_for_though_two_begin_the_last_at_once(script, monkeypatch):
    study = optuna.create_study()
    study.tell(study.ask(), 1.0)
    ask = optuna.Study.ask

    def ask_second(self):
        """Another worker takes the last trial between the look and the taking."""
        monkeypatch.setattr(optuna.Study, "ask", ask)
        assert script.next_trial(self, "b", 2) is not None
        return ask(self)

    monkeypatch.setattr(optuna.Study, "ask", ask_second)
    assert script.next_trial(study, "a", 2) is None
    states = [t.state for t in study.trials]
    assert states == [TrialState.COMPLETE, TrialState.RUNNING, TrialState.FAIL]
    assert script.next_trial(study, "a", 2) is None
