"""Movies as cards: a picture, and what is first asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from frazil.daemon.page.links import Links
from frazil.daemon.page.movie_words import movie_name, quantity, reason, state_words, time_words
from frazil.daemon.transport.messages import Row

_PICTURE_PX = 320


def cards(rows: Sequence[Row], links: Links) -> str:
    """Rows of the named query `movies`; empty where there are none."""
    return f"<ul class=cards>{''.join(_card(row, links) for row in rows)}</ul>" if rows else ""


def _card(row: Row, links: Links) -> str:
    name = movie_name(row["relative_path"])
    movie_id = str(row["movie_id"])
    finished = row["state"] in ("ready", "rejected")
    address = links.picture(movie_id, "sum", _PICTURE_PX) if finished else None
    picture = (
        f"<img src='{address}' alt='' loading=lazy width={_PICTURE_PX} height={_PICTURE_PX}>"
        if address
        else "<span class=none>no picture</span>"
    )
    to_it = links.movie(movie_id)
    number = f"#{row['number']} " if row.get("number") is not None else ""
    shown = f"<code>{escape(number + name)}</code>"
    why = reason(row)
    said = why or ", ".join(
        (
            f"CTF fits to {quantity(row['ctf_fit_angstrom'], 'A')}",
            f"moved {quantity(row['motion_early_angstrom'], 'A')} early",
            f"{quantity(row['particle_count'], '', 0)} particles",
        )
    )
    inner = f"{picture}{shown}"
    linked = f"<a href='{to_it}'>{inner}</a>" if to_it else inner
    return (
        f"<li class={escape(str(row['state']))}>{linked}<p><b>{escape(state_words(row['state']))}</b> "
        f"<span class=dim>{escape(time_words(row['ready_utc_us'] or row['found_utc_us']))} UTC</span></p>"
        f"<p>{escape(said)}</p></li>"
    )
