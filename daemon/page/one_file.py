"""A finished session's page as one file: style, scripts, data and pictures all in it. It can be mailed.

Pictures are made smaller and are left out, the last of the list first, where the file would become too large.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from html import escape
from typing import Protocol

import imagecodecs
import numpy as np

from frazil.config.errors import NotThereError, QueryError
from frazil.daemon.page.all_movies import all_movies
from frazil.daemon.page.asset_files import asset
from frazil.daemon.page.frame import Head, document
from frazil.daemon.page.overview import overview
from frazil.daemon.page.plots import SHOWN
from frazil.daemon.page.source import PageSource
from frazil.daemon.report.summary.records import SessionSummary
from frazil.daemon.transport.messages import Row

_PICTURES_BYTES = 6_000_000
"""Of all pictures as they stand in the file: the list of movies is below 2 MB, as all else is, the file below 10 MB."""
_PICTURE_PX, _QUALITY = 320, 80
_MOVIES_SHOWN = 24


class PictureSource(PageSource, Protocol):
    """A source that has pictures, too. Raises `NotThereError`."""

    def picture(self, movie_id: str, kind: str, *, small: bool, width_px: int) -> bytes: ...
    def map_picture(self, kind: str) -> bytes: ...


class InOneFile:
    """Pictures as data; no other pages. Keeps within its budget."""

    def __init__(self, source: PictureSource, budget_bytes: int = _PICTURES_BYTES) -> None:
        self._source, self._left_bytes = source, budget_bytes

    def picture(self, movie_id: str, kind: str, width_px: int) -> str | None:
        """JPEG: a tenth of a PNG's bytes."""
        return self._data(
            lambda: _jpeg(self._source.picture(movie_id, kind, small=True, width_px=min(width_px, _PICTURE_PX))), "jpeg"
        )

    def map_picture(self, kind: str) -> str | None:
        return self._data(lambda: self._source.map_picture(kind), "png")

    def movie(self, movie_id: str) -> str | None:
        return None

    def page(self, name: str, **params: object) -> str | None:
        return None

    def _data(self, make: Callable[[], bytes], kind: str) -> str | None:
        try:
            data = make()
        except (NotThereError, OSError):
            return None
        if len(data) * 4 // 3 > self._left_bytes:
            return None
        self._left_bytes -= len(data) * 4 // 3
        return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _jpeg(png: bytes) -> bytes:
    gray = np.ascontiguousarray(imagecodecs.png_decode(png))
    return bytes(imagecodecs.jpeg8_encode(gray, level=_QUALITY))


def one_file(source: PictureSource) -> str:
    """The whole file. Raises what the source raises."""
    told = source.told()
    movies = all_movies(source)
    body = overview(source.live(), told, _shown(source, told), source.map_pictures(), InOneFile(source)) + movies.part
    data = json.dumps(plot_data(told)).replace("</", "<\\/")
    scripts = [asset("uplot.js"), _joined_scripts()]
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; script-src "
        + " ".join(f"'sha256-{_digest(text)}'" for text in scripts)
    )
    style = "".join(asset(name) for name in ("plots.css", "uplot.css", "page.css"))
    markup = f'<meta http-equiv=Content-Security-Policy content="{escape(policy)}"><style>{style}</style>'
    packed = f"<script type='text/plain' id=movie-data>{movies.data}</script>" if movies.data else ""
    tail = f"<script type=application/json id=plot-data>{data}</script>{packed}" + "".join(
        f"<script>{text}</script>" for text in scripts
    )
    return document(told.name, told.name, "", body, Head(markup, live=False, scripts=tail), InOneFile(source, 0))


def _joined_scripts() -> str:
    """The modules as one plain script: a file from a disk may load no other."""
    plots = asset("plots.js").replace("export ", "")
    movies = asset("movies.js").replace("export ", "")
    return f"(() => {{\n{plots}\ndrawPlots();\n}})();\n(() => {{\n{movies}\ndrawMovies();\n}})();"


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def plot_data(told: SessionSummary) -> dict[str, list[Sequence[float | None]]]:
    """What `plots.js` would ask the server for: times in seconds, then the curves of each metric."""
    if told.bands:
        return {
            band.name: [[us / 1e6 for us in band.utc_us], band.p90, band.median, band.p10]
            for band in told.bands
            if band.name in SHOWN
        }
    found: dict[str, list[Sequence[float | None]]] = {}
    for curve in told.trend:
        if curve.name in SHOWN:
            pairs = list(zip(curve.values, curve.kept, strict=True))
            found[curve.name] = [
                [us / 1e6 for us in curve.ready_utc_us],
                [value if kept else None for value, kept in pairs],
                [None if kept else value for value, kept in pairs],
            ]
    return found


def _shown(source: PageSource, told: SessionSummary) -> Sequence[Row]:
    """The examples of the summary: of the best, of the middle and of the worst, as the list of movies has them."""
    rows = (_row(source, one.movie_id) for one in told.examples)
    return [row for row in rows if row is not None][:_MOVIES_SHOWN]


def _row(source: PageSource, movie_id: str) -> Row | None:
    try:
        rows = source.table("movie", {"movie_id": movie_id}).as_dicts()
    except QueryError:
        return None
    if not rows:
        return None
    movie = rows[0]
    return movie | {"ctf_fit_angstrom": movie.get("fit_resolution_angstrom"), "reason": movie.get("rejection_reason")}
