"""Everything a person can set, with its unit in its name and what `null` means.

Sections nest by room. Unknown keys are refused (`frazil.config.loading` names the nearest known one). The text under
each key is the text of docs/configuration.md (`frazil.config.reference` makes the page).
"""

from __future__ import annotations

import ipaddress
import re
from enum import StrEnum
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from frazil.config.cuts import parse_cut


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        # YAML reads `yes` as true and pydantic reads true as 1: a voltage of "yes" must not become 1 kV.
        if isinstance(value, bool) and info.field_name:
            annotation = cls.model_fields[info.field_name].annotation
            if bool not in (annotation, *get_args(annotation)):
                raise ValueError("true and false are not values of this setting")
        return value


Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]


class MicroscopeSettings(_Section):
    """What the exposure was taken with. Sidecar and header fill what is null here."""

    name: str | None = None
    """Name of the instrument, for the screen and the record. null: from the sidecar."""
    voltage_kv: Annotated[float, Field(ge=60, le=1300)] | None = None
    """Acceleration voltage. null: from the sidecar or the header."""
    cs_mm: Annotated[float, Field(ge=0, le=20)] | None = None
    """Spherical aberration of the objective lens. null: from the sidecar."""
    amplitude_contrast: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of amplitude contrast in the CTF (0.1 is usual, 0.07 is also seen)."""
    pixel_size_angstrom: Annotated[float, Field(gt=0, le=100)] | None = None
    """Of the movie's pixels as stored (super-resolution: the half pixel). null: from the sidecar or the header."""
    dose_per_frame_e_per_a2: Positive | None = None
    """On the specimen, for one stored frame (EER: leave null and set `camera.eer_dose_per_fraction_e_per_a2`). null:
    from the sidecar, or from the counts if the camera counts electrons."""
    pre_exposure_e_per_a2: NonNegative = 0.0
    """Dose that the specimen had before the first frame."""
    energy_filter: bool | None = None
    """Whether a slit keeps electrons that lost energy from the camera. null: from the sidecar; where nobody says, as if
    there was one (an aperture acts alike on thick ice)."""
    phase_plate: bool = False
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


class CameraSettings(_Section):
    """The detector, its gain reference and its defects."""

    name: str | None = None
    """Name of the camera, for the screen and the record. null: from the sidecar."""
    gain: str | None = None
    """Gain reference (.mrc, .dm4, .gain, .tif). null: the movies must be corrected already, or the gain gate blocks."""
    no_gain: bool = False
    """True: the movies are already gain-corrected; the gate checks and records it but does not block."""
    gain_orientation: GainOrientation = GainOrientation.AUTO
    """How the reference is turned to fit the movies, RELION's order: rotate, then flip. `auto`: found from movies."""
    gain_convention: Literal["auto", "multiply", "divide"] = "auto"
    """What the reference is for. `auto`: found from the movies."""
    defects: str | None = None
    """Defect map (image, non-zero is bad) or defect list (`x y w h` a line, pixels). null: hot and dead pixels are
    found from the movies."""
    gain_gate_movies: Annotated[int, Field(ge=1, le=100)] = 3
    """How many movies at most the gate looks at before it decides."""
    eer_dose_per_fraction_e_per_a2: Positive = 1.0
    """EER frames are grouped into equal fractions of about this dose (0.5 to 1.25 is usual)."""
    counts_per_electron: Positive = 1.0
    """Counts that one electron makes after gain correction; 1 for counting cameras."""

    @model_validator(mode="after")
    def _one_word_about_gain(self) -> CameraSettings:
        if self.no_gain and self.gain is not None:
            raise ValueError("camera.gain and camera.no_gain exclude each other")
        return self


class IntakeSettings(_Section):
    """Which files are movies, and when they are taken."""

    include: tuple[str, ...] = ("*.tif", "*.tiff", "*.mrc", "*.mrcs", "*.eer")
    """File names that are movies (shell patterns)."""
    exclude: tuple[str, ...] = ("*gain*", "*defect*", "*_ref.*", "*.tmp", ".*")
    """File names that are not, although `include` matches."""
    recursive: bool = True
    """Look into sub-folders."""
    scan_interval_s: Positive = 2.0
    """The folder is read again this often; file-system events only make it quicker."""
    settle_s: NonNegative = 1.0
    """A file's size and time must stand still this long before its structure is checked."""
    incomplete_timeout_s: Positive = 600.0
    """A file that stands still but is structurally incomplete this long is quarantined as truncated."""
    sidecar: Literal["auto", "required", "ignore"] = "auto"
    """Metadata files (EPU XML, SerialEM mdoc): wait a while, wait for ever, or do not read."""
    sidecar_wait_s: NonNegative = 10.0
    """How long a complete movie waits for its sidecar; then it goes on and is flagged (`required`: it waits on)."""
    sidecar_roots: tuple[str, ...] = ()
    """Further folders in which sidecars lie (EPU writes metadata under another root than movies)."""
    sidecar_distrust: tuple[Literal["pixel_size_angstrom", "voltage_kv", "cs_mm", "dose_per_frame_e_per_a2"], ...] = ()
    """Values in which sidecars and headers are known to be wrong (an uncalibrated pixel size): what a person gave is
    taken without asking why they differ."""
    watch: Literal["auto", "events", "polling"] = "auto"
    """Whether file-system events are used; `polling` for network mounts that send none."""
    expected_frames: Annotated[int, Field(ge=1)] | None = None
    """A movie with fewer frames is incomplete. null: from the sidecar, or the most common count of the session."""


