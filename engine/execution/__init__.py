"""The order pipeline and what stands around it; kill switch, consent, limits and records inside."""
