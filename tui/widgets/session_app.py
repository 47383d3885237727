"""What a mode may expect of the app that shows it, so that no mode has to know the app."""

from __future__ import annotations

from typing import Protocol

from textual.signal import Signal

from frazil.daemon.client import AsyncClient, Gone
from frazil.daemon.transport.messages import LiveState


class SessionApp(Protocol):
    """One connection to a session's daemon, the newest state that came over it, and what all modes have in common."""

    client: AsyncClient
    states: Signal[LiveState]
    """The newest state, whenever there is one."""
    gone: Signal[Gone]
    """About once a second while no daemon answers."""
    state: LiveState | None
    """None: no daemon has answered yet."""
    movie_id: str | None
    """The movie that is selected, or the newest while a screen follows it."""

    def back_to_list(self) -> None:
        """Leaves the session for the list that it was chosen from, if it was."""
