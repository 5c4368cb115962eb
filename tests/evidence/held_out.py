"""End to end on trainings not used to develop anything: other widths, and another text.

One tuned run at the middle batch size under the monitor that users have; then its noise scale and
its second moments say what the best learning rate is at all other batch sizes and eps. By hand, ten
minutes on a core:

    python tests/evidence/held_out.py

writes held_out.json, of which `evidence.py` makes a table.
"""

import json
import sys
from pathlib import Path
from pydoc_data import topics
from unittest.mock import patch

import msgspec
import numpy as np
import torch
from noise_metrics import METRICS, monitored
from sweeps import vertex

from scaling.lab import cells
from scaling.lab.configuration import Configuration
from scaling.lab.problems.digits import Network
from scaling.lab.problems.text import ALPHABET
from scaling.lab.problems.transformer import Transformer
from scaling.lab.schedule import Schedule

WRITTEN = Path(__file__).with_name("held_out.json")
EPS = (1e-8, 1e-2, 1e-1)


def prose():
    """A transformer twice as wide as the laboratory's, on Python's manual in capital letters."""
    text = " ".join("".join(topics.topics.values()).upper().split())
    problem = Transformer(width=32)
    problem.text = torch.tensor([ALPHABET.index(x) for x in text if x in ALPHABET])
    places = len(problem.text) - problem.context - 1
    problem._evaluated = torch.linspace(0, places, len(problem._evaluated)).long()
    return problem


#: Problem, examples of a run, batch sizes, and where to look for learning rates.
TRAININGS = {
    "network of 96 hidden units": (
        lambda: Network(96),
        {"examples": 32768, "batch_size": [4, 16, 64, 256, 1024]},
        {"learning_rate": 0.02, "batch_size": 32, "noise_scale": 600, "root_second_moment": 0.01},
    ),
    "transformer of width 32, English": (
        prose,
        {"examples": 8192, "batch_size": [1, 4, 16, 64, 256]},
        {"learning_rate": 0.015, "batch_size": 8, "noise_scale": 70, "root_second_moment": 0.004},
    ),
}


def swept(problem, arm, guess):
    """Optima (log2) and mean losses of every cell: [eps, batch size, optimum]."""
    arm = {**arm, "eps": list(EPS)}
    whole = {"description": "", "problem": "network", "guess": guess, "arm": [arm], "seeds": [0, 1]}
    configuration = msgspec.convert({**whole, "learning_rates": 11}, Configuration)
    found = []
    for cell in configuration.cells():
        with patch.object(cells, "make_problem", lambda _: problem):
            runs = cells.run_cell(cell).runs
        exponents = sorted({run.exponent for run in runs})
        means = [
            np.mean([np.nan if r.loss is None else r.loss for r in runs if r.exponent == k])
            for k in exponents
        ]
        rates, losses = np.array(exponents) / 2, np.array(means)
        best = float(vertex(rates[np.isfinite(losses)], losses[np.isfinite(losses)]))
        found.append([cell.eps, cell.batch_size, best])
        print(*found[-1], file=sys.stderr, flush=True)
    return found


def main():
    torch.set_num_threads(1)
    told = {}
    for name, (make, arm, guess) in TRAININGS.items():
        problem = make()
        optima = swept(problem, arm, guess)
        size = arm["batch_size"][len(arm["batch_size"]) // 2]
        (best,) = (rate for eps, batch, rate in optima if (eps, batch) == (EPS[0], size))
        steps = arm["examples"] // size
        noise, moments = monitored(problem, size, 2**best, steps, Schedule("linear"), EPS[0])
        told[name] = {
            "optima": optima,
            "batch_size": size,
            "noise_scale": {m: [noise[m].noise_scale, *noise[m].interval] for m in METRICS},
            "second_moments": json.loads(moments.to_json()),
        }
    WRITTEN.write_text(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
