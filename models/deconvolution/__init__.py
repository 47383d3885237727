"""Micrographs restored: the Wiener filter, and the learned residual with its checks."""
