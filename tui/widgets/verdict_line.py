"""Go on, change something, or stop: the daemon's verdict in one line, on every mode of the screen."""

from __future__ import annotations

from rich.text import Text
from textual.widget import Widget

from frazil.daemon.transport.messages import LiveState
from frazil.tui.words.formatting import clean
from frazil.tui.words.palette import BLUE, GRAY, GREEN, ORANGE, VERMILION, Look

_OTHERS_WIDTH = 100
"""From here on what else is the matter has room."""
VERDICTS: dict[str, Look] = {
    "go on": Look("✓", "go on", GREEN),
    "change": Look("!", "change", ORANGE),
    "stop": Look("■", "stop", VERMILION),
    "too early to say": Look("…", "too early to say", GRAY),
    "starting": Look("…", "starting", GRAY),
    "paused": Look("‖", "paused", ORANGE),
    "stopped": Look("…", "stopped", ORANGE),
    "ended without being closed": Look("!", "ended", ORANGE),
    "finished": Look("✓", "finished", BLUE),
}


def verdict_text(state: LiveState, width: int) -> Text:
    """One line of at most `width` cells; where there is room, how much else is the matter."""
    verdict = state.verdict
    if not verdict.line:
        return Text("… no verdict: an earlier frazil's daemon", GRAY)
    look = VERDICTS.get(verdict.word, Look("?", verdict.word, ORANGE))
    text = Text(f"{look.sign} {clean(verdict.line)}", f"bold {look.color}", no_wrap=True, overflow="ellipsis")
    more = len(verdict.reasons) - 1
    if more > 0:
        others = "; ".join(_plain(one) for one in verdict.reasons[1:])
        text.append(clean(f"  and {more} more" if width < _OTHERS_WIDTH else f"  also: {others}"), GRAY)
    text.truncate(width, overflow="ellipsis")
    return text


def _plain(line: str) -> str:
    """Without its word."""
    return line.partition(": ")[2] or line


class VerdictLine(Widget):
    """Draws `verdict_text` of the newest state."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._state: LiveState | None = None

    def show_state(self, state: LiveState) -> None:
        self._state = state
        self.refresh()

    def render(self) -> Text:
        return Text("") if self._state is None else verdict_text(self._state, max(10, self.size.width))