class MotionSettings(_Section):
    """Alignment of frames and their weighted sum."""

    patch_grid_x: Annotated[int, Field(ge=1, le=20)] = 5
    """Patches along x for local motion; 1 x 1: whole frames only."""
    patch_grid_y: Annotated[int, Field(ge=1, le=20)] = 5
    """Patches along y."""
    b_factor_px2: Annotated[float, Field(ge=0, le=2000)] = 150.0
    """Low-pass of the first search, exp(-2 B k^2) on cross-correlations with k in 1/px, as in RELION."""
    max_shift_angstrom: Annotated[float, Field(gt=0, le=300)] = 60.0
    """How far the first search looks for a frame against the others; twice that from the mean is not believed."""
    dose_weighting: bool = True
    """Weight frequencies of each frame by the dose it has had (Grant & Grigorieff 2015)."""
    save_no_dose_weighting: bool = True
    """Also write the unweighted sum."""
    save_even_odd: bool = False
    """Also write the sums of even and of odd frames."""
    fourier_crop: Annotated[float, Field(ge=1, le=8)] = 1.0
    """2 for super-resolution movies: the micrograph has half the pixels along each axis."""


class CtfSettings(_Section):
    """Fit of the contrast transfer function."""

    min_resolution_angstrom: Positive = 30.0
    """Low-frequency end of the fit."""
    max_resolution_angstrom: Positive = 4.0
    """High-frequency end of the fit."""
    min_defocus_angstrom: Positive = 2000.0
    """Smallest defocus searched (underfocus positive)."""
    max_defocus_angstrom: Positive = 50000.0
    """Largest defocus searched."""
    box_px: Annotated[int, Field(ge=128, le=2048, multiple_of=2)] = 512
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


class ParticleSettings(_Section):
    """What is picked and extracted."""

    diameter_angstrom: Positive | None = None
    """Longest extent of the particle. null: picking looks for what is there between 80 and 300 A; that may be a part of
    the particle, so a range is better than nothing."""
    least_diameter_angstrom: Positive | None = None
    """Where only a range is known: picking looks for what is there from here to `diameter_angstrom`, which then also
    sets the box. null: the diameter is known."""
    symmetry: str = "C1"
    """Point group, RELION's names: C1, D7, T, O, I1, ..."""
    initial_map: str | None = None
    """Map (.mrc) or atomic model to start the reconstruction from. null: ab initio."""
    map_classes: Annotated[int, Field(ge=1, le=8)] = 1
    """Maps that the particles are sorted into, beside the common one that orients them all, for particles of more than
    one kind: with or without a ligand, open or closed. The summary says whether there is more than one. 1: none."""
    box_px: Annotated[int, Field(ge=16, le=1024, multiple_of=2)] | None = None
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


class ThresholdSettings(_Section):
    """A micrograph outside any of these is `rejected` with the reason; null: no threshold. Changing one moves
    micrographs between `ready` and `rejected` at once; nothing is processed again."""

    max_ctf_fit_resolution_angstrom: Positive | None = 10.0
    """Thon rings must reach this far."""
    max_astigmatism_angstrom: Positive | None = 5000.0
    """Difference of the two defoci."""
    max_total_motion_angstrom: Positive | None = None
    """Path length over all frames."""
    min_defocus_um: float | None = None
    """Underfocus positive."""
    max_defocus_um: float | None = None
    """Underfocus positive."""
    max_ice_ring_density: float | None = None
    """Excess power at 0.25-0.28 1/A against its surroundings (RELION's rlnCtfIceRingDensity)."""
    cuts: tuple[str, ...] = ()
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


