"""What a process leaves behind that is killed, at whatever moment."""

import random
import signal
import subprocess
import sys
import time

import pytest

from scaling import load_law
from scaling.numeric.inputs import files

SAVE = ["query", "--ref-lr", "3e-4", "--ref-batch-size", "256", "--batch-size", "512", "--save"]
KILLS = 60


def test_kills_leave_the_old_file_or_the_new_one(tmp_path):
    path = tmp_path / "law.json"
    command = [sys.executable, "-m", "scaling", *SAVE, path]
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    whole = time.monotonic() - began
    law, old = path.read_bytes(), b"the old file\n"
    chance = random.Random(16)  # noqa: S311
    signals = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
    for kill in range(KILLS):
        path.unlink(missing_ok=True)
        if kill % 2:
            path.write_bytes(old)
        # The second half of a run, in which the file is written, more often than the first.
        moment = whole * chance.random() ** 0.5 * 1.1
        with subprocess.Popen(command, stdout=-3, stderr=-3) as process:
            time.sleep(moment)
            process.send_signal(signals[kill % 3])
        left = {found.name: found.read_bytes() for found in tmp_path.iterdir()}
        assert left in (
            [{path.name: old}, {path.name: law}] if kill % 2 else [{}, {path.name: law}]
        )
    path.write_bytes(law)
    assert load_law(path).learning_rate(512) > 0


INTERRUPTED = """
import builtins, sys
from scaling.__main__ import main
plain = builtins.__import__
def interrupted(name, *arguments, **given):
    if name.rpartition(".")[2] == {module!r}:
        raise KeyboardInterrupt
    return plain(name, *arguments, **given)
builtins.__import__ = interrupted
sys.argv = ["lr", *{arguments!r}]
main()
"""


@pytest.mark.parametrize("module", ["warnings", "options", "numpy", "answer"])
def test_an_interrupt_is_quiet_whatever_is_being_imported(module, tmp_path):
    arguments = [*SAVE, str(tmp_path / "law.json")]
    code = INTERRUPTED.format(module=module, arguments=arguments)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("with_names", [False, True])
def test_an_interrupt_while_a_file_is_written_leaves_none(tmp_path, monkeypatch, with_names):
    if with_names:  # as where the system has no others
        monkeypatch.delattr(files.os, "O_TMPFILE", raising=False)

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write_text(tmp_path / "law.json", "new")
    assert not list(tmp_path.iterdir())
