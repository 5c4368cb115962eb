"""Two ranks, of processes that talk by gloo, measure what one does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra torch")

pytestmark = pytest.mark.torch

SCRIPT = Path(__file__).parent / "ranks.py"


def ranks(folder, kind, number=2):
    """What each of some ranks has found, in training at the same time."""
    store = folder / kind.replace(" ", "_")
    running = [
        subprocess.Popen(
            [sys.executable, SCRIPT, str(rank), store, kind],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(number)
    ]
    outputs = [process.communicate(timeout=300) for process in running]
    for process, (_, errors) in zip(running, outputs, strict=True):
        assert process.returncode == 0, errors
    return [json.loads(out) for out, _ in outputs]


def assert_alike(one, other):
    for metric, rel in (("l2", 1e-5), ("adam", 1e-3)):
        for name in ("trace", "trace_error", "gradient_square", "gradient_square_error"):
            assert one[metric][name] == pytest.approx(other[metric][name], rel=rel), (metric, name)
        assert one[metric]["steps"] == other[metric]["steps"]


def test_two_ranks_equal_one(tmp_path):
    """Four micro-batches a step in one process are two in each of two, if ranks are averaged."""
    (alone,) = ranks(tmp_path, "one", 1)
    first, second = ranks(tmp_path, "ddp")
    assert first == second
    assert_alike(first, alone)


def test_shards_equal_one(tmp_path):
    """With FSDP, what ranks do at the same time is one micro-batch."""
    (alone,) = ranks(tmp_path, "one, in pairs", 1)
    first, second = ranks(tmp_path, "fsdp")
    assert first == second
    assert_alike(first, alone)


def test_ranks_without_accumulation(tmp_path):
    """One micro-batch on each of two ranks is enough, and gives the noise of the same model."""
    (alone,) = ranks(tmp_path, "one", 1)
    first, second = ranks(tmp_path, "ddp without accumulation")
    assert first == second
    error = (first["l2"]["trace_error"] ** 2 + alone["l2"]["trace_error"] ** 2) ** 0.5
    assert abs(first["l2"]["trace"] - alone["l2"]["trace"]) < 3 * error


def test_after_clipping_ranks_measure_their_own_micro_batches(tmp_path):
    first, second = ranks(tmp_path, "ddp clipped")
    assert first == second
    assert first["l2"]["steps"] == 12


def test_ranks_that_are_not_averaged_are_refused(tmp_path):
    for found in ranks(tmp_path, "plain"):
        assert "ranks hold different gradients" in found
        assert "\n" not in found
