"""Typed settings and the defaults of each environment.

`config.settings.load` is the one way in. Imported by the engine's host and the command line only:
every other room is handed plain values.
"""
