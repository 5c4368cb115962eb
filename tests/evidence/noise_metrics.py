"""Tuned runs of the laboratory's problems under the monitor that users have.

Two noise scales are measured from the first quarter of a run to the third: that of the gradient
(l2), and that in units of sqrt(v) (adam). By hand, a minute on a core:

    python tests/evidence/noise_metrics.py

writes noise_metrics.csv, of which `evidence.py` tells which of the two says more.
"""

import csv
from pathlib import Path

import numpy as np
import torch
from sweeps import laboratory

from scaling import SecondMoments
from scaling.lab.cells import make_problem
from scaling.lab.schedule import Schedule
from scaling.measure import NoiseScale
from scaling.plotting.data import lab_problems

WRITTEN = Path(__file__).with_name("noise_metrics.csv")
METRICS = ("l2", "adam")
PARTS = 4
STEPS, EXAMPLES = 256, {"logistic": 32768, "network": 32768, "transformer": 8192}


class Flat(torch.nn.Module):
    """A problem of the laboratory as one vector of weights."""

    def __init__(self, problem, seed):
        super().__init__()
        self.problem = problem
        self.weights = torch.nn.Parameter(problem.start(np.random.default_rng([seed, 0])))

    def forward(self, batch):
        """What has the loss's gradient, which the problem writes out."""
        replica = self.weights.detach().expand(1, 1, -1)
        return self.weights @ self.problem.gradient(replica, batch[None])[0, 0]


def monitored(problem, batch_size, rate, steps, schedule, eps, seed=0):
    """Noise scales of one run by metric, and Adam's second moments half-way."""
    model = Flat(problem, seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, eps=eps)
    generator = np.random.default_rng([seed, 1])
    parts = min(PARTS, batch_size)
    monitor = None
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = rate * schedule.factor(step, steps)
        if step == steps // 4:
            monitor = NoiseScale(model, batch_size / parts, optimizer=optimizer)
        optimizer.zero_grad()
        for part in problem.draw(generator, batch_size, 1)[0].tensor_split(parts):
            (model(part) * (len(part) / batch_size)).backward()
            if monitor is not None:
                monitor.micro_batch(len(part))
        if monitor is not None:
            monitor.step()
        optimizer.step()
        if step == steps // 2:
            moments = SecondMoments.from_optimizer(optimizer)
        if step == 3 * steps // 4:
            break
    found = {metric: monitor.estimate(metric) for metric in METRICS}
    monitor.close()
    return found, moments


def trainings():
    """Sweeps at usual betas, their settings, and the run at the middle batch size."""
    for name in lab_problems():
        for setting, sweep in laboratory(name).items():
            budget, decay, weight_decay, warm_up, inside, beta1, beta2, eps = setting
            if (weight_decay, warm_up, inside, beta1, beta2) != ("0", "0", "False", "0.9", "0.999"):
                continue
            size = int(sweep.evidence.batch_size[sweep.middle])
            steps = STEPS if budget == "steps" else EXAMPLES[name] // size
            yield name, budget, decay, eps, size, steps, float(np.exp2(sweep.optimum[sweep.middle]))


def main():
    torch.set_num_threads(1)
    with WRITTEN.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        columns = [c for metric in METRICS for c in (metric, f"{metric}_low", f"{metric}_high")]
        writer.writerow(["problem", "budget", "decay", "eps", "batch_size", *columns])
        for name, budget, decay, eps, size, steps, rate in trainings():
            problem = make_problem(name)
            found, _ = monitored(problem, size, rate, steps, Schedule(decay), float(eps))
            row = [f"{x:.4g}" for m in METRICS for x in (found[m].noise_scale, *found[m].interval)]
            writer.writerow([name, budget, decay, eps, size, *row])
            print(name, budget, decay, eps, size, *row, flush=True)


if __name__ == "__main__":
    main()
