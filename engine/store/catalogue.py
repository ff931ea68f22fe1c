"""The documented tables of the store: every column with its type, unit and meaning, as data.

One table from which four things come: the comments in the database itself, `peakctl store views`,
the page `runbooks/store_views.md`, and the list of what goes into a pack as Parquet. A test holds
it against what DuckDB says of the views, so a column cannot be added, renamed or retyped silently.

Reading it needs neither DuckDB nor an engine. All times are µs since 1970 in UTC, as the engine's
wall clock told them when the event was journaled unless a column says otherwise; money is exact
(DECIMAL(38, 18)), never a float (I11).
"""

from __future__ import annotations

import msgspec

#: Units: `text` has none, `µs UTC` is a moment, `µs` a span, `base` and `quote` are the symbol's
#: own assets.
_TEXT, _MOMENT, _SPAN, _COUNT, _SEQ = "text", "µs UTC", "µs", "count", "sequence"
_BASE, _QUOTE, _PRICE = "base asset", "quote asset", "quote asset for one of base"

_STRING, _LONG, _INT, _MONEY = "VARCHAR", "BIGINT", "INTEGER", "DECIMAL(38,18)"


class Column(msgspec.Struct, frozen=True):
    """One column: DuckDB's type, unit, and what it says."""

    name: str
    type: str
    unit: str
    meaning: str


class Table(msgspec.Struct, frozen=True):
    """A table or view. `packed`: its rows of a session go into that session's pack."""

    name: str
    meaning: str
    packed: bool
    columns: tuple[Column, ...]


def _text(name: str, meaning: str) -> Column:
    return Column(name, _STRING, _TEXT, meaning)


def _moment(name: str, meaning: str) -> Column:
    return Column(name, _LONG, _MOMENT, meaning)


def _money(name: str, unit: str, meaning: str) -> Column:
    return Column(name, _MONEY, unit, meaning)


_SEQUENCE = Column("seq", _LONG, _SEQ, "place of the event in the journal, from 0, without a hole")
_AT = _moment("ts_us", "when the event was journaled; never goes back")
_SESSION = _text("session_id", "the session; NULL or empty outside of one")
_SYMBOL = _text("symbol", "the venue's name of the instrument, such as BTCUSDT")
_OUR_ID = _text("client_order_id", "our name of the order, unique in the workspace")
_VENUE_ID = _text("venue_order_id", "the venue's name of the order; NULL until it told one")
_SIDE = _text("side", "BUY or SELL")

