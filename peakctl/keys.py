"""The action registry: every key of both consoles as data.

Bindings, footer, help and the README's key table are made from it. F9 and ctrl+x are the kill key
everywhere and are also read in the terminal's input thread (screens/kill_driver.py), before any
binding. Letters are used only in lists, where nothing is typed; keys that terminals or
multiplexers eat (ctrl+i, m, h, j, b, a, d, F10, F11) are not used.
"""

from __future__ import annotations

from typing import NamedTuple

BOTH = ("operator", "reviewer")
OPERATOR = ("operator",)
REVIEWER = ("reviewer",)
EVERYWHERE = ("*",)


class Action(NamedTuple):
    """One thing a person can do by key. `dangerous` asks or signs before it does anything."""

    id: str
    keys: str
    label: str
    description: str
    screens: tuple[str, ...] = EVERYWHERE
    roles: tuple[str, ...] = BOTH
    dangerous: bool = False
    footer: bool = True


ACTIONS: tuple[Action, ...] = (
    Action(
        "kill",
        "f9,ctrl+x",
        "KILL",
        "stop everything: latch, cancel all, prove; never asks",
        footer=False,
    ),
    Action("help", "f1", "help", "the keys of this screen and what they do"),
    Action("go_to('charter')", "f2", "charter", "show the charter", roles=OPERATOR),
    Action(
        "go_to('waiting')", "f2", "waiting", "who and what this terminal waits for", roles=REVIEWER
    ),
    Action("go_to('checklist')", "f3", "checks", "show the checklist"),
    Action("go_to('go')", "f4", "go", "show the go/no-go", roles=OPERATOR),
    Action("go_to('packet')", "f4", "packet", "show the packet and decide", roles=REVIEWER),
    Action("go_to('live')", "f5", "live", "show market, orders and limits"),
    Action("go_to('reconcile')", "f6", "recon", "show stop and reconciliation"),
    Action("go_to('seal')", "f7", "seal", "show lessons and the pack"),
    Action("go_to('alarms')", "f8", "alarms", "show the alarms"),
    Action("go_to('venue')", "ctrl+o", "venue", "show streams, running reconciliation, orphans"),
    Action("go_to('risk')", "ctrl+y", "risk", "show the risk report", footer=False),
    Action(
        "go_to('dual')",
        "ctrl+t",
        "two people",
        "show what waits for two signatures",
        footer=False,
    ),
    Action(
        "go_to('stopped')", "ctrl+k", "kill info", "show the kill's stages and proof", footer=False
    ),
    Action(
        "ask_quit", "ctrl+q", "quit", "leave the console; asks when a session is open", footer=False
    ),
    Action(
        "start_engine",
        "ctrl+e",
        "start engine",
        "start an engine that died; never by itself",
        roles=OPERATOR,
        footer=False,
    ),
    Action("say_ctrl_c", "ctrl+c", "", "says how to leave; stops nothing", footer=False),
    Action(
        "open_charter",
        "ctrl+s",
        "open session",
        "write the charter and begin the checklist",
        ("charter",),
        OPERATOR,
        True,
    ),
    Action(
        "probe_all", "ctrl+r", "run automatic", "run every automatic item", ("checklist",), OPERATOR
    ),
    Action(
        "abort",
        "f12",
        "abort",
        "end the session before it is live, with a reason",
        ("charter", "checklist", "go"),
        OPERATOR,
        True,
    ),
    Action(
        "end_unsealed",
        "f12",
        "end unsealed",
        "end a session whose approval's key has left the roster",
        ("seal",),
        OPERATOR,
        True,
        footer=False,
    ),
    Action(
        "request_go", "ctrl+r", "ask for go", "freeze the facts into a packet", ("go",), OPERATOR
    ),
    Action("sign_go", "ctrl+s", "sign", "sign the packet shown", ("go",), OPERATOR, True),
    Action(
        "decide",
        "ctrl+s",
        "sign decision",
        "sign GO, NO-GO or ABSTAIN",
        ("packet",),
        REVIEWER,
        True,
    ),
    Action("ticket", "ctrl+n", "order", "open the order ticket", ("live",), OPERATOR, True),
    Action("note", "ctrl+l", "note", "write a line into the runlog", ("live",)),
    Action("pause", "ctrl+w", "pause/resume", "no new orders until resumed", ("live",), OPERATOR),
    Action(
        "stop", "f12", "stop", "end trading: cancel, prove, wind down", ("live",), OPERATOR, True
    ),
    Action(
        "run_recon",
        "ctrl+r",
        "reconcile",
        "compare engine, journal and venue",
        ("reconcile",),
        OPERATOR,
    ),
    Action(
        "sign_recon", "ctrl+s", "sign", "sign the reconciliation report", ("reconcile",), BOTH, True
    ),
    Action(
        "write_pack",
        "ctrl+r",
        "write pack",
        "write lessons and the evidence pack",
        ("seal",),
        OPERATOR,
    ),
    Action("sign_pack", "ctrl+s", "sign pack", "sign the pack's manifest", ("seal",), BOTH, True),
    Action("check_pack", "ctrl+l", "verify", "check the pack as an auditor would", ("seal",)),
    Action("acknowledge", "enter", "acknowledge", "put your name to the alarm", ("alarms",)),
    Action(
        "adopt_orphan",
        "enter",
        "adopt",
        "ask that the marked orphan become an order of the session; the other one signs too",
        ("venue",),
        OPERATOR,
        True,
    ),
    Action("sign_dual", "ctrl+s", "sign", "sign the marked request", ("dual",), BOTH, True),
    Action(
        "decline_dual",
        "f12",
        "decline",
        "decline the marked request, or take one's own back; with a reason",
        ("dual",),
        BOTH,
        True,
    ),
    Action(
        "ask_release",
        "ctrl+r",
        "ask release",
        "ask that the kill latch be released, with a reason; the other one signs too",
        ("stopped",),
        BOTH,
        True,
    ),
    Action("ask_risk", "ctrl+r", "new report", "make a risk report; it is journaled", ("risk",)),
    Action("other_scope", "left,right", "other sheet", "session or account", ("risk",)),
    Action("cancel_orphan", "c,delete", "cancel", "cancel the marked orphan", ("venue",), OPERATOR),
    Action(
        "app.leave",
        "escape",
        "back",
        "back to the session's own step",
        ("stopped", "alarms", "venue", "risk", "dual"),
    ),
)


def actions_of(screen: str, role: str) -> tuple[Action, ...]:
    """The actions of one screen for one role, its own first."""
    mine = [row for row in ACTIONS if role in row.roles and screen in row.screens]
    shared = [row for row in ACTIONS if role in row.roles and row.screens == EVERYWHERE]
    return (*mine, *shared)


#: How a key is written for people.
_NAMES = {"escape": "Esc", "enter": "Enter", "left": "◂", "right": "▸"}


def key_name(key: str) -> str:
    """`f9` as `F9`, `ctrl+s` as `^S`."""
    if key.startswith("ctrl+"):
        return f"^{key[5:].upper()}"
    return _NAMES.get(key, key.upper())


def keys_of(action: Action) -> str:
    """All keys of an action for people."""
    return " / ".join(key_name(key) for key in action.keys.split(","))


def markdown_table() -> str:
    """The key table for the README."""
    rows = [
        f"| {keys_of(row)} | {row.description} |"
        f" {', '.join(row.screens).replace('*', 'everywhere')}"
        f" | {', '.join(row.roles)} | {'asks or signs' if row.dangerous else ''} |"
        for row in ACTIONS
    ]
    return "\n".join(["| key | what it does | where | who | |", "|---|---|---|---|---|", *rows])
