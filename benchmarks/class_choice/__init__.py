"""Chosen particles against sessions with planted junk: what the judge of 2-D classes removes, and what it loses."""