TABLES: tuple[Table, ...] = (
    Table(
        "events",
        "the journal, one row an event: everything else is a view of it",
        packed=False,
        columns=(
            _SEQUENCE,
            _AT,
            _text("kind", "kind of event, such as order.filled"),
            _text("actor_kind", "person or automaton"),
            _text("actor_name", "id of the person or name of the automaton"),
            _text("actor_proof", "how the actor is known: peer-uid:N, sshsig:SHA256:..., process"),
            _text("session_id", "the session that the event names, if any"),
            _text("actor", "the actor as in the journal's line (canonical JSON)"),
            _text("data", "the event's fields as in the line (canonical JSON, money as strings)"),
            _text("prev", "sha256 (hex) of the line before"),
            _text("hash", "sha256 (hex) of this line with its newline"),
        ),
    ),
    Table(
        "orders",
        "one row an order as the events tell it, computed without the engine's own ledger",
        packed=True,
        columns=(
            Column("seq", _LONG, _SEQ, "place of the intent in the journal"),
            _SESSION,
            _OUR_ID,
            _VENUE_ID,
            _SYMBOL,
            _SIDE,
            _text("type", "LIMIT, MARKET or LIMIT_MAKER"),
            _text("time_in_force", "GTC, IOC or FOK"),
            _money("quantity", _BASE, "what was intended"),
            _money("price", _PRICE, "the limit; NULL for a market order"),
            _text("owner", "who wanted it: a person, or a strategy by its name"),
            _text("state", "open, filled, canceled, expired, rejected or unknown"),
            _money("filled_quantity", _BASE, "sum of the order's distinct fills"),
            _moment("intended_us", "when the intent was journaled, before it was sent"),
            _moment("updated_us", "last event of the order"),
        ),
    ),
    Table(
        "fills",
        "our trades as the venue reported them, each once, however often it was told",
        packed=True,
        columns=(
            _SEQUENCE,
            _AT,
            _SESSION,
            _SYMBOL,
            _text("trade_id", "the venue's number of the trade, unique in its symbol"),
            _OUR_ID,
            _text("venue_order_id", "the venue's name of the order"),
            _SIDE,
            _money("price", _PRICE, "what was traded at"),
            _money("quantity", _BASE, "what was traded"),
            _money("fee", "fee_asset", "what the venue took; negative is a rebate"),
            _text("fee_asset", "the asset that the fee was taken in"),
            _text("liquidity", "MAKER (it rested) or TAKER (it crossed)"),
            _moment("time_us", "when it was traded, by the venue's clock"),
        ),
    ),
    Table(
        "positions",
        "what each session traded in each symbol, before fees",
        packed=True,
        columns=(
            _SESSION,
            _SYMBOL,
            _money("bought", _BASE, "sum of the buys"),
            _money("sold", _BASE, "sum of the sells"),
            _money("quantity", _BASE, "bought less sold; fees in base are not taken off"),
            Column("fills", _LONG, _COUNT, "number of trades"),
        ),
    ),
    Table(
        "equity",
        "what a session's trading in a symbol was worth after each fill, marked at its price",
        packed=True,
        columns=(
            _SEQUENCE,
            _AT,
            _SESSION,
            _SYMBOL,
            _text("trade_id", "the trade after which this holds"),
            _money("position", _BASE, "held after the trade; fees in base are taken off"),
            _money("mark", _PRICE, "the trade's own price"),
            _money("before_fees", _QUOTE, "profit since the session began, realised and not"),
            _money("fees", _QUOTE, "value of all fees so far that were paid in base or quote"),
            Column("fees_without_price", "BOOLEAN", "yes/no", "a fee so far was in a third asset"),
            _money("equity", _QUOTE, "before_fees less fees; NULL once a fee has no price"),
        ),
    ),
    Table(
        "approvals",
        "every request, signature, decision and refusal of two people's approvals",
        packed=True,
        columns=(
            _SEQUENCE,
            _AT,
            _SESSION,
            _text("kind", "kind of event, such as go.signed or dual.granted"),
            _text("person", "who, or the automaton that judged"),
            _text("proof", "how that is known"),
            _text("purpose", "go, release, adopt, close_break, loosen, step_up; NULL for reports"),
            _text("role", "operator or reviewer"),
            _text("decision", "GO, NO-GO or ABSTAIN"),
            _text("fingerprint", "the key that signed"),
            _text("code", "why it was refused or voided, as a stable word"),
            _text("reason", "why, in a person's words"),
            _text("document_sha256", "sha256 (hex) of the exact bytes that were signed or refused"),
        ),
    ),
    Table(
        "alarms",
        "one row an alarm",
        packed=True,
        columns=(
            _text("alarm_id", "name of the alarm, counted in the workspace"),
            _SESSION,
            _text("code", "row of the alarm catalogue"),
            Column("priority", _INT, "1 to 3", "1: act now, 2: before the next order, 3: today"),
            _text("text", "what happened"),
            _text("response", "the first thing to do"),
            _moment("raised_us", "when it was raised"),
            _text("acknowledged_by", "who took it first; NULL while nobody has"),
            _moment("acknowledged_us", "when; NULL while nobody has"),
            _moment("cleared_us", "when its cause was gone; NULL while it is there"),
        ),
    ),
    Table(
        "checklists",
        "every probe and answer; the last of an item and role counts",
        packed=True,
        columns=(
            _SEQUENCE,
            _moment("answered_us", "when it was answered"),
            _SESSION,
            _text("item_id", "item of the checklist"),
            _text("role", "whose answer: operator, reviewer or engine"),
            _text("value", "what was read or typed"),
            _text("result", "pass, fail or open"),
            _text("detail", "more about it"),
            _text("answered_by", "the person, or the automaton of a probe"),
        ),
    ),
    Table(
        "sessions",
        "one row a session, with the state that its last move left",
        packed=True,
        columns=(
            _text("session_id", "name of the session"),
            _moment("chartered_us", "when its charter was journaled"),
            _text("mode", "paper, shadow, testnet or live"),
            _text("venue", "where orders go"),
            _text("account", "name of the account"),
            _text("operator", "id of the operator"),
            _text("reviewer", "id of the reviewer"),
            _text("purpose", "what it is for, as chartered"),
            _text("state", "where it stands, as `peakctl session states` lists them"),
            _moment("since_us", "in this state since"),
            _text("cause", "what moved it there"),
            _text("reason", "why, in a person's words"),
        ),
    ),
    Table(
        "kills",
        "one row a kill, with its last verdict",
        packed=True,
        columns=(
            _text("kill_id", "name of the kill"),
            _SESSION,
            _text("reason", "why, as told"),
            _text("source", "F9, signal, watchdog, engine, ..."),
            _text("killed_by", "who"),
            _moment("pressed_us", "when the key was read, by the console's clock"),
            _moment("latched_us", "when the latch was journaled"),
            _text("verdict", "PROVEN or UNCONFIRMED"),
            Column("elapsed_us", _LONG, _SPAN, "from the request to the verdict"),
            Column("canceled", _LONG, _COUNT, "orders that it canceled"),
            _text("open_orders", "what was left open (JSON list of client order ids)"),
            _moment("released_us", "when two people released the latch; NULL while it is set"),
        ),
    ),
    Table(
        "notes",
        "lines of the runlog that people wrote",
        packed=True,
        columns=(
            _SEQUENCE,
            _AT,
            _SESSION,
            _text("written_by", "who"),
            _text("text", "what"),
        ),
    ),
)

