"""What a soak must come to.

Memory. The engine keeps every order, fill and alarm of its workspace in its ledgers, because its
state is the fold of the journal; so what may grow is what the journal grows by, and nothing may
grow with the market's messages, which are a hundred times as many. DESIGN section 10 gives 300 MB
for 1,000,000 events.
"""

from __future__ import annotations

from tests.soak.soak import Soak

#: Under this the engine stays at any time, MB (DESIGN section 10).
MOST_MB = 300.0


def problems(done: Soak) -> list[str]:
    """Everything that is wrong with a soak; empty when it is good."""
    wrong = list(done.wrong)
    most = max(one.mb for one in done.samples)
    if most > MOST_MB:
        wrong.append(f"the engine took {most:.0f} MB")
    return wrong
