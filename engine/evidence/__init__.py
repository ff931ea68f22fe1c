"""Pack, reports and verification."""
