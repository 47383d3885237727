"""Particles in a micrograph: picked, calibrated, extracted, divided into half-sets."""
