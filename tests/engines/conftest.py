"""Shared by the tests of the sweep engines."""

import pytest

from scaling import fit_optima
from scaling.numeric.inference.law import PosteriorLaw
from scaling.numeric.tables import read_optima


@pytest.fixture(scope="session")
def law(request) -> PosteriorLaw:
    """A law fitted to published optima at batch sizes 1 to 4096."""
    data = request.config.rootpath / "scaling" / "data" / "marek_adam_1d.csv"
    return fit_optima(*read_optima(data))
