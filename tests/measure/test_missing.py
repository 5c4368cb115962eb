"""What needs PyTorch or a trainer, and what does not."""

import subprocess
import sys

import pytest

import scaling.measure
from scaling.errors import MissingExtraError

CODE = """
import sys
{before}
sys.modules.update(dict.fromkeys({hidden!r}))
{code}
"""


def refused(code, hidden, before=""):
    """The last line of the error that code ends with where some modules are missing."""
    text = CODE.format(code=code, hidden=hidden, before=before)
    ran = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    return ran.stderr.splitlines()[-1]


def test_noise_scale_without_pytorch():
    said = refused("import scaling.measure; scaling.measure.NoiseScale", ["torch"])
    assert MissingExtraError.__name__ in said
    assert "adam-lr-scaling[torch]" in said


@pytest.mark.torch
@pytest.mark.parametrize(
    ("library", "call"),
    [("transformers", "trainer_callback()"), ("lightning", "lightning_callback(8)")],
)
def test_callbacks_without_their_trainer(library, call):
    pytest.importorskip("torch", reason="needs the extra torch")
    said = refused(f"scaling.measure.{call}", [library], "import torch, scaling.measure")
    assert f"adam-lr-scaling[{library}]" in said


def test_checkpoints_and_the_doctor_need_no_pytorch():
    assert scaling.measure.diagnose(scaling.measure.Setup(eps=1e-8))
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from scaling.measure import read_checkpoint, diagnose, Setup; diagnose(Setup(eps=1e-8))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
