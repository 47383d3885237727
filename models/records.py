"""The records that flow through frazil: what a file is, what was asked of a worker, what came back.

Plain frozen dataclasses of numbers, strings and tuples: they cross process borders (Ray), sockets (msgspec) and the
store without any conversion of their own. Every quantity carries its unit in its name; `None` always means "not
known", never zero. Sign and axis conventions are those of `frazil.models.conventions`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum


class MovieState(StrEnum):
    """Where a movie stands; the order is that of a normal life."""

    FOUND = "found"
    SETTLING = "settling"
    QUEUED = "queued"
    PROCESSING = "processing"
    READY = "ready"
    REJECTED = "rejected"
    """Processed, but a threshold or a person set it aside; the reason is in the store."""
    FAILED = "failed"
    """An attempt failed and another will be made."""
    QUARANTINED = "quarantined"
    """Set aside for good with its evidence; a person may re-queue it."""
    OUTDATED = "outdated"
    """The file was replaced, or the settings changed: a newer result takes its place."""


@dataclass(frozen=True, slots=True)
class MovieHeader:
    """What a movie file says of itself, after its header passed the limits."""

    path: str
    file_format: str
    """`mrc`, `tiff` or `eer`."""
    frame_count: int
    """Frames as frazil will deliver them (for EER: fractions, after grouping)."""
    height_px: int
    width_px: int
    dtype: str
    """NumPy name of the delivered frames: `uint8`, `int8`, `int16`, `uint16`, `float32`, `float16`."""
    pixel_size_angstrom: float | None = None
    raw_frame_count: int | None = None
    """Only EER: camera frames before grouping into fractions."""
    total_dose_e_per_px: float | None = None
    """Only where the file says so (EER metadata)."""
    exposure_time_s: float | None = None


@dataclass(frozen=True, slots=True)
class AcquisitionMetadata:
    """What header, sidecar, settings and flags say of one exposure. `None`: nobody said."""

    voltage_kv: float | None = None
    cs_mm: float | None = None
    amplitude_contrast: float | None = None
    pixel_size_angstrom: float | None = None
    dose_per_frame_e_per_a2: float | None = None
    total_dose_e_per_a2: float | None = None
    frame_count: int | None = None
    """The count that the sidecar promises; the structural check compares it with the file."""
    exposure_time_s: float | None = None
    phase_plate: bool | None = None
    target_defocus_um: float | None = None
    """Positive is underfocus."""
    stage_x_um: float | None = None
    stage_y_um: float | None = None
    stage_z_um: float | None = None
    stage_tilt_deg: float | None = None
    image_shift_x_um: float | None = None
    image_shift_y_um: float | None = None
    beam_shift_x_au: float | None = None
    beam_shift_y_au: float | None = None
    image_shift_x_au: float | None = None
    image_shift_y_au: float | None = None
    """Both as EPU writes them, in a unit that it does not tell: good for grouping, not for distances."""
    beam_shift_group: str | None = None
    """Name of the position in the template (EPU: the number after `Data_`), shared by exposures with one beam shift."""
    beam_tilt_x_mrad: float | None = None
    beam_tilt_y_mrad: float | None = None
    """Deflector values as written; their zero is arbitrary, only differences within a session mean something."""
    image_width_px: int | None = None
    image_height_px: int | None = None
    """Size of the image that the sidecar's pixel size belongs to; the movie may be sampled more finely."""
    image_binning: float | None = None
    """Binning of that image against the physical pixel; 0.5 is super-resolution."""
    grid_square: str | None = None
    hole: str | None = None
    acquired_utc_us: int | None = None
    """Camera time; comes from another clock than ours and is never compared with it."""
    camera: str | None = None
    microscope: str | None = None
    gain_reference: str | None = None
    """File name only, as the sidecar writes it."""
    gain_corrected: bool | None = None
    energy_filter: bool | None = None
    """Whether the slit was in: inelastically scattered electrons are then lost, not recorded as a haze."""
    sources: tuple[tuple[str, str], ...] = ()
    """(field, where it came from), for the record and for messages about contradictions."""
    not_used: tuple[tuple[str, str], ...] = ()
    """(field, sentence): what was said and cannot be, or contradicts what is believed more."""


