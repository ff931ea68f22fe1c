"""What is kept: opening the records at start, heads, checkpoints, market recordings, packs."""
