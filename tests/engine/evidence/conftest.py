"""A real, small session on disk: real keys, a real chained journal, real signatures."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from engine.contracts import event as ev
from engine.contracts.canonical import canonical, sha256_hex
from engine.contracts.decision import Check, Decision, Verdict
from engine.contracts.documents import (
    OPERATOR_NAMESPACES,
    REVIEWER_NAMESPACES,
    SIGNED_REPORTS,
    Namespace,
)
from engine.contracts.fill import Fill, Liquidity
from engine.contracts.order import OrderIntent, OrderType, Side, TimeInForce
from engine.contracts.people import ENGINE, Actor, Person, Role, person
from engine.contracts.session import (
    Charter,
    Checklist,
    ChecklistItem,
    Environment,
    ItemKind,
    ItemResult,
    Limits,
    Mode,
    SessionState,
)
from engine.evidence.bag import TAGMANIFEST_NAME
from engine.evidence.gather import Surroundings, gather
from engine.evidence.pack import (
    PackInputs,
    add_signature,
    finish,
    folder_name,
    named_by_chain,
    write_pack,
)
from engine.evidence.prepare import heads_lines, prepared
from engine.governance.packet import CosignContent, PacketFacts, build_cosign, build_packet
from engine.governance.people import Roster, roster_document
from engine.governance.shapes import Party
from engine.governance.wordlist import short_code
from engine.journal.chain import ZERO_HASH, encode_line, line_hash
from engine.journal.heads import SignedHead, head_text, parse_head
from engine.signatures.allowed_signers import allowed_signers_line
from engine.signatures.sshsig import fingerprint, parse_public_line
from engine.store.database import Database, Settings
from engine.store.market import MarketRecorder
from engine.store.tables import write_tables

SESSION = "s3ss10n0abcd"
START_US = 1_723_161_600_000_000
OPERATOR, REVIEWER, LOG = "op:alice", "rev:bob", "log:desk1"
PRINCIPALS = {Role.OPERATOR: OPERATOR, Role.REVIEWER: REVIEWER}


class Keys:
    """ssh-keygen's own keys and signatures."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self.public: dict[str, str] = {}
        for principal in (OPERATOR, REVIEWER, LOG):
            path = self.path(principal)
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "demo", "-f", str(path)],
                check=True,
            )
            self.public[principal] = path.with_name(path.name + ".pub").read_text().strip()

    def path(self, principal: str) -> Path:
        return self._folder / principal.replace(":", "_")

    def sign(self, principal: str, namespace: Namespace, message: bytes) -> str:
        return subprocess.run(
            ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(self.path(principal))],
            input=message,
            capture_output=True,
            check=True,
        ).stdout.decode("ascii")

    def fingerprint(self, principal: str) -> str:
        return fingerprint(parse_public_line(self.public[principal]))

    def allowed_signers(self) -> bytes:
        return "".join(
            allowed_signers_line(principal, namespaces, self.public[principal])
            for principal, namespaces in (
                (OPERATOR, OPERATOR_NAMESPACES),
                (REVIEWER, REVIEWER_NAMESPACES),
                (LOG, (Namespace.HEAD,)),
            )
        ).encode("ascii")