@dataclass(frozen=True, slots=True)
class ExposureFacts:
    """What is known of one exposure that images do not show: settings and events upstream of its losses.

    `None`: nobody said; the causal model treats it as latent, an energy filter as there.
    """

    acquired_utc_us: int | None = None
    exposure_time_s: float | None = None
    stated_dose_per_frame_e_per_a2: float | None = None
    """On the specimen, as the sidecar or a person says; never from the counts."""
    stage_x_um: float | None = None
    stage_y_um: float | None = None
    image_shift_x_um: float | None = None
    image_shift_y_um: float | None = None
    shift_x_au: float | None = None
    shift_y_au: float | None = None
    """EPU's beam or image shift where nobody knows its unit, never both this and um. Zero is zero in every unit."""
    energy_filter: bool | None = None
    grid_square: str | None = None
    microscope: str | None = None

    @property
    def shifted(self) -> bool:
        """Whether the exposure was taken off the axis, as far as anyone says."""
        return any((self.image_shift_x_um, self.image_shift_y_um, self.shift_x_au, self.shift_y_au))


@dataclass(frozen=True, slots=True)
class FrameShifts:
    """Whole-frame motion: the displacement of the specimen in each frame, zero mean over the movie; to align, a frame
    is moved by minus its shift (`frazil.models.conventions`)."""

    shift_x_angstrom: tuple[float, ...]
    shift_y_angstrom: tuple[float, ...]
    sd_angstrom: tuple[float, ...]
    """One-sigma error of each frame's shift, per axis."""
    total_angstrom: float
    """Path length over all frames."""
    early_angstrom: float
    """Path length over the first 4 e/A2 (RELION's split)."""
    late_angstrom: float
    converged: bool


@dataclass(frozen=True, slots=True)
class LocalMotion:
    """RELION's third-order local motion model: displacement added to the whole-frame shift.

    With x = px/width - 0.5, y = px/height - 0.5, t = 0-based frame index:
    d(x, y, t) = sum_ip c[3 i + p] * basis_i(x, y) * t**(p + 1), basis = 1, x, x^2, y, y^2, xy (RELION 3.1
    `micrograph_model.h`). Here in angstrom and in frazil's sign (displacement of the specimen).
    """

    coefficients_x_angstrom: tuple[float, ...]
    coefficients_y_angstrom: tuple[float, ...]
    patch_grid_x: int
    patch_grid_y: int
    rms_residual_angstrom: float
    """How far the measured patch shifts lie from the model."""
    accepted: bool
    """False: the model was not better than none, and whole-frame motion alone was used."""


@dataclass(frozen=True, slots=True)
class LocalModes:
    """The local motion with which a movie's sums were made, without the restriction to RELION's polynomial: with the
    whole-frame shifts of `FrameShifts` the sums can be made again without looking for the motion
    (`frazil.models.motion.estimate.field`)."""

    basis: str
    """`polynomial` or `spline`."""
    order: int
    modes_angstrom: bytes
    """Coefficients (F, M - 1, 2), little-endian float32 in C order; empty: the movie moved as a whole."""


ASTIGMATISM_UNCERTAIN = "astigmatism uncertain"
"""Flag of a CTF whose mean defocus is sound."""


@dataclass(frozen=True, slots=True)
class CtfEstimate:
    """Contrast transfer function of one micrograph (CTFFIND conventions: underfocus positive, U >= V, angle of U
    from the x axis towards y)."""

    defocus_u_angstrom: float
    defocus_v_angstrom: float
    astigmatism_angle_deg: float
    phase_shift_deg: float
    defocus_sd_angstrom: float
    astigmatism_sd_angstrom: float
    fit_resolution_angstrom: float | None
    """Where the fit stops agreeing with the rings; None: no rings."""
    score: float
    """Correlation of the background-subtracted spectrum with CTF^2 over the fit range, -1 to 1."""
    ice_ring_density: float
    """Excess power in 0.25-0.28 1/A against its surroundings; NaN where Nyquist does not reach."""
    reliable: bool
    """False: do not use these numbers; `flag` says why (no rings, ambiguous, too few counts)."""
    flag: str = ""
    tilt_angle_deg: float | None = None
    """Of the specimen, >= 0; None: the rings of parts of the image are too faint to tell."""
    tilt_sd_deg: float | None = None
    tilt_axis_deg: float | None = None
    """In [-180, 180) from the x axis towards y: defocus rises by tan(angle) per angstrom along axis + 90 degrees. None:
    no tilt beyond what chance makes of none."""
    fit_resolution_sd_angstrom: float | None = None
    """None: not known (faint rings about particles, an earlier frazil)."""
    defocus_systematic_sd_angstrom: float | None = None
    """Of both defoci, besides the fit's own scatter: what pixel size and Cs leave uncertain, alike in all movies."""

    @property
    def defocus_gradient(self) -> tuple[float, float]:
        """Rise of the defocus per angstrom along x and y; zero where no tilt is known beyond chance.

        Tilted by 45 degrees about the x axis the defocus rises with y, an angstrom an angstrom:

        >>> tilted = CtfEstimate(15e3, 15e3, 0.0, 0.0, 20.0, 20.0, 4.0, 0.9, 0.0, True, "", 45.0, 1.0, 0.0)
        >>> [round(value, 9) for value in tilted.defocus_gradient]
        [0.0, 1.0]
        """
        if self.tilt_axis_deg is None or not self.tilt_angle_deg:
            return 0.0, 0.0
        slope, up = math.tan(math.radians(self.tilt_angle_deg)), math.radians(self.tilt_axis_deg + 90.0)
        return slope * math.cos(up), slope * math.sin(up)

    @property
    def defocus_known(self) -> bool:
        """Whether the mean defocus may be used: the fit is reliable, or nothing but its astigmatism is uncertain."""
        return self.reliable or self.flag == ASTIGMATISM_UNCERTAIN


