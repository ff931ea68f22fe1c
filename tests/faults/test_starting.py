"""Starting: one engine a workspace, paths that are too long, records that do not agree."""

from __future__ import annotations

import json
import tempfile
from typing import TYPE_CHECKING

import pytest

from engine.contracts.errors import PeakError

if TYPE_CHECKING:
    from tests.faults.conftest import Field, Start


async def test_a_second_engine_is_refused_and_names_the_first(field: Field) -> None:
    code, out, err = await field.peakctl("engine")
    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert f"pid {field.pid}" in err
    assert (await field.state()).engine.pid == field.pid


BAD = (
    ("GET", "journal?from=%C2%B2", None),
    ("GET", "journal?from=-1", None),
    ("GET", "nothing", None),
    ("POST", "note", b"{"),
    ("POST", "note", b'{"person":"alice","text":"\\ud800"}'),
    ("POST", "note", b'{"person":"alice","text":"x","more":1}'),
    ("POST", "note", b'{"person":"mallory","text":"x"}'),
    ("POST", "kill", b'{"person":"alice","reason":"\\ud800","source":"x","pressed_us":1}'),
    ("POST", "order/submit", b'{"person":"bob","symbol":"BTCUSDT"}'),
    ("POST", "checklist/answer", b'{"person":"alice","item_id":"x","role":"r","answer":"y"}'),
    ("POST", "recon/run", b'{"person":"alice"}'),
    ("POST", "pack/write", b'{"person":"alice"}'),
    ("POST", "go/cosign", b'{"person":"bob","cosign":"","signature":""}'),
    ("POST", "dual/request", b'{"person":"alice","purpose":"x","subject":{},"reason":"r"}'),
    ("POST", "dual/request", b'{"person":"alice","purpose":"adopt","subject":{},"reason":"r"}'),
    ("POST", "dual/request", b'{"person":"mallory","purpose":"release","subject":{},"reason":"r"}'),
    ("POST", "dual/sign", b'{"person":"bob","request_id":"x","sha256":"","signature":""}'),
    ("POST", "dual/withdraw", b'{"person":"bob","request_id":"x","reason":"r"}'),
)


async def test_a_bad_request_is_one_line_and_changes_nothing(field: Field) -> None:
    await field.ready()
    size = len(field.journal())
    for method, route, body in BAD:
        with pytest.raises(PeakError) as refused:
            await field.client._request(method, route, body, object, 10.0)
        assert "\n" not in refused.value.line()
        assert refused.value.code != "ENGINE_FAULT", refused.value.line()
        assert field.journal()[size:] == [], route


async def test_a_kill_is_never_refused_for_its_words(field: Field) -> None:
    await field.ready()
    body = {"person": "x" * 5000, "reason": "r\n\x1b" * 5000, "source": "", "pressed_us": 10**30}
    await field.client._request("POST", "kill", json.dumps(body).encode(), object, 10.0)
    await field.until_kill("PROVEN")
    found = await field.client.query("select count(*) from events where kind = 'kill.latched'")
    assert found.rows[0][0] == 1
    assert len(json.dumps(field.events("kill.latched"))) < 3000


async def test_far_beyond_the_end_of_the_journal_is_nothing(field: Field) -> None:
    assert [line async for line in field.client.journal(10**12)] == []


async def test_a_socket_path_that_is_too_long_moves_to_the_runtime_folder(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="pk") as runtime:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        desk = await start("long" * 30)
        assert desk.workspace.socket.is_relative_to(runtime)
        await desk.ready()
        assert desk.workspace.socket.is_socket()
        await desk.stop_engine()


async def test_a_store_that_was_deleted_is_made_again_from_the_journal(live: Field) -> None:
    await live.rest_one()
    await live.client.stop("test")
    await live.until_session("stopped")
    await live.stop_engine()
    for path in live.workspace.state.glob("evidence.duckdb*"):
        path.unlink()
    await live.start_engine()
    rebuilt = live.events("store.rebuilt")
    assert len(rebuilt) == 1
    await live.ready()
    found = await live.client.query("select count(*), max(seq) from events")
    assert found.rows[0][0] == found.rows[0][1] + 1
    assert found.rows[0][0] >= rebuilt[0]["events"]
    assert await live.reconcile() == []


async def test_a_torn_last_line_is_moved_aside_and_told(live: Field) -> None:
    order_id = await live.rest_one()
    await live.sigkill()
    last = sorted(live.workspace.journal.glob("*.jsonl"))[-1]
    whole = last.read_bytes()
    with last.open("ab") as handle:
        handle.write(b'{"actor":"torn')
    await live.start_engine()
    assert last.read_bytes().startswith(whole)
    repaired = live.events("journal.repaired")
    assert repaired[0]["bytes_removed"] == 14
    assert "JOURNAL_REPAIRED" in [one.code for one in (await live.state()).alarms]
    await live.until_order(order_id, "ACKNOWLEDGED")


async def test_a_flipped_bit_in_the_journal_is_named_and_nothing_starts(live: Field) -> None:
    await live.rest_one()
    await live.sigkill()
    path = sorted(live.workspace.journal.glob("*.jsonl"))[0]
    raw = bytearray(path.read_bytes())
    at = raw.index(b"\n", raw.index(b"\n") + 1) + 200
    raw[at] ^= 1
    path.write_bytes(raw)
    with pytest.raises(PeakError) as broken:
        await live.start_engine()
    assert broken.value.exit_code == 1
    assert f"{path.name}:3" in broken.value.line() or f"{path.name}, line 3" in broken.value.line()
    code, _, err = await live.peakctl("engine")
    assert code == 1
    assert len(err.splitlines()) == 1


async def test_an_orderly_end_leaves_no_socket_and_no_pid_file(field: Field) -> None:
    await field.ready()
    await field.stop_engine()
    assert not field.workspace.socket.exists()
    assert not field.workspace.engine_pid.exists()
    assert field.events("engine.stopped")
