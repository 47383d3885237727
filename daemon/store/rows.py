"""What is written about a session besides results: one frozen dataclass a kind of row.

Times are UTC microseconds; `None` is "not known". Results themselves are `frazil.models.records.MovieResult`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import msgspec

from frazil.models.gain.decision import GainDecision
from frazil.models.map_round import MapRoundRecord
from frazil.models.records import AcquisitionMetadata, MovieState


@dataclass(frozen=True, slots=True)
class SessionRow:
    """The one row of `session`."""

    session_id: str
    name: str
    raw_root: str
    created_utc_us: int
    settings_yaml: str
    code_version: str
    preset: str | None = None
    microscope: str | None = None
    camera: str | None = None
    voltage_kv: float | None = None
    cs_mm: float | None = None
    amplitude_contrast: float | None = None
    pixel_size_angstrom: float | None = None
    dose_per_frame_e_per_a2: float | None = None
    gain_path: str | None = None
    gain_verdict: str | None = None
    """JSON: orientation, convention, evidence."""


@dataclass(frozen=True, slots=True)
class MovieRow:
    """A movie as it is registered: one path and generation of a file."""

    movie_id: str
    relative_path: str
    """Below the raw root, '/' separated."""
    generation: int
    found_utc_us: int
    sequence: int | None = None
    """Order of registration in the session, from 0; once set it stays."""
    stem: str | None = None
    """Name of the movie's output files, unique in the session; once set it stays."""
    state: MovieState = MovieState.FOUND
    """Only for a movie that is not registered yet; later its state changes through `set_state`."""
    file_format: str | None = None
    size_bytes: int | None = None
    mtime_ns: int | None = None
    inode: int | None = None
    frame_count: int | None = None
    height_px: int | None = None
    width_px: int | None = None
    pixel_size_angstrom: float | None = None
    voltage_kv: float | None = None
    dose_per_frame_e_per_a2: float | None = None
    sidecar_path: str | None = None
    metadata: AcquisitionMetadata = field(default_factory=AcquisitionMetadata)
    complete_utc_us: int | None = None


@dataclass(frozen=True, slots=True)
class KnownMovie:
    """What resuming needs to know of a movie."""

    movie_id: str
    relative_path: str
    generation: int
    state: MovieState
    attempts: int
    size_bytes: int | None
    mtime_ns: int | None
    inode: int | None
    frame_count: int | None
    found_utc_us: int
    sequence: int | None
    stem: str | None
    parameter_hash: str | None
    """What the present result was made with; None: no result."""
    code_version: str | None


@dataclass(frozen=True, slots=True)
class ParticleRows:
    """All particles of one movie; the tuples are as long as `x_px` or None."""

    movie_id: str
    x_px: tuple[float, ...]
    y_px: tuple[float, ...]
    half_set: tuple[int, ...]
    """1 or 2, fixed at extraction."""
    score: tuple[float, ...] | None = None
    class_id: tuple[int | None, ...] | None = None
    rot_deg: tuple[float | None, ...] | None = None
    tilt_deg: tuple[float | None, ...] | None = None
    psi_deg: tuple[float | None, ...] | None = None
    origin_x_angstrom: tuple[float | None, ...] | None = None
    origin_y_angstrom: tuple[float | None, ...] | None = None
    certainty: tuple[float, ...] | None = None
    """That there is a particle at all."""
    map_class: tuple[int, ...] | None = None
    """Of several maps, from 1."""
    diameter_angstrom: float | None = None
    fibre: tuple[int, ...] | None = None
    """Of segments, as the next two (`ParticlePicks`); None: they are particles, or it is not known."""
    along_angstrom: tuple[float, ...] | None = None
    axis_deg: tuple[float, ...] | None = None
    defocus_offset_angstrom: tuple[float, ...] | None = None
    """Over the movie's defocus; None: no tilt is known."""


