"""A law gives the search space, a real engine searches it, and its results give the law again."""

import csv
import json
import math
import os
import subprocess
import sys
from contextlib import ExitStack

import numpy as np
import optuna
import pytest
import yaml
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from scaling.cli.report.sentences import say_all

from scaling import DataError, InputError, fit_sweep
from scaling.engines.optuna import suggest_lr
from scaling.engines.wandb import learning_rate, sweep_configuration
from scaling.numeric.tables import as_table

optuna.logging.set_verbosity(optuna.logging.WARNING)
SIZES = (16, 64, 256, 1024)


def loss_of(law, batch_size, lr):
    """A valley around the law's rate."""
    return 3 + 0.1 * math.log2(lr / law.learning_rate(batch_size)) ** 2


def check(law, found):
    """The law that was fitted is the one that was searched by, as nearly as it claims itself."""
    for size in SIZES:
        low, high = found.interval(size, 0.9)
        assert low < law.learning_rate(size) < high
        assert abs(math.log2(found.learning_rate(size) / law.learning_rate(size))) < 0.1


def search(study, law, name="lr_{}", trials=6):
    for size in SIZES:
        study.optimize(
            lambda trial, size=size: loss_of(
                law, size, suggest_lr(trial, law, size, name=name.format(size))
            ),
            n_trials=trials,
        )
    return study


@pytest.fixture(scope="module")
def stored(law, tmp_path_factory):
    """A study as a database, a journal and a table."""
    folder = tmp_path_factory.mktemp("a study, #1")
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(
        storage=f"sqlite:///{folder}/study.db", study_name="mine", sampler=sampler
    )
    search(study, law)
    waiting = study.ask()
    suggest_lr(waiting, law, 64, name="lr_64")
    broken = study.ask()
    suggest_lr(broken, law, 64, name="lr_64")
    study.tell(broken, state=optuna.trial.TrialState.FAIL)
    nan = study.ask()
    suggest_lr(nan, law, 64, name="lr_64")
    nan.report(math.nan, 1)
    with pytest.warns(UserWarning, match="nan is not acceptable"):
        study.tell(nan, math.nan)
    journal = JournalStorage(JournalFileBackend(str(folder / "log")))
    optuna.copy_study(
        from_study_name="mine",
        from_storage=study._storage,
        to_storage=journal,
        to_study_name="mine",
    )
    study.trials_dataframe().to_csv(folder / "trials.csv")
    return folder


@pytest.mark.parametrize("place", ["study.db", "sqlite:///{}/study.db", "log", "trials.csv"])
def test_optuna(place, law, stored):
    path = place.format(stored) if ":" in place else stored / place
    before = {file.name: file.stat().st_mtime_ns for file in stored.iterdir()}
    found = fit_sweep(as_table(path, study=None if place == "trials.csv" else "mine"))
    check(law, found.law)
    said = "; ".join(say_all(found.said))
    assert "learning rate from column 'user_attrs_lr'" in said
    assert "1 of 27 runs left out: not finished (RUNNING)" in said
    if place != "trials.csv":
        assert "1 of 27 runs left out: broke off, and not by its loss (FAIL)" in said
        assert "1 of 27 runs diverged: FAIL, and the loss not finite" in said
        assert as_table(path).describe_row(3).endswith(": trial 3")
        with pytest.raises(InputError, match="has no study 'other'; it has mine"):
            as_table(path, study="other")
    assert before == {file.name: file.stat().st_mtime_ns for file in stored.iterdir()}


def test_names_of_rates_tell_batch_sizes_where_nothing_else_does(law):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    search(study, law)
    frame = study.trials_dataframe(attrs=("number", "value", "params", "state"))
    assert set(frame) >= {"params_lr_16", "params_lr_1024"}
    found = fit_sweep(frame)
    assert (
        "batch size from column 'batch_size', learning rate from column 'lr'"
        in say_all(found.said)[0]
    )
    check(law, found.law)


def test_a_refitted_law_moves_the_range_of_a_running_study(law):
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    search(study, law, trials=3)
    again = fit_sweep(study.trials_dataframe()).law
    lr = suggest_lr(study.ask(), again, 64, name="lr_64")
    assert again.search_space(64).low <= lr <= again.search_space(64).high
    with pytest.raises(InputError, match="take another name, such as lr_64_256"):
        suggest_lr(study.ask(), again, 256, name="lr_64")


