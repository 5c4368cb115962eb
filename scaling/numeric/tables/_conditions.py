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
from scaling.numeric.inputs.text import NUMBER

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
    elif isinstance(node, ast.Compare) and all(type(sign) in _SIGNS for sign in node.ops):
        sides = pairwise([node.left, *node.comparators])
        for (left, right), sign in zip(sides, node.ops, strict=True):
            yield _comparison(left, _SIGNS[type(sign)], right, source)
    else:
        raise _NotUnderstoodError(f"{ast.get_source_segment(source, node)!r} is no comparison")


def _comparison(
    left: ast.expr, compare: Callable[[Any, Any], Any], right: ast.expr, source: str
) -> Comparison:
    name = _column(left, source)
    if name is None:
        left, compare, right = right, _MIRRORED.get(compare, compare), left
        name = _column(left, source)
    segment, other = (ast.get_source_segment(source, side) or "" for side in (right, left))
    if name is None:
        raise _NotUnderstoodError(f"neither {segment!r} nor {other!r} is a column")
    value = right.value if isinstance(right, ast.Constant) else None
    if isinstance(value, str) and segment == repr(value):  # and not two texts in a row
        if compare not in (operator.eq, operator.ne):
            raise _NotUnderstoodError(f"texts have no order, so none is above or below {segment}")
        return Comparison(name, compare, value)
    if not re.fullmatch(NUMBER, segment, re.ASCII):
        raise _NotUnderstoodError(f"{segment!r} is neither a number nor in quotes")
    return Comparison(name, compare, float(segment))


def _column(node: ast.expr, source: str) -> str | None:
    """Return the name of a column: in backticks, or plain words joined by points and slashes."""
    match node:
        case ast.List(elts=[ast.Constant(value=str(name))]):
            return name
        case ast.Name() | ast.Attribute() | ast.BinOp():
            segment = ast.get_source_segment(source, node) or ""
            return segment if _NAME.fullmatch(segment) else None
    return None
