"""Thresholds before they are applied: fields, and below them what they would do, asked for while a person types."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, ClassVar, cast

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from frazil.config.errors import FrazilError
from frazil.daemon.client import AsyncClient
from frazil.daemon.transport.messages import Scalar
from frazil.tui.words.formatting import clean
from frazil.tui.words.palette import BLUE, GRAY, ORANGE

Changes = dict[str, Scalar]

_SETTLE_S = 0.25
"""A number that is still being typed is not asked about."""
FIELDS: tuple[tuple[str, str], ...] = (
    ("max_ctf_fit_resolution_angstrom", "rings reach at least, Å"),
    ("max_astigmatism_angstrom", "astigmatism at most, Å"),
    ("max_total_motion_angstrom", "motion at most, Å"),
    ("min_defocus_um", "defocus at least, µm"),
    ("max_defocus_um", "defocus at most, µm"),
    ("max_ice_ring_density", "ice ring at most"),
    ("cuts", "further cuts"),
)
_EXAMPLE = "relative_ice_thickness <= 1.5; particle_count >= 20"


def changes_of(texts: Mapping[str, str], present: Mapping[str, Any]) -> Changes | str:
    """The fields that differ from the thresholds in force; or a sentence that says which one cannot be read."""
    changes: Changes = {}
    for name, words in FIELDS:
        text = texts[name].strip()
        value: Scalar
        if name == "cuts":
            value = text
        elif not text:
            value = None
        else:
            try:
                value = float(text)
            except ValueError:
                return f"{words}: {clean(text)} is not a number"
        if value != _as_field(present[name]):
            changes[name] = value
    return changes


def _as_field(value: Any) -> Scalar:
    return "; ".join(value) if isinstance(value, list) else cast(Scalar, value)


class WhatIfScreen(ModalScreen[Changes | None]):
    """Ends with the changes to apply, or None when everything stays as it is."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel")]

    def __init__(self, client: AsyncClient) -> None:
        super().__init__()
        self._client = client
        self._present: dict[str, Any] | None = None
        """The thresholds in force."""

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", id="what-if"):
            yield Static(Text.assemble(("Thresholds: what if", "bold"), ("  an empty field is no threshold", GRAY)))
            for name, words in FIELDS:
                with Horizontal(classes="field"):
                    yield Static(Text(words, BLUE), classes="field-name")
                    hint = _EXAMPLE if name == "cuts" else "none"
                    yield Input(id=name, placeholder=hint, compact=True, max_length=500, disabled=True)
            yield Static(Text("asking …", GRAY), id="what-if-answer")
            yield Static(Text("Enter: apply   Escape: leave everything as it is", GRAY))

    def on_mount(self) -> None:
        self._ask({})

    def on_input_changed(self, event: Input.Changed) -> None:
        changes = self._changes()
        if isinstance(changes, str):
            self._show(Text(changes, ORANGE))
        elif changes is not None:
            self._ask(changes)

    def on_input_submitted(self) -> None:
        changes = self._changes()
        if isinstance(changes, dict):
            self.dismiss(changes or None)

    def _changes(self) -> Changes | str | None:
        if self._present is None:
            return None
        return changes_of({name: self.query_one(f"#{name}", Input).value for name, _ in FIELDS}, self._present)

    @work(exclusive=True, group="what-if")
    async def _ask(self, changes: Changes) -> None:
        if self._present is not None:
            await asyncio.sleep(_SETTLE_S)
        try:
            done = await self._client.command("what-if", **changes)
            answer = json.loads(done.message)
        except FrazilError as error:
            self._show(Text(clean(error), ORANGE))
            return
        if self._present is None:
            self._fill(answer["thresholds"])
        self._show(Text("\n".join(clean(line) for line in answer["lines"])))

    def _fill(self, thresholds: dict[str, Any]) -> None:
        with self.prevent(Input.Changed):
            for name, _ in FIELDS:
                field = self.query_one(f"#{name}", Input)
                value = _as_field(thresholds[name])
                field.value = "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
                field.disabled = False
        self._present = thresholds
        self.query_one(f"#{FIELDS[0][0]}", Input).focus()

    def _show(self, text: Text) -> None:
        self.query_one("#what-if-answer", Static).update(text)
