"""Without the extra, configurations can be read, and the rest says what to install."""

import subprocess
import sys

import pytest

CODE = """
import sys
sys.modules[{library!r}] = None
from scaling import lab
from scaling.errors import MissingExtraError
assert lab.read_configuration("network").cells()
try:
    lab.{name}
except MissingExtraError as error:
    print(error)
"""


@pytest.mark.parametrize(("library", "name"), [("torch", "train"), ("joblib", "run_configuration")])
def test_the_error_names_the_extra(library, name):
    code = CODE.format(library=library, name=name)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    says = f"{library} is not installed; pip install 'adam-lr-scaling[torch]' brings it\n"
    assert ran.stdout == says
