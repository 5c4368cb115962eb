"""The symbolic layer imports scaling.errors, SymPy, mpmath and NumPy, and nothing else."""

import ast
import sys
from pathlib import Path

import pytest

import scaling.symbolic

MODULES = sorted(Path(scaling.symbolic.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_imports(path):
    allowed = {"sympy", "mpmath", "numpy", *sys.stdlib_module_names}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module]
        for name in names:
            ours = name == "scaling.errors" or name.startswith("scaling.symbolic")
            assert ours or name.partition(".")[0] in allowed


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_work_at_import(path):
    """At the top level stand imports, definitions, literal constants and the symbols only."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign):
            calls = [n.func for n in ast.walk(node.value) if isinstance(n, ast.Call)]
            assert {ast.unparse(call) for call in calls} <= {
                "Notation",
                "sympy.symbols",
                "sympy.Symbol",
            }
        elif isinstance(node, ast.If):
            assert ast.unparse(node.test) == "TYPE_CHECKING"
        else:
            assert isinstance(
                node,
                ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef | ast.Expr,
            )