class Chain:
    """A journal in memory that is written to one file at the end."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.records: list[ev.Recorded] = []
        self.head = ZERO_HASH

    def add(self, event: ev.AnyEvent, actor: Actor = ENGINE) -> None:
        seq = len(self.lines)
        ts_us = START_US + seq * 250_000
        line = encode_line(seq, self.head, ts_us, actor, event)
        self.lines.append(line)
        self.records.append(ev.Recorded(seq=seq, ts_us=ts_us, actor=actor, event=event))
        self.head = line_hash(line)


@dataclasses.dataclass
class World:
    """Everything a test may want to bend before the pack is written."""

    root: Path
    keys: Keys
    chain: Chain
    inputs: PackInputs
    allowed_signers: Path
    around: Surroundings
    rows: dict[str, int]

    @property
    def folder(self) -> Path:
        return self.root / "sessions" / folder_name(self.inputs.started_us, SESSION)

    def tools(self, pack: Path) -> StockTools:
        return StockTools.of(pack)

    def seal(self) -> Path:
        write_pack(self.folder, self.inputs)
        self.sign()
        return finish(self.folder)

    def seal_again(self, *events: ev.AnyEvent) -> Path:
        """A second pack of a journal that went on: the first one is sealed under another name."""
        first = self.seal()
        digest = sha256_hex((first / TAGMANIFEST_NAME).read_bytes())
        moved = first.rename(first.with_name(f"{first.name}_first"))
        sealed = ev.PackSealed(session_id=SESSION, folder=moved.name, tagmanifest_sha256=digest)
        for event in (sealed, *events):
            self.chain.add(event)
        return self.write_later()

    def write_later(self) -> Path:
        """A pack of the chain as it is now."""
        self.inputs = under_head(self.root, self.keys, self.chain, self.around, self.rows)
        return self.seal()

    def sign(self, *roles: Role) -> None:
        """One or both sign the written pack: its tag manifest, the runlog, the incidents."""
        partial = self.folder.with_name(f"{self.folder.name}.partial")
        for document, role, signature in self.signatures(partial):
            if not roles or role in roles:
                add_signature(self.folder, role, signature, document)

    def signatures(self, pack: Path) -> list[tuple[str, Role, str]]:
        """Every document that both sign at the top, with each one's signature of its bytes."""
        documents = {
            TAGMANIFEST_NAME: {
                Role.OPERATOR: Namespace.PACK,
                Role.REVIEWER: Namespace.PACK_REVIEW,
            },
            **SIGNED_REPORTS,
        }
        return [
            (name, role, self.keys.sign(PRINCIPALS[role], space, (pack / name).read_bytes()))
            for name, spaces in documents.items()
            for role, space in spaces.items()
        ]


def charter() -> Charter:
    return Charter(
        mode=Mode.PAPER,
        venue="sandbox",
        account="demo",
        instruments=("BTCUSDT",),
        limits=Limits(
            max_order_quantity=Decimal("0.05"),
            max_order_notional=Decimal(2500),
            max_position=Decimal("0.1"),
            max_open_orders=5,
            max_orders_per_second=2,
            max_orders_per_minute=30,
            max_orders_per_session=100,
            max_session_loss=Decimal(100),
            price_collar_bps=200,
        ),
        window_from_us=START_US,
        window_until_us=START_US + 3_600_000_000,
        operator="alice",
        reviewer="bob",
        runbook="session_paper.md",
        attendance_seconds=15,
        purpose="pipe | and \u202e bidi",
    )


def order_events() -> list[ev.AnyEvent]:
    intent = OrderIntent(
        client_order_id=f"{SESSION}-1",
        symbol="BTCUSDT",
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal("0.02"),
        price=Decimal("61000.50"),
        time_in_force=TimeInForce.GTC,
    )
    blocked = Check(
        code="MAX_NOTIONAL",
        verdict=Verdict.BLOCK,
        text="notional 6100.05 USDT is over 2500.00 USDT",
    )
    allowed = Check(code="MAX_NOTIONAL", verdict=Verdict.ALLOW, text="fine")
    fill = Fill(
        symbol="BTCUSDT",
        trade_id="77",
        client_order_id=intent.client_order_id,
        venue_order_id="9001",
        side=Side.BUY,
        price=Decimal("61000.50"),
        quantity=Decimal("0.005"),
        fee=Decimal("0.000005"),
        fee_asset="BTC",
        liquidity=Liquidity.MAKER,
        time_us=START_US + 3_000_000,
    )
    return [
        ev.OrderBlocked(
            session_id=SESSION,
            intent=intent,
            owner="alice",
            decision=Decision(verdict=Verdict.BLOCK, checks=(blocked,)),
        ),
        ev.OrderIntended(
            session_id=SESSION,
            intent=intent,
            intent_sha256=intent.intent_sha256(),
            owner="alice",
            decision=Decision(verdict=Verdict.ALLOW, checks=(allowed,)),
        ),
        ev.OrderAcknowledged(
            client_order_id=intent.client_order_id, venue_order_id="9001", venue_time_us=START_US
        ),
        ev.OrderFilled(session_id=SESSION, fill=fill),
        ev.CancelRequested(
            client_order_id=intent.client_order_id, cancel_id="c1", cause="operator"
        ),
        ev.OrderCanceled(
            client_order_id=intent.client_order_id,
            filled_quantity=Decimal("0.005"),
            venue_time_us=START_US,
        ),
    ]


