"""Restored micrographs against the truth, with the linear filters of others beside them."""
