"""What the session's web page asks for: the pages themselves, their files, the stream of news, pictures of the map."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from frazil.daemon.http.exchange import HttpReply
from frazil.daemon.http.parameters import Value
from frazil.daemon.http.routes import EVENTS, HTML, PNG, Route
from frazil.daemon.page.asset_files import asset, asset_type
from frazil.daemon.page.frame import failure_document
from frazil.daemon.page.links import Served
from frazil.daemon.page.pages import Pages
from frazil.daemon.page.source import PageSource

PAGE_POLICY = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
"""A page of the session loads nothing from elsewhere and runs no script but its own."""
_ASSET_AGE = {"Cache-Control": "private, max-age=300"}


class Shown(PageSource, Protocol):
    """What the page is made of."""

    def map_picture(self, kind: str) -> bytes:
        """A picture of the running map as PNG."""
        ...


class PageAnswers:
    """See the module. Raises what the source raises."""

    def __init__(self, source: Shown) -> None:
        self._source, self._pages = source, Pages(source)

    def answer(self, route: Route, values: Mapping[str, Value]) -> HttpReply | None:
        """None: the route is none of the page's."""
        match route.answer:
            case "page":
                text = self._pages.make(route.page, values)
                return HttpReply(200, f"{HTML}; charset=utf-8", text.encode(), PAGE_POLICY)
            case "asset":
                name = str(values["name"])
                return HttpReply(200, f"{asset_type(name)}; charset=utf-8", asset(name).encode(), _ASSET_AGE)
            case "events":
                self._source.live()  # who cannot be told anything is told so now
                return HttpReply(200, EVENTS, b"", events=self._source.live)
            case "map_picture":
                return HttpReply(200, PNG, self._source.map_picture(str(values["kind"])))
            case _:
                return None


def as_page(failure: HttpReply) -> HttpReply:
    """The same failure for a person in front of a browser."""
    said = json.loads(failure.body)
    text = failure_document(failure.status, said["error"], said["remedy"], Served())
    return replace(
        failure,
        content_type=f"{HTML}; charset=utf-8",
        body=text.encode(),
        headers={**failure.headers, **PAGE_POLICY},
    )