def store_tables(root: Path, chain: Chain) -> dict[str, int]:
    """The session's tables as the store writes them: name -> rows."""
    database = Database(root / "store.duckdb", Settings("96MB", 2, root / "exports"))
    try:
        database.insert_all(iter(chain.lines))
        written = write_tables(database.batches, SESSION, root / "tables")
    finally:
        database.close()
    return {one.path.name: one.rows for one in written}


def made_up_tables(root: Path, _chain: Chain) -> dict[str, int]:
    """Files that are no Parquet but are hashed all the same: a store takes its time."""
    folder = root / "tables"
    folder.mkdir()
    rows = {"orders.parquet": 1, "fills.parquet": 1, "sessions.parquet": 1}
    for name in rows:
        (folder / name).write_bytes(f"PAR1 {name}".encode())
    return rows


@functools.cache
def market_file() -> bytes:
    """Three public trades, as the recorder writes them."""
    with tempfile.TemporaryDirectory() as name:
        recorder = MarketRecorder(Path(name), SESSION)
        for number, price in enumerate(("61000.10", "61000.50", "60999.90")):
            at_us = START_US + number * 2_000_000
            quantity = Decimal("0.01")
            recorder.trade("BTCUSDT", number, Decimal(price), quantity, "BUY", at_us, at_us)
        (made,) = recorder.close()
        return (Path(name) / made.file).read_bytes()


