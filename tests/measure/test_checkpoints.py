"""Second moments from files that PyTorch wrote, and from files that nobody should open."""

import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra torch")

import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

from scaling import SecondMoments
from scaling.errors import DataError, InputError
from scaling.measure import read_checkpoint, read_second_moments

pytestmark = pytest.mark.torch

BETA2 = 0.95


def trained(kind=torch.optim.AdamW, steps=3, **settings):
    """A model and its optimizer, of two groups that have made other numbers of steps."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(300, 40), torch.nn.LayerNorm(40), torch.nn.Linear(40, 3, bias=False)
    )
    if kind is torch.optim.SGD:
        optimizer = kind(model.parameters(), lr=0.1, **settings)
    else:
        late = {"params": model[2].parameters(), "eps": 1e-3, "name": "late"}
        early = {"params": [*model[0].parameters(), *model[1].parameters()]}
        optimizer = kind([early, late], lr=2e-3, betas=(0.8, BETA2), eps=1e-6, **settings)
    for step in range(steps):
        model(torch.randn(16, 300)).square().sum().backward()
        if step == 0:
            model[2].weight.grad = None
        optimizer.step()
        optimizer.zero_grad()
    return model, optimizer


def corrected(optimizer, key="exp_avg_sq"):
    """v_hat of each parameter, by NumPy."""
    return [
        state[key].double().numpy().ravel() / (1 - BETA2 ** float(state["step"]))
        for state in optimizer.state.values()
    ]


def save_safetensors(path, optimizer):
    safetensors = pytest.importorskip("safetensors.torch")
    tensors = {
        f"optimizer.state.{i}.{name}": value.contiguous()
        for i, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
    }
    safetensors.save_file(tensors, path)


def save_dcp(path, *, flat):
    model, optimizer = trained()
    options = StateDictOptions(flatten_optimizer_state_dict=flat)
    states = get_state_dict(model, optimizer, options=options)
    dcp.save({"model": states[0], "optim": states[1]}, checkpoint_id=path, no_dist=True)


def save(path, kind):
    """Save the optimizer of `trained` in one of the ways that people do."""
    model, optimizer = trained()
    state = optimizer.state_dict()
    if kind == "optimizer":
        torch.save(state, path)
    elif kind == "lightning":
        whole = {"state_dict": model.state_dict(), "optimizer_states": [state], "args": Options()}
        torch.save(whole, path)
    elif kind == "names":
        names = [name for name, _ in model.named_parameters()]
        groups = [g | {"params": [names[i] for i in g["params"]]} for g in state["param_groups"]]
        states = {names[i]: entry for i, entry in state["state"].items()}
        torch.save({"optimizer": {"state": states, "param_groups": groups}}, path)
    elif kind == "state_dict in dcp":
        dcp.save({"optimizer": state}, checkpoint_id=path, no_dist=True)
    else:
        save_dcp(path, flat=kind == "flat dcp")


class Options:
    """What no reader of tensors knows."""

    learning_rate = 3


KINDS = ["optimizer", "lightning", "names", "state_dict in dcp", "dcp", "flat dcp"]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_reads_what_pytorch_wrote(tmp_path, kind):
    _, optimizer = trained()
    save(tmp_path / "saved", kind)
    found = read_checkpoint(tmp_path / "saved")
    early, late = corrected(optimizer)[:4], corrected(optimizer)[4:]
    assert len(early) == 4
    for group, values, eps, steps in zip(
        found.groups, (early, late), (1e-6, 1e-3), ((3, 3), (2, 2)), strict=True
    ):
        wanted = SecondMoments.from_arrays(*values)
        np.testing.assert_array_equal(group.moments.counts, wanted.counts)
        np.testing.assert_allclose(group.moments.sums, wanted.sums, rtol=1e-12)
        assert group.moments.zeros == wanted.zeros
        assert (group.eps, group.beta2, group.steps) == (eps, BETA2, steps)
        assert group.learning_rate == pytest.approx(2e-3)
    live = SecondMoments.from_optimizer(optimizer)
    np.testing.assert_allclose(found.moments.sums, live.sums, rtol=1e-12)
    np.testing.assert_allclose(live.sums.sum(), np.concatenate([*early, *late]).sum(), rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_of_state(tmp_path, dtype):
    values = torch.tensor([1e-3, 2.5e-4, 0.0, 7.0]).to(dtype)
    state = {0: {"exp_avg_sq": values, "step": torch.tensor(4.0)}}
    group = {"params": [0], "betas": (0.9, BETA2), "eps": 1e-8, "lr": torch.tensor(1e-3)}
    torch.save({"state": state, "param_groups": [group]}, tmp_path / "o.pt")
    found = read_second_moments(tmp_path / "o.pt")
    exact = values.double().numpy() / (1 - BETA2**4)
    np.testing.assert_allclose(found.sums, np.sort(exact)[1:], rtol=1e-12)
    assert found.zeros == 1


def test_safetensors(tmp_path):
    _, optimizer = trained()
    path = tmp_path / "optimizer.safetensors"
    save_safetensors(path, optimizer)
    with pytest.raises(DataError, match=r"optimizer.safetensors: group 0: beta2 is nan"):
        read_checkpoint(path)
    found = read_checkpoint(path, beta2=BETA2, eps=1e-6).moments
    np.testing.assert_allclose(found.sums, SecondMoments.from_optimizer(optimizer).sums, rtol=1e-12)


def test_views_and_amsgrad(tmp_path):
    """Values are found in views, in tensors laid out otherwise, and what amsgrad divides by."""
    _, optimizer = trained(amsgrad=True)
    wanted = np.concatenate(corrected(optimizer, "max_exp_avg_sq"))
    torch.save(optimizer.state_dict(), tmp_path / "o.pt")
    assert read_second_moments(tmp_path / "o.pt").sums.sum() == pytest.approx(wanted.sum())
    base = torch.rand(6, 5)
    for view, right in ((base[2:4], True), (base.T, True), (base[:, 1:3], False)):
        state = {0: {"exp_avg_sq": view, "step": 1}}
        group = {"params": [0], "betas": (0.9, 0.0), "eps": 0.1}
        torch.save({"state": state, "param_groups": [group]}, tmp_path / "v.pt")
        if right:
            found = read_second_moments(tmp_path / "v.pt")
            assert found.sums.sum() == pytest.approx(float(view.double().sum()))
        else:
            with pytest.raises(DataError, match="with gaps"):
                read_second_moments(tmp_path / "v.pt")


def test_json_of_ours(tmp_path):
    moments = SecondMoments.from_arrays([1.0, 4.0])
    (tmp_path / "m.json").write_text(moments.to_json())
    assert read_second_moments(tmp_path / "m.json").to_json() == moments.to_json()
    (tmp_path / "n.json").write_text("{}")
    with pytest.raises(DataError, match=r"n\.json"):
        read_second_moments(tmp_path / "n.json")


def test_what_the_checkpoint_says_is_not_contradicted(tmp_path):
    save(tmp_path / "o.pt", "optimizer")
    assert read_checkpoint(tmp_path / "o.pt", beta2=BETA2).groups[0].beta2 == BETA2
    with pytest.raises(InputError, match=r"beta2: the checkpoint says 0.95"):
        read_checkpoint(tmp_path / "o.pt", beta2=0.99)


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


def evil(folder, kind):
    """A file that would touch another if it were unpickled."""
    _, optimizer = trained()
    path, target = folder / "evil", folder / "touched"
    harmful = optimizer.state_dict() | {"extra": Evil(target)}
    if kind == "pickle":
        path.write_bytes(pickle.dumps(harmful))
    elif kind == "archive":
        torch.save(harmful, path)
    else:
        save(path, "dcp")
        (path / ".metadata").write_bytes(pickle.dumps({"storage_data": Evil(target)}))
    return path, target


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("kind", ["pickle", "archive", "dcp"])
def test_nothing_is_executed(tmp_path, kind):
    path, target = evil(tmp_path, kind)
    if kind == "archive":  # whose tensors can be read all the same
        assert read_checkpoint(path).moments.count
    else:
        with pytest.raises(DataError, match=r"evil") as caught:
            read_checkpoint(path)
        assert "\n" not in str(caught.value)
    assert not target.exists()
    if kind == "pickle":
        pickle.loads(path.read_bytes())  # noqa: S301 - the test of the test
        assert target.exists()


def bad_files(folder):
    """Files that are no checkpoint, by what is said of them."""
    _, optimizer = trained()
    whole = folder / "whole.pt"
    torch.save(optimizer.state_dict(), whole)
    data = whole.read_bytes()

    def file(name, content):
        (folder / name).write_bytes(content)
        return folder / name

    def archive(name, content):
        torch.save(content, folder / name)
        return folder / name

    def state(**entry):
        group = {"params": [0], "betas": (0.9, 0.99), "eps": 1e-8, "lr": 1e-3}
        return {"state": {0: entry}, "param_groups": [group]}

    v = torch.ones(3)
    momentum = trained(torch.optim.SGD, momentum=0.9)[1].state_dict()
    old = folder / "old.pt"
    torch.save(optimizer.state_dict(), old, _use_new_zipfile_serialization=False)
    zipped = folder / "other.zip"
    with zipfile.ZipFile(zipped, "w") as other:
        other.writestr("a/b", "c")
    sparse = torch.eye(3).to_sparse()
    shard = folder / "shards"
    save(shard, "dcp")
    next(shard.glob("*.distcp")).unlink()
    header = json.dumps({"a.exp_avg_sq": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}})
    return {
        "missing": (folder / "none.pt", "there is no such file"),
        "empty": (file("empty.pt", b""), "not a checkpoint"),
        "text": (file("a.pt", b"learning rate: 3"), "not a checkpoint"),
        "zero": ("/dev/zero", "not a regular file"),
        "cut short": (file("cut.pt", data[: len(data) // 2]), "cut short"),
        "end missing": (file("end.pt", data[:-10]), "cut short"),
        "before 1.6": (old, "a pickle and not an archive"),
        "zip": (zipped, "not one of torch.save"),
        "model": (archive("model.pt", {"w": v}), "holds no optimizer"),
        "sgd": (archive("s.pt", trained(torch.optim.SGD)[1].state_dict()), "holds momentum_buffer"),
        "momentum": (archive("sm.pt", momentum), "momentum_buffer, and no exp_avg_sq"),
        "no step made": (archive("new.pt", trained(steps=0)[1].state_dict()), "has no state"),
        "step 0": (
            archive("s0.pt", state(exp_avg_sq=v, step=torch.tensor(0.0))),
            "step count is 0",
        ),
        "no step": (archive("sn.pt", state(exp_avg_sq=v)), "step count is nan"),
        "steps": (archive("st.pt", state(exp_avg_sq=v, step=v)), "step count is nan"),
        "sparse": (
            archive("sp.pt", state(exp_avg_sq=sparse, step=1)),
            "rebuild_sparse_tensor are not read",
        ),
        "zeros": (archive("z.pt", state(exp_avg_sq=0 * v, step=1)), "no second moment is positive"),
        "nan": (archive("nan.pt", state(exp_avg_sq=v * float("nan"), step=1)), "is positive"),
        "shard": (shard, "this shard is missing"),
        "folder": (folder, r"not a folder of torch.distributed.checkpoint, which has a \.metadata"),
        "safetensors": (
            file("c.safetensors", struct.pack("<Q", len(header)) + header.encode() + b"\0" * 9),
            r"not a whole \.safetensors",
        ),
        "safe header": (file("d.safetensors", struct.pack("<Q", 2**60) + b"{"), "not a whole"),
    }


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    return bad_files(tmp_path_factory.mktemp("bad"))


#: Their names, as pytest wants them before there are files.
BAD = [
    "missing",
    "empty",
    "text",
    "zero",
    "cut short",
    "end missing",
    "before 1.6",
    "zip",
    "model",
    "sgd",
    "momentum",
    "no step made",
    "step 0",
    "no step",
    "steps",
    "sparse",
    "zeros",
    "nan",
    "shard",
    "folder",
    "safetensors",
    "safe header",
]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_one_line(bad, name):
    path, said = bad[name]
    if name == "sgd":
        said = "has no state|holds momentum_buffer"
    with pytest.raises(DataError, match=said) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_cut_and_every_flip_is_refused_or_harmless(tmp_path):
    """Damage anywhere in a small file is an error of ours, or changes nothing but numbers."""
    state = {0: {"exp_avg_sq": torch.ones(3), "step": 1}}
    group = {"params": [0], "betas": (0.9, 0.99), "eps": 1e-8, "lr": 1e-3}
    path = tmp_path / "o.pt"
    torch.save({"state": state, "param_groups": [group]}, path)
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for cut in range(0, len(data), 7):
        path.write_bytes(data[:cut])
        with pytest.raises(DataError):
            read_checkpoint(path)
    for _ in range(400):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_checkpoint(path)
        except DataError as error:
            assert "\n" not in str(error)  # noqa: PT017


def test_from_optimizer_takes_what_adam_is():
    for kind in (torch.optim.Adam, torch.optim.NAdam, torch.optim.RAdam):
        _, optimizer = trained(kind)
        found = SecondMoments.from_optimizer(optimizer)
        assert found.sums.sum() == pytest.approx(np.concatenate(corrected(optimizer)).sum())
    for wrong in (None, 3, {"state": 1}, torch.nn.Linear(1, 1)):
        with pytest.raises(InputError, match="must be an optimizer"):
            SecondMoments.from_optimizer(wrong)
    model, _ = trained()
    with pytest.raises(DataError, match="before its first step"):
        SecondMoments.from_optimizer(torch.optim.Adam(model.parameters()))


def test_needs_no_pytorch_and_little_memory(tmp_path):
    """A file of 400 MB is read in 150 MB more than NumPy takes."""
    v = torch.rand(50_000_000)
    state = {0: {"exp_avg": torch.zeros(1).expand(1), "exp_avg_sq": v, "step": 7}}
    group = {"params": [0], "betas": (0.9, 0.99), "eps": 1e-8, "lr": 1e-3}
    path = tmp_path / "o.pt"
    torch.save({"state": state, "param_groups": [group]}, path)
    code = (
        "import resource, sys, numpy\n"
        "from scaling.measure import read_checkpoint\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        f"assert read_checkpoint({str(path)!r}).moments.count > 49_000_000\n"
        "assert 'torch' not in sys.modules\n"
        "print((peak() - before) / 1e3)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(ran.stdout) < 150
