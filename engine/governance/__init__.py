"""People, packet, approval rules, session state machine, locks (pure)."""