@dataclass(frozen=True, slots=True)
class PriorRow:
    """One version of the causal prior."""

    version: int
    created_utc_us: int
    movie_count: int
    factor_names: tuple[str, ...]
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    state_json: str
    """All that is needed to go on from here."""
    parameter_hash: str | None = None
    """Settings of the results that it was learnt from; None: not known, so it is not used again."""
    code_version: str | None = None
    change_sd: tuple[float, ...] = ()
    """How far the last epoch moved each strength, in the sd that it had."""


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """When the session became another one."""

    number: int
    """From 1."""
    movie_number: int
    """Of the first movie after it, from 0 in order of acquisition."""
    acquired_utc_us: int | None
    cause: str
    channel: str
    value_before: float
    value_after: float
    likelihood_ratio: float
    sentence: str
    prior_version: int
    """The version with which it was found."""


@dataclass(frozen=True, slots=True)
class PredictionRow:
    """How well versions of the prior foretold one quantity of movies that they had not seen, since the last change."""

    prior_version: int
    """The one that was made with the newest of these movies, by the forecasts of the versions before it."""
    quantity: str
    movies: int
    inside_68: int
    inside_95: int
    crps: float
    """Mean over the movies, in ln of the quantity; smaller is better."""
    first_crps: float
    plain_crps: float
    e_value: float
    held: str
    words: str
    pit: tuple[float, ...]
    """Of the newest epoch's movies, ascending."""


@dataclass(frozen=True, slots=True)
class WeightRow:
    """One term of g, by which an epoch's evidence counted."""

    prior_version: int
    """That the epoch made."""
    term: str
    reliability: float | None
    """None: left out."""
    verdict_round: int | None
    """Of the evaluators, from 0; None: none was heard."""
    words: str
    g: float
    """Of all terms together."""


@dataclass(frozen=True, slots=True)
class LearningRow:
    """What a round of the session's movies taught the learned restoration."""

    round: int
    created_utc_us: int
    network_version: int
    accepted: bool
    improvement: float
    improvement_sd: float
    lesson_movies: int
    check_movies: int
    parameter_hash: str
    code_version: str


@dataclass(frozen=True, slots=True)
class ShareRow:
    """How well one factor's mean loss at 5 A is known."""

    factor: str
    loss_ln_ssnr: float
    sd: float
    converged: bool
    movie_count: int
    prior_version: int
    first_sd: float | None = None
    """Of the same mean by version 0."""
    told_nats: float | None = None
    """What the session has told beyond version 0."""
    held: str | None = None
    """What movies that were not seen say of the forecasts that it rests on: holds, fails, no better, not asked ..."""
    unseen: str | None = None
    """... in words."""


ADVISER = "frazil"
"""`who` of an advice; people have other names."""


@dataclass(frozen=True, slots=True)
class InterventionRow:
    """An advice of frazil, or what a person did."""

    intervention_id: str
    created_utc_us: int
    factor: str
    scope: str
    """A movie id, a grid square or `session`."""
    sentence: str
    who: str
    gain_ln_ssnr: float | None = None
    gain_sd: float | None = None
    ctf_resolution_from_angstrom: float | None = None
    ctf_resolution_to_angstrom: float | None = None
    place: int | None = None
    """Among frazil's advice, from 1; None: a person's."""
    action: str | None = None
    gain_low_ln_ssnr: float | None = None
    """Of the 95 % credible interval, as are best and worst."""
    gain_high_ln_ssnr: float | None = None
    ctf_resolution_best_angstrom: float | None = None
    ctf_resolution_worst_angstrom: float | None = None
    map_resolution_from_angstrom: float | None = None
    map_resolution_to_angstrom: float | None = None
    map_resolution_best_angstrom: float | None = None
    map_resolution_worst_angstrom: float | None = None
    movies_saved_share: float | None = None
    movies_per_hour_change: float | None = None
    prior_version: int | None = None
    net_ln_ssnr: float | None = None
    """Gain less cost, as ln of the signal per hour."""
    pays_probability: float | None = None
    known_by: str | None = None
    """`measured`, `adjusted` or `physics`; None: a person's."""
    known_how: str | None = None
    adjusted_for: str | None = None
    """Names of nodes of the causal graph, with commas."""
    refuters: str | None = None
    """One a line: `placebo: passed: ...`."""
    robustness_value: float | None = None


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One 2D class average of a round."""

    class_id: int
    particle_count: int
    resolution_angstrom: float | None = None
    average_path: str | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class ClassChoiceRow:
    """What holds for a 2D class that lives or that a particle has, as of the newest round."""

    class_id: int
    today_id: int
    parent_id: int | None
    score: float | None
    spoken_for_by: int | None
    chosen: bool


@dataclass(frozen=True, slots=True)
class ClassVerdictRow:
    """What a person said of a 2D class; those of one order were said together."""

    order_id: str
    class_id: int
    verdict: str
    """`keep`, `reject`, `undecided`."""
    who: str
    said_utc_us: int


@dataclass(frozen=True, slots=True)
class MapClassRow:
    """One of several maps of a round."""

    map_class: int
    particle_count: float
    resolution_0143_angstrom: float | None
    map_path: str


@dataclass(frozen=True, slots=True)
class ForecastRow:
    """What a round foretells (`models.reconstruction.outlook`), in the order of the table's columns after `round`."""

    place: int
    kind: str
    movies: int | None
    movies_low: int | None
    movies_high: int | None
    hours: float | None
    resolution_angstrom: float
    resolution_low_angstrom: float | None
    resolution_high_angstrom: float | None
    reachable: bool
    limited_by: str | None
    sentence: str


