"""Comparing three sides and classifying breaks (pure)."""
