"""Go on, change something, or stop: the daemon's verdict, on every mode of the screen; below it what to do, and what is
the matter with movies that are not good."""

from __future__ import annotations

from rich.text import Text
from textual.widget import Widget

from frazil.daemon.transport.messages import LiveState, VerdictState
from frazil.tui.words.formatting import clean
from frazil.tui.words.palette import BLUE, GRAY, GREEN, ORANGE, VERMILION, WHITE, Look

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
    """A line of at most `width` cells, where there is room with what else is the matter; a second one for what to do
    and why movies are not good, where there is anything to say."""
    verdict = state.verdict
    if not verdict.line:
        return Text("… no verdict: an earlier frazil's daemon", GRAY)
    look = VERDICTS.get(verdict.word, Look("?", verdict.word, ORANGE))
    text = Text(f"{look.sign} {clean(verdict.line)}", f"bold {look.color}", no_wrap=True, overflow="ellipsis")
    others = [_plain(one) for one in verdict.reasons[1:] if one != verdict.not_good]
    if others:
        more = f"  and {len(others)} more" if width < _OTHERS_WIDTH else f"  also: {'; '.join(others)}"
        text.append(clean(more), GRAY)
    text.truncate(width, overflow="ellipsis")
    second = _second_line(verdict, width)
    return Text("\n").join([text, second]) if second.plain else text


def _second_line(verdict: VerdictState, width: int) -> Text:
    """What to do comes first: the end may be cut."""
    parts = [part for part in (f"→ {verdict.action}" if verdict.action else "", verdict.not_good) if part]
    text = Text(clean("  " + " · ".join(parts)) if parts else "", WHITE, no_wrap=True, overflow="ellipsis")
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
        self.refresh(layout=True)

    def render(self) -> Text:
        return Text("") if self._state is None else verdict_text(self._state, max(10, self.size.width))
