"""Rehearsed failures with measured results, each on a desk and an exchange of its own."""
