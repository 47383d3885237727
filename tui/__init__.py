"""The screen: a client of the daemon's socket that imports neither torch nor Ray nor DuckDB. A folder a mode."""
