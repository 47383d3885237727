"""Logical consistency: the session's claims as integers, and what decides them."""
