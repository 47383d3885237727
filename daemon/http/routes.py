"""The table of what is answered over HTTP. Requests are routed by it and the OpenAPI document is made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from frazil.daemon.http.parameters import Parameter
from frazil.daemon.http.pictures import MAP_PICTURES
from frazil.daemon.page.asset_files import ASSETS
from frazil.daemon.page.movie_list import ORDERS, SORTS, STATES
from frazil.daemon.report.pictures import MAX_SIDE_PX
from frazil.daemon.store.queries.named_query import MOST_ROWS

JSON = "application/json"
PNG = "image/png"
MRC = "application/octet-stream"
METRICS = "text/plain"
CSV = "text/csv"
HTML = "text/html"
EVENTS = "text/event-stream"

Answer = Literal[
    "document",
    "state",
    "summary",
    "metrics",
    "query",
    "plan",
    "next",
    "next_text",
    "thumbnail",
    "micrograph",
    "map_picture",
    "page",
    "asset",
    "events",
    "order",
]


@dataclass(frozen=True, slots=True)
class QueryDoc:
    """A named query: what it tells, and its parameters."""

    words: str
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path.

    `answers` has the types that a good answer may have, each with the name of its schema (None: bytes of that type).
    """

    method: Literal["GET", "POST"]
    path: tuple[str, ...]
    answer: Answer
    words: str
    answers: Mapping[str, str | None] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    body: str | None = None
    """Name of the schema of the request's body."""
    body_required: bool = True
    query: str | None = None
    """The named query that is asked."""
    page: str = ""
    """What `frazil.daemon.page.pages` calls it."""
    failures: tuple[int, ...] = ()
    """Statuses beside those that every request can meet."""
    open: bool = False
    """Answered without a token wherever it listens."""

    @property
    def operation(self) -> str:
        """The operation's name in the OpenAPI document."""
        if self.page:
            return f"page_{self.page}"
        words = [part for part in self.path if not part.startswith("{")]
        return "_".join([self.method.lower(), *words]).replace(".", "_")

    def of_path(self) -> tuple[Parameter, ...]:
        """Parameters that stand in the path itself."""
        return tuple(one for one in self.parameters if one.where == "path")

    def takes(self, parts: list[str]) -> dict[str, str] | None:
        """What the parts of a path say for its parameters; None: it is another path."""
        if len(parts) != len(self.path):
            return None
        found: dict[str, str] = {}
        for own, given in zip(self.path, parts, strict=True):
            if own.startswith("{"):
                found[own[1:-1]] = given
            elif own != given:
                return None
        return found


_MOVIE = Parameter("movie_id", words="As in the named query `movies`.", where="path")
_WIDTH = Parameter(
    "width_px",
    int,
    1024,
    least=16,
    most=MAX_SIDE_PX,
    words="Longest side of the picture; it is never enlarged, and reduced by a whole number.",
)

_NEXT_LIMIT = Parameter("limit", int, 20, least=1, most=1000, words="How many holes are listed.")
_NEXT_GRID = Parameter("grid", str, words="Name or id of a grid; without it the one in the microscope.")


def make_routes(queries: Mapping[str, QueryDoc]) -> tuple[Route, ...]:
    """All of them, the named queries as a path each."""
    return (*_PAGES, *_READING, *_of_queries(queries), *_WRITING)


def _of_queries(queries: Mapping[str, QueryDoc]) -> Iterator[Route]:
    for name, query in queries.items():
        yield Route(
            "GET", ("query", name), "query", query.words, {JSON: "Rows"}, query.parameters, query=name, failures=(404,)
        )


def _page(name: str, path: str, words: str, *parameters: Parameter, failures: tuple[int, ...] = ()) -> Route:
    return Route("GET", tuple(path.split("/")), "page", words, {HTML: None}, parameters, page=name, failures=failures)


