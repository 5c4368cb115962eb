"""One Optuna study from many processes and machines, over a journal that all of them reach.

On each machine, with a name of its own for --worker (a host, a job's index):

    python many_machines.py --law law.json --batch-size 512 --journal /shared/lr.log \
        --worker "$HOSTNAME" --processes 4

It stops when --trials trials are done in all. A worker that was killed is started again by the
same command: by its name it finds the trial that it left, and runs that one again from the start.
Trials that are done are never run again. Two workers of one name at a time would take each
other's trials; machines must agree on the time to within a minute.

On a Ray cluster, the same script and command: `ray job submit -- python many_machines.py ...`
sets RAY_ADDRESS, and the processes are then placed by Ray.
"""

import argparse
import multiprocessing
import os
import threading
import time
from datetime import datetime, timedelta

import optuna
from optuna.trial import TrialState

import scaling
from scaling.engines.optuna import enqueue_first_trials, suggest_lr

#: A trial is named a moment after it begins. One without a name for so long has no worker.
NAMELESS = timedelta(minutes=1)


def train(lr: float, batch_size: int, seconds: float) -> float:
    """Your training; returns the loss. Here a valley, after a while."""
    time.sleep(seconds)
    best = 0.005 * (512 / batch_size) ** 0.3
    return 3.0 + 0.1 * (lr / best + best / lr - 2)


def work(name: str, options: argparse.Namespace) -> None:
    """Run trials until enough of them are done or under way."""
    law = scaling.load_law(options.law)
    journal = optuna.storages.journal.JournalFileBackend(options.journal)
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(journal),
        study_name=f"lr at batch size {options.batch_size}",
        sampler=optuna.samplers.TPESampler(constant_liar=True),  # others' trials are under way
        load_if_exists=True,
    )
    enqueue_first_trials(study, law, options.batch_size)
    while True:
        retry_abandoned(study, name)
        trial = next_trial(study, name, options.trials)
        if trial is None:
            return
        lr = suggest_lr(trial, law, options.batch_size)
        study.tell(trial, train(lr, options.batch_size, options.seconds))


def retry_abandoned(study: optuna.Study, name: str, nameless: timedelta = NAMELESS) -> None:
    """Queue again what this worker was killed in, or a worker that had not yet said its name."""
    trials = study.get_trials(deepcopy=False)
    retried = {trial.user_attrs.get("retry_of") for trial in trials}
    for trial in trials:
        worker = trial.user_attrs.get("worker")
        if trial.state != TrialState.RUNNING or worker not in (name, None):
            continue
        age = datetime.now() - trial.datetime_start  # noqa: DTZ005 - as Optuna has it
        if worker is None and age < nameless:
            continue
        # Queued before it is given up: if this is killed in between, the next one sees both.
        if trial.number not in retried:
            again = optuna.create_trial(
                state=TrialState.WAITING,
                params=trial.params,
                distributions=trial.distributions,
                system_attrs=trial.system_attrs,
                user_attrs={"retry_of": trial.number},
            )
            study.add_trial(again)
        study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)


def next_trial(study: optuna.Study, name: str, wanted: int) -> optuna.Trial | None:
    """Begin a trial in this worker's name, unless enough are done or under way."""

    def taken(below: float) -> int:
        return sum(
            trial.number < below and trial.state not in (TrialState.FAIL, TrialState.WAITING)
            for trial in study.get_trials(deepcopy=False)
        )

    if taken(float("inf")) >= wanted:
        return None
    trial = study.ask()
    trial.set_user_attr("worker", name)
    # Another worker may have begun the last one at the same moment; the numbers say who was first.
    if taken(trial.number) < wanted:
        return trial
    study.tell(trial, state=TrialState.FAIL)
    return None


def end_with_parent() -> None:
    """Let this process end when the one that started it is killed; Ray sees to that itself."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        parent.join()
        os._exit(1)

    if parent is not None:
        threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    """Start the processes of this machine, or of the Ray cluster."""
    parser = argparse.ArgumentParser(description="Sweep the learning rate over a shared journal.")
    parser.add_argument("--law", required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--journal", required=True)
    parser.add_argument("--worker", required=True)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.0)
    options = parser.parse_args()
    names = [f"{options.worker}-{i}" for i in range(options.processes)]
    if "RAY_ADDRESS" in os.environ:
        from ray.util.multiprocessing import Pool
    else:
        Pool = multiprocessing.Pool
    with Pool(options.processes, end_with_parent) as pool:
        pool.starmap(work, [(name, options) for name in names])


if __name__ == "__main__":
    main()
