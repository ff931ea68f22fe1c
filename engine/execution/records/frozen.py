"""The state of the folds as plain bytes and back, so that a restart need not fold years again.

Theory. The folds are made of our own classes over plain values. `freeze` walks them and writes what
it finds as MessagePack: plain values as they are, everything else as a tagged list. `thaw` makes
the same objects again. It runs no code that the bytes could choose: a class is looked up only among
the modules of the folds, filled field by field, and never called with anything but its own fields;
that is why this is not pickle. What is shared stays shared. The bytes of equal states are equal.

Whether bytes may be thawed at all is the question of `checkpoint`. Pure: bytes in memory.
"""

from __future__ import annotations

import sys
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import Enum
from typing import Any, cast

import msgspec

from engine.contracts.errors import IntegrityError

#: Where a class of a fold may live.
_ROOMS = ("contracts", "orders", "governance", "risk", "reconcile", "ops", "execution")
_NATIVE = (type(None), bool, str, float)
_INT64 = 1 << 63
#: Values that MessagePack has no word for, or not for all of them; nobody shares an array.
_VALUES: dict[type, Callable[[Any], object]] = {
    int: lambda number: number if -_INT64 <= number < _INT64 else ["int", str(number)],
    Decimal: lambda amount: ["decimal", str(amount)],
    bytes: lambda content: ["bytes", content],
    array: lambda numbers: ["array", numbers.typecode, numbers.tobytes()],
}
_MAPPINGS: dict[type, str] = {dict: "map", OrderedDict: "ordered", Counter: "counter"}
#: What a dictionary may make its missing values by.
_FACTORIES: dict[str, Callable[[], Any]] = {
    one.__name__: one for one in (int, str, list, dict, set, Decimal, deque, Counter)
}


class NotPlain(TypeError):  # noqa: N818  (says what the value is)
    """The state holds something that cannot be written down; there is no checkpoint of it."""


def freeze(value: object) -> bytes:
    """The value as bytes. Raises NotPlain naming the class of what cannot be written."""
    return msgspec.msgpack.encode(_Freezing().plain(value))


def thaw(content: bytes) -> Any:
    """What `freeze` was given. Raises IntegrityError for bytes that are not its own."""
    try:
        return _Thawing().value(msgspec.msgpack.decode(content))
    except (
        *(msgspec.DecodeError, ArithmeticError, AttributeError, IndexError, KeyError),
        *(RecursionError, TypeError, ValueError),
    ) as error:
        raise IntegrityError(
            what=f"the frozen state does not read ({type(error).__name__}: {error})",
            where="checkpoint",
        ) from error


class _Freezing:
    """One walk; knows by identity what was written already."""

    def __init__(self) -> None:
        self._places: dict[int, int] = {}
        #: keeps what was made on the way alive, so that no identity is used twice
        self._made: list[object] = []

    def plain(self, value: Any) -> object:
        """The value as MessagePack can say it."""
        kind = type(value)
        if kind in _NATIVE:
            return value
        if kind in _VALUES:
            return _VALUES[kind](value)
        if isinstance(value, tuple | frozenset | Enum) or _is_frozen(value):
            return self._value(kind, value)
        if (place := self._places.get(id(value))) is not None:
            return ["same", place]
        self._places[id(value)] = len(self._places)
        self._made.append(value)
        return self._changeable(kind, value)

    def _value(self, kind: type, value: Any) -> object:
        """What never changes: no matter how often it is written."""
        match value:
            case tuple() if kind is tuple:
                return ["tuple", self._all(value)]
            case frozenset() if kind is frozenset:
                return ["frozenset", self._sorted(value)]
            case Enum():
                return ["enum", _name(kind), self.plain(value.value)]
            case msgspec.Struct():
                return ["struct", _name(kind), self._fields(value, value.__struct_fields__)]
        raise NotPlain(f"{kind.__module__}.{kind.__qualname__}")

    def _changeable(self, kind: type, value: Any) -> object:
        """What can be changed: written once, pointed to afterwards."""
        if kind in _MAPPINGS:
            return [_MAPPINGS[kind], self._pairs(value)]
        if kind in {list, set}:
            return [kind.__name__, self._sorted(value) if kind is set else self._all(value)]
        if kind is deque:
            return ["deque", value.maxlen, self._all(value)]
        if kind is defaultdict:
            return ["default", _factory(value.default_factory), self._pairs(value)]
        if isinstance(value, msgspec.Struct):
            return ["record", _name(kind), self._fields(value, value.__struct_fields__)]
        return ["object", _name(kind), self._own(kind, value)]

    def _own(self, kind: type, value: Any) -> dict[str, object]:
        """An object's own attributes, or those that it says it is made of."""
        if "__getstate__" not in vars(kind):
            return self._fields(value, _attributes(value))
        state = cast("dict[str, object]", value.__getstate__())
        self._made.append(state)
        return {key: self.plain(one) for key, one in state.items()}

    def _all(self, values: Iterable[object]) -> list[object]:
        return [self.plain(one) for one in values]

    def _sorted(self, values: Iterable[object]) -> list[object]:
        return sorted(self._all(values), key=msgspec.msgpack.encode)

    def _pairs(self, values: dict[Any, Any]) -> list[object]:
        return [[self.plain(key), self.plain(one)] for key, one in values.items()]

    def _fields(self, value: object, names: Iterable[str]) -> dict[str, object]:
        return {name: self.plain(getattr(value, name)) for name in names}


