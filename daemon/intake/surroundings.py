"""What holds for all movies at once: is the raw folder there, is there space, what was said about it already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from frazil.daemon.intake.events import SpaceLow, SpaceOk
from frazil.daemon.intake.instructions import ROOT_LOST, Alert, Severity

MAX_NAMED = 20


class Surroundings:
    """Part of the intake machine, and as pure. Methods return the alerts that are due."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._root_identity: tuple[int, int] | None = None
        self._told: dict[str, set[str]] = {}
        self.root_lost = False
        self.space_low = False

    @property
    def blocked(self) -> bool:
        """No movie may be checked or handed on."""
        return self.root_lost or self.space_low

    def root_gone(self) -> list[Alert]:
        if self.root_lost:
            return []
        self.root_lost = True
        text = f"The raw folder {self._root} is not there: nothing new can be found"
        remedy = "Mount or create it again; frazil goes on by itself, and nothing that is done is lost"
        return [Alert(Severity.ERROR, "intake", text, remedy, alert_id=ROOT_LOST)]

    def root_there(self, identity: tuple[int, int] | None) -> list[Alert]:
        """An alert here means that watches of the root are dead."""
        known, self._root_identity = self._root_identity, identity
        if self.root_lost:
            self.root_lost = False
            return [Alert(Severity.INFO, "intake", f"The raw folder {self._root} is back", over=ROOT_LOST)]
        if known is None or identity is None or known == identity:
            return []
        return [Alert(Severity.WARNING, "intake", f"The raw folder {self._root} was replaced by another one")]

    def space(self, event: SpaceLow | SpaceOk) -> None:
        """Whoever measured it has told a person."""
        self.space_low = isinstance(event, SpaceLow)

    def problems(self, problems: Mapping[str, str], what: str, remedy: str) -> list[Alert]:
        """One alert for all that is new, also when it is thousands; nothing for what was told before."""
        new = sorted(problems.keys() - self._told.get(what, set()))
        self._told[what] = set(problems)
        if not new:
            return []
        more = f" and {len(new) - 1} more" if len(new) > 1 else ""
        text = f"{what}: {new[0] or self._root}{more}: {problems[new[0]]}"
        return [Alert(Severity.WARNING, "intake", text, remedy, tuple(new[:MAX_NAMED]))]
