"""How near the posterior comes to real optima that it has not seen, beside simple rules.

    python tests/evidence/posterior_on_sweeps.py [folder of the shared data]

prints Markdown, which `make evidence` keeps in EVIDENCE.md.
"""

import sys
from pathlib import Path

import numpy as np
from learn_prior import without_each
from sweeps import SHARED, excess, load

from scaling.numeric.inference.baselines import BASELINES
from scaling.numeric.inference.evidence.evidence import Evidence
from scaling.numeric.inference.posterior import infer, target_of
from scaling.numeric.inference.prior import Prior
from scaling.numeric.inference.scoring import Predictions, folds, predict_left_out

DRAWS = 600

INTRODUCTION = """\
# How near the posterior comes to real optima that it has not seen

Made by `make evidence` (tests/evidence/posterior_on_sweeps.py). Truth is the three-point vertex of
the left-out cell's mean losses, which scatters itself. RMS errors of the learning rate in octaves
(a factor of two is 1), of the law and of the best rule of thumb, which is chosen after the fact;
`inside` is the share of optima inside the 90 % interval of a new sweep, `wide` its median width in
octaves, and the excess loss is what the prediction would have cost, in percent. A tuned run is the
best learning rate at the middle batch size alone, without a noise scale.
"""


def order(evidence):
    """Rows of the evidence in the order of the gathered cells."""
    columns = [*evidence.covariates.values(), evidence.eps, evidence.batch_size]
    return np.lexsort(columns[::-1])


def left_out(sweep, by, prior):
    """Predictions of the sweep's cells, targets, and excess losses by predictor."""
    target = target_of(sweep.evidence, prior)
    posterior = infer(sweep.evidence, prior, draws=DRAWS)
    found = predict_left_out(target, posterior, folds(target.gathered, by))
    rows = order(sweep.evidence)
    optimum = sweep.optimum[rows]
    losses = {}
    if sweep.curves:
        losses = {
            name: [excess(sweep.curves[i], x) for i, x in zip(rows, values, strict=True)]
            for name, values in found.by.items()
        }
    return found, optimum, losses


def pooled(parts):
    """Join what `left_out` and `one_run` return."""
    found, optima, losses = zip(*parts, strict=True)
    by = {name: np.concatenate([f.by[name] for f in found]) for name in found[0].by}
    low, high = (np.concatenate([getattr(f, end) for f in found]) for end in ("low", "high"))
    lost = {n: np.concatenate([part[n] for part in losses if part]) for n in losses[0]}
    return Predictions(by, low, high), np.concatenate(optima), lost


def one_run(sweep, prior):
    """The optimum at the middle batch size tells of all others; no noise scale."""
    e, optimum = sweep.evidence, sweep.optimum
    known = np.flatnonzero(np.isfinite(optimum))
    known = known[np.argsort(e.batch_size[known])]
    middle = known[(known.size - 1) // 2]
    others = known[known != middle]
    batch, own = e.batch_size[middle], np.exp2(optimum[middle])
    answer = infer(Evidence([batch], [own]), prior).answer(e.batch_size[others])
    ratio = np.log2(e.batch_size[others] / batch)
    by = {name: np.full(others.size, np.nan) for name in BASELINES}
    by |= {"constant": optimum[middle] + 0 * ratio, "sqrt": optimum[middle] + ratio / 2}
    by |= {"linear": optimum[middle] + ratio, "law": np.log2(answer.learning_rate)}
    return Predictions(by, np.log2(answer.low), np.log2(answer.high)), optimum[others], {}


def line(name, found, optimum, lost):
    """One line of the table."""
    score = found.score(optimum)
    rest = {n: v for n, v in score.rmse.items() if n in BASELINES and np.isfinite(v)}
    best = min(rest, key=rest.get)
    text = (
        f"{name:<34} {score.count:>3}  {score.rmse['law']:.3f}   {best:>8} {rest[best]:.3f}   "
        f"sqrt {rest['sqrt']:.3f}   {score.coverage:.2f}  {score.width:.2f}"
    )
    if lost:
        text += f"   {np.mean(lost['law']):.3f} % ({best} {np.nanmean(lost[best]):.3f} %)"
    return text


def table(sweeps, prior_of):
    """Print everything for one choice of priors."""
    print(f"{'':34}   n   law    best baseline            inside  wide   excess loss")
    if "moe" in sweeps:
        print(line("moe, unseen (Na, D)", *left_out(sweeps["moe"], "group", prior_of("moe"))))
        print(
            line(
                "moe, batch size in all groups",
                *left_out(sweeps["moe"], "batch_size", prior_of("moe")),
            )
        )
    everything = []
    for name, sweep in sweeps.items():
        parts = [left_out(group, "cell", prior_of(name)) for group in sweep.groups()]
        everything += parts
        print(line(f"{name}, batch size in its group", *pooled(parts)))
    print(line("  all of them", *pooled([(f, o, {}) for f, o, _ in everything])))
    if "digits" in sweeps:
        print(
            line(
                "digits, cell, all eps at once",
                *left_out(sweeps["digits"], "cell", prior_of("digits")),
            )
        )
    everything = []
    for name, sweep in sweeps.items():
        parts = [one_run(group, prior_of(name)) for group in sweep.groups()]
        everything += parts
        print(line(f"{name}, from one tuned run", *pooled(parts)))
    print(line("  all of them", *pooled(everything)))


def main():
    sweeps = load(Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED)
    priors = without_each(sweeps)
    print(INTRODUCTION)
    for title, prior_of in (
        ("With the prior learned without the sweep's kin", priors.__getitem__),
        ("With the prior shipped, which has seen these sweeps", lambda _: Prior.load()),
    ):
        print(f"## {title}\n\n```")
        table(sweeps, prior_of)
        print("```\n" if "without" in title else "```")


if __name__ == "__main__":
    main()
