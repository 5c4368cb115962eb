"""How near every route comes to real optima that it has not seen, beside rules of thumb.

    python tests/evidence/evidence.py [folder of the shared data]

writes EVIDENCE.md, and as JSON what the package tells its users of it (`scaling.data`).
"""

import json
import sys
from pathlib import Path

import lab_findings
import monitored
import numpy as np
import routes
from learn_prior import read_held_out
from sweeps import OURS, PROBLEMS, SHARED, by_eps, joined, laboratory, load, usual

from scaling.numeric.inference.baselines import BASELINES
from scaling.plotting.data import lab_problems

HERE = Path(__file__).parent
RECORD = OURS / "evidence.json"
#: What is answered from, and the route that does.
ROUTES = {
    "tuned run": routes.tuned_run,
    "noise scale": routes.noise_scale,
    "second moments": routes.second_moments,
    "second moments, noise scale": routes.second_moments_and_noise_scale,
    "optima": routes.optima,
    "runs": routes.runs,
    "unseen setting": routes.whole_group,
}
#: Results of one column each; the rest of the rules is in the JSON.
SHOWN = ("law", "sqrt", "constant", "linear", "power", "OpenAI")


def trainings(shared, names=None):
    """Sweeps of real trainings by route and name: at one setting, by eps, or settings joined."""
    alone, several, whole = {}, {}, {}
    for name, sweep in load(shared).items():
        alone[name] = list(sweep.groups())
        if len(alone[name]) > 1:
            whole[name] = [sweep]
    for problem in lab_problems():
        if names is not None and not any(name.startswith(problem) for name in names):
            continue
        found = laboratory(problem)
        for budget in ("examples", "steps"):
            name = f"{problem}, fixed {budget}"
            of_budget = {k: v for k, v in found.items() if k[0] == budget}
            alone[name] = usual(of_budget)
            several[name] = by_eps(of_budget)
            whole[name] = [joined(training) for training in several[name]]
    known = dict.fromkeys(ROUTES, alone)
    known |= {route: several for route in ROUTES if route.startswith("second moments")}
    return known | {"unseen setting": whole}


def others(problem):
    """Sweeps of ours at unusual settings: betas, eps, weight decay, warm-up, eps inside."""
    found = laboratory(problem)
    known = {id(sweep) for sweep in usual(found)}
    return [sweep for sweep in found.values() if id(sweep) not in known]


def kin(name):
    """What a training's prior must not have seen."""
    problem = name.partition(",")[0]
    return PROBLEMS.get(problem, problem)


def run(shared, priors, names=None):
    """Outcomes by route and training; only some trainings if they are named."""
    found = {}
    for route, of in trainings(shared, names).items():
        for name, sweeps in of.items():
            if names is None or name in names:
                results = (ROUTES[route](sweep, priors[kin(name)]) for sweep in sweeps)
                results = [result for result in results if result is not None]
                if results:
                    found.setdefault(route, {})[name] = results
    return {route: found[route] for route in ROUTES if route in found}


def figures(results):
    """What is told of the outcomes of some trainings, as JSON values."""
    found, optimum, excess = routes.pooled(results)
    score = found.score(optimum)
    return {
        "trainings": len(results),
        "optima": score.count,
        "rmse": {n: round(v, 3) for n, v in score.rmse.items() if np.isfinite(v)},
        "coverage": round(score.coverage, 3),
        "width": round(score.width, 2),
        "excess": {
            name: round(float(np.nanmean(values)), 3)
            for name, values in sorted(excess.items())
            if np.isfinite(values).any()
        },
    }


def record(found):
    """Figures by route: of all trainings together, and ``on`` each."""
    told = {}
    for route, of in found.items():
        whole = figures([result for results in of.values() for result in results])
        del whole["excess"]  # a percent of one problem's loss is not one of another's
        told[route] = whole | {"on": {name: figures(results) for name, results in of.items()}}
    return told


def best_rule(rmse):
    """Name of the rule of thumb that came nearest, in hindsight."""
    return min((name for name in rmse if name in BASELINES), key=rmse.__getitem__)


def row(name, told):
    """One row of a table in Markdown."""
    rmse, excess = told["rmse"], told.get("excess", {})
    cells = [name, str(told["trainings"]), str(told["optima"])]
    cells += [f"{rmse[column]:.2f}" if column in rmse else "" for column in SHOWN]
    cells += [f"{told['coverage']:.2f}", f"{told['width']:.2f}"]
    if excess:
        best = best_rule(rmse)
        cells += [f"{excess['law']:.2f} %, {excess.get(best, np.nan):.2f} % ({best})"]
    else:
        cells += [""]
    return f"| {' | '.join(cells)} |"


HEADER = (
    f"| | trainings | optima | {' | '.join(SHOWN)} | inside | width | excess loss: law, best |\n"
    f"|---|{'--:|' * (len(SHOWN) + 4)}---|"
)

