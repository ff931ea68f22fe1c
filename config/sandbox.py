"""What the running sandbox says of itself, as a layer: URLs as values, keys as references.

The supervisor keeps the sandbox's ready line in `.peakctl/run/sandbox.json` (0600). The keys in it
are secrets of a toy exchange, and are treated like real ones all the same: the layer holds
`file:` references into that file (I10).
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from config.layers import Layer
from engine.contracts.errors import ConfigError

READY_FILE = ".peakctl/run/sandbox.json"
ORIGIN = "sandbox.json"
#: The keys that this layer sets.
SANDBOX_KEYS = frozenset(
    {
        "venue.name",
        "venue.rest_url",
        "venue.ws_url",
        "venue.ws_api_url",
        "venue.account",
        "venue.key_type",
        "venue.api_key_ref",
        "venue.secret_ref",
    }
)


def hidden(workspace: Path) -> bool:
    """Whether there is a ready line that is not ours to read."""
    path = workspace / READY_FILE
    return os.path.exists(path) and not os.access(path, os.R_OK)  # noqa: PTH110  (no error)


def sandbox_layer(workspace: Path) -> Layer | None:
    """The layer, or None while no sandbox has said that it is ready. Raises ConfigError."""
    path = workspace / READY_FILE
    try:
        ready = json.loads(path.read_bytes())
        values = {
            "venue.name": "sandbox",
            "venue.rest_url": ready["rest"],
            "venue.ws_url": ready["ws"],
            "venue.ws_api_url": ready["ws_api"],
            "venue.account": ready["accounts"][0]["name"],
            "venue.key_type": "hmac",
            "venue.api_key_ref": f"file:{READY_FILE}#accounts.0.hmac.key",
            "venue.secret_ref": f"file:{READY_FILE}#accounts.0.hmac.secret",
        }
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ConfigError(
            what=f"not a sandbox's ready line ({type(error).__name__})",
            where=READY_FILE,
            todo="stop the sandbox, remove the file and start again",
        ) from error
    return Layer(name=ORIGIN, values=values)
