"""The screens: layout and messages, no trading logic."""
