"""Run the pages of notebooks/guides as a reader would: commands, snippets, and what they print."""

import contextlib
import doctest
import io
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scaling import save_law

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "notebooks" / "guides"
_BLOCK = re.compile(r"^```(\w+) ?(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run_page(page, folder, lr, law, names=None):
    """Run the blocks of a page, in order and in a folder; return what the snippets define."""
    _prepare(folder, law)
    names = {"__name__": "page"} | (names or {})
    printed = None
    for language, needs, text in _BLOCK.findall(page.read_text()):
        if needs:
            pytest.importorskip(needs, reason=f"needs the extra {needs}")
        if language == "console":
            command, wanted = text.split("\n", 1)
            ran = lr(*shlex.split(command.removeprefix("$ lr ")))
            assert ran.status == 0, ran.err
            check(wanted, ran.out, page)
        elif language == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(text, str(page), "exec"), names)  # noqa: S102 - our own page
            printed = out.getvalue()
        elif language == "output":
            check(text, printed, page)
        else:
            assert language == "sh", f"{page}: {language} is not run"
            _run_in_shell(text, folder)
    return names


def check(wanted, found, page):
    """Compare as doctests do; `...` stands for anything."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.OutputChecker().check_output(wanted, found, flags), f"{page}:\n{found}"


def _prepare(folder, law):
    shutil.copy(ROOT / "scaling" / "data" / "marek_adam_1d.csv", folder / "optima.csv")
    shutil.copy(PAGES / "many_machines.py", folder)
    save_law(law, folder / "law.json")


def _run_in_shell(text, folder):
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    ran = subprocess.run(
        text,
        shell=True,
        cwd=folder,
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
