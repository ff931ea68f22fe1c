"""`python -m tests.benchmarks [--only NAME ...] [--quick]`: what we owe, measured beside the bare.

Every row is measured in one run with its bare limit, in turn. Nothing is asserted: a figure that
is missed is shown as `no`, and the exit code is 0.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

from tests.benchmarks import journal_store
from tests.benchmarks.console import console_rows
from tests.benchmarks.kill_key import kill_key_rows
from tests.benchmarks.kill_path import kill_rows, latch_rows
from tests.benchmarks.order_path import order_rows
from tests.benchmarks.pack import pack_rows
from tests.benchmarks.recon import recon_rows
from tests.benchmarks.restart import restart_rows
from tests.benchmarks.risk import risk_rows
from tests.benchmarks.sandbox_rate import sandbox_rows
from tests.benchmarks.stream_rate import stream_rows
from tests.benchmarks.table import Row, render


def _journal_rows(*, quick: bool) -> list[Row]:
    if not quick:
        return journal_store.all_rows()
    return [
        *journal_store.bulk_append(100_000),
        *journal_store.durable_latency(2.0),
        *journal_store.store_ingest(100_000),
        *journal_store.reopening(100_000),
    ]


Measure = Callable[[bool], list[Row]]

BENCHMARKS: dict[str, Measure] = {
    "order": lambda quick: order_rows(100 if quick else 300),
    "kill": lambda quick: kill_rows(3 if quick else 5),
    "kill_key": lambda quick: kill_key_rows(4 if quick else 12),
    "latch": lambda quick: latch_rows(30 if quick else 100),
    "journal": lambda quick: _journal_rows(quick=quick),
    "restart": lambda quick: restart_rows(100_000 if quick else 1_000_000),
    "recon": lambda quick: recon_rows(100_000 if quick else 1_000_000),
    "console": lambda quick: console_rows(3, 5.0, 30) if quick else console_rows(),
    "pack": lambda quick: pack_rows(100_000 if quick else 1_000_000),
    "risk": lambda quick: risk_rows(100 if quick else 300),
    "stream": lambda quick: stream_rows(1 if quick else 5),
    "sandbox": lambda quick: sandbox_rows(1_000 if quick else 4_000),
}


def main() -> int:
    """Run the benchmarks that were asked for and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=sorted(BENCHMARKS), metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="a tenth of the events")
    options = parser.parse_args()
    rows: list[Row] = []
    try:
        for name in options.only or BENCHMARKS:
            begin = time.perf_counter()
            rows += BENCHMARKS[name](options.quick)
            sys.stderr.write(f"{name}: {time.perf_counter() - begin:.0f} s\n")
    finally:
        # What was measured is shown even when a later benchmark fails.
        load = "/".join(f"{one:.1f}" for one in os.getloadavg())
        sys.stdout.write(f"{render(rows)}\n{os.cpu_count()} cores, load {load}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
