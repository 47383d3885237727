"""Advice against sessions whose best action and its cost are known."""
