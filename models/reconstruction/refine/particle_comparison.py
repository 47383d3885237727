"""Both half maps, ready for the particles of the other half: what these say of their movie's losses and coma."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from frazil.models.causal.bands import band_frequencies_per_angstrom
from frazil.models.particle_evidence import ParticleEvidence
from frazil.models.reconstruction.fourier.fourier_slices import FourierPlane, FourierVolume, cropped
from frazil.models.reconstruction.fourier.particle_spectra import ParticleSpectra
from frazil.models.reconstruction.orientation.placed_particles import PlacedParticles
from frazil.models.reconstruction.refine.beam_tilt import beam_tilt
from frazil.models.reconstruction.refine.held_out_weights import HeldOutRings
from frazil.models.reconstruction.refine.particle_frc import (
    Array,
    ParticleSums,
    Rings,
    log_ssnr_in_bands,
    particle_sums,
    rings,
    smooth_amplitude,
    without_search_gain,
)
from frazil.models.reconstruction.resolution.fsc import FscCurve

_COMPARED_TO_FSC, _BANDS_TO_FSC = 0.143, 0.5
"""Particles are compared as far as the map holds anything; bands are told as far as most of it is signal."""


class HalfMapComparison:
    """The references of one renewal.

    Parameters
    ----------
    references:
        Two (n, n, n) half maps on the plane's box, filtered (`reference_maps`).
    fsc:
        Between them, by which they were filtered.
    renewal:
        Number of the renewal, from 1.
    first_shell:
        Ring of the particle's own size: what is below is the box's background.
    last_searched_per_angstrom:
        How far the search for poses goes.
    """

    def __init__(
        self,
        references: list[Tensor],
        fsc: FscCurve,
        plane: FourierPlane,
        *,
        renewal: int,
        first_shell: int,
        last_searched_per_angstrom: float,
        device: torch.device,
    ) -> None:
        self._plane, self._device, self._renewal = plane, device, renewal
        self._count = _count_to(fsc, _COMPARED_TO_FSC, plane)
        self._last_usable_per_angstrom = 1 / (fsc.resolution_angstrom(_BANDS_TO_FSC) or np.inf)
        self._fsc, self._last_searched_per_angstrom = fsc, last_searched_per_angstrom
        self._volumes = [FourierVolume(cropped(one, plane, self._count), device=device) for one in references]
        self._compared = plane.radius_px[: self._count] > first_shell - 0.5

    def evidence(
        self, sums: ParticleSums, *, voltage_kv: float, cs_mm: float, corrected_mrad: Array | None = None
    ) -> ParticleEvidence | None:
        """Of the `sums` of one movie; None: the map is not seen in its particles.

        `corrected_mrad`: (2,) beam tilt that was taken out of the particles beforehand.
        """
        corrected = np.zeros(2) if corrected_mrad is None else corrected_mrad
        tilt = beam_tilt(sums, self._plane, voltage_kv=voltage_kv, cs_mm=cs_mm)
        seen = self._without_search_gain(rings(sums, self._plane, None if tilt is None else tilt.phase_rad))
        amplitude = smooth_amplitude(seen)
        if amplitude is None:
            return None
        usable = (seen.reference_power > 0) & (seen.frequency_per_angstrom <= self._last_usable_per_angstrom)
        log_ssnr, log_ssnr_sd = log_ssnr_in_bands(seen, amplitude, band_frequencies_per_angstrom(), usable)
        return ParticleEvidence(
            particle_count=sums.particle_count,
            reference_renewal=self._renewal,
            frequency_per_angstrom=tuple(seen.frequency_per_angstrom.tolist()),
            frc=tuple(rings(sums, self._plane).frc.tolist()),
            log_ssnr=log_ssnr,
            log_ssnr_sd=log_ssnr_sd,
            beam_tilt_x_mrad=None if tilt is None else float(corrected[0]) + tilt.x_mrad,
            beam_tilt_y_mrad=None if tilt is None else float(corrected[1]) + tilt.y_mrad,
            beam_tilt_covariance_mrad2=None if tilt is None else tilt.covariance_mrad2,
        )

    def held_out(self, sums: ParticleSums) -> HeldOutRings:
        """What of one movie's `sums` says how much its particles are worth; a coma that is left counts."""
        return HeldOutRings.of(self._without_search_gain(rings(sums, self._plane)), self._renewal)

    def _without_search_gain(self, measured: Rings) -> Rings:
        fsc = np.interp(measured.frequency_per_angstrom, self._fsc.frequency_per_angstrom, self._fsc.fsc)
        return without_search_gain(measured, fsc, self._last_searched_per_angstrom)

    def sums(self, particles: ParticleSpectra, placed: PlacedParticles) -> ParticleSums:
        """Each half-set's particles against the map of the other."""
        nothing = np.zeros(self._count)
        total = ParticleSums(np.zeros(self._count, dtype=np.complex128), nothing, nothing, 0.0)
        for half in (0, 1):
            chosen = np.nonzero(placed.half_set == half + 1)[0]
            if not chosen.size:
                continue
            index = torch.from_numpy(chosen).to(self._device)
            total = total + particle_sums(
                particles.chosen(index),
                self._volumes[1 - half],
                self._plane,
                count=self._count,
                poses=placed.poses[chosen],
                shift_px=placed.shift_px[chosen],
                certainty=placed.counts[chosen],
                device=self._device,
            )
        kept = self._compared
        return ParticleSums(
            np.where(kept, total.cross, 0), total.reference_power * kept, total.image_power, total.particle_count
        )


def _count_to(fsc: FscCurve, threshold: float, plane: FourierPlane) -> int:
    """Samples of the plane, from the first, up to where the curve falls below a threshold."""
    resolution = fsc.resolution_angstrom(threshold)
    return 0 if resolution is None else plane.count_within(1 / resolution)
