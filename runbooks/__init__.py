"""Checklists and alarm responses, as Markdown with TOML front matter."""
