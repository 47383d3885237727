"""All movies, page by page: sorted, filtered, and found by a part of their name. A form, so that it needs no script."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from frazil.daemon.page.frame import part
from frazil.daemon.page.links import Links
from frazil.daemon.page.movie_cards import cards
from frazil.daemon.transport.messages import Rows, Scalar

PAGE_MOVIES = 24
SORTS: Mapping[str, str] = {
    "ready_utc_us": "when it was finished",
    "found_utc_us": "when it was found",
    "ctf_fit_angstrom": "how far the CTF fits",
    "motion_early_angstrom": "early motion",
    "motion_total_angstrom": "motion, whole",
    "defocus_um": "defocus",
    "astigmatism_angstrom": "astigmatism",
    "relative_ice_thickness": "ice",
    "particle_count": "particles",
    "relative_path": "name",
}
STATES: Mapping[str, str] = {
    "all": "all movies",
    "ready": "kept",
    "rejected": "rejected",
    "quarantined": "set aside",
    "processing": "in work",
    "queued": "waiting",
}
ORDERS: Mapping[str, str] = {"desc": "largest or newest first", "asc": "smallest or oldest first"}


def list_question(asked: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Parameters of the named query `movies` for what was asked of the page."""
    found = {name: asked[name] for name in ("sort", "order", "search", "offset")} | {"limit": PAGE_MOVIES}
    return found if asked["state"] == "all" else found | {"state": asked["state"]}


def movie_list(rows: Rows, asked: Mapping[str, Scalar], links: Links) -> str:
    """The body. `asked`: state, sort, order, search, offset as in the address."""
    total = rows.total or 0
    offset = int(asked["offset"] or 0)
    last = min(offset + PAGE_MOVIES, total)
    shown = f"Movies {offset + 1:,} to {last:,} of {total:,}." if rows.rows else "No movie is like that."
    steps = _steps(asked, offset, total, links)
    return f"<h1>Movies</h1>{_form(asked)}" + part(
        "list", "The movies", f"<p>{shown}</p>", steps, cards(rows.as_dicts(), links), steps
    )


def _form(asked: Mapping[str, Scalar]) -> str:
    return (
        "<form class=filter action=/movies method=get>"
        f"{_select('state', 'Which', STATES, asked['state'])}{_select('sort', 'Sorted by', SORTS, asked['sort'])}"
        f"{_select('order', 'Order', ORDERS, asked['order'])}"
        "<label>Part of name, square or reason<input type=search name=search maxlength=200 "
        f"value='{escape(str(asked['search'] or ''), quote=True)}'></label><button>Show</button></form>"
    )


def _select(name: str, words: str, choices: Mapping[str, str], chosen: Scalar) -> str:
    options = "".join(
        f"<option value={value}{' selected' if value == chosen else ''}>{escape(said)}</option>"
        for value, said in choices.items()
    )
    return f"<label>{words}<select name={name}>{options}</select></label>"


def _steps(asked: Mapping[str, Scalar], offset: int, total: int, links: Links) -> str:
    def step(words: str, to: int, there: bool) -> str:
        address = links.page("movies", **(dict(asked) | {"offset": to})) if there else None
        return f"<a href='{address}'>{words}</a>" if address else f"<span class=dim>{words}</span>"

    before, after = max(offset - PAGE_MOVIES, 0), offset + PAGE_MOVIES
    ends = (max(total - 1, 0) // PAGE_MOVIES) * PAGE_MOVIES
    return (
        "<p class=steps>"
        + step("First", 0, offset > 0)
        + step("Previous", before, offset > 0)
        + step("Next", after, after < total)
        + step("Last", ends, after < total)
        + "</p>"
    )
