"""What must not be overlooked: the gain gate that blocks, the daemon that is gone, the alerts that are open."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from frazil.daemon.transport.messages import GateState, LiveState
from frazil.tui.formatting import clean, duration
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


class AlertsLine(Static):
    """One line: how many alerts are open and the newest one."""

    def show_state(self, state: LiveState, *, can_acknowledge: bool = True) -> None:
        if not state.alerts_open:
            self.update(Text("✓ no open alerts", GRAY), layout=False)
            return
        text = Text.assemble(
            (f"! {state.alerts_open} alert{'s' if state.alerts_open > 1 else ''} ", f"bold {ORANGE}"),
            clean(state.newest_alert or ""),
            ("  (k: acknowledge)" if can_acknowledge else "", GRAY),
        )
        self.update(text, layout=False)
