"""The order state machine, the order ledger and the position ledger (pure)."""
