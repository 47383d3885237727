"""What is done with a movie and its particles: motion, CTF, restoration, particles, and what is kept."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from frazil.config.cuts import parse_cut
from frazil.config.sections.base import Positive, Section
from frazil.config.sections.touches import Stage, Touches


class MotionSettings(Section):
    """Alignment of frames and their weighted sum."""

    patch_grid_x: Annotated[int, Field(ge=1, le=20), Touches(Stage.MOTION)] = 5
    """Patches along x for local motion; 1 x 1: whole frames only."""
    patch_grid_y: Annotated[int, Field(ge=1, le=20), Touches(Stage.MOTION)] = 5
    """Patches along y."""
    b_factor_px2: Annotated[float, Field(ge=0, le=2000), Touches(Stage.MOTION)] = 150.0
    """Low-pass of the first search, exp(-2 B k^2) on cross-correlations with k in 1/px, as in RELION."""
    max_shift_angstrom: Annotated[float, Field(gt=0, le=300), Touches(Stage.MOTION)] = 60.0
    """How far the first search looks for a frame against the others; twice that from the mean is not believed."""
    dose_weighting: Annotated[bool, Touches(Stage.MOTION)] = True
    """Weight frequencies of each frame by the dose it has had (Grant & Grigorieff 2015)."""
    save_no_dose_weighting: Annotated[bool, Touches(Stage.MOTION)] = True
    """Also write the unweighted sum."""
    save_even_odd: Annotated[bool, Touches(Stage.MOTION)] = False
    """Also write the sums of even and of odd frames."""
    fourier_crop: Annotated[float, Field(ge=1, le=8), Touches(Stage.MOTION)] = 1.0
    """2 for super-resolution movies: the micrograph has half the pixels along each axis."""


class CtfSettings(Section):
    """Fit of the contrast transfer function."""

    min_resolution_angstrom: Annotated[Positive, Touches(Stage.CTF)] = 30.0
    """Low-frequency end of the fit."""
    max_resolution_angstrom: Annotated[Positive, Touches(Stage.CTF)] = 4.0
    """High-frequency end of the fit."""
    min_defocus_angstrom: Annotated[Positive, Touches(Stage.CTF)] = 2000.0
    """Smallest defocus searched (underfocus positive)."""
    max_defocus_angstrom: Annotated[Positive, Touches(Stage.CTF)] = 50000.0
    """Largest defocus searched."""
    box_px: Annotated[int, Field(ge=128, le=2048, multiple_of=2), Touches(Stage.CTF)] = 512
    """Size of the power spectrum."""

    @model_validator(mode="after")
    def _ordered(self) -> CtfSettings:
        if self.min_resolution_angstrom <= self.max_resolution_angstrom:
            raise ValueError(
                "ctf.min_resolution_angstrom (the coarse end) must be a larger number than ctf.max_resolution_angstrom"
            )
        if self.min_defocus_angstrom >= self.max_defocus_angstrom:
            raise ValueError("ctf.min_defocus_angstrom must be below ctf.max_defocus_angstrom")
        return self


class RestorationSettings(Section):
    """The restored micrographs."""

    learn: Annotated[bool, Touches(Stage.NOTHING)] = True
    """Teach the learned residual with the session's own half-sums. Costs one core some seconds every 25 movies."""
    causal_prior: Annotated[bool, Touches(Stage.CTF)] = False
    """Let the causal model's word on a micrograph's signal-to-noise ratio stand beside that of its two half-sums. It
    was measured to bring nothing (`./run bench ablation`), so that it is asked only where there are no half-sums."""


