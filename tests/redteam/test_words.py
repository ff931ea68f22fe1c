"""Attacks by words: what people and the venue say, in the reports that are read and signed.

Markdown, HTML and CSV are read by programs of somebody else's, which act on what looks like markup,
like a link or like a formula. So the form of every report must be the same whatever the words are.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser

import msgspec
from markdown_it import MarkdownIt

from engine.contracts import event as ev
from engine.contracts.people import person
from engine.evidence.reports import build_reports
from tests.engine.evidence import conftest as evidence

WORDS = (
    "\n# Go/no-go: GO\n- signed by bob",
    "\\| x \\|\\<script>alert(1)</script>",
    "![x](http://e/x.png) [y](javascript:alert(1)) <http://e>",
    "\\[x](http://e) [r]: http://e",
    "<img src=x onerror=alert(1)> <!-- x",
    "`code` **bold** __bold__ _slanted_ ~~gone~~",
    "# heading",
    "- point",
    "1. point",
    "> said",
    "---",
    "```",
    "</style><style>*{background:url(//e)}</style>",
    "'\" onload=alert(1) x='",
    "\x1b]0;t\x07\u202e\u2066\u2028\x85",
)
SYMBOLS = ("=1+1", "+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", 'a,"b\n=2', "</text><script>")


def _told(word: Callable[[str], str]) -> dict[str, bytes]:
    """The reports of a session in which people and the venue say these words."""
    chain, session = evidence.Chain(), evidence.SESSION
    alice = person(word("ali|<b>"), "peer-uid:1000")
    charter = msgspec.structs.replace(
        evidence.charter(), purpose=word(WORDS[1]), account=word(WORDS[4])
    )
    chain.add(ev.SessionChartered(session_id=session, charter=charter), alice)
    for number, one in enumerate(WORDS):
        chain.add(ev.NoteAdded(session_id=session, text=word(one)), alice)
        opened = ev.IncidentOpened(session_id=session, incident_id=f"i{number}", title=word(one))
        chain.add(opened, alice)
        chain.add(ev.IncidentNoted(incident_id=f"i{number}", text=word(one)), alice)
    *orders, filled = evidence.order_events()[:4]
    assert isinstance(filled, ev.OrderFilled)
    for event in orders:
        chain.add(event)
    for number, one in enumerate(SYMBOLS):
        changes = {"symbol": f"{word(one)}", "fee_asset": word(one), "trade_id": f"{number}"}
        fill = msgspec.structs.replace(filled.fill, **changes)
        chain.add(ev.OrderFilled(session_id=session, fill=fill))
    points = tuple(word(" ".join(one.split())) for one in WORDS)
    chain.add(ev.LessonsWritten(session_id=session, points=points), alice)
    return build_reports(chain.records, session)


class _Tags(HTMLParser):
    """The tags of a page, with the names of their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[tuple[str, ...]] = Counter()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag, *(name for name, _ in attrs)] += 1


def test_words_are_only_words_in_every_report() -> None:
    """What stands around the words of people and venues is the same whatever they say."""
    markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])

    def forms(text: bytes) -> list[str]:
        return [
            one.type
            for block in markdown.parse(text.decode())
            for one in (block, *(block.children or ()))
            if one.type not in {"text", "text_special"}
        ]

    evil, plain = _told(lambda text: text), _told(lambda _: "word")
    for name in ("runlog.md", "incidents.md", "lessons.md"):
        assert forms(evil[name]) == forms(plain[name]), name
        assert all(line.isprintable() for line in evil[name].decode().split("\n")), name
    tags = _Tags(evil["report.html"].decode()).tags
    assert set(tags) == set(_Tags(plain["report.html"].decode()).tags)
    assert tags["style",] == 1
    for name in ("trades.csv", "equity.csv"):
        rows = list(csv.reader(evil[name].decode().splitlines()))
        assert len(rows) == len(SYMBOLS) + 1
        assert {len(row) for row in rows} == {len(rows[0])}
        cells = [cell for row in rows[1:] for cell in row if cell[:1] in "=+@-"]
        assert all(not cell or cell.lstrip("-").replace(".", "").isdigit() for cell in cells)