@dataclass(frozen=True, slots=True)
class Spectra:
    """Radial curves of one micrograph on a common frequency axis; what the causal model reads."""

    frequency_per_angstrom: tuple[float, ...]
    power: tuple[float, ...]
    """Equiphase-averaged power spectrum of the aligned, unweighted sum, in units of the shot noise (1 = Poisson)."""
    noise_power: tuple[float, ...]
    """Fitted smooth background N(k), same units."""
    ring_amplitude: tuple[float, ...]
    """Fitted Thon-ring amplitude A(k) >= 0, same units: power = N + A * CTF^2."""
    half_frc: tuple[float, ...]
    """Fourier ring correlation of the even- and odd-frame sums."""


ACCEPTED_AS_IS = "accepted-as-is"
"""Flag of a movie that a person takes with the frames that it has."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What is judged about a micrograph at a glance."""

    mean_counts_per_px: float
    """Mean of the gain-corrected sum over all frames."""
    dose_per_frame_e_per_px: float
    hot_pixel_count: int
    relative_ice_thickness: float | None
    """ln(reference counts / transmitted counts); None until the session has a reference."""
    fixed_pattern: float
    """Correlation of the residual with the gain pattern; about 0 when the gain reference is right."""
    already_summed: bool
    """A single frame: nothing to align."""
    flags: tuple[str, ...] = ()
    """Short words for the screen: `no-rings`, `large-motion`, `few-counts`, `single-frame`, ..."""
    fixed_pattern_rms: float | None = None
    """Of any pattern of the camera that is left, relative to the counts (`gain_evidence.pattern_left_rms`)."""


@dataclass(frozen=True, slots=True)
class StageTiming:
    stage: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ParticlePicks:
    """Picks in pixels of the corrected micrograph (RELION coordinates)."""

    x_px: tuple[float, ...] = ()
    y_px: tuple[float, ...] = ()
    score: tuple[float, ...] = ()
    diameter_angstrom: float | None = None
    fibre: tuple[int, ...] = ()
    """Of segments of fibres: the number of each one's fibre, from 1 in the micrograph. Empty: they are particles."""
    along_angstrom: tuple[float, ...] = ()
    """How far each segment lies from the first end of its fibre, along it."""
    axis_deg: tuple[float, ...] = ()
    """In-plane direction of the fibre there, from +x towards +y, the way in which `along_angstrom` grows."""
    defocus_offset_angstrom: tuple[float, ...] = ()
    """Defocus of each over the movie's own, by the plane of the tilted specimen; empty: no tilt is known."""


@dataclass(frozen=True, slots=True)
class CausalLosses:
    """Loss of ln(SSNR) by factor on a frequency axis; `factor_names[f]` belongs to row f. See docs/science.md."""

    factor_names: tuple[str, ...]
    frequency_per_angstrom: tuple[float, ...]
    loss_ln_ssnr: tuple[tuple[float, ...], ...]
    loss_sd: tuple[tuple[float, ...], ...]
    prior_version: int
    named_cause: str = ""
    """The root cause that costs this movie most beyond what is usual in its session; empty: nothing stands out."""
    named_excess_ln_ssnr: float = 0.0
    """By how much, at 5 A."""
    notes: tuple[str, ...] = ()
    """What a person has to be told of the nodes that they added to the causal graph: what is not known of this movie,
    what lies beyond what a loss can be."""
    ice_nm: float | None = None
    """Thickness of the ice, the median of its draws. None: neither counts nor a stated dose tell it."""
    ice_sd_nm: float | None = None
    """Half of what the middle 68 % of them span."""