#: The tables of which a session's rows go into its pack.
PACKED: tuple[str, ...] = tuple(table.name for table in TABLES if table.packed)


_HOW = (
    'Ask with `peakctl store query "SELECT ... FROM orders"` while the engine runs, or of the '
    "Parquet files of a sealed pack with any tool that reads Parquet. `peakctl store views` prints "
    "this list. Questions only read: one SELECT, WITH, DESCRIBE or SHOW at a time, no files, no "
    "settings, with a limit of rows, bytes, memory and seconds that the answer names when it was "
    "reached. Times are µs since 1970 in UTC; money is exact."
)


def comments() -> tuple[str, ...]:
    """The statements that put the catalogue into the database itself."""
    made: list[str] = []
    for table in TABLES:
        sort = "TABLE" if table.name == "events" else "VIEW"
        made.append(f"COMMENT ON {sort} {table.name} IS {_literal(table.meaning)}")
        made.extend(
            f"COMMENT ON COLUMN {table.name}.{one.name} IS {_literal(_with_unit(one))}"
            for one in table.columns
        )
    return tuple(made)


def page() -> str:
    """The catalogue as Markdown: `runbooks/store_views.md`."""
    lines = [
        "# What can be asked of the store",
        "",
        "Made from the table in `engine/store/catalogue.py`; a test compares the two.",
        "",
        _HOW,
    ]
    for table in TABLES:
        packed = f"In a pack: `{table.name}.parquet`." if table.packed else "Not in packs as such."
        lines += [
            "",
            f"## {table.name}",
            "",
            f"{table.meaning[0].upper()}{table.meaning[1:]}. {packed}",
            "",
            "| column | type | unit | meaning |",
            "|---|---|---|---|",
            *(f"| {one.name} | {one.type} | {one.unit} | {one.meaning} |" for one in table.columns),
        ]
    return "\n".join(lines) + "\n"


def _with_unit(column: Column) -> str:
    plain = column.unit in {_TEXT, _SEQ, "yes/no"}
    return column.meaning if plain else f"{column.meaning} [{column.unit}]"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