def make_world(
    root: Path,
    *,
    approved: bool = True,
    tables: Callable[[Path, Chain], dict[str, int]] = made_up_tables,
    more: Callable[[Chain, Keys], None] = lambda _chain, _keys: None,
) -> World:
    root.mkdir(exist_ok=True)
    keys = Keys(root / "keys")
    signers = keys.allowed_signers()
    allowed_path = root / "allowed_signers"
    allowed_path.write_bytes(signers)
    roster = roster_document(
        Roster(
            tuple(
                Person(
                    id=name,
                    name=name.title(),
                    role=role,
                    principal=principal,
                    fingerprint=keys.fingerprint(principal),
                )
                for name, role, principal in (
                    ("alice", Role.OPERATOR, OPERATOR),
                    ("bob", Role.REVIEWER, REVIEWER),
                )
            )
        ),
        sha256_hex(signers),
    )
    config = canonical({"environment": "dev", "type": "config"}) + b"\n"
    checklist = canonical({"answers": [], "type": "peakctl-checklist-1"}) + b"\n"
    market = root / "market"
    market.mkdir()
    (market / "trades-000001.parquet").write_bytes(market_file())
    snapshots = root / "snapshots"
    snapshots.mkdir()
    (snapshots / "000001.json").write_bytes(b'{"time_us":1}\n')
    chain = Chain()
    alice, bob = person("alice", "peer-uid:1000"), person("bob", "peer-uid:1001")
    chain.add(ev.NoteAdded(session_id="an0thersessi", text="an earlier session"))
    before = (len(chain.lines), chain.head)
    chain.add(ev.SessionChartered(session_id=SESSION, charter=charter()), alice)
    item = ChecklistItem(id="disk", title="Disk", kind=ItemKind.AUTO, probe="disk_space")
    chain.add(
        ev.ChecklistStarted(
            session_id=SESSION,
            checklist=Checklist(
                runbook="session_paper.md",
                version="1",
                sha256=sha256_hex(checklist),
                items=(item,),
            ),
        )
    )
    chain.add(
        ev.ItemAnswered(
            session_id=SESSION,
            item_id="disk",
            role="operator",
            value="900 MiB",
            result=ItemResult.PASS,
        )
    )
    go = build_packet(
        PacketFacts(
            session_id=SESSION,
            environment=Environment.DEV,
            charter=charter(),
            config_sha256=sha256_hex(config),
            inputs=(),
            code_sha256="1" * 64,
            code={"python": "3.11"},
            checklist_sha256=sha256_hex(checklist),
            roster_sha256=sha256_hex(roster),
            prev_head_size=before[0],
            prev_head_sha256=before[1],
            operator=_party("alice", OPERATOR, keys, 1000),
            reviewer=_party("bob", REVIEWER, keys, 1001),
            operator_nonce="a" * 64,
            reviewer_nonce="b" * 64,
            allow_same_uid=False,
            issued_at_us=START_US,
            expires_at_us=START_US + 300_000_000,
            boot_id="boot",
            hostname="desk1",
        )
    )
    digest = sha256_hex(go)
    cosign = build_cosign(
        CosignContent(
            session_id=SESSION,
            go_sha256=digest,
            decision="GO",
            reason="",
            reviewer_nonce="b" * 64,
            decided_at_us=START_US,
            reviewer=_party("bob", REVIEWER, keys, 1001),
            typed_code=short_code(digest),
            typed_limit=json.loads(go)["limits"]["max_order_notional"],
        )
    )
    if approved:
        chain.add(
            ev.GoRequested(
                session_id=SESSION,
                packet=go.decode(),
                packet_sha256=digest,
                expires_us=START_US + 300_000_000,
            ),
            alice,
        )
        chain.add(
            ev.GoSigned(
                session_id=SESSION,
                packet_sha256=digest,
                signature=keys.sign(OPERATOR, Namespace.GO, go),
                fingerprint=keys.fingerprint(OPERATOR),
            ),
            alice,
        )
        chain.add(
            ev.GoDecided(
                session_id=SESSION,
                decision="GO",
                reason="",
                packet_sha256=digest,
                cosign=cosign.decode(),
                signature=keys.sign(REVIEWER, Namespace.COSIGN, cosign),
                fingerprint=keys.fingerprint(REVIEWER),
                signals={},
            ),
            bob,
        )
    chain.add(
        ev.SessionMoved(
            session_id=SESSION, before=SessionState.GO_NOGO, after=SessionState.LIVE, cause="go"
        )
    )
    for event in order_events():
        chain.add(event)
    more(chain, keys)
    chain.add(ev.VenueDisconnected(venue="sandbox", stream="user", reason="test"))
    chain.add(
        ev.SnapshotTaken(
            session_id=SESSION,
            file="snapshots/000001.json",
            sha256=sha256_hex((snapshots / "000001.json").read_bytes()),
        )
    )
    chain.add(
        ev.AlarmRaised(
            alarm_id="A00001",
            session_id=SESSION,
            code="MARKET_STALE",
            priority=2,
            text="market data is old",
            response="wait",
        )
    )
    chain.add(ev.AlarmAcknowledged(alarm_id="A00001", note="seen"), alice)
    chain.add(ev.IncidentOpened(incident_id="I0001", session_id=SESSION, title="stale"), alice)
    chain.add(ev.IncidentClosed(incident_id="I0001", text="came back"), alice)
    chain.add(
        ev.MarketRecorded(
            session_id=SESSION,
            file="trades-000001.parquet",
            rows=3,
            sha256=sha256_hex((market / "trades-000001.parquet").read_bytes()),
        )
    )
    report = (
        canonical(
            {
                "breaks": [
                    {
                        "id": "B1",
                        "klass": "green",
                        "subject": "fees",
                        "key": "BTC",
                        "engine": "1",
                        "journal": "1",
                        "venue": "1",
                        "cause": "rounding",
                        "owner": "",
                    }
                ],
                "type": "peakctl-recon-1",
            }
        )
        + b"\n"
    )
    chain.add(
        ev.ReconRun(
            session_id=SESSION,
            run_id="R1",
            compared={"orders": 1},
            breaks={"green": 1, "yellow": 0, "red": 0},
            report=report.decode(),
            report_sha256=sha256_hex(report),
        )
    )
    chain.add(
        ev.BreakAnswered(session_id=SESSION, run_id="R1", break_id="B1", answer="rounding"), alice
    )
    for role, principal, namespace in (
        (Role.OPERATOR, OPERATOR, Namespace.RECON),
        (Role.REVIEWER, REVIEWER, Namespace.RECON_REVIEW),
    ):
        chain.add(
            ev.ReconSigned(
                session_id=SESSION,
                run_id="R1",
                role=role,
                report_sha256=sha256_hex(report),
                signature=keys.sign(principal, namespace, report),
                fingerprint=keys.fingerprint(principal),
            )
        )
    chain.add(ev.LessonsWritten(session_id=SESSION, points=("look at the clock first",)), alice)
    rows = tables(root, chain)
    around = Surroundings(
        operator=OPERATOR,
        reviewer=REVIEWER,
        log=LOG,
        allowed_signers=signers,
        roster=roster,
        config=config,
        checklist=checklist,
        journal_segments=(),
        head=b"",
        head_signature="",
        run={"version": "0.1.0"},
        config_inputs=(("config/peakctl.toml", b'environment = "dev"\n'),),
        market_folders=(market,),
        snapshot_folders=(snapshots,),
        tables={name: root / "tables" / name for name in rows},
    )
    inputs = under_head(root, keys, chain, around, rows)
    return World(root, keys, chain, inputs, allowed_path, around, rows)


