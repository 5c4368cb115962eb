"""Two ranks in training, each a process: python ranks.py RANK FILE KIND; prints what was found."""

import json
import os
import sys
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from scaling.errors import InputError
from scaling.measure import NoiseScale

sys.path.insert(0, __file__.rpartition("/")[0])
from trainings import batches, data, loss_of, network

SIZE, STEPS = 8, 12


def train(rank, kind):
    """Train with micro-batches 0, 1, ... of each step dealt to the ranks in turn."""
    ranks = 1 if kind.startswith("one") else 2
    micro = 4 // ranks if kind != "ddp without accumulation" else 1
    model, examples, generator = network(), data(), torch.Generator().manual_seed(3)
    if kind == "fsdp":
        from torch.distributed.fsdp import fully_shard

        for layer in model:
            fully_shard(layer)
        fully_shard(model)
    wrapped = DistributedDataParallel(model) if kind.startswith("ddp") else model
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    monitor = NoiseScale(wrapped, SIZE, optimizer=optimizer)
    for _ in range(STEPS):
        drawn = batches(examples, micro * ranks, SIZE, generator)[rank::ranks]
        if kind == "one, in pairs":
            drawn = [tuple(map(torch.cat, zip(*drawn[i : i + 2], strict=True))) for i in (0, 2)]
        for i, batch in enumerate(drawn):
            if kind.startswith("ddp"):
                wrapped.require_backward_grad_sync = i == micro - 1
            (loss_of(wrapped, batch) / len(drawn)).backward()
            monitor.micro_batch(len(batch[0]))
        if kind == "ddp clipped":
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
        monitor.step(clipped=kind == "ddp clipped")
        optimizer.step()
        optimizer.zero_grad()
    return {name: vars(monitor.estimate(name)) for name in ("l2", "adam")}


if __name__ == "__main__":
    torch.set_num_threads(1)
    rank, store, kind = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    if not kind.startswith("one"):
        dist.init_process_group(
            "gloo",
            init_method=f"file://{store}",
            rank=rank,
            world_size=2,
            timeout=timedelta(seconds=120),
        )
    try:
        print(json.dumps(train(rank, kind)))
    except InputError as error:
        print(json.dumps(str(error)))
    if dist.is_initialized():
        dist.destroy_process_group()
    # Not by Python's own end: a thread of gloo that lets go of its last tensor meanwhile aborts
    # (it asks for the interpreter's lock, and has none to get).
    sys.stdout.flush()
    os._exit(0)
