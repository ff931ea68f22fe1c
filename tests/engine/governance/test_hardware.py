"""Hardware keys: the count only rises, over a restart too; live asks for one."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts.event import GoDecided, GoSigned, PackSigned, ReconSigned, Recorded
from engine.contracts.people import Role, person
from engine.contracts.session import Mode
from engine.governance.approval import Approved, Denied, judge_cosign, judge_go
from engine.governance.hardware import CounterFold, judge_counter, judge_hardware

KEY = "SHA256:" + "r" * 43
OTHER = "SHA256:" + "x" * 43


def signed(counter: int | None, key: str = KEY) -> list[Recorded]:
    """The same count in every event that accepts a signature."""
    events = (
        GoSigned(session_id="s", packet_sha256="0", signature="", fingerprint=key, counter=counter),
        GoDecided(
            session_id="s",
            decision="NO-GO",
            reason="r",
            packet_sha256="0",
            cosign="",
            signature="",
            fingerprint=key,
            signals={},
            counter=counter,
        ),
        ReconSigned(
            session_id="s",
            run_id="r",
            role=Role.REVIEWER,
            report_sha256="0",
            signature="",
            fingerprint=key,
            counter=counter,
        ),
        PackSigned(
            session_id="s",
            role=Role.REVIEWER,
            tagmanifest_sha256="0",
            fingerprint=key,
            counter=counter,
        ),
    )
    actor = person("bob", "peer-uid:1")
    return [Recorded(seq=0, ts_us=0, actor=actor, event=event) for event in events]


@pytest.mark.parametrize("kind", range(4), ids=["go", "decision", "recon", "pack"])
def test_each_event_that_accepts_a_signature_is_folded(kind: int) -> None:
    fold = CounterFold()
    fold.apply(signed(7)[kind])
    assert fold.last == {KEY: 7}


def test_an_ordinary_key_has_no_count(words) -> None:
    fold = CounterFold()
    for recorded in signed(None):
        fold.apply(recorded)
    assert fold.last == {}
    assert judge_counter(words.verdict("reviewer"), fold.last) is None


@given(counts=st.lists(st.tuples(st.sampled_from([KEY, OTHER]), st.integers(0, 2**32 - 1))))
def test_what_is_remembered_is_the_highest_count_of_each_key(
    counts: list[tuple[str, int]],
) -> None:
    fold = CounterFold()
    for key, counter in counts:
        fold.apply(signed(counter, key)[0])
    for key in (KEY, OTHER):
        mine = [counter for name, counter in counts if name == key]
        assert fold.last.get(key) == (max(mine) if mine else None)


@pytest.mark.parametrize(("counter", "code"), [(8, ""), (7, "KEY_CLONED"), (0, "KEY_CLONED")])
def test_a_repeated_or_lower_count_is_a_copied_key(bench, words, counter: int, code: str) -> None:
    for role, judge in (("reviewer", judge_cosign), ("operator", judge_go)):
        verdict = words.verdict(role, sk_counter=counter)
        facts = bench.facts(
            stage="signed" if role == "reviewer" else "requested",
            counters={words.rev_key: 7, words.op_key: 7},
            **{f"{role}_verdict": verdict},
        )
        judged = judge(facts)
        assert (judged.code if isinstance(judged, Denied) else "") == code


def test_a_no_go_of_a_copied_key_does_not_count_either(bench, words) -> None:
    facts = bench.facts(
        cosign={"decision": "NO-GO", "reason": "r"},
        counters={words.rev_key: 7},
        reviewer_verdict=words.verdict("reviewer", sk_counter=7),
    )
    assert judge_cosign(facts).code == "KEY_CLONED"


def test_the_operators_accepted_signature_may_be_looked_at_again(bench, words) -> None:
    """At the decision it is verified once more; its count was accepted when it was handed in."""
    facts = bench.facts(
        operator_verdict=words.verdict("operator", sk_counter=7), counters={words.op_key: 7}
    )
    assert isinstance(judge_cosign(facts), Approved)


def test_an_unknown_count_blocks_i12(bench, words) -> None:
    facts = bench.facts(reviewer_verdict=words.verdict("reviewer", sk_counter=7), counters=None)
    assert judge_cosign(facts).code == "COUNTER_UNKNOWN"


def test_live_asks_for_a_reviewer_with_a_hardware_key(bench, words) -> None:
    for mode in Mode:
        plain = judge_hardware(mode, words.verdict("reviewer"))
        assert (plain is None) == (mode is not Mode.LIVE)
        assert judge_hardware(mode, words.verdict("reviewer", sk_counter=1)) is None
        assert (judge_hardware(mode, None) is None) == (mode is not Mode.LIVE)
    live = msgspec.structs.replace(words.charter(), mode=Mode.LIVE)
    facts = bench.facts(packet={"charter": live}, charter=live)
    assert judge_cosign(facts).code == "HARDWARE_KEY"
