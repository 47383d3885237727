"""What a mode may expect of the app that shows it, so that no mode has to know the app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from textual.signal import Signal

from frazil.daemon.client import AsyncClient, Gone
from frazil.daemon.transport.messages import LiveState
from frazil.tui.graphics.terminal import Graphics


@dataclass(slots=True)
class MarksShown:
    """Rings around picks; tints where picking left something out."""

    picks: bool
    regions: bool = False


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

    graphics: Graphics
    """How the terminal draws pictures."""
    marks: MarksShown
    """What is shown over micrographs, in every mode the same."""

    from_list: bool
    """It was chosen from a list of sessions."""

    def write_to_terminal(self, text: str) -> None:
        """Escape sequences, after what was written before; nothing else may write there."""

    def next_image_id(self) -> int:
        """For a picture that the terminal keeps."""

    def forget_image(self, image_id: int) -> None:
        """The terminal need not keep it any longer."""

    def back_to_list(self) -> None:
        """Leaves the session for the list that it was chosen from, if it was."""