def under_head(
    root: Path, keys: Keys, chain: Chain, around: Surroundings, rows: dict[str, int]
) -> PackInputs:
    """As the engine does: build the files, name them in the chain, sign a head over that."""
    inputs = gather(chain.lines, SESSION, around)
    log = around.log
    first = head_text("peakctl/desk", 2, line_hash(chain.lines[1])).encode("ascii")
    chain.add(
        prepared(
            SESSION,
            len(chain.lines),
            named_by_chain(inputs),
            {
                name: (sha256_hex(path.read_bytes()), rows[name])
                for name, path in around.tables.items()
            },
        )
    )
    journal = root / "journal"
    journal.mkdir(exist_ok=True)
    half = len(chain.lines) // 2
    (journal / "000001.jsonl").write_bytes(b"".join(chain.lines[:half]))
    later = encode_line(
        len(chain.lines), chain.head, START_US + 10**9, ENGINE, ev.EngineStopped(reason="later")
    )
    (journal / "000002.jsonl").write_bytes(b"".join([*chain.lines[half:], later]))
    head = head_text("peakctl/desk", len(chain.lines), chain.head).encode("ascii")
    heads = [
        SignedHead(
            parse_head(text.decode(), "head"),
            text.decode(),
            keys.sign(log, Namespace.HEAD, text),
            root,
        )
        for text in (first, head)
    ]
    return msgspec.structs.replace(
        inputs,
        journal_segments=tuple(sorted(journal.iterdir())),
        head=head,
        head_signature=heads[-1].signature,
        heads=heads_lines(heads, 1, len(chain.lines)),
    )


def _party(name: str, principal: str, keys: Keys, uid: int) -> Party:
    return Party(
        person=name,
        principal=principal,
        fingerprint=keys.fingerprint(principal),
        uid=uid,
        signals={},
    )


@pytest.fixture(scope="session")
def story() -> ModuleType:
    """This module, for tests that need its names: test folders are not packages."""
    return sys.modules[__name__]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


@dataclasses.dataclass
class StockTools:
    """VERIFY.md's own script, cut out as it says, run by bash with nothing of ours."""

    script: str

    @classmethod
    def of(cls, pack: Path) -> StockTools:
        found = re.search(r"```bash\n(.*?)\n```", (pack / "data/VERIFY.md").read_text(), re.DOTALL)
        assert found is not None
        return cls(found[1])

    def run(self, pack: Path, *more: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", self.script, "verify.sh", str(pack), *map(str, more)],
            capture_output=True,
            text=True,
            timeout=60,
            env={"PATH": os.environ["PATH"]},
            check=False,
        )
