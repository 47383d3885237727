"""`frazil simulate --grid`: a simulated grid that is shot as ordered."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from frazil.models.simulation.grid.microscope import Exposure
    from frazil.models.simulation.settings import SimulationSettings


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
) -> None:
    """Shoot it, one line a shot. Raises `UsageError` for a kind that there is not, or a folder that is taken."""
    from frazil.models.simulation.grid.settings import grid_of_kind
    from frazil.models.simulation.grid.shooting import ShootingPlan, shoot_grid

    grid = grid_of_kind(kind, settings.seed).with_changes(film={"surveyed_squares": squares})
    plan = ShootingPlan(order=order, hours=hours, most_shots=most_shots, movies=movies)
    due_s = time.monotonic()

    def report(one: Exposure, name: str) -> None:
        nonlocal due_s
        if as_json:
            typer.echo(json.dumps(_row(one, name)))
        else:
            word = f"{one.resolution_angstrom:.1f} A" if one.usable else "not usable"
            typer.echo(f"{one.shot + 1:5d}  {one.ended_s / 60.0:6.1f} min  {name}  {word}", err=True)
        due_s = max(due_s + pace_s, time.monotonic())
        time.sleep(max(0.0, due_s - time.monotonic()))

    shot = shoot_grid(out, replace(grid, patches=False), settings, plan, on_shot=report)
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
