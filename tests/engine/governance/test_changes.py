"""What the journal says of config and roster, against what is found."""

from __future__ import annotations

from engine.contracts.event import (
    AnyEvent,
    ConfigChanged,
    ConfigLoaded,
    EngineStopped,
    PeopleChanged,
    PeopleLoaded,
    Recorded,
)
from engine.contracts.people import ENGINE, Person, Role
from engine.governance.changes import ChangeFold, person_text

VALUES = {"a": "1", "b": "2"}
FILES = {"f": "0" * 64}


def fold(*events: AnyEvent) -> ChangeFold:
    made = ChangeFold()
    for seq, event in enumerate(events):
        made.apply(Recorded(seq=seq, ts_us=seq, actor=ENGINE, event=event))
    return made


def loaded(values: dict[str, str] = VALUES, files: dict[str, str] = FILES) -> ConfigLoaded:
    return ConfigLoaded(sha256="c", environment="dev", values=values, origins={}, files=files)


def changed(before: str, after: str, **effects: str) -> ConfigChanged:
    return ConfigChanged(
        key="a",
        before="1",
        after="3",
        reason="why",
        file="f",
        before_sha256=before,
        after_sha256=after,
        effects=effects,
    )


def test_before_the_first_load_nothing_can_differ() -> None:
    assert fold().config.differences(VALUES, FILES) == ()
    assert fold(changed("0" * 64, "1" * 64, a="3")).config.differences(VALUES, FILES) == ()


def test_what_was_loaded_is_what_must_be_found() -> None:
    known = fold(loaded(), EngineStopped(reason="done")).config
    assert known.as_loaded
    assert known.differences(VALUES, FILES) == ()
    rows = known.differences({"a": "9", "c": "4"}, {"f": "1" * 64})
    assert [row.text() for row in rows] == [
        "a: 1 -> 9",
        "b: 2 -> nothing",
        "c: nothing -> 4",
        f"f: {'0' * 12} -> {'1' * 12}",
    ]


def test_a_recorded_change_explains_its_own_keys_and_file_exactly() -> None:
    known = fold(loaded(), changed("0" * 64, "1" * 64, a="3")).config
    assert not known.as_loaded
    assert known.differences({"a": "3", "b": "2"}, {"f": "1" * 64}) == ()
    assert [row.key for row in known.differences({"a": "4", "b": "2"}, {"f": "1" * 64})] == ["a"]
    assert [row.key for row in known.differences({"a": "3", "b": "5"}, {"f": "2" * 64})] == [
        "b",
        "f",
    ]


def test_an_edit_that_a_change_was_made_on_top_of_is_still_seen() -> None:
    """The edit by hand moved no value that is left, but the file's text told of it."""
    known = fold(loaded(), changed("e" * 64, "1" * 64, a="3")).config
    (row,) = known.differences({"a": "3", "b": "2"}, {"f": "1" * 64})
    assert (row.key, row.before) == ("f", "0" * 12)
    again = fold(
        loaded(), changed("e" * 64, "1" * 64, a="3"), changed("1" * 64, "2" * 64, a="4")
    ).config
    assert [one.key for one in again.differences({"a": "4", "b": "2"}, {"f": "2" * 64})] == ["f"]


def test_the_next_load_begins_again() -> None:
    known = fold(loaded(), changed("e" * 64, "1" * 64, a="3"), loaded({"a": "7"})).config
    assert known.as_loaded
    assert known.differences({"a": "7"}, FILES) == ()


def test_a_person_who_was_revoked_must_be_gone() -> None:
    revoked = PeopleChanged(
        person="bob",
        what="revoked",
        before="reviewer",
        after="",
        reason="left",
        files_before={"p": "0" * 64, "r": ""},
        files_after={"p": "1" * 64, "r": "2" * 64},
    )
    start = PeopleLoaded(
        sha256="r", people={"alice": "operator", "bob": "reviewer"}, files={"p": "0" * 64, "r": ""}
    )
    known = fold(start, revoked).people
    files = {"p": "1" * 64, "r": "2" * 64}
    assert known.differences({"alice": "operator"}, files) == ()
    (row,) = known.differences({"alice": "operator", "bob": "reviewer"}, files)
    assert row.text() == "bob: nothing -> reviewer"


def test_every_field_of_a_person_is_in_the_text() -> None:
    person = Person(
        id="bob", name="Bob", role=Role.REVIEWER, principal="rev:bob", fingerprint="SHA256:x"
    )
    texts = {
        person_text(person),
        *(
            person_text(Person(**{**_fields(person), name: value}))
            for name, value in (
                ("name", "Rob"),
                ("role", Role.OPERATOR),
                ("principal", "rev:rob"),
                ("fingerprint", "SHA256:y"),
                ("uid", 4),
                ("demo", True),
            )
        ),
    }
    assert len(texts) == 7


def _fields(person: Person) -> dict[str, object]:
    return {name: getattr(person, name) for name in person.__struct_fields__}
