"""DuckDB behind the journal: schema, projection, queries."""
