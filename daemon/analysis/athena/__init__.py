"""EPU's decision service (Athena): rounds of advice as its decisions, posted by a thread of its own. Off by default."""
