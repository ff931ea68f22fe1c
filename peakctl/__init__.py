"""The command: CLI, application shell, client, supervisor, signing."""
