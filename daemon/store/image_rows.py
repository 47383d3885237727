"""What is written about images of squares and about the ice by them: one frozen dataclass a kind of row, whose fields
are the columns of its table (daemon/store/schema.sql says what each is)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SquareImageRow:
    """What an image shows of a square. None: not known."""

    square_id: str
    path: str
    mtime_ns: int
    size_bytes: int
    places_hash: str
    kind: str
    ln_exposure_s: float
    width_px: int
    height_px: int
    upside_down: bool
    rows_surely: bool
    shift_x_px: float
    shift_y_px: float
    seen_holes: int
    ln_intensity: float | None
    gradient_ln: float | None
    gradient_ln_sd: float | None
    dark_share: float | None
    torn_share: float | None
    saturated_share: float | None
    empty_ln_intensity: float | None
    empty_ln_intensity_sd: float | None
    empty_u: float | None
    empty_v: float | None
    empty_torn: bool | None
    measured_utc_us: int


@dataclass(frozen=True, slots=True)
class HoleImageRow:
    """What it shows of one hole; after the first four fields those of `models.hole_images.looks.HoleLooks`."""

    hole_id: str
    square_id: str
    u: float
    v: float
    ln_intensity: float | None
    ln_intensity_sd: float | None
    film_ln_contrast: float | None
    texture_fine: float | None
    texture_coarse: float | None
    texture_coarse_sd: float | None
    ring_share: float | None
    ring_share_sd: float | None
    off_centre_px: float | None
    dark_share: float | None
    dark_share_sd: float | None
    bright_share: float | None


@dataclass(frozen=True, slots=True)
class HoleIceRow:
    """How thick the ice of one hole is; None: nothing is said any more."""

    hole_id: str
    ice_nm: float | None
    ice_sd_nm: float | None


@dataclass(frozen=True, slots=True)
class IceCalibrationRow:
    """What images of one kind are calibrated by."""

    kind: str
    holes: int
    exposures: int
    vacuums: int
    length_nm: float | None
    length_sd_nm: float | None
    correlation: float | None
    zero_sd_nm: float | None
    refused: str
    made_utc_us: int
