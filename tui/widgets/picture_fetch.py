"""A picture from the daemon, with what lies over it, ready to be shown."""

from __future__ import annotations

import asyncio

from frazil.config.errors import FrazilError, NotThereError
from frazil.daemon.transport.messages import PictureReply
from frazil.tui.widgets.drawn import Drawn, Marks, drawn
from frazil.tui.widgets.picture import Picture
from frazil.tui.widgets.session_app import SessionApp


async def fetched(
    app: SessionApp, movie_id: str, wanted: Picture.Wanted, *, at_rest: bool
) -> tuple[PictureReply, Drawn] | str:
    """The picture, or the reason why there is none. `at_rest`: the session has ended, and none will come."""
    try:
        reply = await app.client.picture(movie_id, wanted.kind, wanted.max_width_px, wanted.max_height_px, wanted.part)
    except NotThereError:
        return "not there" if at_rest else "not yet"
    except FrazilError as error:
        return error.what
    marks = await _marks(app, movie_id, wanted) if wanted.marked else Marks()
    try:
        if not wanted.place.graphics.in_pixels:
            return reply, drawn(reply, marks, wanted.place)
        # Up to a second for a whole screen of pixels: the keys go on.
        return reply, await asyncio.to_thread(drawn, reply, marks, wanted.place)
    except ValueError as error:
        return str(error)


async def _marks(app: SessionApp, movie_id: str, wanted: Picture.Wanted) -> Marks:
    """What is to be shown of them and there is: a daemon of before keeps no regions, and a movie may have no picks."""
    picks = regions = None
    if app.marks.picks:
        try:
            picks = (await app.client.named("picks", movie_id=movie_id)).as_dicts()
        except FrazilError:
            picks = None
    if app.marks.regions:
        try:
            regions = await app.client.picture(
                movie_id, "regions", wanted.max_width_px, wanted.max_height_px, wanted.part
            )
        except FrazilError:
            regions = None
    return Marks(picks, regions)
