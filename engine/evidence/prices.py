"""The market's price over a session, from its own recorded trades, for the page's chart.

Reads the recordings that the chain names, file by file and only the columns it needs. However long
the session was, a symbol keeps at most so many points: each time there are twice as many, every
second one goes, so the same files give the same points.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engine.contracts.errors import IntegrityError
from engine.evidence.chart import MOST

#: Time of receipt (µs UTC) and price, oldest first.
Points = list[tuple[int, float]]


def market_prices(files: Iterable[Path]) -> dict[str, Points]:
    """Points by symbol. Raises IntegrityError naming a recording that cannot be read."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    thinned: dict[str, _Thinned] = {}
    for path in sorted(files):
        if not path.name.startswith("trades-"):
            continue
        try:
            table = pq.read_table(path, columns=["symbol", "price", "received_us"])
        except (pa.ArrowException, OSError) as error:
            what = f"the recording cannot be read ({str(error).partition(chr(10))[0][:120]})"
            raise IntegrityError(what=what, where=path.name, todo="bring it back") from error
        columns = (table.column(name).to_pylist() for name in table.column_names)
        for symbol, price, received_us in zip(*columns, strict=True):
            thinned.setdefault(symbol, _Thinned()).add(received_us, float(price))
    return {symbol: one.points for symbol, one in sorted(thinned.items())}


class _Thinned:
    """Points of one symbol, every n-th of those that came."""

    def __init__(self) -> None:
        self.points: Points = []
        self._every = 1
        self._seen = 0

    def add(self, at_us: int, price: float) -> None:
        if self._seen % self._every == 0:
            self.points.append((at_us, price))
            if len(self.points) >= 2 * MOST:
                self.points = self.points[::2]
                self._every *= 2
        self._seen += 1
