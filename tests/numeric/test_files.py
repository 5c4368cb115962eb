"""Files: written whole, over regular files only, with the mode that they had."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scaling.errors import DataError
from scaling.numeric.inputs import files
from scaling.numeric.inputs.files import check_writable, read_bytes, write_text


@pytest.fixture(params=[False, True], ids=["unnamed", "named"])
def _beside(request, monkeypatch):
    """Both ways to write: with files without a name, and where the system has none."""
    if request.param:
        monkeypatch.delattr(files.os, "O_TMPFILE", raising=False)


@pytest.mark.usefixtures("_beside")
def test_mode_and_links_are_kept(tmp_path):
    path, link = tmp_path / "law.json", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path.name)
    write_text(link, "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)
    assert link.is_symlink()
    write_text(tmp_path / ("n" * 255), "new")  # as long as a name may be
    write_text(tmp_path / "fresh", "new")
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "fresh").stat().st_mode & 0o777 == 0o666 & ~mask
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.usefixtures("_beside")
def test_what_another_process_writes_is_left_alone(tmp_path):
    other = tmp_path / f".law.json.{os.getpid()}.part"
    other.write_text("another's")
    write_text(tmp_path / "law.json", "new")
    check_writable(tmp_path / "second.json")
    assert {path.name for path in tmp_path.iterdir()} == {other.name, "law.json"}


def test_pipes_are_read_but_not_what_the_answer_is_written_to():
    read, write = os.pipe()
    try:
        with pytest.raises(DataError, match="it is where the answer is written to"):
            read_bytes(f"/dev/fd/{write}")
        os.write(write, b"a table")
        os.close(write)
        assert read_bytes(f"/dev/fd/{read}") == b"a table"  # as <(...) in a shell
    finally:
        os.close(read)
    code = "from scaling.numeric.inputs.files import *; print(len(read_bytes('-')))"
    ran = subprocess.run(
        [sys.executable, "-c", code], check=True, input=b"12345", stdout=subprocess.PIPE
    )
    assert ran.stdout == b"5\n"


@pytest.mark.usefixtures("_beside")
@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/dev/null", "not a regular file"),
        ("/dev/full", "not a regular file"),
        (".", "not a regular file"),
        ("", "not a regular file"),
        ("/", "not a regular file"),
        ("missing/law.json", "No such file or directory"),
        ("a\0b", "null"),
        ("n" * 256, "name too long"),
    ],
)
def test_what_cannot_be_written_is_known_beforehand(path, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for attempt in (check_writable, lambda where: write_text(where, "new")):
        with pytest.raises(DataError, match=f"(?i)cannot be written: .*{says}"):
            attempt(path)
    assert not list(tmp_path.iterdir())
    check_writable(None)


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1", "log"])
def test_a_log_that_is_being_written_is_not_replaced(path, tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    command = ["query", "--ref-lr", "1", "--ref-batch-size", "1", "--batch-size", "2", "--save"]
    with log.open("a") as file:
        ran = subprocess.run(
            [sys.executable, "-m", "scaling", *command, path],
            stdout=file, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path,
        )  # fmt: skip
    assert ran.returncode == 1
    assert "not a regular file" in ran.stderr
    assert log.read_text() == "before\n"


def test_devices_are_not_read():
    for device in ("/dev/zero", "/dev/urandom"):
        with pytest.raises(DataError, match="it is a device"):
            read_bytes(Path(device))
