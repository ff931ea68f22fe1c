"""The record of truth: chain, writer, heads, recovery."""
