"""What measuring the noise scale adds to a step of training: a language model of 10M parameters.

Steps with and without the monitor take turns, so that what else the machine does falls on both.
Processor time, in percent of the plain step.
"""

import statistics
import sys
import time

import torch
from timing import report

from scaling.measure import NoiseScale

WIDTH, LAYERS, WORDS, LENGTH, SIZE, MICRO = 320, 6, 4096, 128, 8, 2


class Model(torch.nn.Module):
    """A transformer that predicts words."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(WORDS, WIDTH)
        layer = torch.nn.TransformerEncoderLayer(
            WIDTH, 5, 4 * WIDTH, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = torch.nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.head = torch.nn.Linear(WIDTH, WORDS)

    def forward(self, words):
        return self.head(self.layers(self.embedding(words)))


def step(model, optimizer, monitor):
    """Train for a step; return its processor time."""
    start = time.process_time()
    for _ in range(MICRO):
        words = torch.randint(WORDS, (SIZE, LENGTH))
        loss = torch.nn.functional.cross_entropy(model(words).flatten(0, 1), words.flatten())
        (loss / MICRO).backward()
        if monitor:
            monitor.micro_batch()
    if monitor:
        monitor.step()
    optimizer.step()
    optimizer.zero_grad()
    return time.process_time() - start


def compare(*, with_optimizer, rounds=20):
    """Percent that the monitor adds to a step."""
    torch.manual_seed(0)
    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    given = {"optimizer": optimizer} if with_optimizer else {}
    spent = {False: [], True: []}
    for _ in range(rounds):
        for watched, times in spent.items():
            # Closed, it leaves no hook behind: the plain step is that of a loop without a monitor.
            monitor = NoiseScale(model, SIZE, **given) if watched else None
            times.append(step(model, optimizer, monitor))
            if monitor:
                monitor.close()
    plain, watched = (statistics.median(times[1:]) for times in spent.values())
    return 100 * (watched / plain - 1)


if __name__ == "__main__":
    torch.set_num_threads(1)  # those that wait for each other would count
    print(f"{sum(p.numel() for p in Model().parameters()) / 1e6:.1f}M parameters")
    results = [
        report("% of a step, l2", compare(with_optimizer=False), 5),
        report("% of a step, l2 and Adam's", compare(with_optimizer=True), 5),
    ]
    sys.exit(not all(results))
