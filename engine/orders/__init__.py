"""Pure: what we know of orders and positions, as folds over the journal's events.

`machine` steps one order, `ledger` keeps all of them, `positions` keeps the money, `exact` is the
arithmetic that loses no digit.
"""
