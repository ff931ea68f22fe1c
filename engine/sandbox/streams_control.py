"""Requests that a market connection may send: SUBSCRIBE and its relatives (venue.md 2.7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from engine.sandbox.streams import Streams, Subscriber

_MOST_A_SECOND = 5
_MOST_STREAMS = 1024
_LONGEST_ID = 36
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


class _Request(msgspec.Struct, kw_only=True):
    method: str
    params: list[str | bool | int | None] = []
    id: int | str | None = None


class _Refused(Exception):  # noqa: N818  (an answer, not a fault)
    """A request that is answered with a code (web-socket-streams.md, Error Messages)."""

    def __init__(self, code: int, msg: str) -> None:
        self.code = code
        self.msg = msg if code in {0, 1} else f"Invalid request: {msg}"
        super().__init__(self.msg)


class Control:
    """The control side of one connection."""

    def __init__(
        self, streams: Streams, subscriber: Subscriber, clock_us: Callable[[], int]
    ) -> None:
        self._streams = streams
        self._subscriber = subscriber
        self._clock_us = clock_us
        self._second = 0
        self._received = 0

    def take(self, text: str) -> bool:
        """Answer one request; False when the connection must end (over 5 messages a second)."""
        second = self._clock_us() // 1_000_000
        if second != self._second:
            self._second, self._received = second, 0
        self._received += 1
        if self._received > _MOST_A_SECOND:
            return False
        try:
            request = msgspec.json.decode(text, type=_Request)
        except msgspec.ValidationError as error:
            self._reply({"code": 2, "msg": f"Invalid request: {error}"})
            return True
        except msgspec.DecodeError as error:
            self._reply({"code": 3, "msg": f"Invalid JSON: {error}"})
            return True
        try:
            self._reply({"result": self._result(request), "id": request.id})
        except _Refused as refused:
            self._reply({"code": refused.code, "msg": refused.msg, "id": request.id})
        return True

    def _result(self, request: _Request) -> object:
        if isinstance(request.id, str) and len(request.id) > _LONGEST_ID:
            raise _Refused(2, f"request ID must have at most {_LONGEST_ID} characters")
        match request.method:
            case "SUBSCRIBE":
                names = _names(request)
                if len(self._subscriber.streams | set(names)) > _MOST_STREAMS:
                    raise _Refused(2, f"more than {_MOST_STREAMS} streams on a connection")
                self._streams.subscribe(self._subscriber, names)
            case "UNSUBSCRIBE":
                self._streams.unsubscribe(self._subscriber, _names(request))
            case "LIST_SUBSCRIPTIONS":
                return sorted(self._subscriber.streams)
            case "SET_PROPERTY":
                (value,) = _property(request, 1)
                if not isinstance(value, bool):
                    raise _Refused(1, "Invalid value type: expected Boolean")
                self._subscriber.combined = value
            case "GET_PROPERTY":
                _property(request, 0)
                return self._subscriber.combined
            case _:
                expected = ", ".join(f"`{name}`" for name in _METHODS)
                raise _Refused(2, f"unknown variant `{request.method[:60]}`, expected {expected}")
        return None

    def _reply(self, document: dict[str, object]) -> None:
        self._subscriber.connection.send(msgspec.json.encode(document))


def _names(request: _Request) -> list[str]:
    """The streams that a request names."""
    names = [name for name in request.params if isinstance(name, str)]
    if not names or len(names) != len(request.params):
        raise _Refused(2, "params must be names of streams")
    return names


def _property(request: _Request, values: int) -> list[str | bool | int | None]:
    """What follows the property's name; `combined` is the only property."""
    name, *rest = request.params or [None]
    if not isinstance(name, str):
        raise _Refused(2, "property name must be a string")
    if name != "combined":
        raise _Refused(0, "Unknown property")
    if len(rest) != values:
        raise _Refused(2, "too many parameters" if len(rest) > values else "missing value")
    return rest
