"""`lr sweep` as a user meets it; what the engines make of it is tested beside their adapters."""

import json
import os

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from scaling import Recipe, fit_optima, save_law
from scaling.numeric.inference.law import PosteriorLaw
from scaling.numeric.tables import read_optima

RUN = ("--ref-lr", "3e-4", "--ref-batch-size", "32x8", "--noise-scale", "4000")
ENGINES = ("optuna", "ray", "wandb", "hydra")


@pytest.fixture(scope="module")
def law(request):
    data = request.config.rootpath / "scaling" / "data" / "marek_adam_1d.csv"
    return fit_optima(*read_optima(data))


@pytest.fixture
def law_file(law, tmp_path):
    save_law(law, tmp_path / "law.json")
    return tmp_path / "law.json"


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_prints_the_interval(lr, law_file, law, engine):
    sizes = ("--batch-size", 512, "--batch-size", "32x32")
    ran = lr("sweep", "--engine", engine, "--law", law_file, *sizes)
    assert (ran.status, ran.err) == (0, "")
    assert "512" in ran.out
    assert "1024" in ran.out
    if engine != "wandb":
        for size in (512, 1024):
            space = law.search_space(size)
            assert repr(space.low) in ran.out
            assert repr(space.high) in ran.out


def test_the_forms_are_the_issue_s(lr, law_file):
    def out(engine):
        return lr("sweep", "--engine", engine, "--law", law_file, "--batch-size", 512).out

    attributes = json.loads(out("optuna"))["512"]["lr"]["attributes"]
    assert attributes["low"] < attributes["high"]
    assert attributes["log"]
    assert "tune.loguniform(" in out("ray")
    assert "distribution: log_uniform_values" in out("wandb")
    overrides = OverridesParser.create().parse_overrides(out("hydra").splitlines())
    assert overrides[1].value().start == attributes["low"]


def test_level_and_table(lr, marek, law):
    ran = lr("sweep", "--engine", "optuna", "--points", marek, "--batch-size", 512, "--level", 0.99)
    found = json.loads(ran.out)["512"]["lr"]["attributes"]
    assert found["low"] == law.search_space(512, 0.99).low


def test_outside_the_range_it_says_so_beside_the_answer(lr, law_file):
    ran = lr("sweep", "--engine", "optuna", "--law", law_file, "--batch-size", 16384)
    assert ran.status == 0
    assert ran.err.startswith("WARNING: extrapolated: 16384 is 4 times outside the fitted range")
    assert ran.err.count("\n") == 1
    assert list(json.loads(ran.out)) == ["16384"]


def test_a_size_given_twice_is_answered_once(lr, law_file):
    sizes = ("--batch-size", 512, "--batch-size", "32x16")
    ran = lr("sweep", "--engine", "hydra", "--law", law_file, *sizes)
    assert ran.out.count("batch_size=512") == 1


def test_files_are_not_overwritten_unless_forced(lr, law_file, tmp_path):
    out = tmp_path / "sweep.yaml"
    ask = ("sweep", "--engine", "wandb", "--law", law_file, "--batch-size", 512, "--out", out)
    printed = lr(*ask[:-2]).out
    assert lr(*ask) == type(lr(*ask[:-2]))(0, "", "")
    assert out.read_text() == printed
    out.write_text("mine")
    ran = lr(*ask)
    assert (ran.status, ran.out) == (1, "")
    assert "exists already; --force overwrites it" in ran.err
    assert out.read_text() == "mine"
    assert lr(*ask, "--force").status == 0
    assert out.read_text() == printed
    assert sorted(os.listdir(tmp_path)) == ["law.json", "sweep.yaml"]


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--batch-size", 512], 2, "--engine: missing; choose one of optuna, ray, wandb, hydra"),
        (["--engine", "optuna"], 2, "--batch-size: missing"),
        (["--engine", "nevergrad", "--batch-size", 512], 2, "--engine"),
        (["--engine", "optuna", "--batch-size", 0], 2, "--batch-size"),
        (["--engine", "optuna", "--batch-size", 512, "--level", 90], 2, "--level"),
        (["--engine", "optuna", "--batch-size", 512, "--level", 1], 2, "--level"),
        (["--engine", "optuna", "--batch-size", 512, "--force"], 2, "--force: needs a file"),
        (["--engine", "ray", "--batch-size", 512, "--out", "no/such/folder"], 1, "no/such/folder"),
        (["--engine", "ray", "--batch-size", 512, "--out", "."], 1, "exists already"),
    ],
)
def test_wrong_calls_are_one_line(lr, law_file, arguments, status, says):
    ran = lr("sweep", "--law", law_file, *arguments)
    assert (ran.status, ran.out) == (status, "")
    assert ran.err.count("\n") == 1
    assert says in ran.err


def test_a_law_without_intervals(lr):
    ran = lr("sweep", "--engine", "optuna", *RUN, "--moments", "sign", "--batch-size", 512)
    assert (ran.status, ran.out) == (1, "")
    assert "has no intervals" in ran.err
    assert ran.err.count("\n") == 1


def test_a_tuned_run_alone_is_searched_where_a_new_sweep_would_find_its_optimum(lr):
    law = PosteriorLaw.of_tuned_run(Recipe(3e-4, 256))
    ran = lr("sweep", "--engine", "optuna", *RUN[:4], "--batch-size", 1024)
    assert (ran.status, ran.err) == (0, "")
    found = json.loads(ran.out)["1024"]["lr"]["attributes"]
    assert (found["low"], found["high"]) == law.interval(1024, 0.9)
