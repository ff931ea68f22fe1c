"""The words of the house in code: every other room imports these and nothing here imports a room.

Pure: the standard library and msgspec only; no clock, no file, no socket.
"""
