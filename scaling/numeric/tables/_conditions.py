"""Conditions on the rows of a table, such as ``D == 1e10 and model != "85M"``.

They are parsed as Python and never evaluated: all that is understood is comparisons joined by
``and``.
"""

import ast
import operator
import re
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from scaling.errors import InputError

_SIGNS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
#: The same comparison with its sides exchanged.
_MIRRORED = {
    operator.lt: operator.gt,
    operator.le: operator.ge,
    operator.gt: operator.lt,
    operator.ge: operator.le,
}
_QUOTED = re.compile(r"""`([^`]+)`|"([^"]*)"|'([^']*)'""")
_NAME = re.compile(r"[^\W\d][\w./]*")
_RULES = (
    'write comparisons of a column with a number or a text in quotes, joined by "and", such as '
    "D == 1e10 and model != '85M'; names that are no plain words go in backticks"
)


class Comparison(NamedTuple):
    """A column compared with a number or, by == and != only, with a text."""

    name: str
    compare: Callable[[Any, Any], Any]
    value: float | str


class _Column(NamedTuple):
    name: str


class _NotUnderstoodError(Exception):
    """Says where a condition leaves the language."""


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
    [Comparison(name='D', compare=<built-in function eq>, value=10000000000.0),
     Comparison(name='model', compare=<built-in function ne>, value='85M')]
    """
    # A column in backticks becomes a list, and a backslash in a text only a backslash.
    source = _QUOTED.sub(lambda m: f"[{m[1]!r}]" if m[1] else repr(m[2] or m[3] or ""), text)
    source = source.strip()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # which Python gives where a number runs into a word
            tree = ast.parse(source, mode="eval")
        return list(_comparisons(tree.body, source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        problem = "is not understood"
    except _NotUnderstoodError as error:
        problem = f"is not understood: {error}"
    raise InputError(f"{text!r} {problem}; {_RULES}", "where")


def _comparisons(node: ast.expr, source: str) -> Iterator[Comparison]:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        for value in node.values:
            yield from _comparisons(value, source)
    elif isinstance(node, ast.Compare):
        sides = [_operand(side, source) for side in (node.left, *node.comparators)]
        for (left, right), sign in zip(pairwise(sides), node.ops, strict=True):
            if type(sign) not in _SIGNS:
                raise _NotUnderstoodError(f"what is {ast.get_source_segment(source, node)!r}?")
            yield _comparison(left, _SIGNS[type(sign)], right)
    else:
        raise _NotUnderstoodError(f"{ast.get_source_segment(source, node)!r} is no comparison")


def _operand(node: ast.expr, source: str) -> _Column | float | str:
    segment = ast.get_source_segment(source, node) or ""
    match node:
        case ast.List(elts=[ast.Constant(value=str(name))]):
            return _Column(name)
        case ast.Name() | ast.Attribute() | ast.BinOp() if _NAME.fullmatch(segment):
            return _Column(segment)
        case ast.Constant(value=str(text)) if segment == repr(text):  # and not two in a row
            return text
        case ast.Constant() | ast.UnaryOp():
            try:
                return float(segment)
            except ValueError:
                pass
    raise _NotUnderstoodError(f"what is {segment!r}?")


def _comparison(
    left: _Column | float | str, compare: Callable[[Any, Any], Any], right: _Column | float | str
) -> Comparison:
    if not isinstance(left, _Column):
        left, compare, right = right, _MIRRORED.get(compare, compare), left
    if not isinstance(left, _Column):
        raise _NotUnderstoodError(f"neither {left!r} nor {right!r} is a column")
    if isinstance(right, _Column):
        raise _NotUnderstoodError(f"{right.name!r} is neither a number nor in quotes")
    if isinstance(right, str) and compare not in (operator.eq, operator.ne):
        raise _NotUnderstoodError(f"texts have no order, so none comes before or after {right!r}")
    return Comparison(left.name, compare, right)
