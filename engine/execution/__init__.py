"""The order pipeline, kill switch, watchdog and restart."""
