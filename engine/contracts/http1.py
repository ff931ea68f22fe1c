"""Reading one HTTP/1.1 answer from bytes as they come: no socket, no clock (sans I/O).

For connections that carry one small request after another and where the library's general client
costs more than the exchange itself: the control socket and the order path. Strict where a mistake
could be taken for an answer: anything that is not plainly HTTP/1.1 with a length that can be
trusted raises `NotHttpError`, and nothing is guessed (RFC 9112 sections 2 to 7). Not for HEAD,
upgrades and compressed bodies: nobody here asks for them.
"""

from __future__ import annotations

import re

#: More than any answer of the venue or of the engine.
MAX_HEAD = 64 * 1024
MAX_BODY = 64 * 1024 * 1024

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [^\r\n\0]*)?")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?")
_NO_BODY = frozenset({204, 304})


class NotHttpError(ConnectionError):
    """What came is not an answer that can be trusted; whether the request was done is unknown."""


class Reader:
    """Reads one answer. `feed` until it returns True; `finish` when the peer closed.

    After that: `status`, `headers` (names in lower case; of a repeated name the last), `body`, and
    `reusable`, whether the connection may carry another request.
    """

    __slots__ = ("_buffer", "_chunks", "_left", "_step", "body", "headers", "reusable", "status")

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.reusable = False
        self._buffer = bytearray()
        self._chunks: list[bytes] = []
        self._left = 0
        self._step = self._head

    @property
    def begun(self) -> bool:
        """Whether any byte of the answer is here."""
        return bool(self.status or self._buffer)

    def feed(self, received: bytes) -> bool:
        """Take more bytes; True when the answer is whole. Raises NotHttpError."""
        self._buffer += received
        return self._step()

    def finish(self) -> bool:
        """The peer closed: True when that was the end of a body without a length."""
        if self._step != self._until_close:
            return False
        self.body = bytes(self._buffer)
        return True

    def _head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                raise NotHttpError("the head of the answer does not end")
            return False
        first, *fields = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        found = _STATUS.fullmatch(first)
        if found is None:
            raise NotHttpError("the answer does not begin as HTTP/1.1")
        status = int(found[2])
        if status < 200:
            if status == 101:
                raise NotHttpError("an upgrade that nobody asked for")
            return self._head()
        self.status = status
        self.headers = headers = _fields(fields)
        closes = "close" in headers.get("connection", "").lower()
        self.reusable = found[1] == b"1" and not closes
        return self._body_of(headers)

    def _body_of(self, headers: dict[str, str]) -> bool:
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise NotHttpError("a compressed body that nobody asked for")
        coding = headers.get("transfer-encoding")
        length = headers.get("content-length")
        if self.status in _NO_BODY:
            return self._whole(b"")
        if coding is not None:
            if coding.lower() != "chunked" or length is not None:
                raise NotHttpError("a body whose length cannot be trusted")
            self._step = self._chunk
        elif length is not None:
            if not (length.isascii() and length.isdigit() and int(length) <= MAX_BODY):
                raise NotHttpError("a length that is none")
            self._left = int(length)
            self._step = self._counted
        else:
            self.reusable = False
            self._step = self._until_close
        return self._step()

    def _counted(self) -> bool:
        if len(self._buffer) < self._left:
            return False
        body = bytes(self._buffer[: self._left])
        del self._buffer[: self._left]
        return self._whole(body)

    def _until_close(self) -> bool:
        if len(self._buffer) > MAX_BODY:
            raise NotHttpError("a body without end")
        return False

    def _chunk(self) -> bool:
        """Take whole chunks; the last one, of size 0, is followed by trailers and an empty line."""
        while (end := self._buffer.find(b"\r\n")) >= 0:
            found = _SIZE.fullmatch(self._buffer[:end])
            if found is None:
                raise NotHttpError("a chunk without a size")
            size = int(found[1], 16)
            if size == 0:
                self._step = self._trailers
                del self._buffer[:end]
                return self._trailers()
            if len(self._buffer) < end + size + 4:
                break
            if self._buffer[end + 2 + size : end + 4 + size] != b"\r\n":
                raise NotHttpError("a chunk longer than its size")
            self._chunks.append(bytes(self._buffer[end + 2 : end + 2 + size]))
            del self._buffer[: end + 4 + size]
        if len(self._buffer) > MAX_BODY:
            raise NotHttpError("a body without end")
        return False

    def _trailers(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                raise NotHttpError("the trailers do not end")
            return False
        del self._buffer[: end + 4]
        return self._whole(b"".join(self._chunks))

    def _whole(self, body: bytes) -> bool:
        self.body = body
        # More than one answer to one request: whose it is cannot be known.
        self.reusable = self.reusable and not self._buffer
        return True


def _fields(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or _NAME.fullmatch(name) is None:
            raise NotHttpError("a header field that is none")
        key = name.decode("ascii").lower()
        text = value.strip(b" \t").decode("latin-1")
        if key in {"content-length", "transfer-encoding"} and headers.get(key, text) != text:
            raise NotHttpError("two lengths")
        headers[key] = text
    return headers
