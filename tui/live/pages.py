"""The part of the movie table that is in memory: a few pages around the window, however long the table is.

Pure: it says which pages it wants, somebody else fetches them. A page that is out of date stays visible until its
successor is there, so that nothing flickers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from frazil.daemon.transport.messages import Row, Rows, Scalar

PAGE_ROWS = 100
MAX_PAGES = 12


@dataclass(frozen=True, slots=True)
class View:
    """What is asked for: order and filter."""

    sort: str = "found_utc_us"
    descending: bool = True
    search: str = ""
    state: str | None = None

    def params(self) -> dict[str, Scalar]:
        """Parameters of the named query `movies`."""
        return {
            "sort": self.sort,
            "order": "desc" if self.descending else "asc",
            "search": self.search or None,
            "state": self.state,
        }


@dataclass(slots=True)
class _Page:
    rows: Sequence[Row]
    version: int


class MoviePages:
    """A least-recently-used cache of pages of one `View`."""

    def __init__(self) -> None:
        self.view = View()
        self.total = 0
        self.highest_number = 0
        """Of all movies that were here, also under another filter."""
        self._pages: OrderedDict[int, _Page] = OrderedDict()
        self._version = 0
        self._under_way: set[tuple[int, int]] = set()

    def set_view(self, view: View) -> None:
        """Another order or filter: nothing that is here can be used."""
        self.view = view
        self._pages.clear()
        self.invalidate()

    def invalidate(self) -> None:
        """The table has changed: everything is to be fetched again, when it is looked at."""
        self._version += 1
        self._under_way.clear()

    def row(self, index: int) -> Row | None:
        """None: not here (yet)."""
        page = self._pages.get(index // PAGE_ROWS)
        if page is None or index % PAGE_ROWS >= len(page.rows):
            return None
        return page.rows[index % PAGE_ROWS]

    def index_of(self, movie_id: str) -> int | None:
        """Where a movie is, if its page is here."""
        for number, page in self._pages.items():
            for offset, row in enumerate(page.rows):
                if row["movie_id"] == movie_id:
                    return number * PAGE_ROWS + offset
        return None

    def wanted(self, first: int, last: int) -> list[int]:
        """Pages to fetch so that rows `first` to `last` are here and new; marked as under way."""
        wanted: list[int] = []
        for number in range(max(0, first) // PAGE_ROWS, max(0, last) // PAGE_ROWS + 1):
            page = self._pages.get(number)
            if page is not None:
                self._pages.move_to_end(number)
            if (page is None or page.version != self._version) and (number, self._version) not in self._under_way:
                self._under_way.add((number, self._version))
                wanted.append(number)
        return wanted

    @property
    def version(self) -> int:
        """To be given back with what was fetched."""
        return self._version

    def fill(self, number: int, version: int, view: View, answer: Rows) -> bool:
        """Takes a fetched page; False (and nothing happens) when it answers a question of the past."""
        self._under_way.discard((number, version))
        if view != self.view:
            return False
        self.total = (
            answer.total if answer.total is not None else max(self.total, number * PAGE_ROWS + len(answer.rows))
        )
        rows = answer.as_dicts()
        self.highest_number = max(self.highest_number, *(int(row.get("number") or 0) for row in rows), 0)
        self._pages[number] = _Page(rows, version)
        self._pages.move_to_end(number)
        while len(self._pages) > MAX_PAGES:
            self._pages.popitem(last=False)
        return True

    def forget_request(self, number: int, version: int) -> None:
        """The page could not be had: it may be asked for again."""
        self._under_way.discard((number, version))

    def __len__(self) -> int:
        """Rows in memory."""
        return sum(len(page.rows) for page in self._pages.values())
