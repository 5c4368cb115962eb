"""What a pickle says, as plain data: nothing that it names is imported, called or built.

`pickletools.genops` decodes the instructions; a small stack machine follows those that build
numbers, texts and containers. A function or class is its name, and a call of one a record of the
name and the arguments, whatever it would have done.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from scaling.errors import DataError


@dataclass(frozen=True)
class Named:
    """A function or class, by its full name."""

    name: str


@dataclass(eq=False)
class Made:
    """What calling a function or class with some arguments would have made."""

    name: str
    args: tuple[Any, ...]
    state: Any = None
    content: Any = field(default_factory=dict)


_MARK = object()
#: Called without arguments they are empty dictionaries, as far as their content goes.
_DICTS = {"collections.OrderedDict", "collections.defaultdict", "builtins.dict"}


def read_pickle(data: bytes) -> Any:
    """Return what a pickle describes: plain values, `Named`, `Made` and persistent ids as `Made`.

    Raises
    ------
    DataError
        If it is malformed, or uses what no checkpoint needs; one line, without the file's name.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return machine.stack.pop()
            machine.follow(opcode.name, argument)
    except _UnknownError as error:
        raise DataError(f"its pickle uses {error}, which no tensor needs") from None
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, UnicodeError):
        raise DataError("its pickle is malformed or cut short") from None
    raise DataError("its pickle is cut short")


class _UnknownError(Exception):
    """An instruction that is not followed."""


class _Machine:
    """The stack and the memory of a pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def follow(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _TUPLES:
            self._sized_tuple(_TUPLES[name])
        elif name in {"PUT", "BINPUT", "LONG_BINPUT"}:
            self.memo[argument] = self.stack[-1]
        elif name in {"GET", "BINGET", "LONG_BINGET"}:
            self.stack.append(self.memo[argument])
        elif name not in {"PROTO", "FRAME"}:
            method = getattr(self, f"_{name.lower()}", None)
            if method is None:
                raise _UnknownError(name)
            method(argument)

    def _sized_tuple(self, size: int) -> None:
        items = tuple(self.stack[-size:])
        if len(items) < size:
            raise IndexError
        del self.stack[-size:]
        self.stack.append(items)

    def _marked(self) -> list[Any]:
        """Take what lies above the last mark."""
        items: list[Any] = []
        while (item := self.stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _pop(self, _: Any) -> None:
        self.stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self._marked()

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._marked()))

    def _list(self, _: Any) -> None:
        self.stack.append(self._marked())

    _frozenset = _list

    def _dict(self, _: Any) -> None:
        items = self._marked()
        self.stack.append({})
        self._set(items)

    def _append(self, _: Any) -> None:
        item = self.stack.pop()
        self._extend([item])

    def _appends(self, _: Any) -> None:
        self._extend(self._marked())

    _additems = _appends

    def _extend(self, items: list[Any]) -> None:
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)
        elif not isinstance(self.stack[-1], Made):
            raise TypeError

    def _setitem(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def _setitems(self, _: Any) -> None:
        self._set(self._marked())

    def _set(self, items: list[Any]) -> None:
        target = self.stack[-1]
        mapping = target.content if isinstance(target, Made) else target
        for key, value in zip(items[::2], items[1::2], strict=True):
            # The hash of tuples within tuples may take for ever.
            parts = key if isinstance(key, tuple) else (key,)
            if any(isinstance(part, tuple) for part in parts):
                raise TypeError
            mapping[key] = value

    def _global(self, argument: str) -> None:
        self.stack.append(Named(argument.replace(" ", ".", 1)))

    def _stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise TypeError
        self.stack.append(Named(f"{module}.{name}"))

    def _reduce(self, _: Any) -> None:
        args, function = self.stack.pop(), self.stack.pop()
        name = function.name if isinstance(function, Named) else "(unnamed)"
        self.stack.append({} if name in _DICTS else Made(name, args))

    _newobj = _reduce

    def _newobj_ex(self, _: Any) -> None:
        self.stack.pop()
        self._reduce(None)

    def _build(self, _: Any) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Made):
            self.stack[-1].state = state

    def _binpersid(self, _: Any) -> None:
        self.stack.append(Made("persistent", self.stack.pop()))


_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "BYTEARRAY8"),
}
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "MARK": lambda: _MARK,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
