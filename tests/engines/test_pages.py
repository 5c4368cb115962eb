"""The pages of notebooks/guides do what they show; that of Ray is run in test_ray."""

import pytest

from .pages import PAGES, run_page

#: Its snippets are of PyTorch and of optax.
TRAINING = "schedules.md"
PLAIN = sorted(page.name for page in PAGES.glob("*.md") if page.name not in {"ray.md", TRAINING})


@pytest.mark.parametrize("page", [*PLAIN, pytest.param(TRAINING, marks=pytest.mark.torch)])
def test_page(page, tmp_path, lr, law, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(PAGES / page, tmp_path, lr, law)
