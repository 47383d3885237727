"""Evaluators of a session: each judges the facts of one round and gives a verdict with its error."""
