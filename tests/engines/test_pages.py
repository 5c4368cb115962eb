"""The pages of notebooks/guides do what they show; that of Ray is run in test_ray."""

import pytest

from .pages import PAGES, run_page


@pytest.mark.parametrize(
    "page", sorted(page.name for page in PAGES.glob("*.md") if page.name != "ray.md")
)
def test_page(page, tmp_path, lr, law, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(PAGES / page, tmp_path, lr, law)
