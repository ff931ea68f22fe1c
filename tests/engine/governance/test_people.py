"""The roster: one human, one line, one role, one key."""

from __future__ import annotations

import pytest

from engine.contracts.errors import ConfigError
from engine.contracts.people import Role
from engine.contracts.session import Environment
from engine.governance.people import parse_roster, roster_document


def test_a_good_roster_is_read(words) -> None:
    roster = parse_roster({"people": words.roster_rows()})
    assert roster.by_id("alice") is roster.by_principal("op:alice")
    assert [person.id for person in roster.with_role(Role.REVIEWER)] == ["bob"]
    assert roster.by_id("eve") is None
    assert parse_roster({}).people == ()


@pytest.mark.parametrize("key", ["id", "name", "principal", "fingerprint"])
def test_two_people_never_share_anything(words, key) -> None:
    rows = words.roster_rows()
    rows[1][key] = rows[0][key]
    with pytest.raises(ConfigError, match=f"same {key}"):
        parse_roster({"people": rows})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("principal", "*"),
        ("principal", "rev:*"),
        ("principal", "rev:bob,op:alice"),
        ("fingerprint", "SHA256:short"),
        ("fingerprint", "MD5:aa:bb"),
        ("id", "Bob!"),
        ("role", "admin"),
        ("name", " "),
        ("name", "Bob\u202e"),
        ("uid", -1),
        ("uid", 4294967295),
        ("uid", "1000"),
        ("shell", "/bin/sh"),
    ],
)
def test_loose_lines_are_refused(words, key, value) -> None:
    rows = words.roster_rows()
    rows[1][key] = value
    with pytest.raises(ConfigError):
        parse_roster({"people": rows})


def test_all_problems_are_listed_at_once(words) -> None:
    rows = words.roster_rows()
    rows[0]["principal"] = "*"
    rows[1]["fingerprint"] = "x"
    with pytest.raises(ConfigError) as caught:
        parse_roster({"people": rows, "extra": 1})
    for part in ("extra", "principal", "fingerprint"):
        assert part in caught.value.what


def test_demo_people_are_refused_outside_dev(words) -> None:
    rows = [row | {"demo": True} for row in words.roster_rows()]
    assert parse_roster({"people": rows}, environment=Environment.DEV).people
    for environment in set(Environment) - {Environment.DEV}:
        with pytest.raises(ConfigError, match="demo person"):
            parse_roster({"people": rows}, environment=environment)


def test_the_roster_document_depends_on_people_and_signers_not_on_order(words) -> None:
    rows = words.roster_rows()
    one = roster_document(parse_roster({"people": rows}), "0" * 64)
    assert one == roster_document(parse_roster({"people": rows[::-1]}), "0" * 64)
    assert one != roster_document(parse_roster({"people": rows}), "1" * 64)
    assert one != roster_document(parse_roster({"people": rows[:1]}), "0" * 64)
    assert one.endswith(b"\n")


def test_outside_dev_everybody_has_a_unix_user(words) -> None:
    """Without one, whoever is on the socket could speak in that name."""
    rows = [{**row, "demo": False, "uid": 1000 + n} for n, row in enumerate(words.roster_rows())]
    assert parse_roster({"people": rows}, environment=Environment.SHADOW).people
    del rows[1]["uid"]
    assert parse_roster({"people": rows}, environment=Environment.DEV).people
    for environment in set(Environment) - {Environment.DEV}:
        with pytest.raises(ConfigError, match="no uid"):
            parse_roster({"people": rows}, environment=environment)
