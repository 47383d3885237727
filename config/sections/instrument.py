"""Microscope and camera."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from frazil.config.sections.base import NonNegative, Positive, Section
from frazil.config.sections.touches import Stage, Touches


class MicroscopeSettings(Section):
    """What the exposure was taken with. Sidecar and header fill what is null here."""

    name: Annotated[str | None, Touches(Stage.NOTHING)] = None
    """Name of the instrument, for the screen and the record. null: from the sidecar."""
    voltage_kv: Annotated[Annotated[float, Field(ge=60, le=1300)] | None, Touches(Stage.MOTION)] = None
    """Acceleration voltage. null: from the sidecar or the header."""
    cs_mm: Annotated[Annotated[float, Field(ge=0, le=20)] | None, Touches(Stage.CTF)] = None
    """Spherical aberration of the objective lens. null: from the sidecar."""
    amplitude_contrast: Annotated[float, Field(ge=0, le=1), Touches(Stage.CTF)] = 0.1
    """Share of amplitude contrast in the CTF (0.1 is usual, 0.07 is also seen)."""
    pixel_size_angstrom: Annotated[Annotated[float, Field(gt=0, le=100)] | None, Touches(Stage.MOTION)] = None
    """Of the movie's pixels as stored (super-resolution: the half pixel). null: from the sidecar or the header."""
    dose_per_frame_e_per_a2: Annotated[Positive | None, Touches(Stage.MOTION)] = None
    """On the specimen, for one stored frame (EER: leave null and set `camera.eer_dose_per_fraction_e_per_a2`). null:
    from the sidecar, or from the counts if the camera counts electrons."""
    pre_exposure_e_per_a2: Annotated[NonNegative, Touches(Stage.MOTION)] = 0.0
    """Dose that the specimen had before the first frame."""
    energy_filter: Annotated[bool | None, Touches(Stage.CTF)] = None
    """Whether a slit keeps electrons that lost energy from the camera. null: from the sidecar; where nobody says, as if
    there was one (an aperture acts alike on thick ice)."""
    beam_shift_um_per_unit: Annotated[Positive | None, Touches(Stage.CTF)] = None
    """How many um on the specimen one unit of EPU's BeamShift is. EPU does not say: it is the distance of two
    neighbouring holes in um by their distance in BeamShift (some 25 on one Krios). A session with clusters of holes
    tells it by itself and proposes it (docs/targets.md). null: beam shift tells optics groups and places of movies, and
    what coma it costs is not known before particles have measured it."""
    phase_plate: Annotated[bool, Touches(Stage.CTF)] = False
    """True: a phase shift is fitted with the CTF."""


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


class CameraSettings(Section):
    """The detector, its gain reference and its defects."""

    name: Annotated[str | None, Touches(Stage.NOTHING)] = None
    """Name of the camera, for the screen and the record. null: from the sidecar."""
    gain: Annotated[str | None, Touches(Stage.MOTION)] = None
    """Gain reference (.mrc, .dm4, .gain, .tif). null: the movies must be corrected already, or the gain gate blocks."""
    no_gain: Annotated[bool, Touches(Stage.MOTION)] = False
    """True: the movies are already gain-corrected; the gate checks and records it but does not block."""
    gain_orientation: Annotated[GainOrientation, Touches(Stage.MOTION)] = GainOrientation.AUTO
    """How the reference is turned to fit the movies, RELION's order: rotate, then flip. `auto`: found from movies."""
    gain_convention: Annotated[Literal["auto", "multiply", "divide"], Touches(Stage.MOTION)] = "auto"
    """What the reference is for. `auto`: found from the movies."""
    defects: Annotated[str | None, Touches(Stage.MOTION)] = None
    """Defect map (image, non-zero is bad) or defect list (`x y w h` a line, pixels). null: hot and dead pixels are
    found from the movies."""
    gain_gate_movies: Annotated[int, Field(ge=1, le=100), Touches(Stage.NOTHING)] = 3
    """How many movies at most the gate looks at before it decides."""
    eer_dose_per_fraction_e_per_a2: Annotated[Positive, Touches(Stage.MOTION)] = 1.0
    """EER frames are grouped into equal fractions of about this dose (0.5 to 1.25 is usual)."""
    counts_per_electron: Annotated[Positive, Touches(Stage.MOTION)] = 1.0
    """Counts that one electron makes after gain correction; 1 for counting cameras."""

    @model_validator(mode="after")
    def _one_word_about_gain(self) -> CameraSettings:
        if self.no_gain and self.gain is not None:
            raise ValueError("camera.gain and camera.no_gain exclude each other")
        return self
