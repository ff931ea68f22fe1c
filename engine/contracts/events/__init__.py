"""The events by subject; `engine.contracts.event` has their union and the envelope."""
