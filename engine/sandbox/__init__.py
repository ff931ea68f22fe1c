"""The local exchange: book, matching, wire API, order flow, replay."""
