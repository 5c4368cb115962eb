"""A configuration of cells that take a moment each."""

import pytest

TINY = """
description = "tiny"
problem = "quadratic"
seeds = [0, 1]
learning_rates = 5

[guess]
learning_rate = 0.1
batch_size = 16
noise_scale = 100
root_second_moment = 1

[measure]
fractions = [0.5, 1]
small = 2
parts = 4
draws = 3

[[arm]]
batch_size = [1, 4, 16, 64]
eps = [1e-8, 1]
beta1 = [0, 0.9]
examples = 256
"""


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path
