"""Runs as trackers and frameworks keep them, written by the real tools where they are at hand."""

import contextlib
import json
import sqlite3
import struct
import sys
from contextlib import closing

import numpy as np
import pytest
from scaling.cli.report.sentences import say_all

from scaling import DataError, InputError, MissingExtraError
from scaling.numeric.sources import records
from scaling.numeric.tables import as_table
from scaling.numeric.tables.run_tables import read_runs

from . import logs
from .logs import LOGS, SWEEP, UNITS
from .write import KEPT

WRITTEN = json.loads(KEPT.read_text())


def read(place, *, where=None, study=None, **columns):
    """Rows of batch size, learning rate and loss, sorted, and what was said."""
    roles = ("batch_size", "learning_rate", "loss", "eps", "seed")
    table = as_table(place, study=study)
    runs, facts = read_runs(table, {role: columns.get(role) for role in roles}, (), where)
    rows = zip(runs.batch_size, runs.learning_rate, runs.loss, strict=True)
    return sorted(tuple(map(float, row)) for row in rows), "; ".join(say_all(facts))


def put(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def sweep(unit=1):
    return pytest.approx(np.array(SWEEP) * [unit, 1, 1])


@pytest.mark.parametrize("program", LOGS)
def test_logs(program, tmp_path):
    write, unit = LOGS[program], UNITS.get(program, 1)
    put(tmp_path, {f"{i}/out.log": write(*row) for i, row in enumerate(SWEEP)} | {"a.log": "hello"})
    (tmp_path / "checkpoint").write_bytes(bytes(range(256)))
    columns = {"learning_rate": "embedding_lr"} if program == "nanochat" else {}
    found, said = read(tmp_path, **columns)
    assert np.array(found) == sweep(unit)
    assert "read as logs of" in said
    assert ("batch sizes are in tokens" in said) == (unit > 1)
    one = tmp_path / "0" / "out.log"
    assert np.array(read(one, **columns)[0]) == pytest.approx(np.array(SWEEP[:1]) * [unit, 1, 1])


#: What makes the steps that a log is to have ten times as many.
LONGER = {
    "nanogpt": ("max_iters = 500", "max_iters = 5000"),
    "nanochat": ("/00020", "/00200"),
    "megatron": ("     200 |", "    2000 |"),
    "torchtitan": ("total steps 20", "total steps 200"),
}


@pytest.mark.parametrize("program", LONGER)
def test_logs_that_stop_early(program, tmp_path):
    texts = [LOGS[program](*row) for row in SWEEP]
    texts[0] = texts[0].replace(*LONGER[program])
    put(tmp_path, {f"{i}.log": text for i, text in enumerate(texts)})
    columns = {"learning_rate": "embedding_lr"} if program == "nanochat" else {}
    found, said = read(tmp_path, **columns)
    assert len(found) == 3
    assert "1 of 4 runs left out: not finished (UNFINISHED)" in said


@pytest.mark.parametrize("place", ["mlruns", "mlflow.db", "", "search_runs.csv"])
def test_mlflow(place, tmp_path):
    put(tmp_path, WRITTEN["mlflow"])
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.executescript(WRITTEN["mlflow"]["mlflow.sql"])
    found, said = read(tmp_path / place)
    assert "'metrics.val_loss' (not 'metrics.train_loss')" in said
    assert "broke off, and not by its loss (FAILED)" in said
    if place != "search_runs.csv":  # which pandas writes nan to as nothing
        assert "1 of 6 runs diverged: FAILED, and the loss not finite" in said
        assert [row[:2] for row in found if np.isnan(row[2])] == [(64, 0.1)]
    assert np.array([row for row in found if not np.isnan(row[2])]) == sweep()
    if not place.endswith("csv"):
        with pytest.raises(InputError, match="has no experiment 'other'; it has sweep"):
            read(tmp_path / place, study="other")
        assert read(tmp_path / place, study="sweep")[0][:2] == found[:2]
    else:
        with pytest.raises(InputError, match="is a table, which has no studies"):
            read(tmp_path / place, study="sweep")


def test_dvc(tmp_path):
    put(tmp_path, WRITTEN["dvc"])
    found, said = read(tmp_path / "exp_show.csv")
    assert np.array(found) == sweep()
    assert "2 of 6 rows left out: no finished experiments" in said
    assert len(read(tmp_path / "dvclive")[0]) == 1


def test_lightning(tmp_path):
    found, said = read(put(tmp_path, WRITTEN["lightning"]))
    assert np.array(found) == sweep()
    assert "read as Lightning's CSV logs: 4" in said


def test_trainer_of_hugging_face(tmp_path):
    """The card tells what a step sees; trainer_state.json alone does not, and is not believed."""
    put(tmp_path, WRITTEN["transformers"])
    found, said = read(tmp_path)
    assert [row[:2] for row in found] == [(8, 1e-3), (32, 1e-3), (32, 2e-3)]
    assert [round(row[2], 4) for row in found] == [3.9757, 4.0107, 3.9817]
    assert "'total_train_batch_size' (not 'train_batch_size')" in said
    for card in tmp_path.glob("*/README.md"):
        card.unlink()
    with pytest.raises(InputError, match="nothing tells on how many devices 'per_device_train"):
        read(tmp_path)
    found, said = read(tmp_path, batch_size="per_device_train_batch_size*4")
    assert [row[:2] for row in found] == [(32, 1e-3), (32, 1e-3), (32, 2e-3)]
    assert "learning rate from column 'max_learning_rate'" in said


def test_wandb(tmp_path):
    put(tmp_path, {"api.csv": logs.wandb_api(), "ui.csv": logs.wandb_ui()} | {
        f"wandb/{name}": text for name, text in logs.wandb_folder().items()})  # fmt: skip
    found, said = read(tmp_path / "api.csv")
    assert np.isnan(found[1][2])
    assert [row[:2] for row in found] == [row[:2] for row in SWEEP]
    assert "'summary.eval/loss' (not 'summary.train/loss')" in said
    found, said = read(tmp_path / "ui.csv")
    assert np.array(found) == sweep()
    assert (
        "batch size as 'per_device_train_batch_size*gradient_accumulation_steps*world_size'" in said
    )
    assert "'learning_rate' (not 'train/learning_rate')" in said
    assert "1 of 6 runs left out: broke off, and not by its loss (crashed)" in said
    assert "1 of 6 runs left out: not finished (running)" in said
    found, said = read(tmp_path / "wandb")
    assert np.array(found) == sweep()
    assert "read as runs of W&B: 4" in said


def test_aim(tmp_path):
    put(tmp_path, {"aim.csv": logs.aim()})
    with pytest.raises(InputError, match=r"\"metric.context.subset == 'val'\""):
        read(tmp_path / "aim.csv")
    found, said = read(tmp_path / "aim.csv", where="metric.context.subset == 'val'")
    assert np.array(found) == sweep()
    assert "of 8 rows the last of each of 4 runs is kept" in said
    (tmp_path / ".aim").mkdir()
    with pytest.raises(DataError, match="to_csv"):
        read(tmp_path)


def test_nanochat_checkpoints(tmp_path):
    put(tmp_path, logs.nanochat_folder())
    found, _ = read(tmp_path, learning_rate="user_config.embedding_lr")
    assert np.array(found) == sweep(2048)


def test_tensorboard(tmp_path):
    tensorboard = pytest.importorskip("tensorboardX", reason="needs the extra ray")
    for batch_size, lr, loss in SWEEP:
        with tensorboard.SummaryWriter(str(tmp_path / f"{batch_size}-{lr}")) as writer:
            hparams = {"lr": lr, "batch_size": batch_size, "name": "a", "amsgrad": False}
            writer.add_hparams(hparams, {"val/loss": loss}, name="hparams")
    found, said = read(tmp_path)
    assert np.array(found) == sweep()
    assert "read as hparams of TensorBoard: 4" in said
    event = next(tmp_path.rglob("*tfevents*"))
    data = event.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(200):  # damaged, it is an error of one line or a shorter file
        cut = bytearray(data[: rng.integers(len(data))])
        for place in rng.integers(len(cut), size=3) if cut else []:
            cut[place] = rng.integers(256)
        event.write_bytes(cut)
        with contextlib.suppress(DataError, InputError):
            read(event)
    keras = tmp_path / "keras"
    with tensorboard.SummaryWriter(str(keras / "validation")) as writer:
        from tensorboardX.proto.summary_pb2 import Summary
        from tensorboardX.proto.tensor_pb2 import TensorProto

        for tag, tensor in (
            ("epoch_loss", TensorProto(dtype=1, tensor_content=struct.pack("<f", 3.5))),
            ("other", TensorProto(dtype=1, float_val=[2.5])),
            ("double", TensorProto(dtype=2, double_val=[1.5])),
        ):
            writer.file_writer.add_summary(Summary(value=[{"tag": tag, "tensor": tensor}]), 1)
    with tensorboard.SummaryWriter(str(keras)) as writer:
        writer.add_hparams({"lr": 1e-3, "batch_size": 64}, {}, name=".")
    table = as_table(keras)
    values = [table.numbers(f"validation/{tag}")[0] for tag in ("epoch_loss", "other", "double")]
    assert values == [3.5, 2.5, 1.5]
    plain = tmp_path / "plain"
    with tensorboard.SummaryWriter(str(plain)) as writer:
        writer.add_scalar("loss", 1.0, 0)
    with pytest.raises(DataError, match="without hparams"):
        read(plain)


def test_states_are_told_apart():
    columns = {"bs": [1, 2, 3, 4, 5, 6], "lr": [1] * 6, "loss": ["1", "2", "nan", "4", "", "6"]}
    states = ["finished", "crashed", "crashed", "killed", "failed", "pruned"]
    found, said = read(columns | {"State": states})
    assert [row[0] for row in found] == [1, 3]
    for says in (
        "1 of 6 runs left out: broke off, and not by its loss (crashed)",
        "1 of 6 runs diverged: crashed, and the loss not finite",
        "1 of 6 runs left out: broke off, and not by its loss (killed)",
        "1 of 6 runs left out: broke off, and not by its loss (failed)",
        "1 of 6 runs left out: not finished (pruned)",
    ):
        assert says in said


def test_runs_that_were_not_evaluated_did_not_diverge():
    columns = {
        "bs": [1, 2, 3],
        "lr": [1] * 3,
        "loss": [1.0, 2.0, None],
        "val_loss": [2, None, None],
    }
    found, said = read(columns)
    assert [row[0] for row in found] == [1, 3]
    assert "1 of 3 runs left out: no 'val_loss', but 'loss'" in said


@pytest.mark.parametrize(
    ("columns", "sizes"),
    [
        ({"batch_size": [8, 8], "grad_accum": [1, 1]}, [8, 8]),
        ({"batch_size": [8, 8], "grad_accum": [1, 4], "global_batch_size": [8, 32]}, [8, 32]),
        ({"device_batch_size": [8, 8], "grad_accum": [1, 4], "world_size": [2, 2]}, [16, 64]),
        ({"config.micro_batch_size": [8, 8], "n_gpus": [1, 4]}, [8, 32]),
        ({"lr_64": [1, None], "lr_32x8": [None, 1]}, [64, 256]),
    ],
)
def test_the_batch_size_is_that_of_a_step(columns, sizes):
    lr = {} if "lr_64" in columns else {"lr": [1, 1]}
    found, _ = read(columns | lr | {"loss": [1, 2]})
    assert [row[0] for row in found] == sizes


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"batch_size": [8, 8], "grad_accum": [1, 4]}, "'batch_size.grad_accum.8', for 8 devices"),
        ({"train_batch_size": [8, 8], "grad_accum": [4, 4]}, "may or may not include 'grad_accum'"),
        ({"batch_size": [8, 8], "num_gpus": [2, 4]}, "'batch_size.num_gpus'"),
        ({"batch_size": [8, 8], "devices": ["auto", "auto"]}, "may or may not include 'devices'"),
        (
            {
                "train_batch_size": [8, 8],
                "per_device_train_batch_size": [8, 8],
                "grad_accum": [1, 4],
            },
            "'per_device_train_batch_size.grad_accum.8'",
        ),
    ],
)
def test_a_batch_size_in_doubt_is_refused(columns, says):
    table = columns | {"lr": [1, 1], "loss": [1, 2]}
    with pytest.raises(InputError, match=says) as caught:
        read(table)
    assert caught.value.parameter == "batch_size_column"
    first = next(iter(columns))
    assert [row[0] for row in read(table, batch_size=f"{first} * 4")[0]] == [32, 32]
    assert [row[0] for row in read(table, batch_size=first)[0]] == [8, 8]


