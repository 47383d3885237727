"""Electron optics: wavelength, CTF, envelopes, radiation damage, scattering, ice, beam shift."""
