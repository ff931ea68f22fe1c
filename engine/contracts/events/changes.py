"""Config and roster: what was in force at a start, what a person changed, what was found changed.

`*.loaded` holds the values that a later start is compared with, so that a hand edit can be told
with key, before and after. Secrets are references here as everywhere (I10), and the addresses of
the running local sandbox are not values: they are `config.settings.LOCAL_SANDBOX`.
"""

from __future__ import annotations

import msgspec

from engine.contracts.events.base import Event


class ConfigLoaded(Event, frozen=True, kw_only=True, tag="config.loaded"):
    """The effective config of a start, where it is not the one that the journal holds already.

    `sha256` is of the effective document; `values` are texts by dotted key, `origins` where each
    was written; `files` the sha256 (hex) of the workspace's own files, "" of a missing one.
    """

    sha256: str
    environment: str
    values: dict[str, str]
    origins: dict[str, str]
    files: dict[str, str]


class ConfigChanged(Event, frozen=True, kw_only=True, tag="config.changed"):
    """A person changed one key of the workspace's file; the file is in place.

    `before` and `after` are the key's value in force as text, `written` what the file now says of
    it ("": nothing): another layer may stand above the file. `effects` are all keys whose value in
    force the change moved, with the new text. Hashes are the file's, "" of a missing one.
    """

    key: str
    before: str
    after: str
    reason: str
    file: str
    before_sha256: str
    after_sha256: str
    effects: dict[str, str]
    written: str = ""


class ConfigNoticed(Event, frozen=True, kw_only=True, tag="config.noticed"):
    """The effective config is not the one the journal knows, and no journaled change explains it.

    `changed` says each difference as "key: before -> after"; `keys`, `before` and `after` hold the
    same, "" where there is no value. A file's own text is named by its path and its sha256.
    """

    before_sha256: str
    after_sha256: str
    changed: tuple[str, ...]
    keys: tuple[str, ...] = ()
    before: dict[str, str] = msgspec.field(default_factory=dict)
    after: dict[str, str] = msgspec.field(default_factory=dict)


class PeopleLoaded(Event, frozen=True, kw_only=True, tag="people.loaded"):
    """The roster of a start, where it is not the one that the journal holds already.

    `sha256` is of the roster document; `people` one line of text by person id; `files` as in
    `ConfigLoaded`, for people.toml, allowed_signers and revoked_keys.
    """

    sha256: str
    people: dict[str, str]
    files: dict[str, str]


class PeopleChanged(Event, frozen=True, kw_only=True, tag="people.changed"):
    """A person changed the roster; the files are in place. `what` is `added` or `revoked`.

    `before` and `after` are the person's line as in `PeopleLoaded`, "" where there is none.
    """

    person: str
    what: str
    before: str
    after: str
    reason: str
    files_before: dict[str, str]
    files_after: dict[str, str]


class PeopleNoticed(Event, frozen=True, kw_only=True, tag="people.noticed"):
    """The roster is not the one the journal knows, and no journaled change explains it.

    Fields as in `ConfigNoticed`; the keys are person ids and the names of the three files.
    """

    before_sha256: str
    after_sha256: str
    changed: tuple[str, ...]
    keys: tuple[str, ...] = ()
    before: dict[str, str] = msgspec.field(default_factory=dict)
    after: dict[str, str] = msgspec.field(default_factory=dict)
