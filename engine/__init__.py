"""The embedded trading engine: it knows nothing of terminals."""
