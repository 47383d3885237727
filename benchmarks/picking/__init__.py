"""Picks against known places, with RELION's Laplacian-of-Gaussian beside them."""
