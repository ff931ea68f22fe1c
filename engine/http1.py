"""Reading one HTTP/1.1 answer from bytes as they come: no socket, no clock (sans I/O).

For connections that carry one small request after another and where a general client costs more
than the exchange itself: the control socket and the order path. The parsing is llhttp's, by
httptools; here is only what makes one answer of it, and what must not be taken for one: anything
that is not plainly HTTP/1.1 with a length that can be trusted raises `NotHttpError`, and nothing is
guessed. Not for HEAD, upgrades and compressed bodies: nobody here asks for them.
"""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

#: More than any answer of the venue or of the engine.
MAX_HEAD = 64 * 1024
MAX_BODY = 64 * 1024 * 1024

_NO_BODY = frozenset({204, 304})


class NotHttpError(ConnectionError):
    """What came is not an answer that can be trusted; whether the request was done is unknown."""


class Reader:
    """Reads one answer. `feed` until it returns True; `finish` when the peer closed.

    After that: `status`, `headers` (names in lower case; of a repeated name the last), `body`, and
    `reusable`, whether the connection may carry another request. The `on_` methods are called by
    the parser.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.reusable = False
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._chunks: list[bytes] = []
        self._size = 0
        self._done = False
        self._open_end = False

    @property
    def begun(self) -> bool:
        """Whether any byte of the answer is here."""
        return self._size > 0

    def feed(self, received: bytes) -> bool:
        """Take more bytes; True when the answer is whole. Raises NotHttpError."""
        parser = self._parser
        if parser is None:
            self.reusable = False  # whole already: these bytes are of nobody
            return True
        self._size += len(received)
        if self._size > (MAX_BODY if self.status else MAX_HEAD) + MAX_HEAD:
            raise NotHttpError("an answer without end")
        try:
            parser.feed_data(received)
        except HttpParserUpgrade as error:
            raise NotHttpError("an upgrade that nobody asked for") from error
        except HttpParserError as error:
            if not self._done:
                raise NotHttpError(f"not HTTP/1.1 ({error})") from error
            # The answer was whole; what came after it is of nobody.
            self.reusable = False
        if self._done:
            self._parser = (
                None  # parser and reader know each other: nothing is left to the collector
            )
        return self._done

    def finish(self) -> bool:
        """The peer closed: True when that was the end of a body without a length."""
        if self._open_end and not self._done:
            self.body = b"".join(self._chunks)
            self._done = True
        return self._done

    # --- what the parser tells ------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A second answer to one request: whose it is cannot be known."""
        if self._done:
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field of the head (or of the trailers, which nobody reads)."""
        if not self._done and not self.status:
            self.headers[name.decode("ascii").lower()] = value.strip(b" \t").decode("latin-1")

    def on_headers_complete(self) -> None:
        """The head is whole: refuse what cannot be trusted before a byte of the body."""
        parser = self._parser
        if self._done or parser is None:
            return
        status = parser.get_status_code()
        if status < 200:
            if status == 101:
                raise NotHttpError("an upgrade that nobody asked for")
            self.headers.clear()
            return
        headers = self.headers
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise NotHttpError("a compressed body that nobody asked for")
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        if coding is not None and (coding.lower() != "chunked" or length is not None):
            raise NotHttpError("a body whose length cannot be trusted")
        if length is not None and int(length) > MAX_BODY:
            raise NotHttpError("a length that is none")
        self.status = status
        self._open_end = coding is None and length is None and status not in _NO_BODY
        kept = parser.get_http_version() == "1.1" and parser.should_keep_alive()
        self.reusable = kept and not self._open_end

    def on_body(self, chunk: bytes) -> None:
        """A piece of the body."""
        if not self._done:
            self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        """The whole message; an answer on the way (1xx) is passed over."""
        if self.status and not self._done:
            self.body = b"".join(self._chunks)
            self._done = True
