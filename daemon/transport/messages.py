"""What goes over the daemon's sockets: typed requests, typed replies, and the newest state.

Everything is msgpack through msgspec (never pickle: unpickling runs code). An envelope carries the protocol version
and the caller's request number; the body stays undecoded until the version is known to match, so that an old screen
gets a sentence instead of a decoding error. Unknown fields are ignored and new ones have defaults: a screen and a
daemon of the same protocol but of different releases understand each other.

This module imports nothing but msgspec and the standard library, because the screen loads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias, get_args

import msgspec

PROTOCOL = 1
"""Raised when an old peer would misread a message; adding a field with a default does not raise it."""

MAX_REQUEST_BYTES = 1 << 20
MAX_REPLY_BYTES = 64 << 20
MAX_PICTURE_PX = 4096
"""Longest side of a picture that may be asked for."""

ALERTS_OF_A_RUN = (
    "rule-no-movie",
    "rule-lag",
    "rule-disk-hours",
    "disk-floor",
    "raw-folder-lost",
    "http-is-not-up",
)
"""Alerts that speak of what is happening now: when the daemon ends so do they."""
MAP_BEGUN_ANEW = "map-begun-anew"
"""The alert that says when and why the running map was begun anew; the newest one holds."""

Scalar: TypeAlias = bool | int | float | str | None
"""A value of one column. Times are integers (UTC microseconds)."""

Row: TypeAlias = dict[str, Scalar]
"""One line of a table: its values by the names of their columns."""

PictureKind = Literal[
    "thumbnail",
    "power_spectrum",
    "restored",
    "map_sections",
    "map_projections",
    "map_orientations",
    "class_averages",
    "regions",
]
"""From `map_sections` to `class_averages` they are the session's: of its newest round, whatever movie is named.
`regions` is what picking left out of a movie's micrograph: not grays but bits (`REGION_BITS`), of the nearest pixel."""
REGION_BITS = ("contamination, foil, hole edges", "carbon", "crystalline ice")
"""What the bits of `regions` say, the lowest first."""
Part = tuple[float, float, float, float]
"""Left, top, width and height of a part of a picture, as shares of the whole, the top being row 0."""
WHOLE: Part = (0.0, 0.0, 1.0, 1.0)
CommandName = Literal[
    "accept",
    "reject",
    "note",
    "intervention",
    "requeue",
    "pause",
    "resume",
    "stop",
    "finish",
    "acknowledge",
    "what-if",
    "thresholds",
    "settings-preview",
    "settings",
    "experiment-plan",
    "experiment-stop",
    "target-pick",
    "target-avoid",
    "target-forget",
    "target-hours",
    "class-verdict",
]
COMMAND_NAMES: tuple[str, ...] = get_args(CommandName)
ErrorKind = Literal["malformed", "protocol", "usage", "query", "not_found", "busy", "stopping", "internal"]


class Request(msgspec.Struct, frozen=True, tag_field="type"):
    """Base of all requests."""


class Ping(Request, frozen=True, tag="ping"):
    """Are you there? Answered by the socket's own thread, also while every query thread is busy."""


class Snapshot(Request, frozen=True, tag="snapshot"):
    """The newest `LiveState` (for a subscriber that has just come and does not want to wait for the next one)."""


class NamedQuery(Request, frozen=True, tag="named"):
    """One of the store's named queries (`frazil.daemon.store.queries.catalogue`)."""

    name: str
    params: dict[str, Scalar] = {}


class Sql(Request, frozen=True, tag="sql"):
    """One read-only statement."""

    text: str
    timeout_s: float | None = None
    """None: the daemon's own limit, which is also the largest."""


class Picture(Request, frozen=True, tag="picture"):
    """A picture of a movie, or a part of it, reduced by the daemon to fit the given box (aspect ratio kept, never
    enlarged). Of a micrograph the file is read that has as many pixels as are asked for."""

    movie_id: str
    kind: PictureKind
    max_width_px: int
    max_height_px: int
    part: Part = WHOLE


class Command(Request, frozen=True, tag="command"):
    """An order of a person. `command_id` is made by the client: the same one twice is carried out once."""

    name: CommandName
    args: dict[str, Scalar] = {}
    """accept, requeue: movie_id; reject: movie_id, reason; note: movie_id (or None), text; intervention (what
    a person changed at the microscope): sentence, factor (the cause it is aimed at), at_utc_us (when; without: now);
    acknowledge: alert_id;
    what-if (changes nothing, answers JSON) and thresholds (puts them in force): thresholds by name, `cuts` joined by
    `;`; what is left out stays as it is; settings-preview (changes nothing, answers JSON) and settings (puts them in
    force): settings by `section.key`, values as texts; experiment-plan (answers JSON): comparison ("settle=5,20"),
    outcome, seed, and movies, squares (comma-separated) or holes (JSON list of name, square, group, ice, defocus_um);
    experiment-stop: experiment_id; target-pick, target-avoid, target-forget: target_id (of a hole, patch or square;
    forget: `all` is everything that was said); target-hours: hours left at the microscope; class-verdict
    (of 2-D classes): keep, reject, undecided: their numbers with commas, undo: true takes the newest order back."""
    command_id: str = ""
    who: str = ""
    """Name of the person's account on the machine where the order was given."""


