"""What must not be overlooked: the gain gate that blocks, the daemon that is gone, the alerts that are open."""

from __future__ import annotations

import re

from rich.text import Text
from textual.widgets import Static

from frazil.daemon.transport.messages import GateState, LiveState
from frazil.tui.formatting import clean, duration, movie_name, shorten_left
from frazil.tui.palette import GRAY, ORANGE, YELLOW


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


ENDED = "the daemon has ended: `frazil summary` and `frazil why` tell the rest"
ASKED_AGAIN = "no answer yet: asked again"


class GoneBanner(Static):
    """Shown only while no daemon answers."""

    def show_gone(self, silent_s: float, last_status: str | None) -> None:
        """`last_status`: what the daemon said last; None: it was never seen."""
        if last_status in ("finished", "stopping"):
            self.update(Text("✓ the daemon has ended as it was to; last state shown; q leaves the screen", "bold"))
        else:
            since = f"! daemon gone since {duration(round(silent_s))}"
            then = "waiting for it" if last_status is None else "last state shown; reconnecting"
            self.update(Text(f"{since}, {then}", "bold"))
        self.display = True

    def show_back(self) -> None:
        self.display = False


_PATH = r"\S+\.(?:tiff?|mrcs?|eer|gain|mdoc|xml)\b"
_ANY_PATH = re.compile(_PATH, re.IGNORECASE)
_LEADING = re.compile(rf"^(?:the )?(?:movie )?({_PATH})(?: is| was| has been)?[ :,]+(.+)$", re.IGNORECASE | re.DOTALL)
_LEAST_WORDS = 24


def words_first(text: object, width: int) -> str:
    """An alert for a person: what happened first, then the movie's name, of a path only its last part.

    Cut to `width` cells so that both can be seen; words are worth more than the beginning of a name.
    """
    said = clean(text)
    found = _LEADING.match(said)
    if found is None:
        return _ANY_PATH.sub(lambda path: movie_name(path[0]), said)
    name = movie_name(found[1])
    words = found[2]
    room = max(_LEAST_WORDS, width - len(name) - 3)
    if len(words) > room:
        name = shorten_left(name, max(12, width // 4))
        room = max(_LEAST_WORDS, width - len(name) - 3)
        words = words if len(words) <= room else words[: room - 1].rstrip() + "…"
    return f"{words} · {name}"


class AlertsLine(Static):
    """One line: how many alerts are open and the newest one, its words first."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._state: LiveState | None = None

    def show_state(self, state: LiveState) -> None:
        self._state = state
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        state = self._state
        if state is None:
            return
        if not state.alerts_open:
            self.update(Text("✓ no open alerts", GRAY), layout=False)
            return
        text = Text(f"! {state.alerts_open} alert{'s' if state.alerts_open > 1 else ''} ", f"bold {ORANGE}")
        key = "  k: acknowledge"
        room = max(_LEAST_WORDS, self.size.width - 2 - text.cell_len - len(key))
        words = Text(words_first(state.newest_alert or "", room))
        words.truncate(room, overflow="ellipsis")
        self.update(text.append_text(words).append(key, GRAY), layout=False)
