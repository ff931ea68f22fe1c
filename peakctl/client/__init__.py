"""The client of the control API: what console, reviewer, command line and tests all use."""
