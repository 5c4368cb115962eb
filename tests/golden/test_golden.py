"""What the command prints and the public functions return is what is recorded."""

from difflib import unified_diff
from pathlib import Path

import pytest

from .replay import FORMULAS, TRANSCRIPTS, agree, compared


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_the_record_holds(path: Path):
    changed = [
        line
        for recorded, found in compared(path)
        for line in unified_diff(
            recorded.splitlines(), found.splitlines(), "recorded", "found", n=2, lineterm=""
        )
    ]
    assert not changed, "\n".join([f"{path.name} changed; if meant, `make golden`", *changed])


@pytest.mark.parametrize(
    ("found", "same"),
    [
        ("lr 0.3000000000000001 of 3", True),
        ("lr 0.3000001 of 3", False),
        ("lr 0.30000000000000004 of 4", False),
        ("LR 0.30000000000000004 of 3", False),
        ("lr 0.30000000000000004  of 3", False),
        ("lr 0.30000000000000004 of 3 0.1", False),
    ],
)
def test_only_last_digits_may_differ(found, same):
    assert agree("lr 0.30000000000000004 of 3", found, FORMULAS) is same
