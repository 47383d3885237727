"""`frazil simulate --grid`: a simulated grid that is shot as ordered."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from frazil.models.simulation.grid.microscope import Exposure
    from frazil.models.simulation.grid.shooting import Shot
    from frazil.models.simulation.settings import SimulationSettings

_QUIET_S = 3.0
"""Between two lines of a program or a file that listens: a terminal has one for every shot."""


def shoot(
    out: Path,
    settings: SimulationSettings,
    *,
    kind: str,
    squares: int,
    order: str,
    hours: float,
    most_shots: int | None,
    movies: bool,
    pace_s: float,
    as_json: bool,
    sample: int = 1,
    begun_s: float = 0.0,
) -> None:
    """Shoot it, and tell how far it has got. Raises `UsageError` for a kind that there is not, or a folder that is
    taken."""
    from frazil.models.simulation.grid.settings import grid_of_kind
    from frazil.models.simulation.grid.shooting import ShootingPlan, shoot_grid

    grid = grid_of_kind(kind, settings.seed).with_changes(film={"surveyed_squares": squares})
    plan = ShootingPlan(order=order, hours=hours, most_shots=most_shots, movies=movies, sample=sample, begun_s=begun_s)
    progress = _Progress(most_shots, hours, movies=movies)
    due_s = time.monotonic()

    def report(one: Exposure, name: str) -> None:
        nonlocal due_s
        if as_json:
            typer.echo(json.dumps(_row(one, name)))
        progress.shot(one, name)
        due_s = max(due_s + pace_s, time.monotonic())
        time.sleep(max(0.0, due_s - time.monotonic()))

    progress.say(f"simulating a grid into {out}: atlas, {squares} squares, then {progress.wanted}")
    shot = shoot_grid(out, replace(grid, patches=False), settings, plan, on_shot=report, on_square=progress.square)
    _summary(out, shot, as_json=as_json)


class _Progress:
    """Lines on stderr, where `--json` leaves it alone, too: each shot on a terminal, elsewhere every few seconds."""

    def __init__(self, most_shots: int | None, hours: float, *, movies: bool) -> None:
        what = "movies" if movies else "shots without movies"
        self._most, self._hours = most_shots, hours
        self.wanted = f"{most_shots} {what}" if most_shots else f"the {what} of {hours:g} h on the microscope's clock"
        self._each = sys.stderr.isatty()
        self._begun_s = time.monotonic()
        self._said_s = float("-inf")
        self._first_s: float | None = None

    def say(self, line: str) -> None:
        self._said_s = time.monotonic()
        typer.echo(line, err=True)

    def square(self, done: int, count: int) -> None:
        """Another square has been imaged."""
        if self._is_time() or done == count:
            self.say(f"squares imaged: {done} of {count}")

    def shot(self, one: Exposure, name: str) -> None:
        """Another hole has been shot."""
        now_s = time.monotonic()
        if self._first_s is None:
            self._first_s = now_s
        if not self._is_time() and one.shot + 1 != self._most:
            return
        word = f"{one.resolution_angstrom:.1f} A" if one.usable else "not usable"
        count = f"{one.shot + 1} of {self._most}" if self._most else f"{one.shot + 1}"
        self.say(f"{count:>11}  {one.ended_s / 60.0:6.1f} min  {name}  {word}{self._left(one, now_s)}")

    def _left(self, one: Exposure, now_s: float) -> str:
        """How long it takes from here, by the pace so far."""
        if one.shot < 1 or self._first_s is None or one.shot + 1 == self._most:
            return ""
        whole = one.shot if self._most is None else self._most - 1
        share = one.ended_s / (3600.0 * self._hours) if self._most is None else one.shot / max(1, whole)
        left_s = (now_s - self._first_s) * (1.0 / max(share, 1e-6) - 1.0)
        return f"  about {left_s:.0f} s more" if left_s < 100.0 else f"  about {left_s / 60.0:.0f} min more"

    def _is_time(self) -> bool:
        return self._each or time.monotonic() - self._said_s >= _QUIET_S


def _summary(out: Path, shot: Shot, *, as_json: bool) -> None:
    signal = sum(one.effective_signal for one in shot.exposures)
    summary = {
        "raw": str(out / "raw"),
        "truth": str(out / "truth" / "grid.json"),
        "outcomes": str(out / "outcomes" / "exposures.csv"),
        "navigator": str(out / "grid.nav"),
        "holes": shot.chosen,
        "exposures": len(shot.exposures),
        "from_the_order": shot.obeyed,
        "usable": sum(one.usable for one in shot.exposures),
        "effective_signal": round(signal, 1),
    }
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        typer.echo(
            f"{summary['exposures']} of {summary['holes']} holes shot, {summary['usable']} usable, effective signal "
            f"{signal:.0f}; outcomes in {summary['outcomes']}, truth in {summary['truth']}"
        )


def _row(one: Exposure, name: str) -> dict[str, object]:
    return {
        "shot": one.shot,
        "name": name,
        "level": one.taken.level,
        "minutes": round(one.ended_s / 60.0, 3),
        "resolution_angstrom": round(one.resolution_angstrom, 3),
        "usable": one.usable,
        "effective_signal": round(one.effective_signal, 2),
    }
