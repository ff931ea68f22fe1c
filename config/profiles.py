"""What belongs to one environment and is refused in another: names of secrets, hosts of venues.

A key of production that works in a development workspace is an accident that waits for its day. So
a reference to a secret may not name another environment, and a venue's known hosts are for the
environments that they are meant for. Hosts that are not in the table are nobody's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from engine.contracts.session import Environment

#: Known hosts (with everything below them) and where they may be used.
HOSTS: dict[str, frozenset[Environment]] = {
    "binance.com": frozenset({Environment.SHADOW, Environment.PROD}),
    "testnet.binance.vision": frozenset({Environment.TESTNET}),
}

REFERENCE_KEYS = ("api_key_ref", "secret_ref", "watchdog_api_key_ref", "watchdog_secret_ref")
ADDRESS_KEYS = ("rest_url", "ws_url", "ws_api_url")
_WORDS = re.compile(r"[^a-z0-9]+")


def mixed_up(environment: Environment, venue: Mapping[str, object]) -> list[tuple[str, str]]:
    """The keys of section `venue` that belong to another environment, as (key, what is allowed)."""
    found: list[tuple[str, str]] = []
    for key in REFERENCE_KEYS:
        others = _environments_in(str(venue[key])) - {environment}
        if others:
            text = f"a secret of environment {environment}; this one is named {_names(others)}"
            found.append((f"venue.{key}", text))
    for key in ADDRESS_KEYS:
        meant = _meant_for(urlsplit(str(venue[key])).hostname or "")
        if meant and environment not in meant:
            text = f"a host for environment {environment}; this one is for {_names(meant)}"
            found.append((f"venue.{key}", text))
    return found


def _environments_in(reference: str) -> set[Environment]:
    """The environments that a reference names; of a path only its file counts."""
    kind, _, rest = reference.partition(":")
    name = PurePosixPath(rest.partition("#")[0]).name if kind == "file" else rest
    words = set(_WORDS.split(name.lower()))
    return {one for one in Environment if one.value in words}


def _meant_for(host: str) -> frozenset[Environment]:
    for known, meant in HOSTS.items():
        if host == known or host.endswith(f".{known}"):
            return meant
    return frozenset()


def _names(environments: frozenset[Environment] | set[Environment]) -> str:
    return ", ".join(sorted(one.value for one in environments))
