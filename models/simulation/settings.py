"""What a simulated session is: every number with its unit, and presets.

Frozen dataclasses rather than settings of the program: a simulated microscope is an experiment, not a configuration.
`dataclasses.replace` makes variants; `with_changes` reaches into the sections.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from frazil.config.errors import UsageError

DriftKind = Literal["still", "drifting", "settling", "burst", "lost-stage"]
DRIFT_KINDS: tuple[DriftKind, ...] = ("still", "drifting", "settling", "burst", "lost-stage")


@dataclass(frozen=True, slots=True)
class SpecimenSettings:
    structure: str = "t20s"
    """A name of `structures.STRUCTURE_FILES` or a PDB/mmCIF file."""
    particles_per_um2: float = 1500.0
    """Density asked for; crowding may leave fewer."""
    b_factor_a2: float = 40.0
    """Of all atoms: what conformational disorder blurs, exp(-B k^2 / 4) on amplitudes."""
    ice_thickness_mean_nm: float = 35.0
    ice_thickness_sd_nm: float = 8.0
    min_ice_thickness_nm: float = 20.0
    plane_spacing_angstrom: float = 50.0
    """Particles lie on planes this far apart in height, each with its own defocus."""
    denatured_film_angstrom: float = 15.0
    """Disordered protein at each air-water interface (thickness of solid protein); 0: clean interfaces."""
    carbon_thickness_nm: float = 0.0
    ice_structure_noise: bool = True
    """Scattering by the molecules of the ice itself: Thon rings between and beyond the particles."""


@dataclass(frozen=True, slots=True)
class OpticsSettings:
    voltage_kv: float = 300.0
    cs_mm: float = 2.7
    amplitude_contrast: float = 0.1
    defocus_min_angstrom: float = 8_000.0
    defocus_max_angstrom: float = 20_000.0
    astigmatism_sd_angstrom: float = 150.0
    """U - V is the absolute value of a normal number with this standard deviation."""
    phase_shift_deg: float = 0.0
    source_half_angle_mrad: float = 0.01
    """1/e half-width of the source (spatial coherence)."""
    focal_spread_angstrom: float = 40.0
    """Standard deviation of the defocus (temporal coherence)."""
    energy_filter: bool = True
    """False: inelastically scattered electrons reach the camera as a flat background."""


@dataclass(frozen=True, slots=True)
class StageSettings:
    drift_kinds: tuple[DriftKind, ...] = ("still", "drifting", "settling", "burst")
    drift_weights: tuple[float, ...] = (0.15, 0.4, 0.3, 0.15)
    drift_total_angstrom: float = 8.0
    """Typical whole path of a `drifting` movie; other kinds scale with it."""
    jitter_sd_angstrom: float = 0.15
    """Random step per e/A2^(1/2) on top: vibration."""
    trajectory_angstrom: tuple[tuple[float, float], ...] | None = None
    """(x, y) displacement of the specimen per frame, used for every movie instead of a drawn one."""
    local_motion_rms_angstrom: float = 1.2
    """RMS over the field of the local displacement between the first frame and the end."""
    local_motion_decay_e_per_a2: float = 5.0
    blur_within_frames: bool = True


@dataclass(frozen=True, slots=True)
class CameraSettings:
    name: str = "Simulated K3"
    gain_sd: float = 0.04
    """Pixel-to-pixel spread of the sensitivity."""
    gain_structure_sd: float = 0.03
    """Spread of the readout blocks and of the smooth part of the sensitivity."""
    dead_pixel_fraction: float = 2e-5
    hot_pixel_fraction: float = 2e-5
    hot_pixel_e_per_px: float = 30.0
    """Extra counts of a hot pixel per frame (mean)."""
    dead_columns: int = 1
    mtf_at_nyquist: float = 0.6
    """Signal transfer at Nyquist; the counting noise stays white, so DQE(k) = MTF(k)^2."""
    coincidence_area_px: float = 0.0
    """Electrons that land within this area of the same camera frame are counted once; 0: none are lost."""
    camera_frame_rate_hz: float = 1500.0


@dataclass(frozen=True, slots=True)
class SimulationSettings:
    name: str = "demo"
    seed: int = 1
    movies: int = 24
    frame_count: int = 16
    height_px: int = 768
    width_px: int = 768
    pixel_size_angstrom: float = 1.3
    dose_per_frame_e_per_a2: float = 2.0
    """Incident on the specimen."""
    pre_exposure_e_per_a2: float = 0.0
    frame_time_s: float = 0.1
    movie_interval_s: float = 20.0
    """Between the acquisition times that sidecars state; nothing waits for it."""
    holes_per_square: int = 12
    warp_oversampling: float = 1.3333
    """Local motion is applied on a grid finer by this factor, so that interpolation keeps high frequencies."""
    specimen: SpecimenSettings = field(default_factory=SpecimenSettings)
    optics: OpticsSettings = field(default_factory=OpticsSettings)
    stage: StageSettings = field(default_factory=StageSettings)
    camera: CameraSettings = field(default_factory=CameraSettings)

    def __post_init__(self) -> None:
        if self.frame_count < 1 or self.height_px < 32 or self.width_px < 32:
            raise UsageError(
                "a simulated movie needs at least one frame of 32 x 32 pixels", remedy="give larger numbers"
            )
        if self.movies < 0 or self.pixel_size_angstrom <= 0 or self.dose_per_frame_e_per_a2 <= 0:
            raise UsageError(
                "movies, pixel size and dose of a simulation must be positive", remedy="give larger numbers"
            )
        if len(self.stage.drift_kinds) != len(self.stage.drift_weights):
            raise UsageError("every drift kind needs one weight", remedy="give as many weights as kinds")

    def with_changes(self, **changes: Any) -> SimulationSettings:
        """A copy with fields replaced; `specimen`, `optics`, `stage`, `camera` take dicts of their own fields."""
        flat = {}
        for name, value in changes.items():
            flat[name] = replace(getattr(self, name), **value) if isinstance(value, dict) else value
        return replace(self, **flat)


def preset(name: str) -> SimulationSettings:
    """`demo`: small and quick; `standard`: 1024 x 1024 x 40 frames at 1 e/A2 and 1 A, as the tests quote.

    Raises
    ------
    UsageError
        If there is no such preset.
    """
    if name == "demo":
        return SimulationSettings()
    if name == "standard":
        return SimulationSettings(
            name="standard",
            frame_count=40,
            height_px=1024,
            width_px=1024,
            pixel_size_angstrom=1.0,
            dose_per_frame_e_per_a2=1.0,
            frame_time_s=0.05,
            warp_oversampling=1.5,
        )
    raise UsageError(f"there is no simulation preset '{name}'", remedy="use demo or standard")
