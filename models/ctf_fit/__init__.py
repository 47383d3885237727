"""Defocus, astigmatism, phase shift and tilt from a micrograph's power spectrum."""