class WorkerSettings(_Section):
    """Who computes, on what."""

    count: Annotated[int, Field(ge=1, le=256)] | None = None
    """null: one per GPU; without GPUs one single-threaded worker a core, as far as memory goes (4 GB each)."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto`: GPUs if there are any."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """CPU threads per worker; null: cores / workers."""
    accelerator_type: str | None = None
    """Ray's name of the card (`A100`, `H100`, ...); null: any."""
    ray_address: str | None = None
    """null: a private Ray on this machine, on loopback only."""
    max_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    """A movie that failed this often is quarantined."""
    movie_timeout_s: Positive = 900.0
    """A worker silent for longer than this on one movie is restarted."""
    prefetch: bool = True
    """Read the next movie while this one computes."""
    movie_memory_mib: Annotated[int, Field(ge=0)] = 1600
    """A movie whose counts take no more memory than this is decoded once and kept while a worker computes; a larger one
    is decoded again for each of three passes. 40 counted frames of 5760 x 4092 px take 900 MiB."""


class RestorationSettings(_Section):
    """The restored micrographs."""

    learn: bool = True
    """Teach the learned residual with the session's own half-sums. Costs one core some seconds every 25 movies."""


class CausalSettings(_Section):
    """What the causal model starts from."""

    learn_from: tuple[str, ...] = ()
    """Session folders of the same instrument (the last part may be a pattern, `/data/2026*`): what they taught of its
    camera, beam and stage is where this session starts. Read once, when the session is made."""
    forgetting: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of what earlier movies taught that is kept from one epoch of five movies to the next, for an instrument
    that drifts slowly: with 0.98 it is half after 170 movies. 1: nothing is forgotten; sudden changes are found
    anyhow."""
    graph: str | None = None
    """YAML with further nodes and edges of the causal graph: drawn and told with the others (`frazil why --tree`); what
    is computed along arrows is the physics that ships. null: the graph that ships."""


class EvaluationSettings(_Section):
    """How the running reconstruction is judged."""

    provers: tuple[Literal["exact", "z3", "coq", "lean"], ...] = ("z3", "exact")
    """What settles the session's claims. Exact integers always do, and others are held against them; `coq` and `lean`
    are used where they are installed (`frazil doctor` says so)."""
    prover_seconds: Annotated[float, Field(ge=1, le=3600)] = 60.0
    """Each prover's time for a round of five movies; what it has not settled then is unknown. No movie waits for it."""
    model: str | None = None
    """Crystal or helix that the specimen is said to be: YAML or JSON (cell, space group or operations, molecules per
    cell, mass, coarse spheres, rise and twist), mmCIF or PDB. null: no claims about one."""
    citation_graph: str | None = None
    """Citation graph for the forecast of impact: a Parquet or CSV file of works with OpenAlex's columns (`id`,
    `publication_date`, `type`, `field`, `referenced_works`), or a folder with `works` and `citations` in either
    format. null: no forecast."""
    work_id: str | None = None
    """The work of that graph whose citations are forecast. null: a new article that cites `reference_work_ids`."""
    reference_work_ids: tuple[str, ...] = ()
    """Works of that graph that an article about the structure will cite; for a structure that is not published yet."""
    references_dir: str | None = None
    """Folder of known structures (`.pdb`, `.cif`, `.mrc`, `.map`, also `.gz`; sub-folders too) that the running map's
    shape is compared with. Each is described once and kept in the user's cache; files may come and go while the session
    runs. `frazil fetch 5A1A --out FOLDER` adds one by its accession. null: novelty says nothing."""
    sandbox: bool = True
    """Run parts of the pipeline again, walled off, with every instrument parameter off by its error, to tell which
    results are robust and which hang on a calibration. It gives way to movies."""
    sandbox_every_rounds: Annotated[int, Field(ge=1, le=1000)] = 10
    """One movie is run again in each so many rounds of five movies; rounds between keep the last verdict. A rerun takes
    half a minute to two minutes of one core that nobody else wants."""
    sandbox_cpu_s: Annotated[int, Field(ge=1, le=36000)] = 300
    """CPU time of one rerun; what it has not found then stays unknown."""
    sandbox_wall_s: Annotated[float, Field(ge=1, le=36000)] = 3600.0
    """Time of one rerun, waiting for a core included."""
    sandbox_memory_mib: Annotated[int, Field(ge=1024)] = 8192
    """Address space of one rerun."""
    pixel_size_error: NonNegative = 0.005
    """One sigma of the pixel size, relative: what a calibration by a known lattice or an atomic model reaches (0.2 to
    1 %). 0: not varied, as for the others below."""
    voltage_error: NonNegative = 0.001
    """One sigma of the voltage, relative: the offset between the set and the true voltage (0.3 kV at 300 kV)."""
    cs_error: NonNegative = 0.01
    """One sigma of the spherical aberration, relative: makers state two digits after the point."""
    dose_error: NonNegative = 0.05
    """One sigma of the dose, relative: two measurements of it are taken to agree so far (`intake`)."""
    gain_error: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Relative rms of what the gain reference gets wrong from pixel to pixel."""
    formulas: dict[str, str] = {}
    """A person's own quantities by name: arithmetic on stored ones, such as `astigmatism: defocus_u_angstrom -
    defocus_v_angstrom`. Each is told for every movie of a round with its error, and with what it owes to each
    parameter of the instrument. docs/science.md lists functions and quantities."""
    refit_ctf: bool = True
    """Fit the CTF of one micrograph of every twenty again, on other tiles of it and on the evaluators' CPU, and hold
    the two against each other. Costs some seconds of what others leave of the cores."""
    goal_resolution_angstrom: Positive | None = None
    """What the session is for. Whether microscope time, disk and computing suffice for it is told with the scores
    (`feasibility`). null: no goal, and nothing is told."""
    microscope_hours_left: Positive | None = None
    """Hours that the session has at the microscope, counted from its first movie. null: not known; then disk alone is
    held against the goal."""


ALERT_SUBJECTS = (
    "acquisition",
    "lag",
    "disk",
    "cause",
    "change",
    "gain",
    "worker",
    "movie",
    "metadata",
    "evaluation",
    "reconstruction",
    "orientation",
    "restoration",
    "prior",
    "intake",
    "store",
    "http",
    "daemon",
)
"""What alerts are about, but `delivery`: that alerts cannot be sent is on the screen alone."""


def _is_secret_place(value: str) -> bool:
    return re.fullmatch(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+", value) is not None


class AlertSettings(_Section):
    """When a person is told, and where. Every alert is on the screen, and errors ring there (`bell`); those of
    `least_severity` and above also go by mail and to webhooks: once each, also over restarts and after an outage of the
    receiver."""

    no_movie_minutes: Positive | None = 15.0
    """No new movie for so long. null: not told of."""
    lag_minutes: Positive | None = 30.0
    """The newest movie will wait so long for its result, and more wait than at the window's beginning. Over at half of
    it. null: not told of."""
    lag_window_minutes: Positive = 10.0
    """How long that must last."""
    disk_hours: Positive | None = 6.0
    """At the present rate the session's disk is full in so many hours. Over at one and a half times as many. null: not
    told of; below `store.min_free_disk_gb` a person is told in any case."""
    disk_free_gb: Positive | None = None
    """So little is free. Over at 1.2 times as much. null: not told of."""
    cause_movies: Annotated[int, Field(ge=4, le=200)] = 10
    """How many of the newest results are looked at for a common cause of loss, and for late sidecars."""
    cause_share: Annotated[float, Field(gt=0, le=1)] | None = 0.5
    """The same cause is named for so large a share of them. Over at half of it. null: not told of."""
    late_sidecars: Annotated[int, Field(ge=1)] | None = 3
    """The sidecars of so many of them came after the movie had been taken. Over when none did. null: not told of."""
    least_severity: Literal["info", "warning", "error"] = "warning"
    """What is sent."""
    mute: tuple[str, ...] = ()
    """Subjects that are not sent: `acquisition`, `lag`, `disk`, `cause`, `change`, `gain`, `worker`, `movie`,
    `metadata`, `evaluation`, `reconstruction`, `orientation`, `restoration`, `prior`, `intake`, `store`, `http`,
    `daemon`. The screen shows them all."""
    quiet_minutes: NonNegative = 15.0
    """After a message no other about the same subject for so long; what comes meanwhile goes together in the next. An
    error does not wait behind warnings."""
    bell: bool = True
    """The screen rings the terminal's bell for a new error, and for nothing less."""
    smtp_host: str | None = None
    """Mail server. null: no mail."""
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 587
    """587 with `starttls`, 465 with `tls`, 25 with `none` are usual."""
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    """`none` sends a password in the clear: only for a server on this machine."""
    smtp_from: str | None = None
    """Sender. null: frazil@ and the name of this machine."""
    smtp_to: tuple[str, ...] = ()
    """Receivers."""
    smtp_user: str | None = None
    """null: the server asks for no name."""
    smtp_password: str | None = None
    """Where the password is: `env:NAME` or `file:PATH`. Never the password itself: settings are stored and shown."""
    webhooks: tuple[str, ...] = ()
    """Where JSON is posted: a shape (`slack`, `teams`, `mattermost`), a blank, and the address or, as such an address
    is a secret, where it is: `slack env:NAME`, `teams file:PATH`, `mattermost https://...`."""

    @field_validator("mute", mode="after")
    @classmethod
    def _are_subjects(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for subject in value:
            if subject not in ALERT_SUBJECTS:
                raise ValueError(f"no alert has the subject {subject!r}; there are {', '.join(ALERT_SUBJECTS)}")
        return value

    @field_validator("smtp_password", mode="after")
    @classmethod
    def _no_secret(cls, value: str | None) -> str | None:
        if value is not None and not _is_secret_place(value):
            raise ValueError("give env:NAME (an environment variable) or file:PATH, not the password itself")
        return value

    @field_validator("webhooks", mode="after")
    @classmethod
    def _are_webhooks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for hook in value:
            shape, _, place = hook.partition(" ")
            known = shape in ("slack", "teams", "mattermost")
            if not known or not (re.match(r"https?://", place) or _is_secret_place(place)):
                raise ValueError(
                    "write `slack`, `teams` or `mattermost`, a blank, and env:NAME, file:PATH or https://..."
                )
        return value

    @model_validator(mode="after")
    def _mail_goes_somewhere(self) -> AlertSettings:
        if self.smtp_host is not None and not self.smtp_to:
            raise ValueError("alerts.smtp_host needs alerts.smtp_to")
        if self.smtp_user is not None and self.smtp_password is None:
            raise ValueError("alerts.smtp_user needs alerts.smtp_password (env:NAME or file:PATH)")
        return self


class HttpSettings(_Section):
    """The session over HTTP (`frazil watch --http PORT`, docs/http.md)."""

    token: str | None = None
    """Where the token is with which the session may be written to: `env:NAME` or `file:PATH`. Never the token itself:
    settings are stored and shown. null: read-only."""
    address: str = "127.0.0.1"
    """The address of this machine that is listened on. Any but loopback needs `token`, also to
    read."""
    host_names: tuple[str, ...] = ()
    """Names, beside the address and `localhost`, by which clients may call this machine: those of a reverse proxy. A
    web page that was led here under another name is refused."""

    @field_validator("token", mode="after")
    @classmethod
    def _no_secret(cls, value: str | None) -> str | None:
        if value is not None and not _is_secret_place(value):
            raise ValueError("give env:NAME (an environment variable) or file:PATH, not the token itself")
        return value

    @field_validator("address", mode="after")
    @classmethod
    def _is_address(cls, value: str) -> str:
        try:
            return str(ipaddress.IPv4Address(value))
        except ValueError:
            raise ValueError("give an IPv4 address such as 127.0.0.1 or 0.0.0.0, not a name") from None

    @model_validator(mode="after")
    def _open_only_with_a_token(self) -> HttpSettings:
        if self.token is None and not ipaddress.IPv4Address(self.address).is_loopback:
            raise ValueError("an http.address that others can reach needs http.token (env:NAME or file:PATH)")
        return self


class StoreSettings(_Section):
    """Disk and queries."""

    min_free_disk_gb: NonNegative = 5.0
    """Intake stops below this and resumes above it."""
    query_timeout_s: Positive = 10.0
    """A query that runs longer is interrupted."""
    query_max_rows: Annotated[int, Field(ge=1)] = 100_000
    """A query returns at most this many rows, and says so."""


PATH_KEYS = frozenset(
    {
        "camera.gain",
        "camera.defects",
        "particles.initial_map",
        "intake.sidecar_roots",
        "causal.learn_from",
        "causal.graph",
        "evaluation.model",
        "evaluation.citation_graph",
        "evaluation.references_dir",
    }
)
"""Settings that are paths: made absolute when they are loaded."""


class Settings(_Section):
    """The whole effective configuration; stored with the session as YAML."""

    preset: str | None = None
    """The preset that filled what nobody said."""
    microscope: MicroscopeSettings = MicroscopeSettings()
    camera: CameraSettings = CameraSettings()
    intake: IntakeSettings = IntakeSettings()
    motion: MotionSettings = MotionSettings()
    ctf: CtfSettings = CtfSettings()
    particles: ParticleSettings = ParticleSettings()
    thresholds: ThresholdSettings = ThresholdSettings()
    workers: WorkerSettings = WorkerSettings()
    restoration: RestorationSettings = RestorationSettings()
    causal: CausalSettings = CausalSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    store: StoreSettings = StoreSettings()
    alerts: AlertSettings = AlertSettings()
    http: HttpSettings = HttpSettings()
    origins: dict[str, str] = {}
    """`section.key` to where the value came from (a flag, a variable, a file, a preset); a default is not listed.
    Written by `frazil.config.loading`."""
