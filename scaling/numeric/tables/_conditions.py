"""Conditions on the rows of a table, such as ``D == 1e10 and model != "85M"``.

A language of its own, of comparisons joined by ``and``: what a user types is never evaluated as
Python.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from scaling.errors import InputError
from scaling.numeric.inputs.text import NUMBER

#: The same comparison with its sides exchanged.
_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

_TOKEN = re.compile(
    rf"""
    (?P<number>{NUMBER})(?![\w.])
    | "(?P<text>[^"]*)" | '(?P<text_too>[^']*)'
    | `(?P<column>[^`]+)`
    | (?P<sign>[=!]=|[<>]=?)
    | (?P<word>(?:and|or|not|in|is)\b)
    | (?P<name>[^\W\d][\w./]*)
    """,
    re.VERBOSE,
)
_OPERANDS = ("column", "number", "text")
_RULES = (
    'write comparisons of a column with a number or a text in quotes, joined by "and", such as '
    "D == 1e10 and model != '85M'; names that are no plain words go in backticks"
)


class Comparison(NamedTuple):
    """A column compared with a number or, by == and != only, with a text."""

    name: str
    sign: str
    value: float | str


class _Token(NamedTuple):
    kind: str  # column, number, text, sign, word, end
    text: str


def parse_condition(text: str) -> list[Comparison]:
    """Read a condition as the comparisons that must all hold.

    Parameters
    ----------
    text : str
        Comparisons by ``== != < <= > >=``, joined by ``and``; they may be chained, as in
        ``64 <= bs < 1024``.

    Raises
    ------
    InputError
        Saying what was not understood.

    Examples
    --------
    >>> parse_condition("D == 1e10 and model != '85M'")
    [Comparison(name='D', sign='==', value=10000000000.0),
     Comparison(name='model', sign='!=', value='85M')]
    """
    comparisons = []
    try:
        tokens = _tokens(text)
        after = _Token("word", "and")
        while after == ("word", "and"):
            left, sign = _take(tokens, *_OPERANDS), _take(tokens, "sign")
            while sign.kind == "sign":
                right = _take(tokens, *_OPERANDS)
                comparisons.append(_compare(left, sign.text, right))
                left, sign = right, next(tokens)
            after = sign
        if after.kind != "end":
            raise _misplaced(after)
    except _NotUnderstoodError as error:
        raise InputError(f"{text!r} is not understood: {error}; {_RULES}", "where") from None
    return comparisons


class _NotUnderstoodError(Exception):
    """Says where a condition leaves the language."""


def _tokens(text: str) -> Iterator[_Token]:
    rest = text.strip()
    while rest:
        found = _TOKEN.match(rest)
        if not found:
            raise _NotUnderstoodError(f"what is {rest!r}?")
        kind = str(found.lastgroup)
        kind = {"text_too": "text", "name": "column"}.get(kind, kind)
        yield _Token(kind, found[str(found.lastgroup)])
        rest = rest[found.end() :].lstrip()
    yield _Token("end", "")


def _take(tokens: Iterator[_Token], *kinds: str) -> _Token:
    """Return the next token, which must be of one of these kinds."""
    token = next(tokens)
    if token.kind not in kinds:
        raise _misplaced(token)
    return token


def _misplaced(token: _Token) -> _NotUnderstoodError:
    if token.kind == "end":
        return _NotUnderstoodError("it ends too early")
    return _NotUnderstoodError(f"{token.text!r} is out of place")


def _compare(left: _Token, sign: str, right: _Token) -> Comparison:
    if left.kind != "column":
        left, sign, right = right, _MIRRORED[sign], left
    if left.kind != "column":
        raise _NotUnderstoodError(f"neither {left.text!r} nor {right.text!r} is a column")
    if right.kind == "column":
        raise _NotUnderstoodError(f"{right.text!r} is neither a number nor in quotes")
    if right.kind == "number":
        return Comparison(left.text, sign, float(right.text))
    if sign not in ("==", "!="):
        raise _NotUnderstoodError(f"texts have no order, so not {sign} {right.text!r}")
    return Comparison(left.text, sign, right.text)
