"""Errors as the venue speaks them: `{"code","msg"}` with an HTTP status (venue.md 2.5).

These are answers to a client, not faults of ours, so they are a tree of their own beside
`PeakError`: nothing of it leaves the sandbox except as bytes on the wire.
"""

from __future__ import annotations


class VenueError(Exception):
    """A refusal: `code` and `msg` go into the body, `status` is the HTTP status."""

    def __init__(self, code: int, msg: str, status: int = 400, retry_after: int | None = None):
        self.code = code
        self.msg = msg
        self.status = status
        self.retry_after = retry_after
        super().__init__(f"{code} {msg}")

    def body(self) -> dict[str, object]:
        """The JSON body."""
        return {"code": self.code, "msg": self.msg}


def filter_failure(name: str) -> VenueError:
    """An order outside the symbol's rules; `name` is the filter's."""
    return VenueError(-1013, f"Filter failure: {name}")


def illegal(name: str, legal: str) -> VenueError:
    """A value with characters outside the legal range."""
    return VenueError(
        -1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."
    )


def missing(name: str) -> VenueError:
    """A mandatory parameter that is absent, empty or malformed."""
    return VenueError(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def not_required(name: str) -> VenueError:
    """A parameter that this kind of request does not take."""
    return VenueError(-1106, f"Parameter '{name}' sent when not required.")


def bad_combination() -> VenueError:
    """Optional parameters that exclude each other."""
    return VenueError(-1128, "Combination of optional parameters invalid.")


def not_valid(name: str) -> VenueError:
    """A value of the right form with no meaning here."""
    return VenueError(-1130, f"Data sent for parameter '{name}' is not valid.")


def insufficient_balance() -> VenueError:
    """Not enough free balance."""
    return VenueError(-2010, "Account has insufficient balance for requested action.")


def duplicate_order() -> VenueError:
    """An open order has the same client order id."""
    return VenueError(-2010, "Duplicate order sent.")


def would_match() -> VenueError:
    """A LIMIT_MAKER order that would take."""
    return VenueError(-2010, "Order would immediately match and take.")


def unknown_order() -> VenueError:
    """Nothing to cancel under that id."""
    return VenueError(-2011, "Unknown order sent.")


def no_such_order() -> VenueError:
    """Nothing to show under that id."""
    return VenueError(-2013, "Order does not exist.")


def market_closed() -> VenueError:
    """The symbol does not trade: halted, in a break, or open to cancels only."""
    return VenueError(-2010, "Market is closed.")
