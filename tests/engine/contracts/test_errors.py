"""Errors cross the socket and arrive as the same class, with the same exit code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts import errors
from engine.contracts.errors import PeakError, error_from_wire

TREE = [PeakError, *PeakError.__subclasses__()]
OWN = [cls for cls in TREE if cls.__module__ == errors.__name__]


@pytest.mark.parametrize("cls", OWN)
@given(what=st.text(), where=st.text(), todo=st.text(), code=st.text(min_size=1))
def test_error_arrives_as_it_was_sent(
    cls: type[PeakError], what: str, where: str, todo: str, code: str
) -> None:
    sent = cls(what=what, where=where, todo=todo, code=code)
    arrived = error_from_wire(sent.to_wire())
    assert type(arrived) is cls
    assert arrived.to_wire() == sent.to_wire()
    assert arrived.line() == sent.line() == str(sent)
    assert arrived.exit_code == sent.exit_code


def test_exit_codes_are_the_contract() -> None:
    assert {cls.__name__: cls.exit_code for cls in OWN} == {
        "PeakError": 1,
        "InputError": 2,
        "ConfigError": 2,
        "WorkspaceError": 2,
        "AnswerNo": 1,
        "IntegrityError": 1,
        "NotProven": 3,
        "Refused": 4,
        "EngineUnreachable": 5,
    }


def test_error_of_another_version_is_still_an_error() -> None:
    arrived = error_from_wire({"type": "FromTheFuture", "what": "new", "code": "NEW"})
    assert type(arrived) is PeakError
    assert (arrived.what, arrived.code) == ("new", "NEW")
    assert error_from_wire({}).what == "unknown error"


def test_line_says_where_what_and_what_to_do() -> None:
    assert PeakError(what="is missing", where="a.toml", todo="make it").line() == (
        "a.toml: is missing; make it"
    )
    assert PeakError(what="is missing").line() == "is missing"
