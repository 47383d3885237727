"""What is looked for in documents: each with its unit, what it can be, and the setting of frazil that it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Field(StrEnum):
    """Facts of a session, or of how its data were taken."""

    TITLE = "title"
    SPECIMEN = "specimen"
    SAMPLE_KIND = "sample kind"
    MASS = "mass"
    CONCENTRATION = "concentration"
    DIAMETER = "particle diameter"
    SYMMETRY = "symmetry"
    MICROSCOPE = "microscope"
    VOLTAGE = "voltage"
    CS = "spherical aberration"
    AMPLITUDE_CONTRAST = "amplitude contrast"
    C2_APERTURE = "C2 aperture"
    OBJECTIVE_APERTURE = "objective aperture"
    BEAM_DIAMETER = "beam diameter"
    ENERGY_FILTER = "energy filter"
    SLIT = "energy slit"
    SLIT_INSERTED = "slit inserted"
    PHASE_PLATE = "phase plate"
    CAMERA = "camera"
    CAMERA_MODE = "camera mode"
    BINNING = "binning"
    SUPER_RESOLUTION = "super-resolution factor"
    GAIN = "gain reference"
    GAIN_CORRECTED = "gain corrected"
    FORMAT = "movie format"
    SOFTWARE = "software"
    MAGNIFICATION = "magnification"
    MAGNIFICATION_CALIBRATED = "calibrated magnification"
    MAGNIFICATION_OVERVIEW = "magnification of overviews"
    PIXEL = "pixel size"
    PIXEL_STORED = "pixel size as stored"
    PIXEL_PHYSICAL = "physical pixel size"
    PIXEL_SUPER = "super-resolution pixel size"
    PIXEL_IMAGE = "pixel size of the summed image"
    PIXEL_RESAMPLED = "pixel size after resampling"
    PIXEL_OVERVIEW = "pixel size of overviews"
    WIDTH = "image width"
    HEIGHT = "image height"
    DOSE = "total dose"
    DOSE_FRAME = "dose per frame"
    DOSE_TILT = "dose per tilt"
    DOSE_PRIOR = "dose before"
    DOSE_CAMERA = "dose on the camera"
    DOSE_RATE = "dose rate on the specimen"
    DOSE_RATE_CAMERA = "dose rate on the camera"
    DOSE_RATE_BARE = "dose rate without a unit"
    EXPOSURE = "exposure time"
    FRAMES = "frames"
    FRAME_TIME = "time per frame"
    FRAME_RATE = "frame rate"
    DEFOCUS = "defocus range"
    DEFOCUS_TARGET = "defocus target"
    DEFOCUS_SEARCH = "defocus searched by the fit"
    DEFOCUS_LENS = "defocus by the lens"
    DEFOCUS_CALIBRATED = "defocus measured"
    MOVIES = "movies"
    PARTICLES = "particles"
    RESOLUTION = "resolution"
    TILT_RANGE = "tilt range"
    TILT_STEP = "tilt step"
    TILT_AXIS = "tilt axis"
    RELATED = "related entry"


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one field. A `unit` of None: its value is words."""

    unit: str | None
    low: float = 0.0
    high: float = float("inf")
    setting: str | None = None
    decimals: int = 6