class WantedExperiment(Protocol):
    """What a person asks for, on the command line or over HTTP."""

    @property
    def comparison(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def movies(self) -> int: ...
    @property
    def squares(self) -> Sequence[str]: ...
    @property
    def holes(self) -> Sequence[object]: ...
    @property
    def seed(self) -> int | None: ...


def experiment_args(wanted: WantedExperiment) -> dict[str, Scalar]:
    """Arguments of the order `experiment-plan`."""
    return {
        "comparison": wanted.comparison,
        "outcome": wanted.outcome,
        "movies": wanted.movies,
        "squares": ",".join(wanted.squares),
        "holes": msgspec.json.encode(wanted.holes).decode() if wanted.holes else "",
        "seed": wanted.seed,
    }


AnyRequest: TypeAlias = Ping | Snapshot | NamedQuery | Sql | Picture | Command


class WorkerState(msgspec.Struct, frozen=True):
    """One worker as the screen shows it."""

    name: str
    node: str = ""
    device: str = ""
    """`cpu`, `cuda:0`, ..."""
    device_name: str = ""
    state: str = "starting"
    """starting, idle, working, failed, gone"""
    movie: str | None = None
    """Relative path of the movie in hand."""
    since_s: float = 0.0
    """How long it has been in this state."""
    done: int = 0
    failed: int = 0


class GateState(msgspec.Struct, frozen=True):
    """What the gain gate says."""

    status: str = "open"
    """waiting, open, blocked, overridden"""
    blocking: bool = False
    evidence: str = ""
    """What was measured, in a sentence for a person."""
    remedy: str = ""
    """The flags to set."""


class VerdictState(msgspec.Struct, frozen=True):
    """Go on, change something, or stop (docs/verdict.md)."""

    word: str = ""
    """As `models.session_verdict.records.Word`; empty: an earlier daemon's."""
    line: str = ""
    """At most 60 characters, the word in front."""
    sentence: str = ""
    """The same with what to do and what else is the matter."""
    reasons: tuple[str, ...] = ()
    """Lines of all that is the matter, the worst first; the first is `line`."""
    rules: tuple[str, ...] = ()
    """Names of the rules that speak, in the same order; empty: nothing is the matter."""
    action: str = ""
    """What to do about the first of them; empty: nothing."""
    not_good: str = ""
    """What is the matter with the movies that are not good, and where; empty: all are good."""


class LiveState(msgspec.Struct, frozen=True, tag="live_state", tag_field="type"):
    """All that the glance at the screen needs; published about once a second. None: not known (yet)."""

    sequence: int = 0
    """Counts up within one life of the daemon; a subscriber may miss some without harm."""
    daemon_started_utc_us: int = 0
    """Together with `sequence` this tells a restarted daemon from a late message."""
    utc_us: int = 0
    session_name: str = ""
    session_dir: str = ""
    raw_root: str = ""
    session_started_utc_us: int = 0
    status: str = "running"
    """starting, running, paused, blocked, stopping, finished; of a session that is read from its file finished, stopped
    (in good order, and movies were left) or ended (nobody closed it: killed, or the machine went down)"""
    ended_utc_us: int | None = None
    """When it ended (`ended`: when it was last heard of), of a session that no daemon runs on and whose file is read;
    None: a daemon says all this. With it rates, the disk and workers are not known."""
    preset: str = ""
    instrument: str = ""
    voltage_kv: float | None = None
    pixel_size_angstrom: float | None = None
    dose_per_frame_e_per_a2: float | None = None
    total_dose_e_per_a2: float | None = None
    """Of a movie as the newest ones are taken, on the specimen."""
    counts: dict[str, int] = {}
    """Movies by state (`frazil.models.records.MovieState`)."""
    found_per_hour: float | None = None
    ready_per_hour: float | None = None
    """Both of the last hour in which something happened: they do not decay while nothing comes."""
    last_found_utc_us: int | None = None
    lag_p50_s: float | None = None
    """Found to ready, of the recent movies."""
    lag_p95_s: float | None = None
    queue_depth: int = 0
    redo_stage: str = ""
    """Results are made again with changed settings, from this stage on (`frazil.config.stages.Stage`); empty: none."""
    redo_done: int = 0
    redo_total: int = 0
    """Since the daemon started or the settings changed."""
    free_disk_bytes: int | None = None
    written_bytes_per_s: float | None = None
    """By this session, mean of the last hour; 0: nothing; None: not known yet."""
    disk_full_in_h: float | None = None
    """By what this session writes; None: it writes nothing, or that is not known yet."""
    disk_shrinks_bytes_per_s: float | None = None
    """Whoever writes, mean of the last hour; negative: it grows. None: not known yet."""
    workers: tuple[WorkerState, ...] = ()
    gate: GateState = GateState()
    last_movie_id: str | None = None
    """The newest movie with a result."""
    alerts_open: int = 0
    newest_alert: str | None = None
    urgent_alerts: tuple[str, ...] = ()
    """Texts of the first three open ones, errors before warnings, the newest first."""
    error_opened_utc_us: int | None = None
    """When the newest error that is open was first told: a later one than before rings the bell."""
    bell: bool = True
    recent_kept: int = 0
    """Of the last 25 finished movies."""
    recent_total: int = 0
    prior_version: int | None = None
    map_resolution_angstrom: float | None = None
    """Of the newest round, FSC 0.143. What follows is of the same round."""
    map_round: int | None = None
    map_particle_count: int | None = None
    map_start: str = ""
    """Name of the file that the map was started from; empty: from the particles alone."""
    map_at_pixel_limit: bool = False
    """It ends where its pixels do."""
    particle_count: int | None = None
    """That were given to the map by now; those of a later round, too."""
    verdict: VerdictState = VerdictState()
    next_line: str = ""
    """Where to shoot next, in a line; empty: no grid is known."""
    next_round: int | None = None
    """Of the advice; None: nothing has been said yet."""
    next_square_id: str | None = None
    """Of the first target; None: nothing is worth a shot, or it lies in no known square."""
    grid_squares: int = 0
    grid_holes: int = 0
    grid_exposed: int = 0
    """Of the holes."""
    message: str = ""


class Pong(msgspec.Struct, frozen=True, tag="pong", tag_field="type"):
    """I am here."""

    daemon_started_utc_us: int
    session_dir: str
    pid: int
    version: str = ""


class Rows(msgspec.Struct, frozen=True, tag="rows", tag_field="type"):
    """A table. `total` is the count without limit and offset where the query knows it."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Scalar, ...], ...]
    truncated: bool = False
    total: int | None = None

    def as_dicts(self) -> list[Row]:
        """One dict per row."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class PictureReply(msgspec.Struct, frozen=True, tag="picture", tag_field="type"):
    """8-bit gray, row 0 first and on top: `gray[y * width_px + x]`."""

    width_px: int
    height_px: int
    gray: bytes
    source_width_px: int = 0
    """Size of the whole picture, for a scale."""
    pixel_size: float = 0.0
    """Of the source: angstrom per pixel, for a power spectrum 1/angstrom per pixel; 0: not known."""
    part: Part = WHOLE
    """What is shown: what was asked for, in whole pixels of the reply."""
    field_px: tuple[int, int] = (0, 0)
    """Width and height of the movie's micrograph, for marks over it; 0: not known, or no picture of a micrograph."""
    field_pixel_angstrom: float = 0.0
    """Of the micrograph; 0: not known."""


class Done(msgspec.Struct, frozen=True, tag="done", tag_field="type"):
    """The order was carried out (durably, where it is kept)."""

    message: str = ""


class Failure(msgspec.Struct, frozen=True, tag="failure", tag_field="type"):
    """The request was understood as far as `kind` says, and not answered."""

    kind: ErrorKind
    what: str
    remedy: str | None = None
    path: str | None = None


Reply: TypeAlias = Pong | LiveState | Rows | PictureReply | Done | Failure


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """What really travels: version, the caller's number, the body."""

    protocol: int
    request_id: int
    body: msgspec.Raw


_encoder = msgspec.msgpack.Encoder()
_envelope_decoder = msgspec.msgpack.Decoder(Envelope)
_request_decoder: msgspec.msgpack.Decoder[AnyRequest] = msgspec.msgpack.Decoder(AnyRequest)
_reply_decoder: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
_state_decoder = msgspec.msgpack.Decoder(LiveState)


def pack(request_id: int, body: Request | Reply, *, protocol: int = PROTOCOL) -> bytes:
    """Envelope around a request or a reply."""
    return _encoder.encode(Envelope(protocol, request_id, msgspec.Raw(_encoder.encode(body))))


def open_envelope(data: bytes) -> Envelope:
    """Only the outer layer. Raises `msgspec.DecodeError` (also for well-formed msgpack of another shape)."""
    return _envelope_decoder.decode(data)


def decode_request(envelope: Envelope) -> AnyRequest:
    """The body of a request. Raises `msgspec.DecodeError` naming the field that is wrong."""
    return _request_decoder.decode(envelope.body)


def decode_reply(envelope: Envelope) -> Reply:
    """The body of a reply. Raises `msgspec.DecodeError`."""
    return _reply_decoder.decode(envelope.body)


def pack_state(state: LiveState) -> bytes:
    """A state as it is published: one frame, so that a subscriber may keep only the newest (CONFLATE)."""
    return pack(state.sequence, state)


def open_state(data: bytes) -> LiveState | None:
    """A published state; None when it is of another protocol. Raises `msgspec.DecodeError`."""
    envelope = open_envelope(data)
    return _state_decoder.decode(envelope.body) if envelope.protocol == PROTOCOL else None
