"""Mode *Grid*: where the squares and holes are, what came of them, what is expected, and which to take next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from frazil.daemon.transport.messages import CommandName, LiveState, Row, Scalar
from frazil.tui.grid import words
from frazil.tui.grid.place_pane import PlacePane
from frazil.tui.grid.shown import holes_shown, squares_shown
from frazil.tui.widgets.choice_list import ChoiceList
from frazil.tui.widgets.mode_screen import Keys, ModeScreen, mode_bindings
from frazil.tui.words.formatting import NOT_KNOWN

RANKED = 10
"""Places to take next that are listed."""
_MOST_NAMED = 200
_MOST_PLACES = 5000
"""Squares of a grid, holes of a square: more would not be told apart."""


class GridScreen(ModeScreen):
    """Asks when a round of advice or an exposure is new: for the squares, the list, and the holes of one square."""

    MODE = "grid"
    WORDS = "#grid-verdict"
    PANES = ("squares", "holes", "next")
    LESS_KEYS = frozenset({"order", "open", "forget"})
    KEY_HELP: ClassVar[Keys] = (
        ("↑ ↓ ← →, a click", "move to the next square or hole in that direction"),
        ("Tab, shift+Tab", "squares, holes of the square, the next ten"),
        ("Enter", "open: from a square to its holes, from the list to the hole"),
        ("Home", "back to the square and the hole that come next"),
        ("p", "pick: take this square or hole first"),
        ("a", "avoid: leave this square or hole out"),
        ("f", "forget what was said of it: undoes p and a"),
        ("o", "order of the list: by rank, chance, signal, minutes, square"),
        ("n", "the next grid, where there are several"),
        ("l", "squares or holes as a picture, as a list"),
        ("Escape", "from the holes back to the squares, then to the movies"),
    )
    MEANING = (
        "usable: the chance that a movie is good enough (`targets.usable_angstrom`), with its 80 % interval. signal: "
        "what it should bring, in particles of an undamaged movie. min: minutes from the one before in the list. "
        "Squares: the sign is the state, the bar behind it the share of what is left that is expected to be usable. "
        "Holes: 1 to 10 come next, in this order; ✓ a movie of it was kept, ✗ none was. frazil never moves the "
        "microscope: p and a change its list, and what it hands to EPU or SerialEM. In text: `frazil next`."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "say('target-pick')", "pick"),
        Binding("a", "say('target-avoid')", "avoid"),
        Binding("f", "say('target-forget')", "forget"),
        Binding("enter", "open", "open"),
        Binding("o", "order_list", "order"),
        *mode_bindings("grid"),
        *(binding for binding in ModeScreen.SHARED_BINDINGS if binding.key != "p"),
        Binding("l", "form", "list", show=False),
        Binding("n", "next_grid", "next grid", show=False),
        Binding("tab", "part(1)", "next part", show=False, priority=True),
        Binding("shift+tab", "part(-1)", "part before", show=False, priority=True),
        Binding("home", "home", "next", show=False, priority=True),
        Binding("escape", "back", "back", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._grids: Sequence[Row] = ()
        self._by_name: Sequence[Row] = ()
        """Squares that movies name, where no grid is known."""
        self._grid_id = ""
        """That a person wants to see; empty: the one in the microscope."""
        self._grid: Row | None = None
        self._newest: Row | None = None
        self._squares: Mapping[str, Row] = {}
        self._holes: Mapping[str, Row] = {}
        self._next: Mapping[str, Row] = {}
        self._square_id: str | None = None
        """That a person has chosen; None: the square that comes next is followed."""
        self._hole_id: str | None = None
        """The same of its holes."""
        self._part = "squares"
        """Which of `PANES` has the keys: orders are about what is chosen there."""
        self._order = 0
        """Of the list, in `words.ORDERS`."""

    def body(self) -> ComposeResult:
        with Vertical(id="grid"):
            yield Static(id="grid-verdict")
            yield Static(id="grid-facts")
            with Horizontal(id="grid-places"):
                yield PlacePane("no square is known: the holes that come next are in the list", id="grid-squares")
                yield PlacePane("no hole of this square is known", id="grid-holes")
            with Horizontal(id="grid-rest"):
                yield ChoiceList("nothing to take: the line at the top says why", heading=True, id="grid-next")
                yield Static(id="grid-about")

    def on_mount(self) -> None:
        self._show()
        self._take_keys("squares")

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self._take_keys(self._part)

    def show_pane(self, pane: str) -> None:
        super().show_pane(pane)
        self.call_after_refresh(self._take_keys, pane)

    # ---- what the daemon says

    def about(self, state: LiveState) -> tuple[object, ...]:
        return (state.next_round, state.grid_squares, state.grid_holes, state.grid_exposed)

    def refresh_body(self, state: LiveState) -> None:
        self._fetch()

    @work(exclusive=True, group="grid")
    async def _fetch(self) -> None:
        wanted = self._grid_id
        grids = await self.rows("grids")
        grid = await self.rows("grid", grid=wanted)
        squares = await self.rows("grid_squares", limit=_MOST_PLACES, grid=wanted)
        rounds = await self.rows("next_rounds", limit=1, grid=wanted)
        following = await self.rows("next_targets", limit=RANKED, grid=wanted)
        by_name = (
            [] if words.is_known(grid[0] if grid else None) else await self.rows("worst_squares", limit=_MOST_NAMED)
        )
        if self.unanswered:
            self.say_unanswered()
            return
        self.answered = True
        self._grids, self._by_name = grids, by_name
        self._grid, self._newest = self._with_state(grid[0]) if grid else None, rounds[0] if rounds else None
        self._squares, self._next = _by_id(squares), _by_id(following)
        self._show()
        self._fetch_holes()

    def _with_state(self, grid: Row) -> Row:
        """Of the query `grid`, with what the query `grids` calls its state."""
        state = next((row["state"] for row in self._grids if row["grid_id"] == grid["grid_id"]), None)
        return {**grid, "state": state}

    @work(exclusive=True, group="holes")
    async def _fetch_holes(self) -> None:
        square_id = self._square
        if square_id is None:
            self._holes = {}
        else:
            holes = await self.rows("square_targets", square_id=square_id, limit=_MOST_PLACES)
            if self.unanswered:
                return
            self._holes = _by_id(holes)
        self._show_holes()
        self._show_about()

    # ---- what is chosen

    @property
    def _next_square(self) -> str | None:
        return next((str(row["square_id"]) for row in self._next.values() if row["square_id"] is not None), None)

    @property
    def _square(self) -> str | None:
        """A person's choice, else the square that comes next, else the first one."""
        wanted = (self._square_id, self._next_square, next(iter(self._squares), None))
        return next((one for one in wanted if one in self._squares), None)

    @property
    def _hole(self) -> str | None:
        """A person's choice, else the best of the list in this square, else the first one."""
        best = next((one for one in self._next if one in self._holes), None)
        wanted = (self._hole_id, best, next(iter(self._holes), None))
        return next((one for one in wanted if one in self._holes), None)

    @on(PlacePane.Chosen, "#grid-squares")
    def _square_chosen(self, event: PlacePane.Chosen) -> None:
        self._square_id, self._hole_id = event.key, None
        self._show_about()
        self._fetch_holes()

    @on(PlacePane.Chosen, "#grid-holes")
    def _hole_chosen(self, event: PlacePane.Chosen) -> None:
        self._hole_id = event.key
        self._show_about()

    @on(ChoiceList.Chosen, "#grid-next")
    def _next_chosen(self) -> None:
        self._show_about()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        for part in self.PANES:
            if event.widget in self.query_one(f"#grid-{part}").walk_children(with_self=True):
                self._part = part
        self._show_about()

    # ---- what is shown

    def _show(self) -> None:
        verdict = words.verdict_text(self._grid, self._newest) if self.answered else Text("asking …")
        if self.answered and not words.is_known(self._grid):
            verdict.append_text(words.squares_by_name_text(self._by_name))
        self.query_one("#grid-verdict", Static).update(verdict)
        self.query_one("#grid-facts", Static).update(words.facts_text(self._grid, self._newest))
        self.set_class(not words.is_known(self._grid), "-no-grid")
        shown = squares_shown(self._squares, self._next_square)
        self.query_one("#grid-squares", PlacePane).show(shown, self._square)
        self._show_next()
        self._show_holes()
        self._show_about()

    def _show_next(self) -> None:
        rows = words.in_order(list(self._next.values()), self._order)
        listed = self.query_one("#grid-next", ChoiceList)
        heading, lines = words.next_lines(rows)
        listed.show_lines(lines, heading)
        listed.border_subtitle = words.common_reason(rows)
        listed.border_title = f"next {len(rows)}, {words.ORDERS[self._order][1]}" if rows else "next"

    def _show_holes(self) -> None:
        shown = holes_shown(self._holes, self._next, RANKED)
        self.query_one("#grid-holes", PlacePane).show(shown, self._hole)
        for part, what in (("squares", f"{len(self._squares)} squares"), ("holes", self._holes_title())):
            self.query_one(f"#grid-{part}").border_title = what.replace("[", "\\[")

    def _holes_title(self) -> str:
        return "holes" if self._square is None else words.holes_title(self._square_name(), list(self._holes.values()))

    def _square_name(self) -> str:
        row = self._squares.get(self._square or "")
        return NOT_KNOWN if row is None else words.name_of(row)

    def _show_about(self) -> None:
        self.query_one("#grid-about", Static).update(self._about_text() if self._squares or self._next else "")

    def _about_text(self) -> Text:
        if self._part == "next":
            return words.next_text(self._next.get(self.query_one("#grid-next", ChoiceList).chosen or ""))
        if self._part == "holes":
            return words.hole_text(self._holes.get(self._hole or ""), self._square_name())
        return words.square_text(self._squares.get(self._square or ""), self._next_square)

    # ---- orders

    def _meant(self) -> tuple[str, str] | None:
        """Id and name of the place that an order is about: the one under the cursor that has the keys."""
        rows: Mapping[str, Row]
        if self._part == "squares":
            key, rows, what = self._square, self._squares, "square"
        elif self._part == "holes":
            key, rows, what = self._hole, self._holes, "hole"
        else:
            key, rows, what = self.query_one("#grid-next", ChoiceList).chosen, self._next, "hole"
        row = rows.get(key or "")
        if key is None or row is None:
            self.notify("no square or hole is selected", severity="warning")
            return None
        return key, f"{what} {words.name_of(row)}"

    def action_say(self, order: CommandName) -> None:
        """What a person says of a place: the next list hears it, within seconds."""
        meant = self._meant()
        if meant is not None:
            undo = "" if order == "target-forget" else "; f: forget it again"
            self.order(order, {"target_id": meant[0]}, f"{meant[1]}{undo}")

    def carried_out(self, name: CommandName, args: dict[str, Scalar]) -> None:
        self._fetch()

    # ---- keys

    def action_part(self, step: int) -> None:
        """The next of squares, holes and list; on a small terminal it takes the place of the others."""
        part = self.PANES[(self.PANES.index(self._part) + step) % len(self.PANES)]
        self.show_pane(part)

    def _take_keys(self, part: str) -> None:
        pane = self.query_one(f"#grid-{part}")
        if isinstance(pane, PlacePane):
            pane.take_keys()
        else:
            pane.focus()

    def action_open(self) -> None:
        """From a square to its holes; from the list to the hole in its square."""
        if self._part == "next":
            row = self._next.get(self.query_one("#grid-next", ChoiceList).chosen or "")
            if row is None or row["square_id"] is None:
                self.notify("this hole lies in no square that is known", severity="warning")
                return
            self._square_id, self._hole_id = str(row["square_id"]), str(row["target_id"])
            self._show()
            self._fetch_holes()
        if self._part != "holes":
            self.show_pane("holes")

    def action_home(self) -> None:
        self._square_id = self._hole_id = None
        self._show()
        self._fetch_holes()

    def action_order_list(self) -> None:
        self._order = (self._order + 1) % len(words.ORDERS)
        self._show_next()

    def action_next_grid(self) -> None:
        """The grid after the one that is shown; the one in the microscope is followed again when it comes round."""
        ids = [str(row["grid_id"]) for row in self._grids]
        if len(ids) < 2 or self._grid is None:
            self.notify("this session knows one grid only" if ids else "no grid is known")
            return
        following = ids[(ids.index(str(self._grid["grid_id"])) + 1) % len(ids)]
        there = next((str(row["grid_id"]) for row in self._grids if row["state"] == words.IN_MICROSCOPE), "")
        self._grid_id = "" if following == there else following
        self._square_id = self._hole_id = None
        self._fetch()

    def action_form(self) -> None:
        part = "holes" if self._part == "holes" else "squares"
        self.query_one(f"#grid-{part}", PlacePane).change_form()

    def action_back(self) -> None:
        if self._part == "squares":
            self.action_movies()
        else:
            self.show_pane("squares")


def _by_id(rows: Sequence[Row]) -> dict[str, Row]:
    return {str(row["target_id"]): row for row in rows}
