"""What may be written over HTTP: the bodies of the POST requests, checked and described by msgspec."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from frazil.config.errors import UsageError

MAX_BODY_BYTES = 256 << 10

# No control characters: what is written here is shown on terminals and stands in tables and STAR files.
_PLAIN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=_PLAIN)]
_Who = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=_PLAIN)]
_Text = Annotated[str, msgspec.Meta(max_length=2000, pattern=_PLAIN)]
_Words = Annotated[str, msgspec.Meta(min_length=1, max_length=2000, pattern=_PLAIN)]

Factor = Literal[
    "motion",
    "radiation_damage",
    "spatial_coherence",
    "temporal_coherence",
    "ice",
    "detector",
    "coincidence",
    "heterogeneity",
    "unexplained",
    "aberrations",
    "defocus_spread",
    "motion_uncorrected",
]
"""`frazil.models.causal.factors.ALL_FACTORS` (a test compares)."""


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    who: _Who = "http"


class Accept(_Body, frozen=True, tag_field="verdict", tag="accept"):
    """Keep a processed movie, whatever the thresholds say."""

    movie_id: _Id
    note: _Text = ""


class Reject(_Body, frozen=True, tag_field="verdict", tag="reject"):
    """Set a processed movie aside; the note is the reason."""

    movie_id: _Id
    note: _Text = ""


class Note(_Body, frozen=True, tag_field="verdict", tag="note"):
    """Something to remember of a movie, or, without one, of the session."""

    note: _Words
    movie_id: _Id | None = None


class Intervention(_Body, frozen=True):
    """Something was changed at the microscope: what, the cause it is aimed at, and when (RFC 3339, with the offset from
    UTC; without: now). A time that is still to come, and one before the session, are refused."""

    sentence: _Words
    factor: Factor = "unexplained"
    at: Annotated[datetime.datetime, msgspec.Meta(tz=True)] | None = None


class Acknowledge(_Body, frozen=True):
    """An open alert has been seen to."""

    alert_id: _Id


class Pause(_Body, frozen=True):
    """Start no further movie; movies are still found."""


class Resume(_Body, frozen=True):
    """Go on."""


class ExperimentHole(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One hole, in the order in which it will be taken; ice (any measure) and defocus as known beforehand."""

    name: _Text = ""
    square: _Text = ""
    group: _Text = ""
    ice: float | None = None
    defocus_um: float | None = None


class Experiment(_Body, frozen=True):
    """Compare two settings by a coin: `settle=5,20`, `dose-rate=8,15`, `image-shift=3,6` or `defocus=-1,-2`. Give
    `holes`, or a number of movies and the grid squares among which they are divided."""

    comparison: _Words
    outcome: Literal["ln_ssnr", "fit_resolution", "particles", "motion", "drift"] = "ln_ssnr"
    movies: Annotated[int, msgspec.Meta(ge=1, le=2000)] = 200
    squares: Annotated[list[_Id], msgspec.Meta(max_length=500)] = []
    holes: Annotated[list[ExperimentHole], msgspec.Meta(max_length=2000)] = []
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**31)] | None = None


class ExperimentStop(_Body, frozen=True):
    """End an experiment: movies taken later do not belong to it. Without an id: the one that is running."""

    experiment_id: _Id | None = None


class Pick(_Body, frozen=True):
    """Take this hole, patch or square (its name or id) first."""

    target_id: _Id


class Avoid(_Body, frozen=True):
    """Leave this hole, patch or square (its name or id) out."""

    target_id: _Id


class Forget(_Body, frozen=True):
    """What was said of this hole, patch or square is over; `all`: of everything."""

    target_id: _Id


class HoursLeft(_Body, frozen=True):
    """So many hours are left at the microscope, from now on."""

    hours: Annotated[float, msgspec.Meta(gt=0, le=10_000)]


_ClassId = Annotated[int, msgspec.Meta(ge=0, lt=100_000_000)]
_ClassIds = Annotated[list[_ClassId], msgspec.Meta(max_length=1000)]


class ClassVerdict(_Body, frozen=True):
    """Keep these 2-D classes, leave those out of the map, let the judge decide of others; `undo` takes the newest order
    back first."""

    keep: _ClassIds = []
    reject: _ClassIds = []
    undecided: _ClassIds = []
    undo: bool = False


Feedback: TypeAlias = Accept | Reject | Note
TargetWord: TypeAlias = Pick | Avoid | Forget | HoursLeft
Order: TypeAlias = (
    Feedback | Intervention | Acknowledge | Pause | Resume | Experiment | ExperimentStop | TargetWord | ClassVerdict
)

BODIES: dict[str, Any] = {
    "Feedback": Feedback,
    "Intervention": Intervention,
    "Acknowledge": Acknowledge,
    "Pause": Pause,
    "Resume": Resume,
    "Experiment": Experiment,
    "ExperimentStop": ExperimentStop,
    "Pick": Pick,
    "Avoid": Avoid,
    "Forget": Forget,
    "HoursLeft": HoursLeft,
    "ClassVerdict": ClassVerdict,
}
"""By the name that the OpenAPI document has for it."""

_DECODERS = {name: msgspec.json.Decoder(kind) for name, kind in BODIES.items()}


def read_order(name: str, body: bytes) -> Order:
    """The order in a request's body. Raises `UsageError` saying which field is wrong."""
    try:
        order: Order = _DECODERS[name].decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the body is not what is wanted: {error}", remedy=f"send the JSON that /openapi.json calls {name}"
        ) from None
    return order


def body_schemas() -> dict[str, Any]:
    """JSON Schemas for the `components` of an OpenAPI document."""
    roots, parts = msgspec.json.schema_components(BODIES.values(), ref_template="#/components/schemas/{name}")
    named = dict(zip(BODIES, roots, strict=True))
    own = {name: root for name, root in named.items() if root != {"$ref": f"#/components/schemas/{name}"}}
    return {**parts, **own}
