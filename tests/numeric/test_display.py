"""How results show themselves at a prompt and in a notebook."""

from importlib import import_module
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import scaling
from scaling import (
    BatchSizeLaw,
    GradientPopulation,
    GradientStatistics,
    Recipe,
    ScalingError,
    SecondMoments,
    TransferLaw,
    data,
)
from scaling.numeric.fits import known_law
from scaling.numeric.laws import Law, Provenance, moment_errors
from scaling.numeric.moments import simulate_moments
from scaling.numeric.recipes import RECIPE_RULES
from scaling.numeric.tables import as_table, read_optima

LAW = BatchSizeLaw(256, 3e-4, 4000.0, 200.0)
JOINT = known_law(
    learning_rate=1e-3,
    reference_batch_size=256,
    noise_batch_size=4000,
    critical_batch_size=400,
    covariates={"N": 1e9, "D": 1e10},
)
RUNS = scaling.simulate_sweep(LAW, [16, 64, 256, 1024], seed=1)
STEPS = data.path("zhang_steps_to_target")


@pytest.mark.parametrize(
    ("make", "shows"),
    [
        (
            lambda: LAW,
            ["batch_size=256, learning_rate=0.0003, B_n=4000", "assumed=para"],
        ),
        (lambda: BatchSizeLaw(256, 3e-4, np.inf, 0), ["B_n=inf, B_crit=0"]),
        (
            lambda: TransferLaw(Recipe(3e-4, 256), GradientStatistics(4000, 2e-6)),
            ["learning_rate=0.0003", "assumed=through one tuned run"],
        ),
        (
            lambda: scaling.fit_optima(*read_optima(data.path("marek_adam_1d"))),
            ["B_crit=1", "fitted=fitted to 7 optima"],
        ),
        (lambda: JOINT, ["needs=N, D"]),
        (lambda: JOINT.at(N=1e9, D=2e10), ["N=1e+09, D=2e+10, batch_size=256"]),
        (lambda: scaling.fit_sweep(RUNS), [f"runs={len(RUNS)}", "octave"]),
        (lambda: RUNS, [f"runs={len(RUNS)}", "batch_size=16 to 1024"]),
        (lambda: as_table({"lr": [1e-3, 2e-3]}), ["rows=2", "columns=lr"]),
        (lambda: as_table({f"column {i}" * 20: [1] for i in range(99)}), ["rows=1"]),
        (lambda: scaling.fit_tradeoff(STEPS), ["batch_size", "groups=("]),
        (lambda: scaling.fit_steps([8, 16, 32, 64], [90, 50, 28, 18]), ["steps_min="]),
        (lambda: scaling.recipe(Recipe(3e-4, 256), 512, law=LAW), ["batch_size=512"]),
        (lambda: scaling.schedule(LAW, {step: 64 + step for step in range(999)}), ["steps="]),
    ],
)
def test_results_show_themselves_on_one_line_and_as_a_table(make, shows):
    found = make()
    text = repr(found)
    assert len(text) < 300
    assert "\n" not in text
    assert all(part in text for part in shows), text
    table = ET.fromstring(found._repr_html_())  # noqa: S314 - our own
    assert table.tag == "table"
    assert len(table.findall("tr")) == len(found.summary())


LONG = np.geomspace(1, 1e6, 1000)
#: Public classes, made with as much in them as they may hold.
MADE = {
    "BatchSizeLaw": lambda: LAW,
    "GradientPopulation": lambda: GradientPopulation.from_arrays(LONG, LONG),
    "GradientStatistics": lambda: GradientStatistics(1 / 3, 1 / 3, 1 / 3),
    "LearningRateSchedule": lambda: scaling.schedule(LAW, {s: 64 + s for s in range(999)}),
    "MomentErrors": lambda: moment_errors(LONG, moments="article"),
    "Moments": lambda: scaling.update_moments(LONG),
    "Point": lambda: LAW.reference,
    "Provenance": lambda: LAW.provenance,
    "QuadraticOptimum": lambda: scaling.quadratic_optimum(LONG, LONG, LONG, LONG),
    "Recipe": lambda: Recipe(1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3),
    "RecipeRule": lambda: RECIPE_RULES["sqrt-sde"],
    "RuledRecipe": lambda: scaling.recipe(Recipe(3e-4, 256), 512, law=LAW),
    "Runs": lambda: RUNS,
    "SearchSpace": lambda: scaling.fit_sweep(RUNS, scores=False).law.search_space(1e6),
    "SecondMoments": lambda: SecondMoments.from_arrays([LONG]),
    "SimulatedMoments": lambda: simulate_moments(LONG[:20], step=2, coordinates=2),
    "StepsLaw": lambda: scaling.fit_steps([8, 16, 32, 64], [90, 50, 28, 18]),
    "SweepFit": lambda: scaling.fit_sweep(RUNS, scores=False),
    "Table": lambda: as_table(dict.fromkeys(map(str, range(999)), LONG)),
    "Tradeoff": lambda: scaling.fit_tradeoff(STEPS),
    "TransferLaw": lambda: TransferLaw(Recipe(3e-4, 256), GradientStatistics(4000, 2e-6)),
}


@pytest.mark.parametrize("name", MADE)
def test_no_public_object_fills_the_screen(name):
    found = MADE[name]()
    assert type(found).__name__ == name
    assert len(repr(found)) < 300
    assert "\n" not in repr(found)


def test_no_public_class_is_forgotten():
    folders = ("laws", "tables", "recipes", "tradeoff", "moments", "fits")
    faces = [scaling, *(import_module(f"scaling.numeric.{name}") for name in folders)]
    public = [getattr(face, name) for face in faces for name in face.__all__]
    classes = {found for found in public if isinstance(found, type)} - {Law}
    assert {c.__name__ for c in classes if not issubclass(c, ScalingError)} == set(MADE)


def test_a_notebook_runs_nothing_that_a_name_says():
    law = BatchSizeLaw(256, 3e-4, 4000.0, 200.0, Provenance("fitted", "<script>alert(1)</script>"))
    assert "&lt;script&gt;" in law._repr_html_()
    assert "<script>" not in law._repr_html_()
