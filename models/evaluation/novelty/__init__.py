"""Novelty: the map's shape compared with the shapes of known structures."""
