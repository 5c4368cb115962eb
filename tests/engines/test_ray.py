"""The Ray Tune adapter, against Ray, on a local cluster."""

import math
import os
import subprocess
import sys

import pytest
from scaling.cli.report.sentences import say_all

from scaling import fit_sweep, save_law
from scaling.engines.ray import form, param_space, points_to_evaluate

from .pages import PAGES, run_page

ray = pytest.importorskip("ray", reason="needs the extra ray")


def test_spaces_and_points(law):
    size, rate = param_space(law, 512).values()
    assert size == 512
    space = law.search_space(512)
    assert (rate.lower, rate.upper) == (space.low, space.high)
    assert "Log" in type(rate.get_sampler()).__name__
    assert points_to_evaluate(law, 512, name="rate") == [{"rate": p} for p in space.first_points]
    with pytest.warns(UserWarning, match="extrapolated"):
        param_space(law, 16384)


def test_form_is_python_for_ray(law):
    spaces = [law.search_space(512), law.search_space(100.5)]
    names = {}
    exec(form(spaces), names)  # noqa: S102 - it is Python that we have written
    for space in spaces:
        found = names["param_spaces"][space.batch_size]
        assert found["batch_size"] == space.batch_size
        assert (found["lr"].lower, found["lr"].upper) == (space.low, space.high)
        points = names["points_to_evaluate"][space.batch_size]
        assert [point["lr"] for point in points] == list(space.first_points)


@pytest.mark.filterwarnings("default")  # Ray's own, of its processes and sockets
def test_a_real_run_and_the_script_on_a_cluster(law, tmp_path, lr, monkeypatch):
    """One local cluster for both, since to start one takes most of the time."""
    monkeypatch.chdir(tmp_path)
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    address = ray.init(num_cpus=2, **quiet).address_info["address"]
    try:
        names = run_page(
            PAGES / "ray.md", tmp_path, lr, law, {"storage_path": str(tmp_path / "ray")}
        )
        results = names["tuner"].get_results()
        assert len(results) == 4
        low, high = law.interval(512, 0.9)
        rates = [result.config["lr"] for result in results]
        assert rates[:3] == list(law.search_space(512).first_points)
        assert all(low <= rate <= high for rate in rates)
        _run_script(law, tmp_path, address)
        _there_and_back(law, tmp_path / "back")
    finally:
        ray.shutdown()


def _there_and_back(law, folder):
    """What `lr sweep --engine ray` prints, in a Tuner; the law that its results give."""
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    sizes, names = (16, 128, 1024), {}
    exec(form([law.search_space(size) for size in sizes]), names)  # noqa: S102
    best = {size: float(law.learning_rate(size)) for size in sizes}

    def train(config):
        distance = math.log2(config["lr"] / best[config["batch_size"]])
        tune.report({"val_loss": 9.0})
        if distance == 0 and config["batch_size"] == 16:
            raise RuntimeError  # a trial that broke off
        tune.report({"val_loss": 3 + 0.1 * distance**2})

    for size in sizes:
        search = OptunaSearch(points_to_evaluate=names["points_to_evaluate"][size], seed=0)
        tune.Tuner(
            train,
            param_space=names["param_spaces"][size],
            tune_config=tune.TuneConfig(
                metric="val_loss", mode="min", num_samples=5, search_alg=search, reuse_actors=True
            ),
            run_config=tune.RunConfig(storage_path=str(folder), name=str(size), verbose=0),
        ).fit()
    found = fit_sweep(folder)
    assert "read as trials of Ray Tune: 15" in say_all(found.said)
    assert "1 of 15 runs left out: broke off, and not by its loss (ERROR)" in say_all(found.said)
    for size in sizes:
        low, high = found.law.interval(size, 0.9)
        assert low < best[size] < high
        assert abs(math.log2(found.law.learning_rate(size) / best[size])) < 0.1


def _run_script(law, folder, address):
    """The script that other tests run in plain processes, unchanged."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    save_law(law, folder / "law.json")
    subprocess.run(
        [
            sys.executable, PAGES / "many_machines.py", "--law", folder / "law.json",
            "--batch-size", "512", "--journal", folder / "log", "--worker", "ray",
            "--processes", "2", "--trials", "6",
        ],
        env={**os.environ, "RAY_ADDRESS": address},
        check=True,
        capture_output=True,
    )  # fmt: skip
    storage = JournalStorage(JournalFileBackend(str(folder / "log")))
    study = optuna.load_study(storage=storage, study_name="lr at batch size 512")
    done = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    assert len(done) == len({t.params["lr"] for t in done}) == 6
