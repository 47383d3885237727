"""Mode *Scores*: what the evaluators say, how sure, on what evidence, and how it goes from round to round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Static

from frazil.daemon.transport.messages import LiveState, Row
from frazil.tui.scores.plot import ScorePlot
from frazil.tui.scores.words import evidence_text, heading, in_order, verdict_line
from frazil.tui.widgets.choice_list import ChoiceList
from frazil.tui.widgets.mode_screen import Keys, ModeScreen, mode_bindings

ROUNDS = 200
"""Rounds in a plot: more points could not be told apart."""


class ScoresScreen(ModeScreen):
    """Asks every ten seconds while it is seen, as a round takes five movies; for one verdict's evidence at a time."""

    MODE = "scores"
    WORDS = "#evidence-text"
    PANES = ("verdicts", "evidence", "rounds")
    LESS_KEYS = frozenset({"earlier", "later", "pause"})
    KEY_HELP: ClassVar[Keys] = (
        ("↑ ↓ Home End", "choose an evaluator; its evidence stands beside it"),
        ("Enter", "small terminals: its evidence on the whole screen; again: back"),
        ("← →", "an earlier round, a later one"),
        ("PgUp PgDn, u d", "scroll the evidence"),
    )
    MEANING = (
        "A verdict stands with one sigma, or with half the width of what is possible; the bar is █ to its lower "
        "end, ▓ to the verdict, ░ to its upper end, from 0 to 1 (HyperScore, all terms in one number: 100 to 200, "
        "best 111). ↑ ↓ → compare it with the round before. reliable: how far its evidence can be trusted; ! below "
        "one half. nothing yet: it says why under what it does not know. Evidence: ✓ proved, ✗ refuted, ? unknown. "
        "In text: `frazil scores`."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "evidence", "evidence"),
        Binding("left", "round(-1)", "earlier", key_display="←", priority=True),
        Binding("right", "round(1)", "later", key_display="→", priority=True),
        *mode_bindings("scores"),
        *ModeScreen.SHARED_BINDINGS,
        Binding("escape", "movies", "movies", show=False),
        Binding("pagedown,d", "scroll_evidence(8)", "scroll", show=False, priority=True),
        Binding("pageup,u", "scroll_evidence(-8)", "scroll", show=False, priority=True),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._rows: Sequence[Row] = ()
        self._round: int | None = None
        """The round that is shown; None: the newest."""

    def body(self) -> ComposeResult:
        with Vertical(id="scores"):
            with Horizontal(id="scores-top"):
                yield ChoiceList("nothing judged yet", heading=True, id="verdicts")
                with VerticalScroll(id="evidence", can_focus=False):
                    yield Static(id="evidence-text")
            with Horizontal(id="scores-bottom"):
                yield ScorePlot("hyperscore", id="plot-hyperscore")
                yield ScorePlot("value", id="plot-value")
                yield ScorePlot("logic", id="plot-chosen")

    def on_mount(self) -> None:
        self.query_one("#verdicts").border_title = "verdicts"
        self.query_one("#evidence").border_title = "evidence"
        self._list.focus()

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self._show)

    @property
    def _list(self) -> ChoiceList:
        return self.query_one("#verdicts", ChoiceList)

    def refresh_body(self, state: LiveState) -> None:
        self._fetch()

    @work(exclusive=True, group="scores")
    async def _fetch(self) -> None:
        rows = await self.rows("verdicts", last=ROUNDS)
        if self.unanswered:
            self.say_unanswered()
            return
        self.answered = True
        self._rows = rows
        self._show()
        self._fetch_evidence()

    # ---- what is shown

    def _rounds(self) -> list[int]:
        return sorted({number for row in self._rows if isinstance(number := row["round"], int)})

    def _present(self) -> int | None:
        rounds = self._rounds()
        return self._round if self._round in rounds else rounds[-1] if rounds else None

    def _of(self, number: int | None) -> dict[str, Row]:
        return {str(row["evaluator"]): row for row in self._rows if row["round"] == number}

    def _show(self) -> None:
        rounds, present = self._rounds(), self._present()
        now = self._of(present)
        before = self._of(max((number for number in rounds if present is not None and number < present), default=None))
        width = max(30, self._list.size.width - 2)
        lines = [(name, verdict_line(now[name], before.get(name), width)) for name in in_order(list(now))]
        self._list.show_lines(lines, heading(width))
        newest = present is not None and present == rounds[-1]
        self._list.border_title = (
            "verdicts" if present is None else f"round {present}{', the newest' if newest else f' of {rounds[-1]}'}"
        )
        for plot, evaluator in (("#plot-hyperscore", "hyperscore"), ("#plot-value", "value")):
            self.query_one(plot, ScorePlot).show_rows(self._rows, evaluator)
        chosen = self._list.chosen
        self.query_one("#plot-chosen", ScorePlot).show_rows(
            self._rows, chosen if chosen not in (None, "hyperscore", "value") else "logic"
        )

    @on(ChoiceList.Chosen, "#verdicts")
    def _chosen(self, event: ChoiceList.Chosen) -> None:
        self.query_one("#evidence").scroll_home(animate=False)
        self._show()
        self._fetch_evidence()

    @work(exclusive=True, group="evidence")
    async def _fetch_evidence(self) -> None:
        name, number = self._list.chosen, self._present()
        row = self._of(number).get(str(name))
        place = self.query_one("#evidence-text", Static)
        if row is None or name is None or number is None:
            place.update(evidence_text(None, None))
            return
        answer = await self.rows("evidence", evaluator=name, round=number)
        if self.unanswered:
            return
        text: Text = evidence_text(row, str(answer[0]["evidence_json"]) if answer else None)
        place.update(text)

    # ---- keys

    def action_evidence(self) -> None:
        """Small terminals show the verdicts or the evidence of one: changes between them."""
        self.show_pane("verdicts" if self.has_class("-compact", "pane-evidence") else "evidence")

    def action_round(self, step: int) -> None:
        rounds, present = self._rounds(), self._present()
        if present is None:
            return
        place = min(max(0, rounds.index(present) + step), len(rounds) - 1)
        self._round = None if place == len(rounds) - 1 else rounds[place]
        self._show()
        self._fetch_evidence()

    def action_scroll_evidence(self, lines: int) -> None:
        self.query_one("#evidence").scroll_relative(y=lines, animate=False)
