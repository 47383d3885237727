"""Everything a person can set, with its unit in its name and what `null` means.

Sections nest by room. Unknown keys are refused (`frazil.config.loading` names the nearest known one).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]


class MicroscopeSettings(_Section):
    name: str | None = None
    voltage_kv: Annotated[float, Field(ge=60, le=1300)] | None = None
    """null: taken from the sidecar or the header."""
    cs_mm: Annotated[float, Field(ge=0, le=20)] | None = None
    """null: taken from the sidecar."""
    amplitude_contrast: Annotated[float, Field(ge=0, le=1)] = 0.1
    pixel_size_angstrom: Annotated[float, Field(gt=0, le=100)] | None = None
    """Of the movie's pixels as stored; null: taken from the sidecar or the header."""
    dose_per_frame_e_per_a2: Positive | None = None
    """null: from the sidecar, or from the counts if the camera counts electrons."""
    pre_exposure_e_per_a2: NonNegative = 0.0
    phase_plate: bool = False


class GainOrientation(StrEnum):
    """RELION's order: rotate first, then flip (the eight cases of the square)."""

    AUTO = "auto"
    IDENTITY = "rot0"
    ROT90 = "rot90"
    ROT180 = "rot180"
    ROT270 = "rot270"
    FLIP_UD = "rot0-flipud"
    FLIP_LR = "rot0-fliplr"
    ROT90_FLIP_UD = "rot90-flipud"
    ROT90_FLIP_LR = "rot90-fliplr"


class CameraSettings(_Section):
    name: str | None = None
    gain: str | None = None
    """Path of the gain reference."""
    no_gain: bool = False
    """True: the movies are already gain-corrected; the gate checks and records it but does not block."""
    gain_orientation: GainOrientation = GainOrientation.AUTO
    gain_convention: Literal["auto", "multiply", "divide"] = "auto"
    defects: str | None = None
    """Path of a defect map (image, non-zero is bad) or of a defect list (`x y w h` a line)."""
    gain_gate_movies: Annotated[int, Field(ge=1, le=100)] = 3
    """How many movies at most the gate looks at before it decides."""
    eer_dose_per_fraction_e_per_a2: Positive = 1.0
    """EER frames are grouped into equal fractions of about this dose."""
    counts_per_electron: Positive = 1.0


class IntakeSettings(_Section):
    include: tuple[str, ...] = ("*.tif", "*.tiff", "*.mrc", "*.mrcs", "*.eer")
    exclude: tuple[str, ...] = ("*gain*", "*defect*", "*_ref.*", "*.tmp", ".*")
    recursive: bool = True
    scan_interval_s: Positive = 2.0
    settle_s: NonNegative = 1.0
    """A file's size and time must stand still this long before its structure is checked."""
    incomplete_timeout_s: Positive = 600.0
    """A file that stands still but is structurally incomplete this long is quarantined as truncated."""
    sidecar: Literal["auto", "required", "ignore"] = "auto"
    sidecar_wait_s: NonNegative = 10.0
    """How long a complete movie waits for its sidecar; then it goes on and is flagged (`required`: it waits on)."""
    sidecar_roots: tuple[str, ...] = ()
    """Further folders in which sidecars lie (EPU writes metadata under another root than movies)."""
    watch: Literal["auto", "events", "polling"] = "auto"
    expected_frames: Annotated[int, Field(ge=1)] | None = None
    """null: from the sidecar, or the most common count of the session."""


class MotionSettings(_Section):
    patch_grid_x: Annotated[int, Field(ge=1, le=20)] = 5
    patch_grid_y: Annotated[int, Field(ge=1, le=20)] = 5
    b_factor_px2: NonNegative = 150.0
    max_shift_angstrom: Positive = 60.0
    dose_weighting: bool = True
    save_no_dose_weighting: bool = True
    save_even_odd: bool = False
    fourier_crop: Annotated[float, Field(ge=1, le=8)] = 1.0
    """2 for super-resolution movies: the micrograph has half the pixels along each axis."""


class CtfSettings(_Section):
    min_resolution_angstrom: Positive = 30.0
    max_resolution_angstrom: Positive = 4.0
    min_defocus_angstrom: Positive = 2000.0
    max_defocus_angstrom: Positive = 50000.0
    box_px: Annotated[int, Field(ge=128, le=2048)] = 512


class ParticleSettings(_Section):
    diameter_angstrom: Positive | None = None
    """null: picking looks for what is there between 80 and 300 A."""
    symmetry: str = "C1"
    initial_map: str | None = None
    box_px: Annotated[int, Field(ge=16, le=1024)] | None = None
    """null: 1.6 diameters, even."""


class ThresholdSettings(_Section):
    """A micrograph outside any of these is `rejected` with the reason; null: no threshold."""

    max_ctf_fit_resolution_angstrom: Positive | None = 10.0
    max_astigmatism_angstrom: Positive | None = 5000.0
    max_total_motion_angstrom: Positive | None = None
    min_defocus_um: float | None = None
    max_defocus_um: float | None = None
    max_ice_ring_density: float | None = None


class WorkerSettings(_Section):
    count: Annotated[int, Field(ge=1, le=256)] | None = None
    """null: one per GPU; without GPUs one worker that uses all cores."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Annotated[int, Field(ge=1)] | None = None
    """CPU threads per worker; null: cores / workers."""
    accelerator_type: str | None = None
    """Ray's name of the card (`A100`, `H100`, ...); null: any."""
    ray_address: str | None = None
    """null: a private Ray on this machine, on loopback only."""
    max_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    movie_timeout_s: Positive = 900.0
    prefetch: bool = True


class StoreSettings(_Section):
    min_free_disk_gb: NonNegative = 5.0
    """Intake stops below this and resumes above it."""
    query_timeout_s: Positive = 10.0
    query_max_rows: Annotated[int, Field(ge=1)] = 100_000


class Settings(_Section):
    """The whole effective configuration; stored with the session as YAML."""

    preset: str | None = None
    microscope: MicroscopeSettings = MicroscopeSettings()
    camera: CameraSettings = CameraSettings()
    intake: IntakeSettings = IntakeSettings()
    motion: MotionSettings = MotionSettings()
    ctf: CtfSettings = CtfSettings()
    particles: ParticleSettings = ParticleSettings()
    thresholds: ThresholdSettings = ThresholdSettings()
    workers: WorkerSettings = WorkerSettings()
    store: StoreSettings = StoreSettings()
