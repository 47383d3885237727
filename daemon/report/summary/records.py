"""The parts of a session's summary. `None` is "not known"; times are UTC microseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from frazil.daemon.report.why import Change, NamedCount
from frazil.daemon.store.movie_states import KEPT, WAITING
from frazil.daemon.transport.messages import VerdictState
from frazil.models.map_round import MapRoundRecord
from frazil.models.records import MovieState

_RESOLVED_FSC = 0.143


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of merit over all kept movies."""

    name: str
    words: str
    unit: str
    less_is_better: bool
    movies: int
    median: float
    quartile_1: float
    quartile_3: float
    first_quarter_median: float | None
    """Of the first quarter of the session, to tell a trend; None with fewer than twenty movies."""
    last_quarter_median: float | None
    worse_p: float | None = None
    """Chance that a session without a trend has a last quarter that is larger by so much (Mann-Whitney, one-sided)."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One metric movie by movie; `kept` False: rejected."""

    name: str
    ready_utc_us: tuple[int, ...]
    values: tuple[float | None, ...]
    kept: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Band:
    """One metric of a session of very many movies: some hundred groups of movies in the order of time."""

    name: str
    utc_us: tuple[int, ...]
    """The middle of each group."""
    p10: tuple[float | None, ...]
    median: tuple[float | None, ...]
    p90: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why movies were not kept, one example of the sentence, and how often."""

    state: str
    stage: str | None
    example: str
    movies: int


@dataclass(frozen=True, slots=True)
class AlertLine:
    severity: str
    subject: str
    text: str
    remedy: str | None


@dataclass(frozen=True, slots=True)
class Square:
    """One grid square."""

    name: str
    movies: int
    kept: int
    ctf_fit_angstrom: float | None
    """Median of its finished movies: what "best" and "worst" square mean wherever squares are told of."""


@dataclass(frozen=True, slots=True)
class Hole:
    """One hole, or one position of the template that is laid on it, at its place on the grid."""

    square: str
    name: str
    stage_x_um: float
    stage_y_um: float
    finished: int
    kept: int
    ctf_fit_angstrom: float | None
    """Median of its finished movies."""
    image_shift_um: tuple[float, float] | None = None
    """In the image shift's own axes; how they lie to those of the stage is not known."""
    optics_group: int | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A movie that stands for others."""

    group: str
    """best, typical or worst"""
    movie_id: str
    relative_path: str
    why: str
    thumbnail_path: str | None
    """Below the session's folder."""


@dataclass(frozen=True, slots=True)
class Advised:
    """One advice of frazil: what it would gain in ln SSNR at 5 A, with its 95 % interval."""

    sentence: str
    cause: str
    scope: str
    gain_ln_ssnr: float | None
    gain_low_ln_ssnr: float | None
    gain_high_ln_ssnr: float | None
    known_by: str | None = None
    """`measured`, `adjusted` or `physics`; None: an earlier frazil's."""
    known_how: str | None = None
    robustness_value: float | None = None
    surely_pays: bool = False
    """The 95 % interval of its net gain does not hold "no gain"."""


@dataclass(frozen=True, slots=True)
class ExperimentTold:
    """A randomised experiment: what it compared, what it says, and the lines below that."""

    experiment_id: str
    words: str
    state: str
    """not started, running, decided, undecided or stopped"""
    better: str | None
    sentence: str
    net_ln: float | None
    net_low_ln: float | None
    net_high_ln: float | None
    pairs: int
    most_pairs: int
    complied_share: float | None
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SideOfChange:
    """Means of the movies on one side of a moment, with their standard errors."""

    movies: int
    ctf_fit_angstrom: float | None
    ctf_fit_se_angstrom: float | None
    motion_early_angstrom: float | None
    motion_early_se_angstrom: float | None


@dataclass(frozen=True, slots=True)
class Taken:
    """What a person did or noted, and the movies just before and just after: no proof that the one made the other."""

    utc_us: int
    who: str
    sentence: str
    before: SideOfChange | None
    after: SideOfChange | None


