"""Two-person approval: one case that passes, and a named case for each way it must not."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from engine.contracts.canonical import canonical, sha256_hex
from engine.contracts.session import Environment
from engine.governance.approval import Approved, Denied, GoFacts, judge_cosign, judge_go
from engine.governance.packet import parse_cosign
from engine.governance.people import parse_roster
from engine.governance.wordlist import short_code


def code(result: Approved | Denied) -> str:
    if isinstance(result, Approved):
        return "APPROVED"
    assert result.reason
    assert "\n" not in result.reason
    return result.code


def denied(bench: Any, **wrong: Any) -> str:
    return code(judge_cosign(bench.facts(**wrong)))


def test_two_people_with_two_good_signatures_are_approved(bench) -> None:
    result = judge_cosign(bench.facts())
    assert isinstance(result, Approved)
    assert result.signals["uid"] == "different"
    assert result.signals["loginuid"] == "unknown"


def test_the_operators_signature_alone_is_judged_by_the_same_rules(bench) -> None:
    assert code(judge_go(bench.facts(stage="requested"))) == "APPROVED"
    assert code(judge_go(bench.facts())) == "STAGE"
    late = bench.facts(stage="requested", now_us=10**18)
    assert code(judge_go(late)) == "EXPIRED"
    assert code(judge_go(bench.facts(stage="requested", operator_verdict=None))) == (
        "OPERATOR_SIGNATURE"
    )


def test_every_fact_that_is_missing_denies_i12(bench) -> None:
    optional = [
        "charter",
        "roster",
        "packet",
        "operator_verdict",
        "used_nonces",
        "elapsed_us",
        "current",
        "blockers",
        "cosign",
        "reviewer_verdict",
    ]
    facts = bench.facts()
    for name in optional:
        without = msgspec.structs.replace(facts, **{name: None})
        assert code(judge_cosign(without)) != "APPROVED", name
    for name in ("session_id", "stage", "packet_sha256", "joined_nonce"):
        without = msgspec.structs.replace(facts, **{name: ""})
        assert code(judge_cosign(without)) != "APPROVED", name
    assert set(optional) < set(GoFacts.__struct_fields__) | {"cosign", "reviewer_verdict"}


# --- who ---------------------------------------------------------------------------------------


def test_self_approval_is_denied(bench, words) -> None:
    assert denied(bench, cosign={"reviewer": words.party("operator")}) == "SELF_APPROVAL"


def test_one_person_in_both_roles_is_denied(bench, words) -> None:
    both = words.charter(reviewer="alice")
    packet = {"reviewer": words.party("operator"), "charter": both}
    facts = bench.facts(
        packet=packet, cosign={"reviewer": words.party("operator")}, charter=both, stage="requested"
    )
    assert code(judge_go(facts)) in {"ROLE", "SAME_PERSON"}
    assert denied(bench, packet=packet, charter=both) != "APPROVED"


def test_an_unknown_identity_blocks(bench, words) -> None:
    rows = words.roster_rows()
    for row in rows:
        others = [other for other in rows if other is not row]
        roster = parse_roster({"people": others})
        assert denied(bench, roster=roster) == "UNKNOWN_PERSON"


def test_an_operator_cannot_review(bench, words) -> None:
    rows = words.roster_rows()
    rows[1]["role"] = "operator"
    assert denied(bench, roster=parse_roster({"people": rows})) == "ROLE"


def test_the_same_fingerprint_is_denied(bench, words) -> None:
    one_key = words.party("reviewer", fingerprint=words.op_key)
    roster = parse_roster({"people": words.roster_rows()})
    shared = msgspec.structs.replace(
        roster,
        people=(
            roster.people[0],
            msgspec.structs.replace(roster.people[1], fingerprint=words.op_key),
        ),
    )
    facts = bench.facts(
        packet={"reviewer": one_key},
        cosign={"reviewer": one_key},
        roster=shared,
        reviewer_verdict=words.verdict("reviewer", fingerprint=words.op_key),
    )
    assert code(judge_cosign(facts)) == "SAME_FINGERPRINT"


def test_a_key_that_is_not_the_rosters_is_denied(bench, words) -> None:
    other = words.party("reviewer", fingerprint="SHA256:" + "x" * 43)
    wrong = {"packet": {"reviewer": other}, "cosign": {"reviewer": other}}
    assert denied(bench, **wrong) == "FINGERPRINT_MISMATCH"


def test_another_principal_is_denied(bench, words) -> None:
    other = words.party("reviewer", principal="rev:eve")
    wrong = {"packet": {"reviewer": other}, "cosign": {"reviewer": other}}
    assert denied(bench, **wrong) == "PRINCIPAL_MISMATCH"


def test_the_same_uid_without_waiver_is_denied(bench, words) -> None:
    shared = words.party("reviewer", uid=1000)
    wrong = {"packet": {"reviewer": shared}, "cosign": {"reviewer": shared}}
    assert denied(bench, **wrong) == "SAME_UID"


def test_root_is_not_exempt(bench, words) -> None:
    wrong = {
        "packet": {
            "operator": words.party("operator", uid=0),
            "reviewer": words.party("reviewer", uid=0),
        },
        "cosign": {"reviewer": words.party("reviewer", uid=0)},
    }
    assert denied(bench, **wrong) == "SAME_UID"


def test_an_unknown_uid_without_waiver_is_denied(bench, words) -> None:
    nobody = words.party("reviewer", uid=None)
    wrong = {"packet": {"reviewer": nobody}, "cosign": {"reviewer": nobody}}
    assert denied(bench, **wrong) == "UID_UNKNOWN"


def test_the_same_login_is_denied(bench, words) -> None:
    for signal in ("loginuid", "audit_session"):
        packet = {
            "operator": words.party("operator", signals={signal: "1000"}),
            "reviewer": words.party("reviewer", signals={signal: "1000"}),
        }
        assert denied(bench, packet=packet) == "SAME_LOGIN"


def test_the_waiver_allows_one_uid_in_dev_when_packet_and_config_say_so(bench, words) -> None:
    shared = words.party("reviewer", uid=1000)
    packet = {"reviewer": shared, "allow_same_uid": True}
    given = {"packet": packet, "cosign": {"reviewer": shared}}
    assert denied(bench, **given, allow_same_uid=True) == "APPROVED"
    assert denied(bench, **given, allow_same_uid=False) == "WAIVER_CHANGED"


def test_the_waiver_counts_in_dev_only(bench) -> None:
    for environment in set(Environment) - {Environment.DEV}:
        packet = {"allow_same_uid": True, "environment": environment}
        assert (
            denied(bench, packet=packet, environment=environment, allow_same_uid=True)
            == "WAIVER_NOT_ALLOWED"
        )


def test_demo_people_count_in_dev_only(bench, words) -> None:
    rows = [row | {"demo": True} for row in words.roster_rows()]
    roster = parse_roster({"people": rows})
    assert denied(bench, roster=roster) == "APPROVED"
    prod = {"packet": {"environment": Environment.PROD}, "environment": Environment.PROD}
    assert denied(bench, roster=roster, **prod) == "DEMO_PERSON"


def test_a_person_at_another_uid_than_the_rosters_is_denied(bench, words) -> None:
    rows = words.roster_rows()
    rows[1]["uid"] = 4711
    assert denied(bench, roster=parse_roster({"people": rows})) == "UID_MISMATCH"


def test_a_reviewer_whose_uid_changed_is_denied(bench, words) -> None:
    assert denied(bench, cosign={"reviewer": words.party("reviewer", uid=5)}) == "UID_MISMATCH"


# --- signatures --------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["operator", "reviewer"])
def test_a_bad_signature_is_denied(bench, words, role) -> None:
    bad = words.verdict(role, ok=False, strict_ok=False, keygen_ok=False, reason="does not fit")
    assert denied(bench, **{f"{role}_verdict": bad}) == f"{role.upper()}_SIGNATURE"


@pytest.mark.parametrize("role", ["operator", "reviewer"])
def test_verifiers_that_disagree_deny(bench, words, role) -> None:
    for wrong in ({"strict_ok": False}, {"keygen_ok": False}):
        assert denied(bench, **{f"{role}_verdict": words.verdict(role, **wrong)}) == (
            "VERIFIERS_DISAGREE"
        )


@pytest.mark.parametrize("role", ["operator", "reviewer"])
def test_a_good_signature_of_somebody_else_is_denied(bench, words, role) -> None:
    for wrong in ({"principal": "rev:eve"}, {"fingerprint": "SHA256:" + "x" * 43}):
        assert denied(bench, **{f"{role}_verdict": words.verdict(role, **wrong)}) == (
            "SIGNER_MISMATCH"
        )


def test_the_operators_signature_as_the_reviewers_is_denied(bench, words) -> None:
    assert denied(bench, reviewer_verdict=words.verdict("operator")) == "SIGNER_MISMATCH"


# --- freshness ---------------------------------------------------------------------------------


def test_a_missing_reviewer_is_denied(bench) -> None:
    assert denied(bench, joined_nonce="") == "REVIEWER_MISSING"
    packet_without = {"packet": {"reviewer_nonce": ""}, "cosign": {"reviewer_nonce": ""}}
    assert denied(bench, **packet_without) == "REVIEWER_MISSING"


def test_a_replayed_nonce_is_denied(bench, words) -> None:
    for nonce in (words.op_nonce, words.rev_nonce):
        assert denied(bench, used_nonces=frozenset({nonce})) == "NONCE_REPLAYED"


def test_a_reviewer_who_joined_anew_must_be_asked_again(bench) -> None:
    assert denied(bench, joined_nonce="c" * 64) == "NONCE_MISMATCH"


def test_one_nonce_for_both_is_denied(bench, words) -> None:
    assert denied(bench, packet={"operator_nonce": words.rev_nonce}) == "NONCE_MISSING"


def test_another_nonce_in_the_decision_is_denied(bench) -> None:
    assert denied(bench, cosign={"reviewer_nonce": "c" * 64}) == "NONCE_MISMATCH"


def test_expired_by_the_wall_clock_is_denied(bench, words) -> None:
    end = words.now + 300 * words.second
    assert denied(bench, now_us=end) == "EXPIRED"
    assert denied(bench, now_us=end - 1) == "APPROVED"


def test_expired_by_the_monotonic_clock_is_denied(bench, words) -> None:
    assert denied(bench, elapsed_us=300 * words.second) == "EXPIRED_MONOTONIC"
    assert denied(bench, elapsed_us=300 * words.second - 1) == "APPROVED"
    assert denied(bench, elapsed_us=-1) == "ELAPSED_UNKNOWN"


def test_a_clock_set_back_does_not_help(bench, words) -> None:
    assert denied(bench, now_us=words.now - 2 * words.second) == "CLOCK"


def test_a_packet_that_lives_too_long_is_denied(bench, words) -> None:
    long = {"packet": {"expires_at_us": words.now + 301 * words.second}}
    assert denied(bench, **long, ttl_us=10**12) == "EXPIRY_TOO_LONG"
    assert denied(bench, ttl_us=299 * words.second) == "EXPIRY_TOO_LONG"
    assert denied(bench, packet={"expires_at_us": words.now}) == "EXPIRY_TOO_LONG"


def test_after_the_change_window_go_is_denied(bench, words) -> None:
    over = words.charter(window_until_us=words.now + words.second)
    wrong = {"packet": {"charter": over}, "charter": over}
    over_hashes = words.current()
    assert denied(bench, **wrong, current=over_hashes) == "WINDOW"


# --- binding -----------------------------------------------------------------------------------


def test_a_decision_about_another_packet_is_denied(bench) -> None:
    assert denied(bench, cosign={"go_sha256": "0" * 64}) == "GO_SHA_MISMATCH"


def test_a_packet_that_was_swapped_is_denied(bench) -> None:
    assert denied(bench, packet_sha256="0" * 64) == "GO_SHA_MISMATCH"


def test_a_swapped_session_is_denied(bench) -> None:
    assert denied(bench, session_id="other0000000") == "SESSION_MISMATCH"
    assert denied(bench, cosign={"session_id": "other0000000"}) == "SESSION_MISMATCH"
    assert denied(bench, packet={"session_id": "other0000000"}) == "SESSION_MISMATCH"


def test_another_environment_is_denied(bench) -> None:
    assert denied(bench, packet={"environment": Environment.PROD}) == "ENVIRONMENT_MISMATCH"


@pytest.mark.parametrize("name", ["config", "code", "checklist", "roster", "limits", "charter"])
def test_whatever_changed_after_signing_denies_i6(bench, words, name) -> None:
    changed = words.current(**{f"{name}_sha256": "f" * 64})
    result = judge_cosign(bench.facts(current=changed))
    assert code(result) == "FACTS_CHANGED"
    assert name in result.reason


def test_a_changed_charter_denies(bench, words) -> None:
    assert denied(bench, charter=words.charter(account="other")) == "CHARTER_CHANGED"


def test_blockers_at_the_moment_of_decision_deny(bench) -> None:
    assert denied(bench, blockers=("clock: reading is old; probe again",)) == "BLOCKERS"


def test_another_reviewer_than_the_packets_is_denied(bench, words) -> None:
    eve = words.party("reviewer", person="eve")
    assert denied(bench, cosign={"reviewer": eve}) == "REVIEWER_MISMATCH"


# --- the decision ------------------------------------------------------------------------------


def test_no_go_without_a_reason_is_denied(bench) -> None:
    assert denied(bench, cosign={"decision": "NO-GO", "reason": "  "}) == "REASON_MISSING"


def test_no_go_counts_even_when_facts_have_changed(bench) -> None:
    no = {"decision": "NO-GO", "reason": "news at noon", "typed_code": ""}
    assert denied(bench, cosign=no, current={}, blockers=("open",)) == "APPROVED"


def test_no_go_still_needs_the_reviewers_signature(bench, words) -> None:
    no = {"decision": "NO-GO", "reason": "news at noon"}
    assert denied(bench, cosign=no, reviewer_verdict=None) == "REVIEWER_SIGNATURE"
    assert denied(bench, cosign=no, used_nonces=frozenset({words.rev_nonce})) == "NONCE_REPLAYED"


@pytest.mark.parametrize("word", ["", "go", "YES", "y", "GO ", "Abstain"])
def test_any_other_word_is_no_decision(bench, word) -> None:
    assert denied(bench, cosign={"decision": word}) == "DECISION"


@pytest.mark.parametrize("typed", ["", "y", "baba-baba-baba-baba"])
def test_a_wrong_short_code_is_denied(bench, typed) -> None:
    assert denied(bench, cosign={"typed_code": typed}) == "SHORT_CODE"


def test_a_decision_before_the_operators_signature_is_denied(bench) -> None:
    for stage in ("none", "requested", "go", "no_go", "void"):
        assert denied(bench, stage=stage) == "STAGE"


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[:-1],
        lambda raw: raw + b"\n",
        lambda raw: raw.replace(b'"decision":', b'"decision": '),
        lambda raw: raw.replace(b'"reason"', b'"reasom"'),
        lambda raw: raw.replace(b"{", b'{"decision":"NO-GO",', 1),
        lambda raw: canonical({"type": "peakctl-cosign-1"}) + b"\n",
        lambda raw: b"",
        lambda raw: b"[" * 100_000,
        lambda raw: raw.replace(b'"reason":""', b'"reason":"\\ud800"'),
        lambda raw: b"\xff" + raw,
    ],
)
def test_a_cosign_in_any_other_form_is_denied(bench, change) -> None:
    facts = bench.facts()
    broken = msgspec.structs.replace(facts, cosign=change(facts.cosign))
    assert code(judge_cosign(broken)) == "COSIGN_UNREADABLE"


def test_a_packet_in_any_other_form_is_denied(bench) -> None:
    facts = bench.facts()
    for change in (facts.packet[:-1], facts.packet.replace(b'"desk"', b'"d\\u0065sk"'), b"{}\n"):
        broken = msgspec.structs.replace(facts, packet=change, packet_sha256=sha256_hex(change))
        assert code(judge_cosign(broken)) == "PACKET_UNREADABLE"


def test_people_that_the_charter_does_not_name_are_denied(bench, words) -> None:
    rows = words.roster_rows()
    rows[0] |= {"id": "carol"}
    carol = words.party("operator", person="carol")
    facts = bench.facts(packet={"operator": carol}, roster=parse_roster({"people": rows}))
    assert code(judge_cosign(facts)) == "PEOPLE_CHANGED"


def test_one_principal_for_both_is_denied(bench, words) -> None:
    roster = parse_roster({"people": words.roster_rows()})
    bob = msgspec.structs.replace(roster.people[1], principal="op:alice")
    shared = msgspec.structs.replace(roster, people=(roster.people[0], bob))
    one = words.party("reviewer", principal="op:alice")
    facts = bench.facts(
        packet={"reviewer": one},
        cosign={"reviewer": one},
        roster=shared,
        reviewer_verdict=words.verdict("reviewer", principal="op:alice"),
    )
    assert code(judge_cosign(facts)) == "SAME_PRINCIPAL"


@pytest.mark.parametrize(
    "typed", ["", "50", "500.0", "5e2", "500 000", "+500", "0500", "\u0665\u0660\u0660", "500\n"]
)
def test_a_go_needs_the_limit_typed_as_the_packet_has_it(bench, typed) -> None:
    assert denied(bench, cosign={"typed_limit": typed}) == "TYPED_LIMIT"


def test_no_other_decision_needs_the_limit_or_the_code(bench) -> None:
    for decision in ("NO-GO", "ABSTAIN"):
        said = {"decision": decision, "reason": "r", "typed_limit": "", "typed_code": ""}
        assert isinstance(judge_cosign(bench.facts(cosign=said)), Approved)


def test_an_abstention_needs_a_reason(bench) -> None:
    assert denied(bench, cosign={"decision": "ABSTAIN"}) == "REASON_MISSING"


def test_a_decision_without_the_field_is_read_and_is_no_go(bench) -> None:
    """Documents of older journals stay readable; a new decision needs what they lack."""
    facts = bench.facts()
    told = json.loads(facts.cosign)
    del told["typed_limit"]
    old = canonical(told) + b"\n"
    assert parse_cosign(old)["decision"] == "GO"
    assert judge_cosign(msgspec.structs.replace(facts, cosign=old)).code == "TYPED_LIMIT"


def test_signals_that_are_not_those_of_the_two_people_are_denied(bench) -> None:
    facts = bench.facts()
    packet = json.loads(facts.packet)
    packet["same_person"]["tty"] = "unknown"
    document = canonical(packet) + b"\n"
    go = sha256_hex(document)
    told = json.loads(facts.cosign) | {"go_sha256": go, "short_code": short_code(go)}
    changed = msgspec.structs.replace(
        facts, packet=document, packet_sha256=go, cosign=canonical(told) + b"\n"
    )
    assert judge_cosign(changed).code == "SIGNALS"


def test_a_go_before_anybody_can_have_read_the_packet_is_denied(bench) -> None:
    facts = bench.facts()
    assert facts.elapsed_us is not None
    for dwell, good in ((facts.elapsed_us, True), (facts.elapsed_us + 1, False)):
        judged = judge_cosign(msgspec.structs.replace(facts, min_dwell_us=dwell))
        assert isinstance(judged, Approved) == good
        assert good or judged.code == "TOO_SOON"
    no = bench.facts(cosign={"decision": "NO-GO", "reason": "no"}, min_dwell_us=10**12)
    assert isinstance(judge_cosign(no), Approved), "a no can come at once"
