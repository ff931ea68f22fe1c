"""Pre-trade limits and breakers (pure)."""
