"""Alarms, incidents, drills, metrics."""
