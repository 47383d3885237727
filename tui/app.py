"""The screen as a program: it attaches to a session's daemon, shows it, and leaves it alone when it ends."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.signal import Signal
from textual.theme import Theme

from frazil.daemon.client import AsyncClient, Gone
from frazil.daemon.transport.file_line import OpenFile
from frazil.daemon.transport.messages import LiveState
from frazil.tui.graphics import kitty
from frazil.tui.graphics.terminal import BLOCKS, Graphics, cell_size_px
from frazil.tui.live.screen import LiveScreen
from frazil.tui.widgets.dialogs import HelpScreen
from frazil.tui.widgets.mode_screen import ModeScreen
from frazil.tui.widgets.session_app import MarksShown, SessionApp
from frazil.tui.words.palette import BLUE, GREEN, ORANGE, PURPLE, VERMILION, WHITE

THEME = Theme(
    name="frazil",
    primary=BLUE,
    secondary=PURPLE,
    warning=ORANGE,
    error=VERMILION,
    success=GREEN,
    accent=ORANGE,
    foreground=WHITE,
    background="#101418",
    surface="#101418",
    panel="#1a2129",
    dark=True,
)

_FIRST_IMAGE_ID = 0x667A00
"""Far from 1, where other programs of the same terminal begin to count."""


def _when_asked_for(mode: str, name: str) -> Callable[[], Screen[Any]]:
    """Imported when it is first looked at: together these screens take a tenth of a second, which the first rows of
    movies would come later."""

    def screen() -> Screen[Any]:
        made: Screen[Any] = getattr(import_module(f"frazil.tui.{mode}.screen"), name)()
        return made

    return screen


class FrazilApp(App[None]):
    """Holds the one connection, as `SessionApp` says. Screens subscribe to `states` and `gone`; a mode is a screen.

    Parameters
    ----------
    session_dir:
        The folder of the session whose daemon is asked.
    silence_s:
        After this long without a message the daemon is asked whether it is still there.
    open_file:
        How a session is read that no daemon runs on; None: such a session is waited for.
    from_list:
        It was chosen from a list: Escape leads back to it (`left_for_list`).
    graphics:
        What the terminal can draw (`frazil.tui.graphics.terminal.graphics_of`).
    """

    ENABLE_COMMAND_PALETTE = False
    """Its first entry leaves the screen; `?` tells all keys."""

    CSS_PATH = "frazil.tcss"
    TITLE = "frazil"
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "live": LiveScreen,
        "causes": _when_asked_for("causes", "CausesScreen"),
        "grid": _when_asked_for("grid", "GridScreen"),
        "map": _when_asked_for("map", "MapScreen"),
        "scores": _when_asked_for("scores", "ScoresScreen"),
        "system": _when_asked_for("system", "SystemScreen"),
    }
    DEFAULT_MODE = "live"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("q", "quit", "quit"),
    ]

    def __init__(
        self,
        session_dir: Path,
        *,
        silence_s: float = 3.0,
        open_file: OpenFile | None = None,
        from_list: bool = False,
        graphics: Graphics = BLOCKS,
    ) -> None:
        super().__init__()
        self.register_theme(THEME)
        self.theme = THEME.name
        self.client = AsyncClient(session_dir, silence_s=silence_s, open_file=open_file)
        self.states: Signal[LiveState] = Signal(self, "states")
        self.gone: Signal[Gone] = Signal(self, "gone")
        self.state: LiveState | None = None
        self.movie_id: str | None = None
        self.from_list, self.left_for_list = from_list, False
        self.graphics = graphics
        # In a picture of forty half blocks the rings would hide what they are about.
        self.marks = MarksShown(picks=graphics.in_pixels)
        self.images: set[int] = set()
        """Pictures that the terminal holds; whoever has run the app tells it to forget what is left."""
        self._image_ids = itertools.cycle(range(_FIRST_IMAGE_ID, 1 << 24))
        self._rung_utc_us = 0
        """When the newest error was opened for which the terminal's bell was rung."""

    def on_mount(self) -> None:
        self.run_worker(self._watch(), name="watch", exit_on_error=True)

    async def _watch(self) -> None:
        first = await self.client.open()
        if first is not None:
            self._show(first)
        async for event in self.client.watch():
            if isinstance(event, Gone):
                self.gone.publish(event)
            else:
                self._show(event)

    def _show(self, state: LiveState) -> None:
        before, self.state = self.state, state
        # No bell for an error that was open when the screen was started: whoever starts it reads it.
        if before is not None and state.bell and (state.error_opened_utc_us or 0) > self._rung_utc_us:
            self.bell()
        self._rung_utc_us = max(self._rung_utc_us, state.error_opened_utc_us or 0)
        self.states.publish(state)

    def on_resize(self) -> None:
        """Another font has cells of other sizes."""
        if self.graphics.in_pixels and not self.is_headless:
            cell_px = cell_size_px(sys.__stdout__.fileno() if sys.__stdout__ is not None else 1)
            self.graphics = replace(self.graphics, cell_px=cell_px or self.graphics.cell_px)

    def write_to_terminal(self, text: str) -> None:
        """Through the driver's own queue: what two write at once into a terminal is junk."""
        if self._driver is not None and self.is_running:
            self._driver.write(text)
            self._driver.flush()

    def next_image_id(self) -> int:
        image_id = next(self._image_ids)
        self.images.add(image_id)
        return image_id

    def forget_image(self, image_id: int) -> None:
        if image_id in self.images and self._driver is not None and self.is_running:
            self.images.discard(image_id)
            self.write_to_terminal(kitty.forget(image_id))

    def back_to_list(self) -> None:
        if self.from_list:
            self.left_for_list = True
            self.exit()

    def action_help(self) -> None:
        """What the keys of the present mode do."""
        if isinstance(self.screen, ModeScreen):
            self.push_screen(HelpScreen(self.screen.MODE, self.screen.keys, self.screen.MEANING))

    async def on_unmount(self) -> None:
        self.client.close()


_AS_MODES_KNOW_IT: type[SessionApp] = FrazilApp
"""Nothing reads it: modes cast their app to the protocol, and the type checker compares the two here."""
