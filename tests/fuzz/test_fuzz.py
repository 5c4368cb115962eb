"""A thousand calls by chance: no traceback, no nan, no control character, no file left over."""

from contextlib import chdir

import pytest

from .fuzz import BASES, commands, make, run, write_sound_files

_CALLS = 1000
#: Options by which `lr plot --all` takes its time.
_SLOW = {"--all"}


@pytest.mark.parametrize("command", BASES)
def test_what_is_damaged_answers_when_it_is_whole(command, tmp_path):
    write_sound_files(tmp_path)
    with chdir(tmp_path):
        for base in BASES[command]:
            call = make([*command.split(), *(text.removeprefix("FILE:") for text in base)])
            assert (call.status, call.wrong) == (0, ""), str(call)


def test_every_command_and_option_is_in_what_is_damaged():
    found = commands()
    assert set(found) == {*BASES, "lab run"}
    shared = set().union(*BASES["query"])  # by which a law is made
    for name, bases in BASES.items():
        options = {x.opts[0] for x in found[name].params if x.param_type_name == "option"}
        assert options - shared - _SLOW <= set().union(*bases), name


@pytest.mark.parametrize("seed", range(4))
def test_no_call_ends_badly(seed):
    found = list(run(_CALLS // 4, seed))
    assert [str(call) for call in found if call.wrong] == []
    answered = sum(call.status == 0 for call in found)
    assert answered > _CALLS / 4 / 10  # enough of them got through to the arithmetic
