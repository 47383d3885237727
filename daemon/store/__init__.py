"""The one DuckDB file: schema, one writer thread, readers, result files from which it can be rebuilt."""
