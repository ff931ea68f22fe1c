"""What the adapter is told: hosts, credentials, windows. Plain values, no config, no environment.

The credentials never show in `repr` (I10). Exactly one of `secret` (HMAC) and
`ed25519_private_key` (path of an unencrypted PEM file) is given.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from engine.contracts.errors import ConfigError
from engine.venues.binance.signing import Ed25519Signer, HmacSigner, Signer


@dataclass(frozen=True, kw_only=True, slots=True)
class BinanceOptions:
    """Where the venue is and who we are there. `*_s` in seconds, `*_ms` in milliseconds.

    `rest_url` is `https://host` (the adapter appends `/api/v3`), `ws_url` is `wss://host` (it
    appends `/stream?streams=...`), `ws_api_url` is the whole `wss://host/ws-api/v3`.
    """

    name: str
    rest_url: str
    ws_url: str
    ws_api_url: str
    api_key: str = field(repr=False)
    secret: str = field(default="", repr=False)
    ed25519_private_key: Path | None = field(default=None, repr=False)
    symbols: tuple[str, ...] = ()
    recv_window_ms: int = 5000
    #: TCP and TLS handshake.
    connect_timeout_s: float = 3.0
    #: Whole request of an order or a cancel; past it the outcome is UNKNOWN.
    trade_timeout_s: float = 5.0
    #: One attempt of a cancel or of a proof; all of a cancel's end with `trade_timeout_s`.
    cancel_attempt_s: float = 2.0
    #: Whole request of one attempt of a query, and the deadline of all its attempts.
    query_timeout_s: float = 5.0
    query_deadline_s: float = 10.0
    #: Attempts of a query or cancel, the first included. Orders have one attempt, always.
    query_attempts: int = 3
    #: First and longest pause between two attempts, jitter included.
    retry_first_s: float = 0.1
    retry_longest_s: float = 1.0
    #: A Retry-After of the venue is waited out inside a query or cancel up to this long.
    silence_waited_s: float = 2.0
    #: The clock is measured again when the last reading is so old.
    clock_every_s: float = 180.0
    #: Pause between two rounds of requests that only keep connections open for a kill.
    keep_warm_s: float = 25.0
    #: Levels of each side in a BookTop.
    book_levels: int = 20
    #: Levels of each side asked for in a snapshot.
    snapshot_levels: int = 1000
    #: Without a depth event for this long the book is checked against the venue's own.
    silence_s: float = 2.0
    #: Pause between two pings of a stream; the answer is due within the same time.
    ping_s: float = 10.0
    #: An order or cancel that the venue confirmed is on the user stream within this time.
    report_due_s: float = 3.0
    #: First and longest pause before a stream is connected again.
    reconnect_first_s: float = 0.1
    reconnect_longest_s: float = 10.0
    #: A connection of this age is replaced before the venue cuts it at 24 h.
    renew_after_s: float = 23 * 3600.0
    #: Old and new connection overlap for so long, so that nothing falls between them.
    overlap_s: float = 0.5

    def signer(self) -> Signer:
        """Build the signer of the one credential that was given. Raises ConfigError."""
        if bool(self.secret) == (self.ed25519_private_key is not None):
            raise ConfigError(
                what="needs exactly one of an HMAC secret and an Ed25519 private key",
                where=f"venue {self.name}",
                todo="give one of the two references in the workspace's configuration",
            )
        if self.ed25519_private_key is not None:
            return Ed25519Signer.from_file(self.ed25519_private_key)
        return HmacSigner(self.secret)
