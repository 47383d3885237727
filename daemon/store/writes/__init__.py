"""Everything that is written into a session: idempotent functions of a connection."""
