"""`lr lab` as a user meets it."""

import pytest

CONFIG = """
description = "tiny"
problem = "quadratic"
seeds = [0]
learning_rates = 5

[guess]
learning_rate = 0.1
batch_size = 16
noise_scale = 100
root_second_moment = 1

[[arm]]
batch_size = [4, 16, 64]
steps = 20
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(CONFIG)
    return path


def test_list_names_what_is_shipped_with_its_size(lr):
    ran = lr("lab", "list")
    assert (ran.status, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert [line.split()[0] for line in lines] == ["logistic", "network", "transformer"]
    assert all(" cells " in line and " runs " in line for line in lines)


@pytest.mark.torch
def test_run_writes_a_table_that_fit_reads_and_says_nothing(lr, config, tmp_path):
    pytest.importorskip("torch", reason="needs the extra 'torch'")
    pytest.importorskip("joblib", reason="needs the extra 'torch'")
    out = tmp_path / "runs.csv"
    ran = lr("lab", "run", config, "--out", out)
    assert (ran.status, ran.out, ran.err) == (0, "", "")
    assert out.read_text().startswith("problem,budget,target,decay,")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs.csv", "tiny.toml"]
    assert lr("fit", out).status == 0
    again = lr("lab", "run", config, "--out", out)
    assert (again.status, again.out) == (1, "")
    assert "exists already; --force overwrites it" in again.err
    before = out.read_bytes()
    assert lr("lab", "run", config, "--out", out, "--force").status == 0
    assert out.read_bytes() == before


@pytest.mark.torch
def test_an_interruption_says_how_to_go_on(lr, config, tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="needs the extra 'torch'")
    pytest.importorskip("joblib", reason="needs the extra 'torch'")

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("scaling.lab.running.run_cell", interrupt)
    ran = lr("lab", "run", config, "--out", tmp_path / "runs.csv")
    assert (ran.status, ran.out) == (130, "")
    assert ran.err == "lr: interrupted; the same command goes on where it was\n"


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["nowhere.toml", "--out", "a.csv"], 1, "nowhere.toml: cannot be read"),
        (["network"], 2, "--out"),
        (["network", "--out", "a.csv", "--jobs", 0], 2, "--jobs"),
        (["network", "--out", "a.csv", "--backend", "slurm"], 2, "--backend"),
    ],
)
def test_wrong_calls_are_one_line(lr, arguments, status, says):
    ran = lr("lab", "run", *arguments)
    assert (ran.status, ran.out) == (status, "")
    assert ran.err.count("\n") == 1
    assert says in ran.err


@pytest.mark.torch
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--backend", "dask"], "--address: missing"),
        (["--address", "tcp://localhost:1"], "--address: is that of a Dask cluster"),
    ],
)
def test_a_cluster_needs_its_address(lr, config, tmp_path, arguments, says):
    pytest.importorskip("torch", reason="needs the extra 'torch'")
    pytest.importorskip("joblib", reason="needs the extra 'torch'")
    ran = lr("lab", "run", config, "--out", tmp_path / "a.csv", *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert says in ran.err
    assert ran.err.count("\n") == 1