_PAGES = (
    _page("overview", "", "The session as a web page."),
    _page(
        "movies",
        "movies",
        "All movies as a web page, page by page.",
        Parameter("state", default="all", choices=tuple(STATES), words="Which movies."),
        Parameter("sort", default="ready_utc_us", choices=tuple(SORTS), words="What they are sorted by."),
        Parameter("order", default="desc", choices=tuple(ORDERS), words="Which end comes first."),
        Parameter("search", default="", words="A part of name, square, flags or reason."),
        Parameter("offset", int, 0, least=0, most=MOST_ROWS, words="So many movies are passed over."),
    ),
    _page(
        "movie",
        "movies/{movie_id}",
        "One exposure as a web page: its pictures with the picks over them, its numbers.",
        _MOVIE,
        Parameter("kind", default="restored", choices=("restored", "sum"), words="Which micrograph."),
        Parameter("size", default="fit", choices=("fit", "full"), words="`full`: up to 4096 pixels wide."),
        failures=(404,),
    ),
    _page(
        "grid",
        "grid",
        "Squares and holes as a web page.",
        Parameter("square_id", words="Whose holes are shown, as in the named query `grid_squares`."),
    ),
    Route(
        "GET",
        ("assets", "{name}"),
        "asset",
        "Style, scripts and icon of the web page.",
        dict.fromkeys(sorted({kind for _, _, kind in ASSETS.values()})),
        (Parameter("name", choices=tuple(ASSETS), where="path"),),
        open=True,
    ),
    Route(
        "GET",
        ("events",),
        "events",
        "Server-sent events for the web page, once a second at most: `state` when something has changed, else `beat` "
        "every ten seconds. The stream has no end.",
        {EVENTS: None},
    ),
    Route(
        "GET",
        ("map", "{kind}"),
        "map_picture",
        "A picture of the running map at its newest round.",
        {PNG: None},
        (Parameter("kind", choices=tuple(MAP_PICTURES), where="path"),),
        failures=(404,),
    ),
)
_READING = (
    Route("GET", ("openapi.json",), "document", "This description.", {JSON: "Document"}, open=True),
    Route("GET", ("state",), "state", "The newest state, as on the screen; at most a second old.", {JSON: "State"}),
    Route("GET", ("summary",), "summary", "The session's summary; at most ten seconds old.", {JSON: "Summary"}),
    Route(
        "GET",
        ("experiment", "{experiment_id}", "plan.csv"),
        "plan",
        "An experiment's order, one line a hole; as JSON it is the named query `experiment_assignments`.",
        {CSV: "Text"},
        (Parameter("experiment_id", words="As in the named query `experiments`.", where="path"),),
        failures=(404,),
    ),
    Route(
        "GET",
        ("next",),
        "next",
        "Where to shoot next: the newest round with its lists, and what people said.",
        {JSON: "Next"},
        (_NEXT_LIMIT, _NEXT_GRID),
        failures=(404,),
    ),
    Route(
        "GET",
        ("next.txt",),
        "next_text",
        "The same for a script, one line a hole: rank, name, probability, stage x and y in um, square.",
        {METRICS: "Text"},
        (_NEXT_LIMIT, _NEXT_GRID),
        failures=(404,),
    ),
    Route("GET", ("metrics",), "metrics", "The state for Prometheus (text format).", {METRICS: "Text"}),
    Route(
        "GET",
        ("thumbnail", "{movie_id}"),
        "thumbnail",
        "A small picture of a processed movie, its contrast stretched.",
        {PNG: None},
        (
            _MOVIE,
            Parameter(
                "kind",
                default="sum",
                choices=("sum", "restored", "power_spectrum"),
                words="Sum of the aligned frames, the restored micrograph without what is finer than 8 A, or the power "
                "spectrum beside its fit.",
            ),
            _WIDTH,
        ),
        failures=(404,),
    ),
    Route(
        "GET",
        ("micrograph", "{movie_id}"),
        "micrograph",
        "A processed movie's micrograph: a picture of it, or the whole MRC file with its angstroms and gray values.",
        {PNG: None, MRC: None},
        (
            _MOVIE,
            Parameter(
                "kind",
                default="restored",
                choices=("restored", "sum"),
                words="Deconvolved with the causal prior, or the dose-weighted sum of the aligned frames.",
            ),
            Parameter("format", default="png", choices=("png", "mrc"), words="`mrc`: the file itself."),
            _WIDTH,
        ),
        failures=(404,),
    ),
)  # fmt: skip


def _writing(path: str, words: str, body: str, *, required: bool = True) -> Route:
    return Route("POST", tuple(path.split("/")), "order", words, {JSON: "Done"}, body=body, body_required=required,
                 failures=(404, 409, 413, 415))  # fmt: skip


_WRITING = (
    _writing("feedback", "Accept or reject a movie, or note something; kept when this is answered.", "Feedback"),
    _writing("intervention", "Say what was changed at the microscope, just now or at a time.", "Intervention"),
    _writing("acknowledge", "An alert has been seen to.", "Acknowledge"),
    _writing("pause", "Start no further movie.", "Pause", required=False),
    _writing("resume", "Go on after a pause.", "Resume", required=False),
    _writing("experiment", "Plan a randomised experiment; the message is JSON with its id.", "Experiment"),
    _writing("next/pick", "Take a hole, patch or square first.", "Pick"),
    _writing("next/avoid", "Leave a hole, patch or square out.", "Avoid"),
    _writing("next/forget", "What was said of a hole, patch or square (or of `all`) is over.", "Forget"),
    _writing("next/hours", "How many hours are left at the microscope, from now on.", "HoursLeft"),
    _writing("classes", "Keep 2-D classes, or leave them out of the map; GET is the query `classes`.", "ClassVerdict"),
    _writing("experiment_stop", "End a randomised experiment.", "ExperimentStop", required=False),
)
