"""Atomic models as electrostatic potential: projections and maps of known structures."""