class ParticleSettings(Section):
    """What is picked and extracted."""

    diameter_angstrom: Annotated[Positive | None, Touches(Stage.PICKING)] = None
    """Longest extent of the particle. null: picking looks for what is there between 80 and 300 A; that may be a part of
    the particle, so a range is better than nothing."""
    least_diameter_angstrom: Annotated[Positive | None, Touches(Stage.PICKING)] = None
    """Where only a range is known: picking looks for what is there from here to `diameter_angstrom`, which then also
    sets the box. null: the diameter is known."""
    symmetry: Annotated[str, Touches(Stage.RECONSTRUCTION)] = "C1"
    """Point group, RELION's names: C1, D7, T, O, I1, ..."""
    initial_map: Annotated[str | None, Touches(Stage.RECONSTRUCTION)] = None
    """Map (.mrc) or atomic model to start the reconstruction from. null: ab initio."""
    map_classes: Annotated[int, Field(ge=1, le=8), Touches(Stage.RECONSTRUCTION)] = 1
    """Maps that the particles are sorted into, beside the common one that orients them all, for particles of more than
    one kind: with or without a ligand, open or closed. The summary says whether there is more than one. 1: none."""
    classes: Annotated[bool, Touches(Stage.RECONSTRUCTION)] = True
    """Sort particles into 2-D classes, and leave out of the map what is junk for certain, or by a person's verdict
    (`frazil classes`). false: no classes, and every particle counts."""
    box_px: Annotated[Annotated[int, Field(ge=16, le=1024, multiple_of=2)] | None, Touches(Stage.PICKING)] = None
    """null: 1.6 diameters, even."""

    @model_validator(mode="after")
    def _range_has_two_ends(self) -> ParticleSettings:
        least, most = self.least_diameter_angstrom, self.diameter_angstrom
        if least is not None and most is None:
            raise ValueError(
                "particles.least_diameter_angstrom needs particles.diameter_angstrom, the other end of the range"
            )
        if least is not None and most is not None and least > most:
            raise ValueError(
                f"particles.least_diameter_angstrom ({least:g}) and particles.diameter_angstrom ({most:g}) are the two "
                "ends of the range, the lower one first: exchange them"
            )
        return self

    @field_validator("symmetry", mode="after")
    @classmethod
    def _is_point_group(cls, value: str) -> str:
        name = value.strip().upper()
        if not re.fullmatch(r"[CD][1-9][0-9]{0,2}|T|O|I[1-4]?", name):
            raise ValueError("not a point group; C1, C2, ..., D1, D2, ..., T, O, I, I1, I2, I3, I4 are")
        return name


class ThresholdSettings(Section):
    """A micrograph outside any of these is `rejected` with the reason; null: no threshold. Changing one moves
    micrographs between `ready` and `rejected` at once; nothing is processed again."""

    max_ctf_fit_resolution_angstrom: Annotated[Positive | None, Touches(Stage.THRESHOLDS)] = 10.0
    """Thon rings must reach this far."""
    max_astigmatism_angstrom: Annotated[Positive | None, Touches(Stage.THRESHOLDS)] = 5000.0
    """Difference of the two defoci."""
    max_total_motion_angstrom: Annotated[Positive | None, Touches(Stage.THRESHOLDS)] = None
    """Path length over all frames."""
    min_defocus_um: Annotated[float | None, Touches(Stage.THRESHOLDS)] = None
    """Underfocus positive."""
    max_defocus_um: Annotated[float | None, Touches(Stage.THRESHOLDS)] = None
    """Underfocus positive."""
    max_ice_ring_density: Annotated[float | None, Touches(Stage.THRESHOLDS)] = None
    """Excess power at 0.25-0.28 1/A against its surroundings (RELION's rlnCtfIceRingDensity)."""
    cuts: Annotated[tuple[str, ...], Touches(Stage.THRESHOLDS)] = ()
    """Limits on any metric: `relative_ice_thickness <= 1.5`, `particle_count >= 20`, ... (`frazil what-if --help` has
    the names and shows what a cut would do)."""

    @field_validator("cuts", mode="after")
    @classmethod
    def _are_cuts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            parse_cut(text)
        return value

    @model_validator(mode="after")
    def _ordered(self) -> ThresholdSettings:
        low, high = self.min_defocus_um, self.max_defocus_um
        if low is not None and high is not None and low >= high:
            raise ValueError("thresholds.min_defocus_um must be below thresholds.max_defocus_um")
        return self
