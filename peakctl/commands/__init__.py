"""The commands of `peakctl`, a few to a file; each imports what it needs when it runs."""
