"""The watchdog: a process of its own that cancels and proves when the engine dies or hangs."""
