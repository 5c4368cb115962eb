"""A thousand calls by chance: no traceback, no nan, no control character, no file left over."""

import pytest

from .fuzz import run

_CALLS = 1000


@pytest.mark.parametrize("seed", range(4))
def test_no_call_ends_badly(seed):
    found = list(run(_CALLS // 4, seed))
    assert [str(call) for call in found if call.wrong] == []
    answered = sum(call.status == 0 for call in found)
    assert answered > _CALLS / 4 / 10  # enough of them got through to the arithmetic
