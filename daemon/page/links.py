"""Where a page finds its pictures and its neighbours: paths of a server, or all of it in the page itself."""

from __future__ import annotations

from html import escape
from typing import Protocol
from urllib.parse import quote, urlencode


class Links(Protocol):
    """Addresses, ready to stand in an attribute; None: there is no such thing here."""

    def picture(self, movie_id: str, kind: str, width_px: int) -> str | None:
        """A small picture of a movie."""
        ...

    def map_picture(self, kind: str) -> str | None:
        """A picture of the running map."""
        ...

    def movie(self, movie_id: str) -> str | None:
        """The page of one exposure."""
        ...

    def page(self, name: str, **params: object) -> str | None:
        """Another page of the session."""
        ...


class Served:
    """Paths of `frazil.daemon.http.routes`."""

    def picture(self, movie_id: str, kind: str, width_px: int) -> str | None:
        return address(f"/thumbnail/{quote(movie_id, safe='')}", kind=kind, width_px=width_px)

    def map_picture(self, kind: str) -> str | None:
        return f"/map/{kind}"

    def movie(self, movie_id: str) -> str | None:
        return f"/movies/{quote(movie_id, safe='')}"

    def page(self, name: str, **params: object) -> str | None:
        return address(f"/{name}", **params)


def address(path: str, **params: object) -> str:
    """A path with its parameters; those that are None are left out."""
    given = {name: value for name, value in params.items() if value is not None}
    return escape(f"{path}?{urlencode(given)}" if given else path, quote=True)
