"""Requests that a market connection may send: SUBSCRIBE and its relatives (venue.md 2.7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from engine.sandbox.streams import Streams, Subscriber

_MOST_A_SECOND = 5


class _Request(msgspec.Struct, kw_only=True):
    method: str
    params: list[str | bool] = []
    id: int | str | None = None


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
        except msgspec.DecodeError:
            self._reply({"code": 3, "msg": "Invalid JSON: not a JSON object"})
        else:
            self._reply(self._answer(request))
        return True

    def _answer(self, request: _Request) -> dict[str, object]:
        names = [name for name in request.params if isinstance(name, str)]
        result: object = None
        match request.method, request.params:
            case "SUBSCRIBE", _:
                self._streams.subscribe(self._subscriber, names)
            case "UNSUBSCRIBE", _:
                self._streams.unsubscribe(self._subscriber, names)
            case "LIST_SUBSCRIPTIONS", _:
                result = sorted(self._subscriber.streams)
            case "SET_PROPERTY", ["combined", bool() as combined]:
                self._subscriber.combined = combined
            case "GET_PROPERTY", ["combined"]:
                result = self._subscriber.combined
            case _:
                return {
                    "code": 2,
                    "msg": "Invalid request: unknown method or parameters",
                    "id": request.id,
                }
        return {"result": result, "id": request.id}

    def _reply(self, document: dict[str, object]) -> None:
        self._subscriber.connection.send(msgspec.json.encode(document))
