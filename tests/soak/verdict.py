"""What a soak must come to.

Memory. The engine keeps the orders, fills and alarms of its workspace in its ledgers, because its
state is the fold of the journal: that much may grow. Measured with tracemalloc it is 2 kB an order
with its fills and its share of the sessions; thrice that is allowed. Nothing may grow with the
market's messages, of which there are some hundred to an order. What is left over is the allocators'
unrest: a pack that is written and verified inside the engine takes memory for seconds, and the
allocators give it back later. Before ten minutes are over that unrest, first uses and filling
caches hide any slope, so a shorter soak is judged by its level alone.
"""

from __future__ import annotations

from tests.soak.measure import percentile
from tests.soak.soak import Soak

#: Level and peak of the engine's resident memory, MB; the level is DESIGN section 10's.
LEVEL_MB = 300.0
PEAK_MB = 400.0
#: Slope allowed over the last two thirds: kB an order, and MB a minute of unrest.
ORDER_KB = 6.0
UNREST_MB_A_MINUTE = 0.5
SLOPE_FROM_SECONDS = 600.0


def slope_allowed(done: Soak) -> float:
    """MB a minute that the ledgers may grow by at this soak's rate of orders."""
    orders_a_minute = 60.0 * done.submitted / done.seconds
    return UNREST_MB_A_MINUTE + ORDER_KB * orders_a_minute / 1024.0


def problems(done: Soak) -> list[str]:
    """Everything that is wrong with a soak; empty when it is good."""
    wrong = list(done.wrong)
    late = [one.mb for one in done.samples if one.at >= done.samples[-1].at * 2 / 3]
    level, peak = percentile(late, 0.5), max(one.mb for one in done.samples)
    if level > LEVEL_MB:
        wrong.append(f"the engine holds {level:.0f} MB; {LEVEL_MB:.0f} are allowed")
    if peak > PEAK_MB:
        wrong.append(f"the engine took {peak:.0f} MB at its most; {PEAK_MB:.0f} are allowed")
    if done.seconds >= SLOPE_FROM_SECONDS and done.slope > slope_allowed(done):
        wrong.append(
            f"memory grows by {done.slope:.2f} MB a minute; {slope_allowed(done):.2f} are allowed"
        )
    return wrong
