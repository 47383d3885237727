"""One simulated movie: expected electrons and recorded counts, frame by frame.

    frame f:  specimen(k) = q_f(k) particles(k) + ice_f(k), moved and blurred by the stage, warped by local motion;
              expected electrons m = D (T (1 + contrast)) ;  recorded ~ Poisson(sensitivity m)

q_f = exp(-N_f / (2 N_e(k))) is radiation damage (Grant & Grigorieff 2015, eLife 4, e06980). The ice is a stationary
Gaussian process in every Fourier component, forgetting itself at the rate of its beam-driven diffusion.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frazil.models.atomic_model.potential import atom_transform
from frazil.models.atomic_model.projection import euler_matrix, scatter_2d
from frazil.models.optics.ctf import CtfParameters
from frazil.models.optics.dose import critical_exposure_e_per_a2
from frazil.models.optics.ice import frame_average_amplitude, ice_decorrelation_rate, ice_power
from frazil.models.optics.scattering import interaction_rad_per_v_angstrom
from frazil.models.optics.wavelength import electron_wavelength_angstrom
from frazil.models.simulation.detector import mtf, poisson_counts
from frazil.models.simulation.films import carbon_power, denatured_film_power
from frazil.models.simulation.local_motion import LocalField
from frazil.models.simulation.microscope import (
    Canvas,
    TransferFunction,
    motion_factor,
    noise_amplitude,
    to_finer_grid,
    transfer_function,
    warp,
    white_spectrum,
)
from frazil.models.simulation.trajectory import Trajectory
from frazil.models.simulation.truth import MovieTruth

if TYPE_CHECKING:
    from frazil.models.simulation.session import SimulatedSession

_ICE, _FILM, _CARBON, _SHOT, _DEFECT, _EVENT = 10, 11, 12, 13, 14, 15  # purposes of random streams
ANGSTROM_PER_NM = 10.0
LEAST_RELATIVE_INTENSITY = 0.02
"""The weak-phase contrast of very thick, dense specimens could go below -1; electrons cannot."""


@dataclass(frozen=True, slots=True)
class _Optics:
    canvas: Canvas
    transfer: TransferFunction
    contrast_scale: Tensor  # recorded contrast per projected potential and CTF: 2 sigma times the camera's MTF


class SimulatedMovie:
    """Frames in the orientation in which frazil reads them. Made by `SimulatedSession.movie`."""

    def __init__(
        self, session: SimulatedSession, truth: MovieTruth, trajectory: Trajectory, field: LocalField | None
    ) -> None:
        self.truth = truth
        self.settings = session.settings
        self.frame_count = session.settings.frame_count
        self.height_px = session.settings.height_px
        self.width_px = session.settings.width_px
        self._session = session
        self._trajectory = trajectory
        self._field = field

    @property
    def ctf(self) -> CtfParameters:
        """Of the specimen's middle plane."""
        t, optics = self.truth, self.settings.optics
        return CtfParameters(
            optics.voltage_kv,
            optics.cs_mm,
            optics.amplitude_contrast,
            t.defocus_u_angstrom,
            t.defocus_v_angstrom,
            t.astigmatism_angle_deg,
            t.phase_shift_deg,
        )

    def frames(self) -> Iterator[NDArray[np.uint16]]:
        """Recorded counts, (h, w) each, as the camera writes them: sensitivity and defects are in. Re-iterable."""
        detector, camera = self._session.detector, self.settings.camera
        hot = np.nonzero(detector.hot)
        for number, expected in enumerate(self.expected_frames()):
            rng = self._session.rng(self.truth.index, _SHOT, number)
            counts = poisson_counts(expected.cpu().numpy() * detector.sensitivity, rng)
            if len(hot[0]):
                counts[hot] += rng.poisson(camera.hot_pixel_e_per_px, len(hot[0])).astype(np.uint16)
            yield counts

    def corrected_frames(self) -> Iterator[Tensor]:
        """Counts times the true gain multiplier, float32; dead and hot pixels take the expected mean plus shot noise,
        as after a perfect defect correction."""
        detector = self._session.detector
        multiplier, defects = detector.gain_multiplier(), detector.defects
        level = self.truth.expected_counts_per_px_per_frame
        for number, counts in enumerate(self.frames()):
            frame = counts.astype(np.float32) * multiplier
            rng = self._session.rng(self.truth.index, _DEFECT, number)
            frame[defects] = rng.poisson(level, int(defects.sum()))
            yield torch.from_numpy(frame)

    def frame_source(self) -> SimulatedFrames:
        """`corrected_frames` as motion correction takes them."""
        return SimulatedFrames(self)

    def event_rng(self, frame: int) -> np.random.Generator:
        """For what a file format adds: the raw frames and sub-pixels of an EER's electrons."""
        return self._session.rng(self.truth.index, _EVENT, frame)

    def expected_frames(self, *, motion: bool = True, damage: bool = True) -> Iterator[Tensor]:
        """Expected electrons per pixel, (h, w) float32, before sensitivity and counting noise. Re-iterable.

        `motion=False`: the same specimen, frame by frame, where it would be without any motion or blur.
        """
        optics, level = self._optics, self.truth.expected_counts_per_px_per_frame
        # Without an energy filter the electrons that lost energy arrive as well, without contrast.
        coherent = 1.0 if self.settings.optics.energy_filter else self.truth.transmitted_fraction
        s, stage = self.settings, self.settings.stage
        first_dose = s.pre_exposure_e_per_a2 + 0.5 * s.dose_per_frame_e_per_a2
        proteins = self._proteins * torch.exp(self._damage_rate * -first_dose) if damage else self._proteins
        fades = torch.exp(self._damage_rate * -s.dose_per_frame_e_per_a2)
        ice = self._ice_frames() if s.specimen.ice_structure_noise else None
        for number in range(self.frame_count):
            if damage and number:
                proteins = proteins * fades
            spectrum = proteins.clone() if ice is None else proteins + next(ice)
            if self._carbon is not None:
                spectrum += self._carbon
            if motion:
                shift = self._trajectory.shift_angstrom[number]
                travel = self._trajectory.travel_angstrom[number] if stage.blur_within_frames else None
                spectrum *= motion_factor(
                    optics.canvas,
                    (float(shift[0]), float(shift[1])),
                    None if travel is None else (float(travel[0]), float(travel[1])),
                )
            contrast = self._view(spectrum, number, local=motion)
            yield level * (1.0 + coherent * contrast).clamp_min(LEAST_RELATIVE_INTENSITY)

    def expected_sum(self, *, motion: bool = False, damage: bool = True) -> Tensor:
        """Noiseless sum over frames; by default that of a movie which did not move."""
        total = torch.zeros(self.height_px, self.width_px, device=self._session.device)
        for frame in self.expected_frames(motion=motion, damage=damage):
            total += frame
        return total

    def _view(self, spectrum: Tensor, number: int, *, local: bool) -> Tensor:
        """What the camera sees of a canvas."""
        canvas = self._optics.canvas
        h, w, my, mx = self.height_px, self.width_px, canvas.margin_y_px, canvas.margin_x_px
        if not local or self._field is None:
            image: Tensor = torch.fft.irfft2(spectrum, s=(canvas.height_px, canvas.width_px))
            return image[my : my + h, mx : mx + w]
        # The field belongs to the specimen: read it where the specimen was before the whole-frame shift.
        shift = self._trajectory.shift_angstrom[number] / self.settings.pixel_size_angstrom
        x0, y0 = mx - round(float(shift[0])), my - round(float(shift[1]))
        displacement = torch.zeros(2, h, w, device=self._session.device)
        for mode, course in zip(self._mode_fields_px, self._field.course[:, number].tolist(), strict=True):
            displacement.add_(mode[:, y0 : y0 + h, x0 : x0 + w], alpha=course)
        fine = to_finer_grid(spectrum, canvas, self.settings.warp_oversampling)
        return warp(fine, canvas, displacement, h, w)

    def _ice_frames(self) -> Iterator[Tensor]:
        """Contrast spectrum of the ice in every frame: an autoregressive walk of each Fourier component."""
        canvas, s = self._optics.canvas, self.settings
        thickness = self.truth.ice_thickness_nm * ANGSTROM_PER_NM
        forgotten = ice_decorrelation_rate(canvas.k_squared) * s.dose_per_frame_e_per_a2
        keep = torch.exp(-forgotten)
        fresh = torch.sqrt(1.0 - keep * keep)
        power = ice_power(canvas.k_squared, thickness)
        amplitude = noise_amplitude(power, s.pixel_size_angstrom) * frame_average_amplitude(forgotten)
        amplitude *= self._optics.transfer.rms_over_slab(thickness) * self._optics.contrast_scale
        state = self._white(_ICE, 0)
        for number in range(self.frame_count):
            if number:
                state = state * keep + self._white(_ICE, number) * fresh
            yield state * amplitude

    def _white(self, purpose: int, item: int) -> Tensor:
        noise = white_spectrum(self._optics.canvas, self._session.rng(self.truth.index, purpose, item))
        return noise.to(self._session.device)

    @cached_property
    def _optics(self) -> _Optics:
        s, pixel = self.settings, self.settings.pixel_size_angstrom
        reach = float(np.abs(self._trajectory.shift_angstrom).max())
        if self._field is not None:
            reach += float(np.abs(self._field.displacement_angstrom(*_coarse_grid(self._field))).max())
        canvas = self._session.canvas(math.ceil(reach / pixel) + 8)
        transfer = transfer_function(canvas, self.ctf, s.optics)
        sigma = interaction_rad_per_v_angstrom(s.optics.voltage_kv, electron_wavelength_angstrom(s.optics.voltage_kv))
        over_nyquist = torch.sqrt(canvas.k_squared) * (2.0 * pixel)
        return _Optics(canvas, transfer, 2.0 * sigma * mtf(over_nyquist, s.camera.mtf_at_nyquist))

    @cached_property
    def _damage_rate(self) -> Tensor:
        """1 / (2 N_e(k)): the share of amplitude that one e/A2 destroys."""
        k = torch.sqrt(self._optics.canvas.k_squared)
        return 0.5 / critical_exposure_e_per_a2(k, self.settings.optics.voltage_kv)

    @cached_property
    def _proteins(self) -> Tensor:
        """Contrast spectrum of all that radiation damages: the particles, and the films at the interfaces."""
        optics, canvas, specimen = self._optics, self._optics.canvas, self.settings.specimen
        pixel, device = self.settings.pixel_size_angstrom, self._session.device
        total = torch.zeros(canvas.spectrum_shape, dtype=torch.complex64, device=device)
        atoms = self._session.atoms
        position = torch.from_numpy(atoms.position_angstrom / pixel).to(device)
        element_index = torch.from_numpy(atoms.element_index)
        by_element = [position[element_index == number] for number in range(len(atoms.elements))]
        shape = [
            atom_transform(element, canvas.k_squared, specimen.b_factor_a2) / canvas.deposit_window / pixel**2
            for element in atoms.elements
        ]
        for height in sorted({p.height_angstrom for p in self.truth.particles}):
            plane = torch.zeros_like(total)
            members = [p for p in self.truth.particles if p.height_angstrom == height]
            turns = [
                torch.from_numpy(euler_matrix(p.rot_deg, p.tilt_deg, p.psi_deg)[:2].astype(np.float32)).to(device)
                for p in members
            ]
            for points, factor in zip(by_element, shape, strict=True):
                xy = [
                    points @ turn.T
                    + torch.tensor([p.x_px + canvas.margin_x_px, p.y_px + canvas.margin_y_px], device=device)
                    for p, turn in zip(members, turns, strict=True)
                ]
                every = torch.cat(xy)
                plane += torch.fft.rfft2(scatter_2d(every[:, 0], every[:, 1], *_size(canvas))) * factor
            total += plane * optics.transfer.at_height(height)
        if specimen.denatured_film_angstrom > 0.0:
            power = denatured_film_power(canvas.k_squared, specimen.denatured_film_angstrom, specimen.b_factor_a2)
            amplitude = noise_amplitude(power, pixel)
            half = 0.5 * self.truth.ice_thickness_nm * ANGSTROM_PER_NM
            for side, height in enumerate((-half, half)):
                total += self._white(_FILM, side) * amplitude * optics.transfer.at_height(height)
        total *= optics.contrast_scale
        total[0, 0] = 0.0  # the mean is set by the electrons that arrive
        return total

    @cached_property
    def _carbon(self) -> Tensor | None:
        thickness = self.settings.specimen.carbon_thickness_nm * ANGSTROM_PER_NM
        if thickness <= 0.0:
            return None
        optics, canvas = self._optics, self._optics.canvas
        amplitude = noise_amplitude(carbon_power(canvas.k_squared, thickness), canvas.pixel_size_angstrom)
        height = 0.5 * self.truth.ice_thickness_nm * ANGSTROM_PER_NM
        spectrum = self._white(_CARBON, 0) * amplitude * optics.transfer.at_height(height) * optics.contrast_scale
        spectrum[0, 0] = 0.0
        return spectrum

    @cached_property
    def _mode_fields_px(self) -> list[Tensor]:
        """Spatial modes of the local motion on the whole canvas, in pixels: (2, canvas h, canvas w) each."""
        assert self._field is not None
        canvas = self._optics.canvas
        # The field is smooth: computed on every eighth pixel and interpolated, it is right to 1e-3 px.
        step = 8
        x = np.arange(0, canvas.width_px + step, step) - canvas.margin_x_px
        y = np.arange(0, canvas.height_px + step, step) - canvas.margin_y_px
        modes = self._field.mode_angstrom(x[None, :].astype(np.float64), y[:, None].astype(np.float64))
        coarse = torch.from_numpy((modes / self.settings.pixel_size_angstrom).astype(np.float32))
        size = ((len(y) - 1) * step + 1, (len(x) - 1) * step + 1)
        fine = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear", align_corners=True)
        fine = fine[..., : canvas.height_px, : canvas.width_px].to(self._session.device)
        return list(fine)


def _size(canvas: Canvas) -> tuple[int, int]:
    return canvas.height_px, canvas.width_px


def _coarse_grid(field: LocalField) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.linspace(0, field.width_px - 1, 17), np.linspace(0, field.height_px - 1, 17)
    return x[None, :], y[:, None]


class SimulatedFrames:
    """A `FrameSource` (`frazil.models.motion.frame_source`); every pass computes the frames anew."""

    def __init__(self, movie: SimulatedMovie) -> None:
        self._movie = movie
        self.frame_count, self.height_px, self.width_px = movie.frame_count, movie.height_px, movie.width_px

    def frames(self) -> Iterator[Tensor]:
        return self._movie.corrected_frames()
