"""All that is done to one movie, in order, as one pure function; what a worker, a notebook and a test all call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from frazil.config.settings import Settings
from frazil.models.causal.attribution import attribute
from frazil.models.causal.evidence import collect_evidence
from frazil.models.causal.prior import PriorSnapshot
from frazil.models.causal.structural_model import StructuralModel
from frazil.models.ctf_fit.fit import CtfFit, fit_ctf
from frazil.models.ctf_fit.phase import RingOptics
from frazil.models.ctf_fit.systematic import defocus_systematic_sd_angstrom
from frazil.models.deconvolution.blur import frame_blur_covariance_a2
from frazil.models.deconvolution.lessons import Lesson
from frazil.models.deconvolution.network import ResidualNetwork
from frazil.models.deconvolution.restoration import Restored, restore_micrograph
from frazil.models.deconvolution.weights import shipped_network
from frazil.models.formats.acquisition import AcquisitionParameters
from frazil.models.gain.pattern import relative_residual
from frazil.models.motion.align import AlignedMovie, KnownMotion, align_movie, sum_again
from frazil.models.motion.estimate.field import local_modes
from frazil.models.motion.frame_source import FrameSource
from frazil.models.particles.defocus_plane import defocus_offsets_angstrom
from frazil.models.particles.extraction import boxes_inside, extract_particles, keep
from frazil.models.particles.picking import pick_particles
from frazil.models.particles.segmentation import Regions, segment
from frazil.models.records import (
    CausalLosses,
    CtfEstimate,
    FrameShifts,
    LocalModes,
    LocalMotion,
    MovieEvidence,
    ParticlePicks,
    Quality,
    RestorationFacts,
    Spectra,
)

_LARGE_MOTION_ANGSTROM = 40.0
_JUMP_ANGSTROM = 3.0
"""From one frame to the next; blurs the frame itself beyond 6 A."""
_STRONG_ICE_RING = 0.5
"""Ice rings of good vitreous ice stay well below (RELION's users cut at similar values of its ice-ring density)."""
_FEW_COUNTS_PER_PX = 1.0
_DEFAULT_DIAMETER_ANGSTROM = 160.0
"""Box of the extraction when nobody gave a diameter: fits picks between 80 and 300 A without cutting most of them."""


@dataclass(frozen=True, slots=True)
class MovieProducts:
    """Images (float32 on the CPU, [y, x]) and records of one movie."""

    micrograph: torch.Tensor
    """Aligned, dose-weighted."""
    plain: torch.Tensor
    """Aligned, unweighted."""
    even: torch.Tensor
    odd: torch.Tensor
    restored: torch.Tensor
    """Specimen bright."""
    restored_small: torch.Tensor
    """The same at about 4 A per pixel, freed of what is finer than 8 A."""
    power_spectrum: NDArray[np.float32]
    """Observed on the left, fitted rings on the right."""
    particles: torch.Tensor
    """(n, box, box), particles bright, background 0 +- 1."""
    pixel_size_angstrom: float
    shifts: FrameShifts
    local_motion: LocalMotion | None
    ctf: CtfEstimate
    spectra: Spectra
    quality: Quality
    picks: ParticlePicks
    regions: Regions
    """What picking left out."""
    losses: CausalLosses
    evidence: MovieEvidence
    restoration: RestorationFacts
    lessons: tuple[Lesson, ...]
    """What the learned residual can learn from this movie, where it was asked for."""
    local_modes: LocalModes


@dataclass(frozen=True, slots=True)
class Counted:
    """What is known of a movie's counts besides its sums."""

    frame_count: int
    counts_per_px: float
    """Electrons per pixel of the corrected sum over all frames."""
    bad_pixel_count: int
    fixed_pattern: float
    """`Quality.fixed_pattern`."""
    fixed_pattern_rms: float | None

    @property
    def dose_per_frame_e_per_px(self) -> float:
        return self.counts_per_px / self.frame_count

    def dose_per_frame_e_per_a2(self, acquisition: AcquisitionParameters) -> float:
        """What was said of the dose, else what was counted."""
        # Counted electrons are the dose where nobody gave one: they miss coincidence and scattering, by a few per cent.
        counted = self.dose_per_frame_e_per_px / acquisition.pixel_size_angstrom**2
        # An image that somebody has normalised has no counts: its dose is then as good as none, never negative.
        return max(acquisition.dose_per_frame_e_per_a2 or counted, 1e-6)


def count_movie(
    corrected_sum: NDArray[np.float32],
    *,
    frame_count: int,
    bad_pixel_count: int,
    gain_pattern: NDArray[np.float32] | None,
    fixed_pattern_rms: float | None,
) -> Counted:
    """What a movie's counts say of dose, gain and ice.

    Parameters
    ----------
    corrected_sum:
        (h, w) plain sum of the corrected frames before alignment, electrons.
    gain_pattern:
        (h, w) `relative_residual` of the pattern that was corrected for, or None.
    fixed_pattern_rms:
        `gain.evidence.pattern_left_rms` of the corrected frames; None: not known.
    """
    return Counted(
        frame_count=frame_count,
        counts_per_px=float(corrected_sum.mean(dtype=np.float64)),
        bad_pixel_count=bad_pixel_count,
        fixed_pattern=0.0 if gain_pattern is None else _pattern_left(corrected_sum, gain_pattern),
        fixed_pattern_rms=fixed_pattern_rms,
    )


@dataclass(frozen=True, slots=True)
class Processing:
    """With what a movie is processed, besides its frames."""

    acquisition: AcquisitionParameters
    settings: Settings
    prior: PriorSnapshot
    reference_counts_per_px: float | None
    """Electrons per pixel and frame through vacuum or the thinnest ice seen so far; the zero of the ice thickness."""
    device: torch.device
    on_stage: Callable[[str], None]
    """Told the name of each stage as it begins."""
    network: ResidualNetwork | None = None
    """The learned residual as the session has taught it by now. None: as it ships, which is version 0."""
    network_version: int = 0
    make_lessons: bool = False
    """Also return what the residual can learn from this movie."""
    causal_model: StructuralModel | None = None
    """The session's causal graph; None: the one that ships."""


def process_movie(
    source: FrameSource, counted: Counted, processing: Processing, *, known: KnownMotion | None = None
) -> MovieProducts:
    """Align, sum, fit, attribute, restore, pick and extract.

    Parameters
    ----------
    source:
        Gain-corrected frames in electrons.
    known:
        Motion that is not looked for again; only the sums are made.
    """
    return process_sums(_aligned(source, known, counted, processing), counted, processing)


def _aligned(source: FrameSource, known: KnownMotion | None, counted: Counted, processing: Processing) -> AlignedMovie:
    acquisition = processing.acquisition
    make = align_movie if known is None else partial(sum_again, known)
    return make(
        source,
        pixel_size_angstrom=acquisition.pixel_size_angstrom,
        voltage_kv=acquisition.voltage_kv,
        dose_per_frame_e_per_a2=counted.dose_per_frame_e_per_a2(acquisition),
        pre_exposure_e_per_a2=acquisition.pre_exposure_e_per_a2,
        settings=processing.settings.motion,
        device=processing.device,
        on_stage=processing.on_stage,
    )


def process_sums(aligned: AlignedMovie, counted: Counted, processing: Processing) -> MovieProducts:
    """All that follows the motion: fit, attribute, restore, pick and extract."""
    on_stage = processing.on_stage
    on_stage("ctf")
    fit = _fitted(aligned, counted, processing)
    on_stage("quality")
    quality = _quality(aligned.shifts, fit, counted, processing.reference_counts_per_px)
    on_stage("attribute")
    evidence = _evidence(aligned, fit, quality, counted, processing)
    attribution = attribute(evidence, processing.prior, model=processing.causal_model)
    on_stage("restore")
    halves = (aligned.even, aligned.odd) if counted.frame_count > 1 else None
    restored = restore_micrograph(
        aligned.dose_weighted,
        halves,
        pixel_size_angstrom=aligned.pixel_size_angstrom,
        ctf=fit.estimate,
        acquisition=processing.acquisition,
        predicted=attribution if halves is None or processing.settings.restoration.causal_prior else None,
        network=processing.network or shipped_network(processing.device),
        device=processing.device,
        blur_covariance_a2=frame_blur_covariance_a2(aligned.shifts.shift_x_angstrom, aligned.shifts.shift_y_angstrom),
        learn_from=processing.make_lessons,
    )
    picked = pick_and_extract(
        aligned.dose_weighted,
        fit.estimate,
        pixel_size_angstrom=aligned.pixel_size_angstrom,
        acquisition=processing.acquisition,
        settings=processing.settings,
        device=processing.device,
        on_stage=on_stage,
    )
    return MovieProducts(
        micrograph=aligned.dose_weighted.cpu(),
        plain=aligned.plain.cpu(),
        even=aligned.even.cpu(),
        odd=aligned.odd.cpu(),
        restored=restored.image.cpu(),
        restored_small=restored.small.cpu(),
        power_spectrum=fit.diagnostic,
        particles=picked.particles,
        pixel_size_angstrom=aligned.pixel_size_angstrom,
        shifts=aligned.shifts,
        local_motion=aligned.local_motion,
        ctf=fit.estimate,
        spectra=fit.spectra,
        quality=quality,
        picks=picked.picks,
        regions=picked.regions,
        losses=attribution.losses,
        evidence=evidence,
        restoration=_restoration_facts(restored, processing.network_version),
        lessons=restored.lessons,
        local_modes=local_modes(aligned.field),
    )


def _fitted(aligned: AlignedMovie, counted: Counted, processing: Processing) -> CtfFit:
    acquisition = processing.acquisition
    fit = fit_ctf(
        aligned.plain,
        pixel_size_angstrom=aligned.pixel_size_angstrom,
        optics=RingOptics(acquisition.voltage_kv, acquisition.cs_mm, acquisition.amplitude_contrast),
        settings=processing.settings.ctf,
        fit_phase_shift=acquisition.phase_plate,
        halves=(aligned.even, aligned.odd) if counted.frame_count > 1 else None,
        weighted=aligned.dose_weighted,
        electrons_per_px=counted.counts_per_px if counted.counts_per_px > 0 else None,
        device=processing.device,
    )
    errors = processing.settings.evaluation
    systematic = defocus_systematic_sd_angstrom(
        0.5 * (fit.estimate.defocus_u_angstrom + fit.estimate.defocus_v_angstrom),
        fit_resolution_angstrom=fit.estimate.fit_resolution_angstrom,
        voltage_kv=acquisition.voltage_kv,
        cs_mm=acquisition.cs_mm,
        pixel_size_error=errors.pixel_size_error,
        cs_error=errors.cs_error,
    )
    return replace(fit, estimate=replace(fit.estimate, defocus_systematic_sd_angstrom=systematic))


def _evidence(
    aligned: AlignedMovie, fit: CtfFit, quality: Quality, counted: Counted, processing: Processing
) -> MovieEvidence:
    return collect_evidence(
        shifts=aligned.shifts,
        local_motion=aligned.local_motion,
        ctf=fit.estimate,
        spectra=fit.spectra,
        quality=quality,
        acquisition=processing.acquisition,
        dose_per_frame_e_per_a2=counted.dose_per_frame_e_per_a2(processing.acquisition),
        frame_count=counted.frame_count,
        field_angstrom=(
            aligned.plain.shape[0] * aligned.pixel_size_angstrom,
            aligned.plain.shape[1] * aligned.pixel_size_angstrom,
        ),
        particle_diameter_angstrom=processing.settings.particles.diameter_angstrom,
    )


@dataclass(frozen=True, slots=True)
class Picked:
    """Particles of one micrograph."""

    picks: ParticlePicks
    particles: torch.Tensor
    """(n, box, box) on the CPU."""
    regions: Regions
    """Where nothing was picked."""


def pick_and_extract(
    micrograph: torch.Tensor,
    ctf: CtfEstimate,
    *,
    pixel_size_angstrom: float,
    acquisition: AcquisitionParameters,
    settings: Settings,
    device: torch.device,
    on_stage: Callable[[str], None],
) -> Picked:
    """Picks of a dose-weighted micrograph (h, w), and their pictures."""
    on_stage("pick")
    regions = segment(micrograph.to(device, torch.float32), pixel_size_angstrom)
    picks = pick_particles(
        micrograph,
        pixel_size_angstrom=pixel_size_angstrom,
        diameter_angstrom=settings.particles.diameter_angstrom,
        least_diameter_angstrom=settings.particles.least_diameter_angstrom,
        ctf=ctf,
        acquisition=acquisition,
        device=device,
        regions=regions,
    )
    on_stage("extract")
    box_px = particle_box_px(settings, pixel_size_angstrom)
    diameter_angstrom = settings.particles.diameter_angstrom or picks.diameter_angstrom or _DEFAULT_DIAMETER_ANGSTROM
    height_px, width_px = micrograph.shape
    picks = keep(picks, boxes_inside(picks, height_px, width_px, box_px))
    offsets = defocus_offsets_angstrom(
        picks, ctf, height_px=height_px, width_px=width_px, pixel_size_angstrom=pixel_size_angstrom
    )
    picks = replace(picks, defocus_offset_angstrom=offsets)
    particles = extract_particles(
        micrograph,
        picks,
        box_px=box_px,
        diameter_px=diameter_angstrom / pixel_size_angstrom,
    )
    return Picked(picks, particles.cpu(), regions)


def _restoration_facts(restored: Restored, network_version: int) -> RestorationFacts:
    return RestorationFacts(
        method=restored.method,
        network_version=network_version,
        held_out_gain=None if restored.held_out_gain is None else restored.held_out_gain.gain,
        specimen_share=restored.specimen_share,
        masked_share=restored.masked_share,
        bad_lines=restored.bad_lines,
        attenuated_samples=restored.attenuated,
    )


def particle_box_px(settings: Settings, pixel_size_angstrom: float) -> int:
    """Box of extracted particles: the setting, else 1.6 diameters; even, at least 16."""
    if settings.particles.box_px is not None:
        return settings.particles.box_px
    diameter_px = (settings.particles.diameter_angstrom or _DEFAULT_DIAMETER_ANGSTROM) / pixel_size_angstrom
    return max(2 * round(1.6 * diameter_px / 2), 16)


def _quality(shifts: FrameShifts, fit: CtfFit, counted: Counted, reference_counts_per_px: float | None) -> Quality:
    counts_per_px, per_frame = counted.counts_per_px, counted.dose_per_frame_e_per_px
    frame_count = counted.frame_count
    thickness = None
    if reference_counts_per_px is not None and per_frame > 0:
        thickness = float(np.log(reference_counts_per_px / per_frame))
    flags = []
    if frame_count == 1:
        flags.append("single-frame")
    elif not shifts.converged:
        flags.append("alignment-uncertain")
    if shifts.total_angstrom > _LARGE_MOTION_ANGSTROM:
        flags.append("large-motion")
    steps = np.hypot(np.diff(shifts.shift_x_angstrom), np.diff(shifts.shift_y_angstrom))
    if steps.size and float(steps.max()) > _JUMP_ANGSTROM:
        flags.append("drift-burst")
    if fit.estimate.ice_ring_density > _STRONG_ICE_RING:
        flags.append("ice-rings")
    if not fit.estimate.reliable:
        flags.append(fit.estimate.flag.replace(" ", "-") or "ctf-unreliable")
    if frame_count > 1 and counts_per_px < _FEW_COUNTS_PER_PX:
        flags.append("few-counts")
    return Quality(
        mean_counts_per_px=counts_per_px,
        dose_per_frame_e_per_px=per_frame,
        hot_pixel_count=counted.bad_pixel_count,
        relative_ice_thickness=thickness,
        fixed_pattern=counted.fixed_pattern,
        already_summed=frame_count == 1,
        flags=tuple(flags),
        fixed_pattern_rms=counted.fixed_pattern_rms,
    )


def _pattern_left(corrected_sum: NDArray[np.float32], gain_pattern: NDArray[np.float32]) -> float:
    """Slope of what is left after correction on the pattern that was corrected: 0 is right, 1 not corrected at all."""
    left = relative_residual(corrected_sum)
    power = float(np.sum(gain_pattern.astype(np.float64) ** 2))
    return float(np.sum(left * gain_pattern, dtype=np.float64)) / power if power > 0 else 0.0
