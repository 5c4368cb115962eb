"""The notebooks run, and print what they are committed with."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

HERE = Path(__file__).parent
NOTEBOOKS = sorted((HERE.parents[1] / "notebooks").glob("*.ipynb"))
PRINT = """
import sys, nbformat
sys.path.insert(0, {here!r})
from execute import executed
from pathlib import Path
print(nbformat.writes(executed(Path({path!r}))))
"""


def outputs(notebook, kind):
    """Texts of the outputs of one kind, by cell."""
    return [
        (cell.id, output["text"] if kind == "stream" else output["data"].get(kind))
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if (output.output_type == "stream") == (kind == "stream")
    ]


def test_they_are_found():
    assert len(NOTEBOOKS) >= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_says_what_it_said(path):
    # In a process of its own: the client warns of the event loop that it leaves behind.
    code = PRINT.format(here=str(HERE), path=str(path))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = nbformat.reads(ran.stdout, as_version=4)
    kept = nbformat.read(path, as_version=4)
    assert [cell.source for cell in kept.cells] == [cell.source for cell in found.cells]
    for kind in ("stream", "text/markdown"):
        assert outputs(found, kind) == outputs(kept, kind), "run `make notebooks`"
    figures = [cell for cell, image in outputs(found, "image/png") if image]
    assert figures == [cell for cell, image in outputs(kept, "image/png") if image]
    assert len(figures) >= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_a_document(path):
    notebook = nbformat.read(path, as_version=4)
    cells = notebook.cells
    assert path.stat().st_size < 2e6
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith("# ")
    text = sum(len(cell.source) for cell in cells if cell.cell_type == "markdown")
    code = sum(len(cell.source) for cell in cells if cell.cell_type == "code")
    assert text > code
    for cell in cells:
        assert "output_type" not in cell.source
        if cell.cell_type == "code":
            assert cell.execution_count, "committed without outputs"
            assert not any(output.output_type == "error" for output in cell.outputs)
        else:
            # Links go to what there is.
            for link in re.findall(r"\]\(([^)#]+)\)", cell.source):
                assert link.startswith("https://") or (path.parent / link).is_file(), link
