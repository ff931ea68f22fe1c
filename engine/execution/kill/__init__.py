"""The kill switch: the latch and its places, the stages up to the proof, the hunt without us."""