@dataclass(frozen=True, slots=True)
class Software:
    """Movies that were processed with one version of frazil and one set of settings."""

    code_version: str
    parameter_hash: str
    movies: int


@dataclass(frozen=True, slots=True)
class AlertDay:
    """Alerts of one subject on one day."""

    day_utc: str
    severity: str
    subject: str
    alerts: int
    still_open: int
    newest: str


@dataclass(frozen=True, slots=True)
class StageTime:
    stage: str
    median_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class FactorLoss:
    """Mean loss of ln(SSNR) to one cause, 0.1 to 0.25 1/A, over the last movies."""

    factor: str
    loss_ln_ssnr: float
    loss_sd: float | None
    movies: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MapState(MapRoundRecord):
    """The running reconstruction at its last round: the record of the round, and what goes with it."""

    frequency_per_angstrom: tuple[float, ...]
    fsc: tuple[float, ...]
    by_round: tuple[tuple[int, float | None], ...]
    """(particles, resolution at FSC 0.143) of each round."""
    forecast: tuple[str, ...] = ()
    """The end of the session first, then the next steps."""
    fsc_uniform: tuple[float | None, ...] = ()
    """Of the same particles when all count alike."""
    initial_map: str | None = None
    """The file that it started from; None: from its particles alone."""
    begun_anew: str | None = None
    """When and why its rounds began again from 1, as a sentence; None: they did not."""
    classes_sentence: str | None = None
    """What judge and people say of the 2-D classes, and how many particles are chosen; None: there are no classes."""

    @property
    def at_pixel_limit(self) -> bool:
        """A curve that ends above its threshold says where the pixels end, not the map."""
        resolution = self.resolution_0143_angstrom
        return resolution is not None and bool(self.fsc) and self.fsc[-1] > _RESOLVED_FSC


@dataclass(frozen=True, slots=True)
class Score:
    evaluator: str
    verdict: float | None
    uncertainty: float | None
    unit: str | None
    unknown: str | None = None
    """What the evaluator does not know; without a verdict: why."""
    weights: str | None = None
    """Of V alone: the version of its weights (`1`: as shipped, `1+3`: after three rounds of feedback)."""
    question: str = ""
    """What it judges, in words."""
    value: str = ""
    """The verdict as a person reads it."""
    scale: str = ""
    """Its range, and which end of it is good."""
    says: tuple[str, ...] = ()
    """What it rests on, as sentences."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person said of a movie."""

    verdict: str
    movie: str | None
    note: str | None
    who: str


@dataclass(frozen=True, slots=True)
class SquareTold:
    """One square of the grid, at a position of the stage or on the atlas, where that is known."""

    square_id: str
    name: str
    state: str
    """seen, chosen, exposed, processed, picked, avoided or gone."""
    stage_x_um: float | None
    stage_y_um: float | None
    x_px: float | None
    y_px: float | None
    """On the atlas, from its top left corner."""
    holes: int
    exposed: int
    kept: int
    """Of its movies."""
    movies: int
    ctf_fit_angstrom: float | None
    usable: float | None
    """Share of what is left that is expected to be usable; None: nothing has been said of it."""
    usable_low: float | None
    usable_high: float | None
    """80 % interval of that share."""
    words: str


@dataclass(frozen=True, slots=True)
class NextHole:
    """One of the holes to take next."""

    rank: int
    target_id: str
    name: str
    square_id: str | None
    square: str
    usable: float
    """Probability that a movie of it will be usable."""
    usable_low: float
    usable_high: float
    """80 % interval of that probability."""
    signal: float | None
    """In particles of an undamaged movie; None: not known."""
    minutes: float
    """With the way to it from the one before."""
    picked: bool
    """By a person."""
    reason: str