class _Thawing:
    """The way back, meeting everything in the same order. A tag is read by `read_<tag>`."""

    def __init__(self) -> None:
        self._shared: list[Any] = []

    def value(self, plain: Any) -> Any:
        """What was written as `plain`."""
        if type(plain) is not list:
            return plain
        tag, *rest = plain
        read = getattr(self, f"read_{tag}", None)
        if read is None:
            raise ValueError(f"no such tag: {str(tag)[:40]!r}")
        return read(*rest)

    def read_int(self, text: str) -> int:
        return int(text)

    def read_decimal(self, text: str) -> Decimal:
        return Decimal(text)

    def read_bytes(self, content: bytes) -> bytes:
        return content

    def read_array(self, typecode: str, content: bytes) -> array[Any]:
        made: array[Any] = array(typecode)
        made.frombytes(content)
        return made

    def read_enum(self, name: str, value: Any) -> Any:
        return _class(name, Enum)(self.value(value))

    def read_tuple(self, values: list[Any]) -> tuple[Any, ...]:
        return tuple(self.value(one) for one in values)

    def read_frozenset(self, values: list[Any]) -> frozenset[Any]:
        return frozenset(self.value(one) for one in values)

    def read_struct(self, name: str, fields: dict[str, Any]) -> Any:
        cls = _class(name, msgspec.Struct)
        return cls(**{key: self.value(one) for key, one in fields.items()})

    def read_record(self, name: str, fields: dict[str, Any]) -> Any:
        place = len(self._shared)
        self._shared.append(None)
        made = self._shared[place] = self.read_struct(name, fields)
        return made

    def read_same(self, place: int) -> Any:
        return self._shared[place]

    def read_list(self, values: list[Any]) -> list[Any]:
        made: list[Any] = self._keep([])
        made.extend(self.value(one) for one in values)
        return made

    def read_set(self, values: list[Any]) -> set[Any]:
        made: set[Any] = self._keep(set())
        made.update(self.value(one) for one in values)
        return made

    def read_deque(self, longest: int | None, values: list[Any]) -> deque[Any]:
        made: deque[Any] = self._keep(deque(maxlen=longest))
        made.extend(self.value(one) for one in values)
        return made

    def read_map(self, pairs: list[Any]) -> Any:
        return self._fill({}, pairs)

    def read_ordered(self, pairs: list[Any]) -> Any:
        return self._fill(OrderedDict(), pairs)

    def read_counter(self, pairs: list[Any]) -> Any:
        return self._fill(Counter(), pairs)

    def read_default(self, name: str, pairs: list[Any]) -> Any:
        return self._fill(defaultdict(_FACTORIES[name] if name else None), pairs)

    def read_object(self, name: str, fields: dict[str, Any]) -> Any:
        cls = _class(name, object)
        made = self._keep(object.__new__(cls))
        state = {key: self.value(one) for key, one in fields.items()}
        if "__setstate__" in vars(cls):
            made.__setstate__(state)
        else:
            for key, one in state.items():
                object.__setattr__(made, key, one)
        return made

    def _fill(self, made: Any, pairs: list[Any]) -> Any:
        self._keep(made)
        for key, one in pairs:
            made[self.value(key)] = self.value(one)
        return made

    def _keep(self, made: Any) -> Any:
        self._shared.append(made)
        return made


def _is_frozen(value: object) -> bool:
    return isinstance(value, msgspec.Struct) and value.__struct_config__.frozen


def _attributes(value: object) -> list[str]:
    """Names of an object's own attributes: its dictionary's and its slots'."""
    names = list(getattr(value, "__dict__", {}))
    for cls in type(value).__mro__:
        slots = vars(cls).get("__slots__", ())
        names += [slots] if isinstance(slots, str) else slots
    return [name for name in names if hasattr(value, name) and name != "__dict__"]


def _name(cls: type) -> str:
    if not _is_ours(cls.__module__) or "<locals>" in cls.__qualname__:
        raise NotPlain(f"{cls.__module__}.{cls.__qualname__}")
    return f"{cls.__module__}:{cls.__qualname__}"


def _is_ours(module: str) -> bool:
    parts = module.split(".")
    return len(parts) > 1 and parts[0] == "engine" and parts[1] in _ROOMS


def _class(name: str, base: type) -> Any:
    """A class of the folds by its name; only of modules that are loaded already."""
    module, _, qualified = name.partition(":")
    found: Any = sys.modules.get(module) if _is_ours(module) else None
    for part in qualified.split("."):
        found = vars(found).get(part) if found is not None else None
    if not isinstance(found, type) or not issubclass(found, base) or found.__module__ != module:
        raise ValueError(f"not a class of the state: {name[:80]!r}")
    return found


def _factory(made_by: Callable[[], Any] | None) -> str:
    if made_by is None:
        return ""
    name = getattr(made_by, "__name__", "")
    if _FACTORIES.get(name) is not made_by:
        raise NotPlain(f"a dictionary that makes its values by {made_by!r}")
    return name
