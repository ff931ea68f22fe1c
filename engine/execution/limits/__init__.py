"""Limits, breakers, ladder and red flags at work: their facts, and the desks that move them."""
