"""Reproducibility: half-sets, second runs and foretold costs compared with what came."""