@dataclass(frozen=True, slots=True)
class MovieEvidence:
    """What the causal model takes from one movie: measured and recorded facts.

    `None`: not known, and the mechanism predicts with its own prior.
    """

    shift_x_angstrom: tuple[float, ...]
    shift_y_angstrom: tuple[float, ...]
    shift_sd_angstrom: tuple[float, ...]
    local_residual_angstrom: float
    frame_count: int
    dose_per_frame_e_per_a2: float
    pre_exposure_e_per_a2: float
    dose_per_frame_e_per_px: float
    pixel_size_angstrom: float
    voltage_kv: float
    cs_mm: float
    defocus_angstrom: float | None
    relative_ice_thickness: float | None
    log_ssnr: tuple[float | None, ...]
    """Per band: ln(ring amplitude / noise); None where no rings were measured."""
    log_ssnr_sd: float
    """Scatter of every band about the model, besides what counting leaves."""
    log_ssnr_counting_sd: tuple[float, ...] = ()
    """Per band, what the number of Fourier samples leaves uncertain; empty: not known."""
    defocus_sd_angstrom: float | None = None
    astigmatism_sd_angstrom: float | None = None
    fit_resolution_angstrom: float | None = None
    ice_ring_density: float | None = None
    tilt_angle_deg: float | None = None
    field_width_angstrom: float | None = None
    """Of the shorter side of the micrograph."""
    fixed_pattern: float = 0.0
    """Slope of what is left after gain correction on the pattern that was corrected; 0 is right."""
    fixed_pattern_rms: float | None = None
    """Of any pattern of the camera that is left after gain correction, relative to the counts."""
    particle_diameter_angstrom: float | None = None
    exposure: ExposureFacts = field(default_factory=ExposureFacts)
    settle_time_s: float | None = None
    """Since the stage last moved; filled in where movies are brought together."""
    particle_count: int | None = None
    """Picks; filled in where movies are brought together. None: nothing was picked for."""


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """What the worker really computed on."""

    worker: str
    node: str
    device: str
    """`cpu`, `cuda:0`, ..."""
    device_name: str
    device_uuid: str | None
    pid: int


@dataclass(frozen=True, slots=True)
class RestorationFacts:
    """How a micrograph was restored, and what was found on the way."""

    method: str
    """`low-pass` (no CTF), `wiener`, `local-wiener` or `learned`: the last that earned its place on this micrograph."""
    network_version: int
    """Of the learned residual: 0 is the one that ships, later ones the session has taught."""
    held_out_gain: float | None = None
    """ln likelihood of the half-sums that were held out, of what was taken over what it was compared with."""
    specimen_share: float | None = None
    """Of the field that is covered."""
    masked_share: float = 0.0
    """Of the field that was replaced: dark lumps and edges."""
    bad_lines: int = 0
    """Rows and columns that were levelled."""
    attenuated_samples: int = 0
    """Fourier samples of ice reflections and gratings that were levelled."""


@dataclass(frozen=True, slots=True)
class MovieFiles:
    """Paths relative to the session folder."""

    micrograph: str | None = None
    """Dose-weighted, aligned sum."""
    micrograph_no_dose_weighting: str | None = None
    even: str | None = None
    odd: str | None = None
    motion_star: str | None = None
    thumbnail: str | None = None
    power_spectrum: str | None = None
    restored: str | None = None
    particles: str | None = None


@dataclass(frozen=True, slots=True)
class MovieResult:
    """All that a worker says of one movie. Same input, settings and prior: same result (timings aside)."""

    movie_id: str
    parameter_hash: str
    code_version: str
    prior_version: int
    header: MovieHeader
    pixel_size_angstrom: float
    """Of the corrected micrograph."""
    shifts: FrameShifts
    local_motion: LocalMotion | None
    ctf: CtfEstimate
    spectra: Spectra
    quality: Quality
    picks: ParticlePicks
    losses: CausalLosses | None
    files: MovieFiles
    device: DeviceReport
    evidence: MovieEvidence | None = None
    """What the causal prior learns from."""
    restoration: RestorationFacts | None = None
    timings: tuple[StageTiming, ...] = field(default=())
    local_modes: LocalModes | None = None
    """None: a result of an earlier frazil, which kept only RELION's polynomial of them."""
