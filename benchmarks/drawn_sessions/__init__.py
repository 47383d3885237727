"""Losses of sessions whose evidence is drawn by laws that frazil does not have."""
