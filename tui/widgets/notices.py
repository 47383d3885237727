"""What must not be overlooked: the gain gate that blocks, the daemon that is gone, the alerts that are open."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from frazil.daemon.transport.messages import GateState, LiveState
from frazil.tui.words.alerts import LEAST_CELLS, words_first
from frazil.tui.words.formatting import clean, duration
from frazil.tui.words.palette import GRAY, ORANGE, YELLOW

_TALL = 40
"""Lines of a terminal on which more than one alert has room."""


class GateBanner(Static):
    """Shown only while the gate blocks."""

    def show_gate(self, gate: GateState) -> None:
        self.display = gate.blocking
        if gate.blocking:
            text = Text.assemble(
                ("■ BLOCKED by the gain gate ", "bold reverse"), " ", (clean(gate.evidence), "bold"), overflow="fold"
            )
            if gate.remedy:
                text.append(f"\n→ {clean(gate.remedy)}", f"bold {YELLOW}")
            self.update(text)


NO_ANSWER = "no daemon answers, and the session's folder is not read (the line at the top says why)"
ASKED_AGAIN = "no answer yet; asking again"


class GoneBanner(Static):
    """Shown only while neither a daemon nor the session's file answers."""

    def show_gone(self, silent_s: float, last_status: str | None, why: str) -> None:
        """`last_status`: what the daemon said last; None: it was never seen. `why`: why its file is not read."""
        if last_status in ("finished", "stopping"):
            text = "… the daemon has finished and closes the session"
        else:
            then = "waiting for it" if last_status is None else "last state shown; reconnecting"
            text = f"! daemon gone since {duration(round(silent_s))}, {then}" + (f" ({clean(why)})" if why else "")
        self.update(Text(text, "bold"))
        self.display = True

    def show_back(self) -> None:
        self.display = False


class AlertsLine(Static):
    """How many alerts are open and the most urgent ones, words first: one, or three where the terminal is large."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._state: LiveState | None = None
        self._drawn: Text | None = None

    def show_state(self, state: LiveState) -> None:
        self._state = state
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        if self._state is None:
            return
        text = self._text(self._state)
        if text != self._drawn:  # costly: another text may need another height, and the whole screen another layout
            self._drawn = text
            self.update(text)

    def _text(self, state: LiveState) -> Text:
        if not state.alerts_open:
            return Text("✓ no open alerts", GRAY)
        alerts = state.urgent_alerts or (state.newest_alert or "",)
        if self.app.size.height < _TALL:
            alerts = alerts[:1]
        when = "" if state.ended_utc_us is None else ", open when it ended"
        begin = f"! {state.alerts_open} alert{'s' if state.alerts_open > 1 else ''}{when}: "
        key = "  k: acknowledge" if state.ended_utc_us is None else ""
        room = max(LEAST_CELLS, self.size.width - 2 - len(begin) - len(key))
        lines = []
        for number, alert in enumerate(alerts):
            words = Text(words_first(alert, room))
            words.truncate(room, overflow="ellipsis")
            head = Text(begin, f"bold {ORANGE}") if number == 0 else Text(" " * len(begin))
            lines.append(head.append_text(words).append(key if number == 0 else "", GRAY))
        return Text("\n").join(lines)