@dataclass(frozen=True, slots=True)
class GridTold:
    """The grid, and where to shoot next."""

    verdict: str
    line: str
    """For a glance; empty: nothing has been said yet."""
    taken_share: float | None
    """Of all that this grid can give."""
    hours_left: float | None
    """At the microscope; None: not known."""
    usable_angstrom: float | None
    """A movie whose CTF fits so far is usable."""
    holes: int
    exposed: int
    squares: tuple[SquareTold, ...]
    """The most promising first."""
    next: tuple[NextHole, ...]
    """The best first."""


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """All of it."""

    name: str
    session_dir: str
    raw_root: str
    live: bool
    code_version: str
    preset: str | None
    microscope: str | None
    camera: str | None
    voltage_kv: float | None
    cs_mm: float | None
    pixel_size_angstrom: float | None
    dose_per_frame_e_per_a2: float | None
    frame_count: int | None
    """The most common one."""
    gain_path: str | None
    first_utc_us: int | None
    last_utc_us: int | None
    hours: float
    counts: Mapping[str, int]
    """Movies by state."""
    found_per_hour: float | None
    finished_per_hour: float | None
    lag_p50_s: float | None
    """Found to ready."""
    lag_p95_s: float | None
    lag_max_s: float | None
    metrics: tuple[Metric, ...]
    reasons: tuple[Reason, ...]
    alerts: tuple[AlertLine, ...]
    """Those that nobody has acknowledged."""
    squares: tuple[Square, ...]
    stages: tuple[StageTime, ...]
    losses: tuple[FactorLoss, ...]
    named_causes: tuple[NamedCount, ...]
    """How often each cause is named first, most often first; no cause: nothing stands out."""
    changes: tuple[Change, ...]
    """When the session became another one."""
    particles: int
    map: MapState | None
    scores: tuple[Score, ...]
    verdicts: tuple[Verdict, ...]
    interventions: tuple[str, ...]
    """The causal model's own advice, best first."""
    trend: tuple[Curve, ...]
    advice: tuple[str, ...]
    """What to do, most important first."""
    headline: tuple[str, ...] = ()
    """Two sentences: how good the session is; what costs it most and what to do."""
    verdict: VerdictState = field(default_factory=VerdictState)
    """As on the screen; of a session that is over, on all of it."""
    ice: str = ""
    """How thick the ice of the session's movies is, with errors; empty: counts do not tell it."""
    thick_ice_nm: float | None = None
    """From where on ice is thick (`verdict.ice_nm`)."""
    thick_ice_kept: int = 0
    """Kept movies whose ice is surely thicker."""
    last_hour_s: float | None = None
    """The length of what is called its last hour: a younger session is measured over its own age."""
    last_hour_found_per_hour: float | None = None
    """As on the screen's header."""
    last_hour_finished_per_hour: float | None = None
    bands: tuple[Band, ...] = ()
    """Of a session with more movies than a picture can show one by one."""
    holes: tuple[Hole, ...] = ()
    examples: tuple[Example, ...] = ()
    advised: tuple[Advised, ...] = ()
    taken: tuple[Taken, ...] = ()
    experiments: tuple[ExperimentTold, ...] = ()
    """The newest first."""
    history: tuple[tuple[int, float | None, float | None], ...] = ()
    """(round, V, HyperScore)"""
    software: tuple[Software, ...] = ()
    alert_days: tuple[AlertDay, ...] = ()
    settings_yaml: str = ""
    grid: GridTold | None = None
    """None: no grid is known."""
    raw_is_there: bool = True
    """Whether `raw_root` is still a folder."""
    over_a_stop: int = 0
    """Movies that waited before the daemon was started again or took up other settings: their lag counts from there."""
    over_a_stop_max_s: float | None = None
    """Of these, the longest from found to ready by the wall clock."""

    removed: tuple[str, ...] = ()
    """What was removed from the session's folder to make room, when and by whom: a sentence each."""

    @property
    def kept(self) -> int:
        return self.counts.get(KEPT, 0)

    @property
    def rejected(self) -> int:
        return self.counts.get(MovieState.REJECTED, 0)

    @property
    def set_aside(self) -> int:
        return self.counts.get(MovieState.QUARANTINED, 0)

    @property
    def waiting(self) -> int:
        return sum(self.counts.get(state, 0) for state in WAITING)

    @property
    def total(self) -> int:
        return sum(self.counts.values()) - self.counts.get(MovieState.OUTDATED, 0)
