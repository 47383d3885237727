"""`frazil what-if`: what other thresholds would do, and putting them in force."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from frazil.config.cuts import CUT_METRICS
from frazil.config.loading import settings_of
from frazil.daemon.changes.thresholds import effect_of
from frazil.daemon.changes.what_if import to_dict, to_lines, with_thresholds
from frazil.daemon.client import connected
from frazil.daemon.store.reading import open_session

_NAMES = ", ".join(CUT_METRICS)


def what_if(
    session: Annotated[Path, typer.Argument(help="The session's folder.")] = Path(),
    max_ctf_fit_resolution_angstrom: Annotated[
        str | None, typer.Option(help="Coarsest CTF fit that is kept, in A.")
    ] = None,
    max_astigmatism_angstrom: Annotated[str | None, typer.Option(help="Largest astigmatism, in A.")] = None,
    max_total_motion_angstrom: Annotated[str | None, typer.Option(help="Longest way over all frames, in A.")] = None,
    min_defocus_um: Annotated[str | None, typer.Option(help="Smallest underfocus, in um.")] = None,
    max_defocus_um: Annotated[str | None, typer.Option(help="Largest underfocus, in um.")] = None,
    max_ice_ring_density: Annotated[str | None, typer.Option(help="Strongest ice ring (the column `ring`).")] = None,
    cut: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Any other limit: NAME <= NUMBER or NAME >= NUMBER; repeat. Replaces all cuts. Names: {_NAMES}"
        ),
    ] = None,
    no_cuts: Annotated[bool, typer.Option("--no-cuts", help="Take all cuts away.")] = False,
    apply: Annotated[
        bool, typer.Option("--apply", help="From now on these limits count (frazil must be running).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show which movies and particles other thresholds would keep, and what the map would become.

    Limits are numbers; `null` takes one away, and what is not given stays as it is. Without --apply nothing is changed;
    with it movies move between kept and rejected, and nothing is processed again.

    \b
    Examples:
      frazil what-if /data/s1 --max-ctf-fit-resolution-angstrom 6
      frazil what-if /data/s1 --cut "relative_ice_thickness <= 1.5" --cut "particle_count >= 20" --json
    """
    given = {
        "max_ctf_fit_resolution_angstrom": max_ctf_fit_resolution_angstrom,
        "max_astigmatism_angstrom": max_astigmatism_angstrom,
        "max_total_motion_angstrom": max_total_motion_angstrom,
        "min_defocus_um": min_defocus_um,
        "max_defocus_um": max_defocus_um,
        "max_ice_ring_density": max_ice_ring_density,
    }
    changes = {name: _value(text) for name, text in given.items() if text is not None}
    if cut or no_cuts:
        changes["cuts"] = ";".join(cut or ())
    with open_session(session) as reader:
        present = settings_of(str(reader.named("session").as_dicts()[0]["settings_yaml"])).thresholds
        thresholds = with_thresholds(present, changes)
        effect = effect_of(reader, thresholds)
    if as_json:
        shown = {**to_dict(effect), "thresholds": thresholds.model_dump(mode="json")}
        typer.echo(json.dumps(shown, indent=1))
    else:
        typer.echo("\n".join(to_lines(effect)))
    if apply:
        remedy = "start `frazil watch` on it, or keep them for its next start with `frazil set`"
        with connected(session, remedy=remedy) as client:
            done = client.command("thresholds", **changes)
        typer.echo(f"applied: {done.message}", err=as_json)


def _value(text: str) -> float | str | None:
    if text.strip().lower() in ("null", "none"):
        return None
    try:
        return float(text)
    except ValueError:
        return text  # the settings say what is wrong with it
