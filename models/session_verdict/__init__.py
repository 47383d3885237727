"""Go on, change something, or stop: one verdict on a session, by rules that are written down (docs/verdict.md)."""
