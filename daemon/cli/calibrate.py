"""`frazil calibrate`: what a known structure tells of the session's map: pixel size, hand, scale."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def calibrate(
    session: Annotated[Path, typer.Argument(help="The session's folder.")],
    model: Annotated[Path, typer.Option(help="The structure: PDB, mmCIF (.gz) or a map (.mrc) with its pixel size.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Compare the session's map with a structure that is known: true pixel size, hand, scale.

    The structure is found in the map by itself, in both hands. Takes a minute or two, changes nothing, and refuses a
    map that is not of this structure. The pixel size is as right as the structure's own.

    \b
    Examples:
      frazil calibrate /data/s1 --model 6z6u.cif
      frazil calibrate /data/s1 --model apoferritin.mrc --json
    """
    from frazil.daemon.report.calibration import calibrated, calibration_lines  # slow, and not for --help

    found = calibrated(session, model)
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=1))
        return
    for line in calibration_lines(found):
        typer.echo(line)