def test_sources_that_are_none(tmp_path):
    for text, says in (
        ("sqlite:////nowhere/study.db", "No such file"),
        (tmp_path, "a directory without runs"),
        (tmp_path / "missing.db", "No such file"),
        (tmp_path / ("n" * 300), "cannot be read: File name too long"),
        ("https://user:secret@host/runs.csv", r"\*\*\*@host/runs.csv: neither a file nor"),
    ):
        with pytest.raises(DataError, match=says) as caught:
            as_table(text)
        assert "\n" not in str(caught.value)
    with closing(sqlite3.connect(tmp_path / "other.db")) as database:
        database.execute("CREATE TABLE a (b)")
    with pytest.raises(DataError, match="neither of an Optuna study nor of MLflow"):
        as_table(tmp_path / "other.db")
    put(tmp_path, {"x/metrics.json": '{"loss": 1}', "x/params.yaml": "a: &a [1]\nb: *a\n"})
    with pytest.raises(DataError, match="aliases"):
        as_table(tmp_path)
    assert not list(tmp_path.glob("missing*"))
    with pytest.raises(InputError, match="empty"):  # as of a variable that is not set
        as_table("")


def test_what_needs_an_extra_names_it(tmp_path, monkeypatch):
    with closing(sqlite3.connect(tmp_path / "study.db")) as database:
        database.execute("CREATE TABLE studies (study_id)")
    put(tmp_path, {"x/metrics.json": '{"loss": 1}', "x/params.yaml": "a: 1\n"})
    for module, place in (("optuna", tmp_path / "study.db"), ("yaml", tmp_path / "x")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(MissingExtraError, match=r"adam-lr-scaling\[sweeps\]"):
            as_table(place)


@pytest.mark.parametrize("folder", ["/proc", "/dev"])
def test_folders_of_the_kernel_are_no_runs_and_are_not_read_without_end(folder):
    with pytest.raises(DataError, match=r"without runs|cannot be read|more than"):
        as_table(folder)


def test_other_file_systems_and_folders_beyond_all_sweeps_are_not_read(tmp_path, monkeypatch):
    put(tmp_path, {"a/log.txt": "x", "b/log.txt": "y"})
    (tmp_path / "a" / "kernel").symlink_to("/proc/kmsg")
    found = [str(path.relative_to(tmp_path)) for path in records.files_below(tmp_path)]
    assert found == ["a/log.txt", "b/log.txt"]
    monkeypatch.setattr(records, "_MOST_FILES", 1)
    with pytest.raises(DataError, match="more than 1 files; give the folder of the runs"):
        as_table(tmp_path)
