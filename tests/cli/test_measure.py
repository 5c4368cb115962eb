"""`lr measure` and `lr doctor`: what they print, and one line for what is wrong."""

import json

import numpy as np
import pytest

from scaling import SecondMoments


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint in which three parameters of ten have sqrt(v) below eps."""
    torch = pytest.importorskip("torch", reason="needs the extra torch")
    v_hat = torch.tensor([1e-12] * 3 + [1e-8] * 7)
    state = {0: {"exp_avg_sq": v_hat * (1 - 0.99**50), "step": torch.tensor(50.0)}}
    state[1] = state[0]
    groups = [
        {"params": [0], "lr": 2e-3, "betas": (0.9, 0.99), "eps": 1e-5},
        {
            "params": [1, 2],
            "lr": 2e-3,
            "betas": (0.9, 0.99),
            "eps": 1e-8,
            "name": "no decay\x1b[2J",
        },
    ]
    path = tmp_path / "optimizer.pt"
    torch.save({"state": state, "param_groups": groups}, path)
    return path


ROOTS = np.array([1e-6] * 3 + [1e-4] * 7)


def shift(eps):
    """T-J1 by its definition."""
    return (ROOTS**2 / (ROOTS + eps)).sum() / (ROOTS**3 / (ROOTS + eps) ** 2).sum()


@pytest.mark.torch
def test_measure_says_what_eps_does(lr, checkpoint, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    ran = lr("measure", checkpoint, "--batch-size", "32x16")
    assert (ran.status, ran.err) == (0, "")
    text = " ".join(ran.out.split())
    assert "20 values, at batch size 512" in text
    assert "30% of the parameters have sqrt(v) below eps = 1e-05: eps acts" in text
    assert f"1e-8 would want {shift(1e-8) / shift(1e-5):.2f} x this learning rate" in text
    assert "none of the parameters have sqrt(v) below eps = 1e-08: eps does nothing" in text
    assert "1 parameters have no second moment" in text
    for said in ("at the start or after convergence", "does not tell the noise scale"):
        assert said in text
    assert "\x1b" not in ran.out


@pytest.mark.torch
def test_measure_as_json_and_saved(lr, checkpoint, tmp_path):
    saved = tmp_path / "moments.json"
    ran = lr("measure", checkpoint, "--batch-size", 512, "--save", saved, "--json")
    answer = json.loads(ran.out)
    first, second = answer["groups"]
    assert answer["batch_size"] == 512
    assert first["shift"] == pytest.approx(shift(1e-5), rel=1e-4)
    assert first["to_default"] == pytest.approx(shift(1e-8) / shift(1e-5), rel=1e-4)
    assert (first["share_below"], second["share_below"]) == (0.3, 0)
    assert first["mean_root"] == pytest.approx(ROOTS.mean(), rel=1e-4)
    assert first["steps"] == [50, 50]
    moments = SecondMoments.from_json(saved.read_text())
    assert moments.count == 20
    assert moments.eps_shift(1e-5) == pytest.approx(shift(1e-5), rel=1e-4)


@pytest.mark.torch
def test_measure_on_the_command_line_is_one_line_for_bad_input(lr, checkpoint, tmp_path):
    other = tmp_path / "other.pt"
    other.write_text("no")
    for arguments, status, said in (
        ([other], 1, "other.pt: not a checkpoint"),
        (["/dev/zero"], 1, "/dev/zero: not a regular file"),
        ([tmp_path / "none.pt"], 1, "none.pt: there is no such file"),
        ([checkpoint, "--beta2", 0.5], 2, "--beta2: the checkpoint says 0.99"),
        ([checkpoint, "--batch-size", "-1"], 2, "'--batch-size': must be a positive"),
        ([checkpoint, "--save", tmp_path / "no" / "m.json"], 1, "m.json: cannot be written"),
    ):
        ran = lr("measure", *arguments)
        assert (ran.status, ran.out) == (status, "")
        assert said in ran.err
        assert ran.err.count("\n") == 1


def findings(lr, *arguments):
    ran = lr("doctor", *arguments, "--json")
    assert (ran.status, ran.err) == (0, "")
    return {found["topic"]: found for found in json.loads(ran.out)["findings"]}


@pytest.mark.torch
def test_doctor_with_a_checkpoint(lr, checkpoint):
    """What the next doubling wants is T-J3, by its definition."""
    found = findings(lr, checkpoint, "--batch-size", 512, "--noise-scale", 2048)
    assert found["half-life of beta2"]["numbers"]["beta"] == 0.99
    one, two = (1 / b + 1 / 2048 for b in (512, 1024))
    grown = np.sqrt(two / one)
    doubled = (grown * ROOTS, np.array(1e-5))
    j1 = (doubled[0] ** 2 / (doubled[0] + 1e-5)).sum() / (
        doubled[0] ** 3 / (doubled[0] + 1e-5) ** 2
    ).sum()
    factor = np.sqrt((1024 / (1024 + 2048)) / (512 / (512 + 2048))) * j1 / shift(1e-5)
    numbers = found["next doubling"]["numbers"]
    assert numbers["factor"] == pytest.approx(factor, rel=1e-4)
    assert numbers["learning_rate"] == 2e-3


def test_doctor_without_a_checkpoint(lr):
    options = ["--lr", 3e-4, "--batch-size", 512, "--eps", 1e-8, "--beta2", 0.999]
    found = findings(lr, *options, "--accumulation", 16, "--precision", "float16")
    # 1e-8 is nearer to 0 than to the smallest number of float16, and 0.999 is resolved by it.
    assert np.float16(1e-8) == 0
    assert found["eps in precision"]["verdict"] == "warning"
    assert np.float16(0.999) * np.float16(1.5) < np.float16(1.5)
    assert found["v in precision"]["verdict"] == "fine"
    memory = found["half-life of beta2"]["numbers"]
    assert 0.999 ** memory["steps"] == pytest.approx(0.5)
    assert memory["examples"] == pytest.approx(512 * memory["steps"])
    assert memory["doubled"] ** (memory["steps"] / 2) == pytest.approx(0.5)
    assert found["batch against noise"]["verdict"] == "unknown"
    assert found["next doubling"]["numbers"]["at_most"] == pytest.approx(2**0.5)
    assert findings(lr, *options)["eps in precision"]["verdict"] == "fine"


def test_v_of_bfloat16_never_falls(lr):
    """Its average at beta2 = 0.999 rounds back to itself, at 0.95 it does not."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for beta2, verdict in ((0.999, "warning"), (0.95, "fine")):
        v = np.arange(1, 2, 1 / 128).astype(ml_dtypes.bfloat16)
        stays = ((v.astype(np.float32) * beta2).astype(ml_dtypes.bfloat16) == v)[1:].all()
        found = findings(lr, "--beta2", beta2, "--precision", "bfloat16")
        assert (found["v in precision"]["verdict"], stays) == (verdict, verdict == "warning")


def test_doctor_in_words(lr):
    ran = lr("doctor", "--lr", 3e-4, "--batch-size", 512, "--noise-scale", 512, "--beta1", 0.9)
    text = " ".join(ran.out.split())
    assert "Batch size 1024 wants 1.15 x the learning rate, 0.000346" in text
    assert "0.9 halves the weight of a gradient in 6.58 steps, or 3370 examples" in text
    assert "as B^0.25 here" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to look at"),
        (["--lr", "0"], "'--lr'"),
        (["--beta2", "1"], "'--beta2'"),
        (["--eps", "1e-8", "--precision", "int8"], "--precision: must be one of float16"),
    ],
)
def test_doctor_refuses(lr, arguments, said):
    ran = lr("doctor", *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert said in ran.err
    assert ran.err.count("\n") == 1
