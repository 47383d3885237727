"""A session for others: RELION STAR, tables as CSV, Parquet or JSON, local resolution as a map, a deposition."""
