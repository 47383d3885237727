"""RELION's motion STAR of one movie (RELION 3.1 `micrograph_model.cpp`), from and to frazil's conventions.

RELION stores the shift *to apply*, in unbinned pixels, frame 1 at zero; frazil the displacement of the specimen in
angstrom with zero mean (`frazil.models.conventions`). The local model is added to the global shift in both, so that its
coefficients only change sign and unit: `c_relion = -c / pixel_size`. Checked against RELION's own output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from frazil.config.errors import FormatError
from frazil.models.conventions import shifts_from_relion_px, shifts_to_relion_px
from frazil.models.formats.star import StarBlock, StarValue, read_star, write_star

LOCAL_MODEL_COEFFICIENTS = 18
"""Per axis: index 3 i + p over six spatial terms i (1, x, x^2, y, y^2, xy) and the powers t, t^2, t^3."""


@dataclass(frozen=True, slots=True)
class MovieMotion:
    """What RELION keeps of one movie's motion. Displacements of the specimen in angstrom, zero mean over frames."""

    movie_name: str
    """As RELION finds the movie, relative to the project folder."""
    width_px: int
    height_px: int
    pixel_size_angstrom: float
    """Of the movie's own (unbinned) pixels."""
    binning: float
    """Micrograph pixel / movie pixel."""
    voltage_kv: float
    dose_per_frame_e_per_a2: float
    pre_exposure_e_per_a2: float
    shift_x_angstrom: tuple[float, ...]
    shift_y_angstrom: tuple[float, ...]
    local_x_angstrom: tuple[float, ...] | None = None
    """18 coefficients as in `records.LocalMotion`; None: no local model."""
    local_y_angstrom: tuple[float, ...] | None = None
    eer_grouping: int | None = None
    """Camera frames in a fraction (EER only)."""


def write_motion(path: Path, motion: MovieMotion) -> None:
    """One motion STAR. Raises ValueError when the model has not 18 coefficients an axis or the axes differ."""
    write_star(path, motion_blocks(motion))


def motion_blocks(motion: MovieMotion) -> list[StarBlock]:
    """`general`, `global_shift` and, where there is one, `local_motion_model`."""
    frames = len(motion.shift_x_angstrom)
    local = _local_coefficients(motion)
    general: dict[str, StarValue] = {
        "rlnImageSizeX": motion.width_px,
        "rlnImageSizeY": motion.height_px,
        "rlnImageSizeZ": frames,
        "rlnMicrographMovieName": motion.movie_name,
        "rlnMicrographBinning": motion.binning,
        "rlnMicrographOriginalPixelSize": motion.pixel_size_angstrom,
        "rlnMicrographDoseRate": motion.dose_per_frame_e_per_a2,
        "rlnMicrographPreExposure": motion.pre_exposure_e_per_a2,
        "rlnVoltage": motion.voltage_kv,
        "rlnMicrographStartFrame": 1,
        "rlnMotionModelVersion": 1 if local else 0,
    }
    if motion.eer_grouping is not None:
        general |= {"rlnEERGrouping": motion.eer_grouping, "rlnEERUpsampling": 1}
    blocks = [
        StarBlock("general", {label: [value] for label, value in general.items()}, loop=False),
        StarBlock(
            "global_shift",
            {
                "rlnMicrographFrameNumber": list(range(1, frames + 1)),
                "rlnMicrographShiftX": shifts_to_relion_px(motion.shift_x_angstrom, motion.pixel_size_angstrom),
                "rlnMicrographShiftY": shifts_to_relion_px(motion.shift_y_angstrom, motion.pixel_size_angstrom),
            },
        ),
    ]
    if local:
        coefficients_px = [-value / motion.pixel_size_angstrom for value in local]
        columns: dict[str, Sequence[StarValue]] = {
            "rlnMotionModelCoeffsIdx": list(range(len(local))),
            "rlnMotionModelCoeff": coefficients_px,
        }
        blocks.append(StarBlock("local_motion_model", columns))
    return blocks


def read_motion(path: Path) -> MovieMotion:
    """A motion STAR of RELION's or frazil's. Raises `FormatError`."""
    blocks = read_star(path)
    missing = [name for name in ("general", "global_shift") if name not in blocks]
    if missing:
        raise FormatError(f"no motion STAR of RELION: it lacks data_{missing[0]}", path=path)
    general, shifts = blocks["general"], blocks["global_shift"]
    pixel_size_angstrom = general.floats("rlnMicrographOriginalPixelSize")[0]
    local = None
    if "local_motion_model" in blocks:
        values = blocks["local_motion_model"].floats("rlnMotionModelCoeff")
        if len(values) != 2 * LOCAL_MODEL_COEFFICIENTS:
            raise FormatError(f"the local motion model has {len(values)} coefficients and not 36", path=path)
        local = [-value * pixel_size_angstrom for value in values]
    return MovieMotion(
        movie_name=general.texts("rlnMicrographMovieName")[0],
        width_px=int(general.floats("rlnImageSizeX")[0]),
        height_px=int(general.floats("rlnImageSizeY")[0]),
        pixel_size_angstrom=pixel_size_angstrom,
        binning=general.floats("rlnMicrographBinning")[0],
        voltage_kv=general.floats("rlnVoltage")[0],
        dose_per_frame_e_per_a2=general.floats("rlnMicrographDoseRate")[0],
        pre_exposure_e_per_a2=general.floats("rlnMicrographPreExposure")[0],
        shift_x_angstrom=tuple(shifts_from_relion_px(shifts.floats("rlnMicrographShiftX"), pixel_size_angstrom)),
        shift_y_angstrom=tuple(shifts_from_relion_px(shifts.floats("rlnMicrographShiftY"), pixel_size_angstrom)),
        local_x_angstrom=None if local is None else tuple(local[:LOCAL_MODEL_COEFFICIENTS]),
        local_y_angstrom=None if local is None else tuple(local[LOCAL_MODEL_COEFFICIENTS:]),
        eer_grouping=int(general.floats("rlnEERGrouping")[0]) if "rlnEERGrouping" in general.columns else None,
    )


def _local_coefficients(motion: MovieMotion) -> list[float]:
    x, y = motion.local_x_angstrom, motion.local_y_angstrom
    if x is None or y is None:
        return []
    if len(x) != LOCAL_MODEL_COEFFICIENTS or len(y) != LOCAL_MODEL_COEFFICIENTS:
        raise ValueError(f"a local motion model has 18 coefficients an axis, not {len(x)} and {len(y)}")
    return [*x, *y]
