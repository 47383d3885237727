"""What a movie's particles say of its losses, once there is a map to compare them with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ParticleEvidence:
    """Of one movie's particles against the map that the *other* half-set made (`reconstruction.particle_frc`)."""

    particle_count: float
    """Sum of the certainties that there is a particle."""
    reference_renewal: int
    """How often the map's references had been renewed: the poses are of then."""
    frequency_per_angstrom: tuple[float, ...]
    """Of `frc`, one a Fourier ring of the working box."""
    frc: tuple[float, ...]
    """Correlation of single particles with the projections as their movie would show them, summed over particles."""
    log_ssnr: tuple[float | None, ...]
    """On the causal model's bands: ln SSNR at CTF^2 = 1 without the coma, relative to the map; None: not measured.

    Only differences between movies mean something: how sharp the specimen is, is the map's as well as the movie's."""
    log_ssnr_sd: tuple[float | None, ...]
    beam_tilt_x_mrad: float | None
    """Signs: `frazil.models.reconstruction.refine.beam_tilt`. None: the particles do not say."""
    beam_tilt_y_mrad: float | None
    beam_tilt_covariance_mrad2: tuple[float, float, float] | None
    """xx, xy, yy."""
