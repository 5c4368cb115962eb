"""The committed evidence is what the code gives, and what the package says of it."""

import json
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from scaling.data.track_record import track_record
from scaling.errors import InputError

sys.path.insert(0, str(Path(__file__).parent))

import evidence
import routes
from learn_prior import read_held_out
from sweeps import Sweep, vertex

RECORD = json.loads(evidence.RECORD.read_text())
#: Trainings that come with the package and are quick to predict.
RERUN = {"marek", "transformer, fixed examples"}


def test_the_committed_figures_are_those_of_a_rerun(tmp_path):
    found = evidence.record(evidence.run(tmp_path, read_held_out(), RERUN))
    assert found.keys() == RECORD.keys()
    for route, told in found.items():
        for name, figures in told["on"].items():
            kept = RECORD[route]["on"][name]
            counts = [[f[key] for key in ("trainings", "optima")] for f in (figures, kept)]
            assert counts[0] == counts[1], (route, name)
            # Draws may differ in their last digits from one machine to another.
            assert figures["rmse"] == pytest.approx(kept["rmse"], abs=0.02), (route, name)
            assert figures["width"] == pytest.approx(kept["width"], rel=0.05), (route, name)
            assert figures["coverage"] == pytest.approx(kept["coverage"], abs=0.15), (route, name)


def test_totals_are_those_of_the_trainings():
    for told in RECORD.values():
        on = told["on"].values()
        count = np.array([figures["optima"] for figures in on])
        assert (told["optima"], told["trainings"]) == (
            count.sum(),
            sum(figures["trainings"] for figures in on),
        )
        for rule in ("law", "sqrt"):
            squares = np.array([figures["rmse"][rule] ** 2 for figures in on])
            mean = np.sqrt((count * squares).sum() / count.sum())
            assert told["rmse"][rule] == pytest.approx(mean, abs=2e-3)
        inside = np.array([figures["coverage"] for figures in on])
        assert told["coverage"] == pytest.approx((count * inside).sum() / count.sum(), abs=2e-3)


def test_the_intervals_hold_and_the_law_is_nearer_than_any_rule():
    """Of every route, on all trainings together."""
    for route in evidence.ROUTES:
        told = track_record(route)
        assert 0.9 <= told["inside"] <= 0.99, route
        assert told["octaves"] < told["best"] <= told["sqrt"], route


def test_what_the_package_says_is_in_the_table():
    text = (evidence.HERE / "EVIDENCE.md").read_text()
    for route in evidence.ROUTES:
        told = track_record(route)
        (row,) = (
            line
            for line in text.partition(f"## {route.capitalize()}\n")[2].splitlines()[:20]
            if line.startswith("| **all**")
        )
        cells = [cell.strip() for cell in row.split("|")]
        assert cells[2:6] == [
            str(told["trainings"]),
            str(told["optima"]),
            f"{told['octaves']:.2f}",
            f"{told['sqrt']:.2f}",
        ]


def test_a_route_that_there_is_not():
    with pytest.raises(InputError, match=r"route: must be one of tuned run, .*got 'guess'"):
        track_record("guess")


@pytest.mark.torch
def test_a_small_grid_has_the_same_order_of_routes():
    """Trained here and now: a sweep tells more than one run, which tells more than a rule."""
    pytest.importorskip("torch", reason="needs the extra 'torch'")
    pytest.importorskip("sklearn", reason="needs the extra 'torch'")
    from scaling.lab.cells import run_cell
    from scaling.lab.configuration import Configuration
    from scaling.numeric.inference.evidence.evidence import Evidence
    from scaling.numeric.tables.runs import Runs

    guess = {"learning_rate": 0.04, "batch_size": 32, "noise_scale": 1000}
    configuration = msgspec.convert(
        {
            "description": "small",
            "problem": "network",
            "seeds": [0, 1],
            "guess": guess | {"root_second_moment": 0.015},
            "arm": [{"batch_size": [4, 16, 64, 256, 1024], "examples": 16384}],
        },
        Configuration,
    )
    results = [run_cell(cell) for cell in configuration.cells()]
    rows = [
        (result.cell.batch_size, run.learning_rate, np.nan if run.loss is None else run.loss)
        for result in results
        for run in result.runs
    ]
    batch, rate, loss = np.array(rows).T
    curves = []
    for size in np.unique(batch):
        rates = np.unique(rate[batch == size])
        at = [loss[(batch == size) & (rate == x)].mean() for x in rates]
        known = np.isfinite(at)
        curves.append((np.log2(rates[known]), np.array(at)[known]))
    sweep = Sweep("small", "digits", Evidence.from_runs(Runs(batch, rate, loss)), tuple(curves))
    assert np.isfinite([vertex(*curve) for curve in curves]).all()
    prior = read_held_out()["digits"]
    error = {}
    for route in (routes.runs, routes.tuned_run):
        found, optimum, _ = route(sweep, prior)
        score = found.score(optimum)
        assert score.coverage >= 0.75
        error[route] = score.rmse
    assert error[routes.runs]["law"] < error[routes.tuned_run]["law"]
    assert error[routes.tuned_run]["law"] < error[routes.tuned_run]["sqrt"]
    assert error[routes.tuned_run]["sqrt"] < error[routes.tuned_run]["linear"]
