"""Typed settings and the defaults of each environment."""
