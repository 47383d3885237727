"""What the values of an exposure can be at all: beyond these a sidecar or header is wrong, and is not believed.

The limits are those of instruments, wide enough for every microscope and camera that writes movies; a value within them
may still be wrong. A value beyond them counts as not said, and `AcquisitionMetadata.not_used` keeps it with its source,
so that a person can be told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from frazil.models.records import AcquisitionMetadata


@dataclass(frozen=True, slots=True)
class Limits:
    """Lowest and highest value that an instrument has, both included."""

    low: float
    high: float
    unit: str = ""

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g} {self.unit}".rstrip()


_STAGE = Limits(-2_000.0, 2_000.0, "um")  # a grid has 3.05 mm, stages travel some 1 mm to either side
_SHIFT = Limits(-50.0, 50.0, "um")  # beam and image shift of the widest multi-hole patterns: some 20 um
_SHIFT_AU = Limits(-2.0, 2.0)  # EPU's, in a unit of some 25 um: the widest patterns seen reach 0.24
_BEAM_TILT = Limits(-500.0, 500.0, "mrad")  # of deflectors: their zero is anywhere
LIMITS: dict[str, Limits] = {
    "voltage_kv": Limits(20.0, 3_000.0, "kV"),
    "cs_mm": Limits(0.0, 20.0, "mm"),
    "pixel_size_angstrom": Limits(0.05, 50.0, "A"),
    "dose_per_frame_e_per_a2": Limits(1e-4, 100.0, "e/A2"),
    "total_dose_e_per_a2": Limits(1e-3, 1_000.0, "e/A2"),
    "exposure_time_s": Limits(1e-4, 1_000.0, "s"),
    "target_defocus_um": Limits(-50.0, 50.0, "um"),
    "stage_x_um": _STAGE,
    "stage_y_um": _STAGE,
    "stage_z_um": _STAGE,
    "stage_tilt_deg": Limits(-90.0, 90.0, "deg"),
    "image_shift_x_um": _SHIFT,
    "image_shift_y_um": _SHIFT,
    "image_shift_x_au": _SHIFT_AU,
    "image_shift_y_au": _SHIFT_AU,
    "beam_tilt_x_mrad": _BEAM_TILT,
    "beam_tilt_y_mrad": _BEAM_TILT,
    "image_binning": Limits(0.25, 16.0),
}
"""By field of `AcquisitionMetadata`."""
_PAIRS = (
    ("image_shift_x_um", "image_shift_y_um"),
    ("image_shift_x_au", "image_shift_y_au"),
    ("stage_x_um", "stage_y_um"),
    ("beam_tilt_x_mrad", "beam_tilt_y_mrad"),
)
"""Coordinates of one vector: half of it is none."""
_TOTAL, _PER_FRAME = "total_dose_e_per_a2", "dose_per_frame_e_per_a2"


def why_impossible(name: str, value: float, source: str = "") -> str | None:
    """Why a value of a field cannot be, as a sentence; None: it can.

    >>> why_impossible("pixel_size_angstrom", 423.0, "header of the movie")
    'pixel_size_angstrom is 423 A (header of the movie), which no microscope has (0.05 to 50 A)'
    """
    limits = LIMITS[name]
    if value in limits:
        return None
    unit = f" {limits.unit}" if limits.unit else ""
    return f"{name} is {value:g}{unit}{f' ({source})' if source else ''}, which no microscope has ({limits})"


def without_impossible(metadata: AcquisitionMetadata) -> AcquisitionMetadata:
    """The same without the values beyond `LIMITS`; `not_used` says which they were.

    >>> said = AcquisitionMetadata(image_shift_x_um=4e6, image_shift_y_um=0.0, voltage_kv=300.0)
    >>> believed = without_impossible(said)
    >>> believed.voltage_kv, believed.image_shift_x_um, believed.image_shift_y_um
    (300.0, None, None)
    >>> believed.not_used[0][1]
    'image_shift_x_um is 4e+06 um, which no microscope has (-50 to 50 um)'
    """
    sources = dict(metadata.sources)
    gone: dict[str, Any] = {}
    reasons: list[tuple[str, str]] = []
    for name, limits in LIMITS.items():
        value = getattr(metadata, name)
        reason = None if value is None else why_impossible(name, value, sources.get(name, ""))
        if reason is None:
            continue
        gone[name] = None
        if value != 0.0 or limits.low <= 0.0:  # else: a writer's way to say that it does not know
            reasons.append((name, reason))
    if _TOTAL in gone and _PER_FRAME in gone:
        reasons = [(name, reason) for name, reason in reasons if name != _PER_FRAME]
    if _TOTAL in gone or _PER_FRAME in gone:  # one was made from the other
        gone |= dict.fromkeys((_TOTAL, _PER_FRAME))
    for pair in _PAIRS:
        if any(name in gone for name in pair):
            gone |= dict.fromkeys(pair)
    if not gone:
        return metadata
    return replace(
        metadata,
        **gone,
        sources=tuple((name, source) for name, source in metadata.sources if name not in gone),
        not_used=(*metadata.not_used, *reasons),
    )
