"""What is worth that the monitor measures: tables of noise_metrics.csv and held_out.json."""

import csv
import json
from pathlib import Path

import numpy as np
import routes
from sweeps import PROBLEMS, USUAL, laboratory

from scaling import Recipe, SecondMoments
from scaling.numeric.inference.evidence.evidence import Measured
from scaling.numeric.inference.law import PosteriorLaw
from scaling.numeric.inference.posterior import infer
from scaling.numeric.inference.scoring import Predictions
from scaling.plotting.data import lab_problems

HERE = Path(__file__).parent
METRICS = ("l2", "adam")
#: A corner counts as known whose posterior has a standard deviation below this, in octaves.
_KNOWN = 1.5
#: Standard errors between the ends of a 95 % interval, and of a 90 % one.
_OF_95, _OF_90 = 3.92, 3.29


def as_measured(value, low, high):
    """A noise scale with its 95 % interval as evidence; good to a factor of 2 if that is open."""
    if not (low > 0 and high < np.inf):
        return Measured(value)
    return Measured(value, (high / low) ** (1 / _OF_95))


def metrics(priors):
    """Both noise scales, each taken by the route as if it were the noise scale."""
    with (HERE / "noise_metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    sweeps = {
        (problem, budget, decay, eps): sweep
        for problem in lab_problems()
        for (budget, decay, *rest, eps), sweep in laboratory(problem).items()
        if rest == list(USUAL.values())[:-1]
    }
    yield (
        "| noise scale | runs | log2 B_crit over it: mean | sd | of | rmse | inside | width |\n"
        "|---|--:|--:|--:|--:|--:|--:|--:|"
    )
    for metric in METRICS:
        results, over = [], []
        for at in rows:
            sweep = sweeps[at["problem"], at["budget"], at["decay"], at["eps"]]
            prior = priors[PROBLEMS[at["problem"]]]
            scale = as_measured(*(float(at[metric + end]) for end in ("", "_low", "_high")))
            results.append(routes.tuned(sweep, prior, scale))
            corner = np.log2(infer(sweep.evidence, prior).parameters()["critical_batch_size"])
            if corner.std() < _KNOWN:
                over.append(np.median(corner) - np.log2(scale.value))
        found, optimum, _ = routes.pooled(results)
        score = found.score(optimum)
        yield (
            f"| {metric} | {len(rows)} | {np.mean(over):+.2f} | {np.std(over, ddof=1):.2f} | "
            f"{len(over)} | {score.rmse['law']:.3f} | {score.coverage:.3f} | {score.width:.2f} |"
        )


def held_out():
    """Trainings that nothing was developed on, end to end with the prior that is shipped."""
    yield (
        "| training | noise scale | cells | law | sqrt | constant | linear | inside | width |\n"
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    )
    for name, told in json.loads((HERE / "held_out.json").read_text()).items():
        scale = as_measured(*told["noise_scale"]["l2"])
        error = scale.factor ** (_OF_90 / 2)
        eps, batch, optimum = np.array(told["optima"]).T
        size, small = told["batch_size"], eps.min()
        (tuned,) = optimum[(eps == small) & (batch == size)]
        law = PosteriorLaw.of_tuned_run(
            Recipe(float(2**tuned), size, eps=float(small)),
            (scale.value / error, scale.value * error),
            second_moments=SecondMoments.from_json(json.dumps(told["second_moments"])),
        )
        answers = [
            (there.learning_rate(b), *there.interval(b, 0.9))
            for e, b in zip(eps, batch, strict=True)
            for there in [law.at(eps=float(e))]
        ]
        middle, low, high = np.log2(answers).T
        by = {n: tuned + p * np.log2(batch / size) for n, p in routes.RULES.items()}
        apart = (batch != size) | (eps != small)
        for cells, rows in (("batch sizes", apart & (eps == small)), ("and eps", apart)):
            found = Predictions(
                {n: x[rows] for n, x in (by | {"law": middle}).items()}, low[rows], high[rows]
            )
            score = found.score(optimum[rows])
            names = "law", "sqrt", "constant", "linear"
            errors = " | ".join(f"{score.rmse[n]:.2f}" for n in names)
            yield (
                f"| {name}, {cells} | {scale.value:.0f} | {score.count} | {errors} | "
                f"{score.coverage:.2f} | {score.width:.2f} |"
            )