@dataclass(frozen=True, slots=True)
class GainRow:
    """The map with `gain` times its particles: median and 80 % interval of its resolution."""

    gain: float
    best_angstrom: float
    median_angstrom: float
    worst_angstrom: float


@dataclass(frozen=True, slots=True)
class ReconstructionRow(MapRoundRecord):
    """One round of the running reconstruction with what stands in tables of its own; `fsc[i]` (corrected) is at
    `frequency_per_angstrom[i]`, as are the other curves where there are any."""

    frequency_per_angstrom: tuple[float, ...] = ()
    fsc: tuple[float, ...] = ()
    classes: tuple[ClassRow, ...] = ()
    fsc_unmasked: tuple[float, ...] = ()
    fsc_masked: tuple[float, ...] = ()
    fsc_randomised: tuple[float, ...] = ()
    fsc_uniform: tuple[float, ...] = ()
    """Of the same particles without causal weights."""
    forecasts: tuple[ForecastRow, ...] = ()
    gains: tuple[GainRow, ...] = ()
    map_classes: tuple[MapClassRow, ...] = ()
    class_choices: tuple[ClassChoiceRow, ...] = ()


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """What one evaluator says in one round."""

    round: int
    evaluator: str
    created_utc_us: int
    evidence_json: str
    verdict: float | None = None
    uncertainty: float | None = None
    reliability: float | None = None
    unit: str | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class AlertRow:
    """Something a person should know. Without an `alert_id` the same text is the same alert."""

    severity: str
    """info, warning, error"""
    subject: str
    """gain, disk, worker, intake, store, ..."""
    text: str
    created_utc_us: int
    remedy: str | None = None
    alert_id: str = field(default="")

    def key(self) -> str:
        """The given id, else one made of severity, subject and text."""
        if self.alert_id:
            return self.alert_id
        return hashlib.sha256("\0".join((self.severity, self.subject, self.text)).encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """How far one opening of an alert has got on one channel."""

    alert_id: str
    opened_utc_us: int
    channel: str
    state: str
    """sending (perhaps it arrived), sent, failed (it is tried again), refused (it is not)"""
    attempts: int
    message_id: str
    """Of the message that it went with; one that is sent again keeps it, so that a receiver can drop it."""
    last_error: str | None = None
    sent_utc_us: int | None = None


@dataclass(frozen=True, slots=True)
class FeedbackRow:
    """What a person thinks of a movie (or of the session: `movie_id` None)."""

    feedback_id: str
    created_utc_us: int
    verdict: str
    """accept, reject, note"""
    who: str
    movie_id: str | None = None
    note: str | None = None


class StoredVerdict(msgspec.Struct, frozen=True):
    """What the session keeps of the gate: the answer, and what was asked."""

    question: str
    decision: GainDecision