def test_studies_that_are_not_of_one_loss(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    optuna.create_study(storage=url, study_name="a", direction="maximize").optimize(
        lambda _: 1.0, n_trials=1
    )
    with pytest.raises(DataError, match="'a' does not minimize one loss: maximize"):
        as_table(tmp_path / "study.db")
    optuna.create_study(storage=url, study_name="b")
    with pytest.raises(InputError, match="has several: a, b; choose one"):
        as_table(tmp_path / "study.db")
    with pytest.raises(DataError, match="holds no run"):
        as_table(tmp_path / "study.db", study="b")


def test_wandb(law, tmp_path):
    """The grid that W&B's agent would run, and the columns of its runs table."""
    parameters = sweep_configuration(law, SIZES)["parameters"]
    low, high = parameters["lr_multiplier"]["min"], parameters["lr_multiplier"]["max"]
    with (tmp_path / "wandb.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Name", "State", "batch_size", "lr", "lr_multiplier", "val_loss"])
        for size in parameters["batch_size"]["values"]:
            for i in range(7):
                config = {"batch_size": size, "lr_multiplier": low * (high / low) ** (i / 6)}
                loss = loss_of(law, size, learning_rate(config, law))
                row = [config["batch_size"], config["lr"], config["lr_multiplier"], loss]
                writer.writerow(["", "finished", *row])
    check(law, fit_sweep(tmp_path / "wandb.csv").law)


@pytest.mark.torch
@pytest.mark.parametrize("backend", ["loky", "dask"])
def test_joblib(backend, law):
    """The records that processes, or the workers of a Dask cluster, return."""
    joblib = pytest.importorskip("joblib", reason="needs the extra torch")
    best = {size: float(law.learning_rate(size)) for size in SIZES}

    def train(size, lr):  # knows what the workers know
        return {"batch_size": size, "lr": lr, "loss": 3 + 0.1 * math.log2(lr / best[size]) ** 2}

    with ExitStack() as stack:
        if backend == "dask":
            distributed = pytest.importorskip("distributed", reason="needs the extra dask")
            cluster = distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, dashboard_address=None
            )
            stack.enter_context(stack.enter_context(cluster).get_client())
        stack.enter_context(joblib.parallel_config(backend, n_jobs=2))
        records = joblib.Parallel()(
            joblib.delayed(train)(size, lr)
            for size in SIZES
            for lr in np.geomspace(law.search_space(size).low, law.search_space(size).high, 5)
        )
    check(law, fit_sweep(records).law)


TRAIN = """
import json, math, hydra
from hydra.core.hydra_config import HydraConfig
@hydra.main(version_base=None, config_path=None, config_name="config")
def train(config):
    best = json.loads(config.best)[str(config.batch_size)]
    loss = 3 + 0.1 * math.log2(config.lr / best) ** 2
    with open(HydraConfig.get().runtime.output_dir + "/metrics.json", "w") as file:
        json.dump({"val_loss": loss}, file)
train()
"""


def test_hydra(law, tmp_path):
    """Hydra's basic sweeper at points of the range; it keeps .hydra/config.yaml for each job."""
    pytest.importorskip("hydra", reason="needs the extra sweeps")
    best = json.dumps({size: float(law.learning_rate(size)) for size in SIZES})
    (tmp_path / "config.yaml").write_text(
        yaml.safe_dump({"batch_size": 1, "lr": 1.0, "best": best})
    )
    (tmp_path / "train.py").write_text(TRAIN.replace("config_path=None", 'config_path="."'))
    for size in SIZES:
        space = law.search_space(size)
        rates = ",".join(f"{space.low * (space.high / space.low) ** (i / 4)!r}" for i in range(5))
        subprocess.run(
            [
                sys.executable, "train.py", "--multirun", f"batch_size={size}", f"lr={rates}",
                f"hydra.sweep.dir=multirun/{size}",
            ],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )  # fmt: skip
    found = fit_sweep(tmp_path / "multirun")
    assert say_all(found.said)[0] == "read as runs with a metrics.json: 20"
    check(law, found.law)