_NUMBERS: dict[Field, Facts] = {
    Field.MASS: Facts("kDa", 1, 1e6),
    Field.CONCENTRATION: Facts("mg/ml", 1e-4, 500),
    Field.DIAMETER: Facts("A", 20, 5000, "particles.diameter_angstrom"),
    Field.VOLTAGE: Facts("kV", 60, 1300, "microscope.voltage_kv"),
    Field.CS: Facts("mm", 0.0005, 20, "microscope.cs_mm"),
    Field.AMPLITUDE_CONTRAST: Facts("", 0, 1, "microscope.amplitude_contrast"),
    Field.C2_APERTURE: Facts("um", 5, 500),
    Field.OBJECTIVE_APERTURE: Facts("um", 5, 500),
    Field.BEAM_DIAMETER: Facts("um", 0.05, 50),
    Field.SLIT: Facts("eV", 1, 200),
    Field.BINNING: Facts("", 0.25, 16),
    Field.SUPER_RESOLUTION: Facts("", 1, 4),
    Field.MAGNIFICATION: Facts("", 10_000, 2_000_000),
    Field.MAGNIFICATION_CALIBRATED: Facts("", 5_000, 2_000_000),
    Field.MAGNIFICATION_OVERVIEW: Facts("", 20, 10_000),
    Field.WIDTH: Facts("px", 256, 32_768),
    Field.HEIGHT: Facts("px", 256, 32_768),
    Field.DOSE: Facts("e/A2", 0.5, 500),
    Field.DOSE_FRAME: Facts("e/A2", 0.005, 20, "microscope.dose_per_frame_e_per_a2"),
    Field.DOSE_TILT: Facts("e/A2", 0.1, 50),
    Field.DOSE_PRIOR: Facts("e/A2", 0, 1000),
    Field.DOSE_CAMERA: Facts("e/px", 0.5, 2000),
    Field.DOSE_RATE: Facts("e/A2/s", 0.05, 200),
    Field.DOSE_RATE_CAMERA: Facts("e/px/s", 0.05, 500),
    Field.DOSE_RATE_BARE: Facts("", 1e-3, 1e4),
    Field.EXPOSURE: Facts("s", 0.02, 600),
    Field.FRAMES: Facts("frames", 1, 2000),
    Field.FRAME_TIME: Facts("s", 1e-4, 10),
    Field.FRAME_RATE: Facts("1/s", 0.5, 2000),
    Field.MOVIES: Facts("", 1, 1e7),
    Field.PARTICLES: Facts("", 1, 1e9),
    Field.RESOLUTION: Facts("A", 0.8, 60),
    Field.TILT_RANGE: Facts("deg", -90, 90),
    Field.TILT_STEP: Facts("deg", 0.1, 30),
    Field.TILT_AXIS: Facts("deg", -360, 360),
}
_NUMBERS |= {
    field: Facts("A", 0.1, 20, "microscope.pixel_size_angstrom" if field is not Field.PIXEL_RESAMPLED else None)
    for field in (
        Field.PIXEL, Field.PIXEL_STORED, Field.PIXEL_PHYSICAL, Field.PIXEL_SUPER, Field.PIXEL_IMAGE,
        Field.PIXEL_RESAMPLED,
    )
}  # fmt: skip
_NUMBERS[Field.PIXEL_OVERVIEW] = Facts("A", 5, 10_000)
_NUMBERS |= {
    field: Facts("um", -20, 20)
    for field in (
        Field.DEFOCUS, Field.DEFOCUS_TARGET, Field.DEFOCUS_SEARCH, Field.DEFOCUS_LENS, Field.DEFOCUS_CALIBRATED,
    )
}  # fmt: skip
_WORDS = {
    Field.MICROSCOPE: "microscope.name",
    Field.CAMERA: "camera.name",
    Field.SYMMETRY: "particles.symmetry",
    Field.GAIN_CORRECTED: "camera.no_gain",
    Field.PHASE_PLATE: "microscope.phase_plate",
    Field.SLIT_INSERTED: "microscope.energy_filter",
}
RANGES = frozenset(
    {Field.DEFOCUS, Field.DEFOCUS_TARGET, Field.DEFOCUS_SEARCH, Field.DEFOCUS_LENS, Field.DEFOCUS_CALIBRATED}
)
"""Fields of defocus: their signs are turned so that underfocus is positive, and two ends stand in order."""
PIXELS = (
    Field.PIXEL_STORED, Field.PIXEL, Field.PIXEL_SUPER, Field.PIXEL_PHYSICAL, Field.PIXEL_IMAGE,
)  # fmt: skip
"""Those that can be the movies' own, the one that is it most surely first."""


def facts_of(field: Field) -> Facts:
    """Unit, limits and setting of a field."""
    return _NUMBERS.get(field) or Facts(None, setting=_WORDS.get(field))
