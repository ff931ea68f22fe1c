"""Limits in force: the tightest source wins, one person narrows, two widen, nothing else does."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contracts import event as ev
from engine.contracts.documents import Purpose
from engine.contracts.errors import InputError
from engine.contracts.money import to_text
from engine.contracts.people import person
from engine.contracts.session import LONGER_IS_TIGHTER, Limits
from engine.governance.dual_book import DualBook
from engine.governance.grants import GrantBook
from engine.risk.headroom import LIMIT_CODES, tighter
from engine.risk.standing import (
    NAMES,
    WHOLE,
    Standing,
    StandingLimits,
    capped,
    effective,
    in_unit,
    parse_limit,
    tighter_than,
)
from tests.engine.governance.stories import ALICE, granted
from tests.engine.risk.conftest import LIMITS

BOB = person("bob", "peer-uid:1001")


class Book:
    """Standing limits with the grants they may rest on."""

    def __init__(self) -> None:
        self.dual = DualBook()
        self.grants = GrantBook(self.dual)
        self.limits = StandingLimits()
        self.told = 0

    def tell(self, event: ev.AnyEvent, at_us: int = 7) -> None:
        recorded = ev.Recorded(seq=self.told, ts_us=at_us, actor=ALICE, event=event)
        self.told += 1
        self.dual.apply(recorded)
        self.limits.apply(recorded, self.grants)

    def tighten(self, name: str, after: Decimal) -> None:
        self.tell(
            ev.LimitTightened(
                session_id="", name=name, before=Decimal(1), after=after, reason="thin book"
            )
        )

    def loosen(self, name: str, after: Decimal, document: str) -> None:
        self.tell(
            ev.LimitLoosened(
                session_id="",
                name=name,
                before=Decimal(1),
                after=after,
                reason="deep book",
                document_sha256=document,
            )
        )

    def grant(self, number: int, purpose: Purpose = Purpose.LOOSEN, **subject: str) -> str:
        events, digest = granted(purpose, subject, number)
        for event, _actor in events:
            self.tell(event)
        return digest

    def value(self, name: str) -> Decimal | None:
        one = self.limits.by_name.get(name)
        return one.value if one else None


def test_a_tightening_stands_and_a_wider_one_changes_nothing() -> None:
    book = Book()
    book.tighten("max_position", Decimal("0.5"))
    book.tighten("max_position", Decimal("0.7"))
    assert book.value("max_position") == Decimal("0.5")
    book.tighten("max_position", Decimal("0.3"))
    assert book.value("max_position") == Decimal("0.3")
    standing = book.limits.by_name["max_position"]
    assert (standing.by, standing.at_us, standing.reason) == ("alice", 7, "thin book")


def test_an_equal_tightening_is_not_told_as_a_new_one() -> None:
    book = Book()
    book.tighten("max_position", Decimal("0.5"))
    version = book.limits.version
    book.tighten("max_position", Decimal("0.50"))
    assert book.limits.version == version


def test_a_longer_cooldown_is_the_tighter_one() -> None:
    book = Book()
    book.tighten("cooldown_loss_seconds", Decimal(60))
    book.tighten("cooldown_loss_seconds", Decimal(59))
    assert book.value("cooldown_loss_seconds") == 60
    book.tighten("cooldown_loss_seconds", Decimal(61))
    assert book.value("cooldown_loss_seconds") == 61


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_position", Decimal("NaN")),
        ("max_position", Decimal("-Infinity")),
        ("max_position", Decimal(-1)),
        ("max_open_orders", Decimal("1.5")),
        ("cooldown_loss_seconds", Decimal(86_401)),
        ("max_luck", Decimal(1)),
    ],
)
def test_what_cannot_be_a_limit_changes_nothing(name: str, value: Decimal) -> None:
    book = Book()
    book.tighten(name, value)
    assert book.limits.by_name == {}


@pytest.mark.parametrize(
    ("name", "value"), [("max_position", Decimal(0)), ("cooldown_loss_seconds", Decimal(86_400))]
)
def test_the_tightest_there_is_stands(name: str, value: Decimal) -> None:
    book = Book()
    book.tighten(name, value)
    assert book.value(name) == value


def test_loosening_rests_on_a_grant_of_this_very_value_and_once() -> None:
    book = Book()
    book.tighten("max_position", Decimal("0.3"))
    book.loosen("max_position", Decimal(1), "")
    book.loosen("max_position", Decimal(1), "0" * 64)
    book.loosen("max_position", Decimal(1), book.grant(1, name="max_position", value="0.9"))
    book.loosen("max_position", Decimal(1), book.grant(2, name="max_open_orders", value="1"))
    book.loosen(
        "max_position", Decimal(1), book.grant(3, Purpose.ADOPT, name="max_position", value="1")
    )
    assert book.value("max_position") == Decimal("0.3")
    digest = book.grant(4, name="max_position", value="1")
    book.loosen("max_position", Decimal("1.0"), digest)
    assert book.value("max_position") == 1
    book.tighten("max_position", Decimal("0.2"))
    book.loosen("max_position", Decimal(1), digest)
    assert book.value("max_position") == Decimal("0.2")


# --- laying them together -----------------------------------------------------------------------


def test_the_tightest_source_is_in_force_and_named() -> None:
    charter = msgspec.structs.replace(LIMITS, max_position=Decimal(4), max_open_orders=3)
    step = capped(LIMITS, {"max_open_orders": Decimal(2), "max_position": Decimal(9)})
    standing = {
        "max_position": Standing(value=Decimal("3.5"), by="bob", at_us=1, reason="r"),
        "max_open_orders": Standing(value=Decimal(2), by="bob", at_us=1, reason="r"),
        "cooldown_loss_seconds": Standing(value=Decimal(31), by="bob", at_us=1, reason="r"),
    }
    found = effective([("config", LIMITS), ("charter", charter), ("step", step)], standing)
    assert found.limits.max_position == Decimal("3.5")
    assert found.limits.max_open_orders == 2
    assert isinstance(found.limits.max_open_orders, int)
    assert found.limits.cooldown_loss_seconds == 31
    assert found.origins["max_position"] == found.origins["cooldown_loss_seconds"]
    assert found.origins["max_position"] == "tightened by bob"
    assert found.origins["max_open_orders"] == "step"
    assert found.origins["max_order_quantity"] == "config"


@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_nothing_in_force_is_wider_than_any_source(data: st.DataObject) -> None:
    def some() -> Limits:
        return Limits(
            **{
                name: in_unit(name, Decimal(data.draw(st.integers(0, 3), label=name)))
                for name in NAMES
            }
        )

    sources = [some() for _ in range(3)]
    standing = {
        name: Standing(value=Decimal(data.draw(st.integers(0, 3))), by="b", at_us=0, reason="")
        for name in data.draw(st.sets(st.sampled_from(NAMES), max_size=4))
    }
    found = effective([("config", one) for one in sources], standing).limits
    for one in sources:
        assert tighter(found, one) == ()
    for name in NAMES:
        values = [getattr(one, name) for one in sources]
        values += [standing[name].value] if name in standing else []
        best = max(values) if name in LONGER_IS_TIGHTER else min(values)
        assert getattr(found, name) == best
    caps = {name: one.value for name, one in standing.items()}
    assert tighter(capped(sources[0], caps), sources[0]) == ()
    assert all(
        not tighter_than(n, v, getattr(capped(sources[0], caps), n)) for n, v in caps.items()
    )


# --- what people type ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("max_position", "0.50", Decimal("0.5")),
        ("max_position", "0", Decimal(0)),
        ("max_open_orders", "5", Decimal(5)),
        ("max_open_orders", "999999999", Decimal(999_999_999)),
        ("cooldown_loss_seconds", "86400", Decimal(86_400)),
    ],
)
def test_plain_numbers_are_read(name: str, text: str, value: Decimal) -> None:
    assert parse_limit(name, text) == value
    assert to_text(parse_limit(name, text)) == to_text(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("max_position", "1E9"),
        ("max_position", "1e-9"),
        ("max_position", "NaN"),
        ("max_position", "sNaN"),
        ("max_position", "Infinity"),
        ("max_position", "-1"),
        ("max_position", "-0.1"),
        ("max_position", "+1"),
        ("max_position", " 1"),
        ("max_position", "1 BTC"),
        ("max_position", "1_0"),
        ("max_position", "0x10"),
        ("max_position", "٣"),
        ("max_position", "1,5"),
        ("max_position", "01"),
        ("max_position", ".5"),
        ("max_position", "5."),
        ("max_position", ""),
        ("max_open_orders", "5.0"),
        ("max_open_orders", "5.5"),
        ("max_open_orders", "-5"),
        ("max_open_orders", "1000000000"),
        ("price_collar_bps", "1%"),
        ("cooldown_loss_seconds", "86401"),
        ("MAX_POSITION", "1"),
        ("max_positon", "1"),
        ("__class__", "1"),
    ],
)
def test_what_is_no_plain_number_of_a_limit_is_refused(name: str, text: str) -> None:
    with pytest.raises(InputError):
        parse_limit(name, text)


def test_a_name_that_is_nearly_one_is_told() -> None:
    with pytest.raises(InputError, match="did you mean max_position") as refused:
        parse_limit("max_positon", "1")
    assert "max_positon" in refused.value.line()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("cooldown_loss_seconds", "86401", "a limit is 0 or more, at most 86400"),
        ("max_position", "-1", "a limit is 0 or more"),
    ],
)
def test_what_is_allowed_is_told(name: str, text: str, words: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_limit(name, text)
    assert refused.value.what == words


def test_names_units_and_codes_are_those_of_the_limits() -> None:
    assert set(LIMIT_CODES) <= set(NAMES) == set(Limits.__struct_fields__)
    whole = {name for name in NAMES if isinstance(getattr(LIMITS, name), int)}
    assert whole == WHOLE
