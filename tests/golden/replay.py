"""Transcripts of what `lr` prints and the public functions return: replayed and compared.

A transcript in `record` is read like a session in a terminal. A block starts at column 0::

    # a heading
    $ cat > optima.csv        (the lines that follow are the file)
    $ cat law.json            (a file that a call wrote)
    $ lr query ...            (what follows is standard output)
    ! lr: ...                 (standard error)
    [2]                       (the exit status, if not 0)
    >>> scaling.fit_steps(...).steps_min

To record a new call, write its first line and run `make golden`, which fills in the rest; where
an answer has changed, it shows in the diff, which is to be reviewed. Answers that agree with the
record are left as they are, so the last digits of another machine change nothing.

The calls of a transcript share a working directory, which starts with the shipped data and with
`laws`: law files written by earlier versions, which have to stay readable.
"""

import io
import math
import os
import re
import shlex
import shutil
import sys
import tempfile
import warnings
from contextlib import chdir, redirect_stderr, redirect_stdout
from importlib.resources import files
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from scaling.cli.main import main

import scaling

HERE = Path(__file__).parent
TRANSCRIPTS = sorted((HERE / "record").glob("*.txt"))
SHIPPED = ("marek_adam_1d.csv", "zhang_steps_to_target.csv", "digits_sweep.csv")

#: Relative. On another processor formulas differ by 2e-12 at most; fits, which stop where they
#: are good enough, have differed by 8e-8 (measured with another BLAS, and without AVX).
FORMULAS, ALL_ELSE = 1e-9, 1e-6

_BLOCK = re.compile(r"^(?=# |\$ |>>> )", re.MULTILINE)
_FLOAT = re.compile(r"([-+]?\b\d+(?:\.\d+(?:e[-+]?\d+)?|e[-+]?\d+)\b)")
#: The running time of a check, the only answer that changes from run to run.
_SECONDS = re.compile(r"\d+\.\d(?=  +(?:ok|FAIL))")


def replay(transcript: str) -> list[tuple[str, str]]:
    """Make all calls of a transcript anew; return its blocks as recorded and as found."""
    plain = {name: text for name, text in os.environ.items() if "COLOR" not in name}
    with (
        tempfile.TemporaryDirectory() as directory,
        chdir(directory),
        patch.dict(os.environ, plain | {"COLUMNS": "80"}, clear=True),
    ):
        for name in SHIPPED:
            Path(name).write_bytes((files("scaling.data") / name).read_bytes())
        shutil.copytree(HERE / "laws", ".", dirs_exist_ok=True)
        names: dict[str, Any] = {"scaling": scaling, "np": np, "Path": Path}
        return [(block, _answered(block, names)) for block in _BLOCK.split(transcript) if block]


def compared(path: Path) -> list[tuple[str, str]]:
    """Blocks of a transcript, as recorded and as found, made equal where they agree."""
    tolerance = FORMULAS if path.stem == "formulas" else ALL_ELSE
    blocks = replay(path.read_text() + "\n")
    return [(old, old if agree(old, new, tolerance) else new) for old, new in blocks]


def agree(recorded: str, found: str, tolerance: float) -> bool:
    """Whether two texts are the same but for the last digits of numbers."""
    one, two = _FLOAT.split(recorded), _FLOAT.split(found)
    return one[::2] == two[::2] and all(
        a == b or math.isclose(float(a), float(b), rel_tol=tolerance)
        for a, b in zip(one[1::2], two[1::2], strict=True)
    )


def _answered(block: str, names: dict[str, Any]) -> str:
    """Return a block with the answer that its call gets now."""
    first, *rest = block.rstrip("\n").split("\n")
    if first.startswith("$ cat > "):
        Path(first.removeprefix("$ cat > ")).write_text("".join(f"{x[2:]}\n" for x in rest))
        return block
    if first.startswith("# "):
        return block
    call = [first, *(line for line in rest if line.startswith("... "))]
    if first.startswith("$ cat "):
        answer = _lines("  ", Path(first.removeprefix("$ cat ")).read_text())
    elif first.startswith("$ lr "):
        answer = _called(shlex.split(first)[2:])
    else:
        answer = _lines("  ", _evaluated("\n".join(line[4:] for line in call), names))
    gap = "\n\n" if answer or block.endswith("\n\n") else "\n"
    return "\n".join(call) + answer + gap


def _called(arguments: list[str]) -> str:
    """Run `lr` in this process; return its outputs and status, marked."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        patch("sys.argv", ["lr", *arguments]),
        warnings.catch_warnings(),
    ):
        try:
            status = main()
        except SystemExit as stop:
            status = stop.code
    written = [stream.buffer.getvalue().decode() for stream in (out, err)]
    text = _lines("  ", _SECONDS.sub("0.0", written[0])) + _lines("! ", written[1])
    return text + (f"\n[{status}]" if status else "")


def _evaluated(source: str, names: dict[str, Any]) -> str:
    """Evaluate an expression, or run statements; an error is an answer."""
    try:
        try:
            code = compile(source, "<transcript>", "eval")
        except SyntaxError:
            exec(source, names)  # noqa: S102 - a committed file
            return ""
        value = eval(code, names)  # noqa: S307
    except Exception as error:  # noqa: BLE001 - shows in the diff
        return f"{type(error).__name__}: {error}\n"
    return "" if value is None else f"{_plain(value)}\n"


def _plain(value: Any) -> Any:
    """Numbers to twelve digits, arrays as lists."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return float(f"{value:.12g}") if isinstance(value, float) else value


def _lines(mark: str, text: str) -> str:
    """Mark the lines of an output."""
    if not text:
        return ""
    ended = text.removesuffix("\n")
    unended = "" if text.endswith("\n") else "\n\\ no newline at the end"
    return "".join(f"\n{mark}{line}" for line in ended.split("\n")) + unended


def record() -> None:
    """Write all transcripts anew where their answers have changed."""
    for path in TRANSCRIPTS:
        text = "".join(new for _, new in compared(path)).rstrip("\n") + "\n"
        sys.stdout.write(f"{path.name}: {'as it was' if text == path.read_text() else 'CHANGED'}\n")
        path.write_text(text)


if __name__ == "__main__":
    record()
