"""Aligned, exposure-weighted sums of a movie under a known motion."""
