"""Every error the product raises on purpose, as one small tree.

    PeakError                  exit  what it means for the caller
    ├── InputError               2   wrong use: a value, argument or file content
    ├── ConfigError              2   unreadable or unknown configuration
    ├── WorkspaceError           2   a workspace, file or program is not as it must be
    ├── AnswerNo                 1   the work was done and the answer is no
    ├── NotProven                3   done as far as we know, but without confirmation
    ├── Refused                  4   a lock, limit, latch or rule said no
    ├── EngineUnreachable        5   no engine answers on the socket
    └── IntegrityError           1   evidence does not agree with itself

Each carries what happened, where, and what to do: the CLI and the screens only render them. They
cross the socket as `{"type","code","what","where","todo"}` and arrive as the same class.
"""

from __future__ import annotations

from typing import ClassVar


class PeakError(Exception):
    """Base: `what` happened, `where` (file, key, field, host), `todo` (what the person can do)."""

    exit_code: ClassVar[int] = 1
    default_code: ClassVar[str] = "ERROR"

    def __init__(self, *, what: str, where: str = "", todo: str = "", code: str = "") -> None:
        self.what = what
        self.where = where
        self.todo = todo
        self.code = code or self.default_code
        super().__init__(self.line())

    def line(self) -> str:
        """One line: where, what, what to do."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}; {self.todo}" if self.todo else head

    def to_wire(self) -> dict[str, str]:
        """The form that crosses the socket."""
        return {
            "type": type(self).__name__,
            "code": self.code,
            "what": self.what,
            "where": self.where,
            "todo": self.todo,
        }


class InputError(PeakError):
    """A value, argument or file content that cannot be used."""

    exit_code = 2
    default_code = "INPUT"


class ConfigError(PeakError):
    """Unreadable or unknown configuration."""

    exit_code = 2
    default_code = "CONFIG"


class WorkspaceError(PeakError):
    """A workspace, file, port or program is not as it must be."""

    exit_code = 2
    default_code = "WORKSPACE"


class AnswerNo(PeakError):  # noqa: N818  (an answer, not a fault)
    """The work was done and the answer is no: NO-GO, verification failed, red breaks."""

    exit_code = 1
    default_code = "NO"


class IntegrityError(PeakError):
    """Evidence does not agree with itself: a changed byte, a broken chain, a missing file."""

    exit_code = 1
    default_code = "INTEGRITY"


class NotProven(PeakError):  # noqa: N818
    """Kill or cancel without confirmation from the venue."""

    exit_code = 3
    default_code = "NOT_PROVEN"


class Refused(PeakError):  # noqa: N818
    """A lock, limit, latch or rule said no. Nothing was changed."""

    exit_code = 4
    default_code = "REFUSED"


class EngineUnreachable(PeakError):  # noqa: N818
    """No engine answers on the socket."""

    exit_code = 5
    default_code = "ENGINE_UNREACHABLE"


_BY_NAME: dict[str, type[PeakError]] = {
    cls.__name__: cls
    for cls in (
        PeakError,
        InputError,
        ConfigError,
        WorkspaceError,
        AnswerNo,
        IntegrityError,
        NotProven,
        Refused,
        EngineUnreachable,
    )
}


def error_from_wire(wire: dict[str, str]) -> PeakError:
    """Rebuild the error that `to_wire` wrote; an unknown type becomes PeakError."""
    cls = _BY_NAME.get(wire.get("type", ""), PeakError)
    return cls(
        what=wire.get("what", "unknown error"),
        where=wire.get("where", ""),
        todo=wire.get("todo", ""),
        code=wire.get("code", ""),
    )