INTRODUCTION = """\
# How near the answers come to real optima that they have not seen

Made by `make evidence` (tests/evidence). RMS errors of the learning rate in octaves: 1 is a
factor of two. Truth is the three-point vertex of the left-out cell's mean losses, which scatters
itself by 0.1 to 0.3. `law` is what `lr` answers, with a prior learned without the training's kin
(all that reads the same data: three of the problems here read scikit-learn's digits); rules of
thumb are fitted to the same evidence, from one run they start there. `inside` is the share of
optima inside the 90 % interval, `width` its median width in octaves. The excess loss is what the
predictions would have cost, on average, beside the rule of thumb that came nearest in hindsight.

Trainings: language models (mixture of experts at 16 sizes and budgets, DeepSeek's 1e17 FLOP grid,
the 11M-parameter model of Marek et al.), `digits` (three eps), and our laboratory's, at fixed
examples and at fixed steps, with a linear decay and without.

What to take from it. A sweep is worth more than all that can be measured along one run: its errors
are half as large, its intervals less than half as wide. One tuned run answers nearer than the
square root, but its 90 % interval spans a factor of seven to ten from end to end on small
trainings, and fails on DeepSeek's grid. A noise scale tells where the rise ends to a factor of
two or three; it helps at a fixed number of examples, and not at a fixed number of steps, where
small batches do not follow the square root. Second moments say what another eps does, for
transformers a fifth too little.
"""


def render(told, unusual):
    """EVIDENCE.md but for what the laboratory says of the theory."""
    lines = [INTRODUCTION]
    for route, of in told.items():
        says = ROUTES[route].__doc__.partition("\n")[0]
        lines += [f"## {route.capitalize()}\n", f"Known: {says[0].lower()}{says[1:]}\n", HEADER]
        lines += [row(name, figures_) for name, figures_ in of["on"].items()]
        lines += [row("**all**", of), ""]
        theory = {n: f["rmse"]["T-I2"] for n, f in of["on"].items() if "T-I2" in f["rmse"]}
        if theory:
            said = ", ".join(f"{x:.2f} ({name})" for name, x in theory.items())
            said += f"; all {of['rmse']['T-I2']:.2f}"
            lines += [f"T-I2 alone, without a prior or an interval: {said}.\n"]
    lines += [
        "## Our trainings at unusual settings\n",
        "beta1 = 0, beta2 = 0.95, larger eps (the same for all batch sizes), weight decay, "
        "warm-up, eps inside the root; not among the totals above.\n",
        HEADER,
        *(row(name, figures_) for name, figures_ in unusual.items()),
        "",
    ]
    return "\n".join(lines)


METRICS_SAY = """\
## Which noise scale: the gradient's own, or in units of sqrt(v)

Measured by `scaling.measure.NoiseScale` from a quarter to three quarters of tuned runs
(tests/evidence/noise_metrics.py) of our trainings at the four eps; what log2 of B_crit over it is
where the sweep tells B_crit; and what the route by one tuned run and this noise scale is off by.
They differ by a fifth at most and tell the same: the gradient's own (l2), which needs no
optimizer, is what users are told to give.
"""

HELD_OUT_SAY = """\
## End to end, on trainings that nothing was developed on

Another width, and another text (tests/evidence/held_out.py). One run at the middle batch size and
eps = 1e-8 under the monitor; its noise scale (l2) and second moments say the rest, at eps of
1e-8, 0.01 and 0.1. The rules of thumb know nothing of eps.
"""


def written(told):
    """JSON of a record, a training to a line."""
    parts = []
    for route, of in told.items():
        on = ",\n".join(f"   {json.dumps(n)}: {json.dumps(x)}" for n, x in of["on"].items())
        rest = json.dumps({name: x for name, x in of.items() if name != "on"})
        parts.append(f' {json.dumps(route)}: {rest[:-1]},\n  "on": {{\n{on}\n  }}\n }}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main():
    shared = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED
    priors = read_held_out()
    told = record(run(shared, priors))
    unusual = {
        f"{problem}, {route}": figures(
            [x for s in others(problem) if (x := ROUTES[route](s, priors[kin(problem)]))]
        )
        for problem in lab_problems()
        for route in ("tuned run", "noise scale")
    }
    text = render(told, unusual)
    text += f"\n{METRICS_SAY}\n" + "\n".join(monitored.metrics(priors)) + "\n"
    text += f"\n{HELD_OUT_SAY}\n" + "\n".join(monitored.held_out()) + "\n"
    text += "\n## What our trainings say about the theory\n\n```"
    text += "\n".join(lab_findings.lines()) + "\n```\n"
    (HERE / "EVIDENCE.md").write_text(text)
    RECORD.write_text(written(told))


if __name__ == "__main__":
    main()
