"""Compiled loops over frames and Fourier coefficients, for the CPU."""
