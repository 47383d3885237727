"""RELION's particle table of a session, written movie by movie (a session may have millions)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from frazil.daemon.export.relion_tables import OpticsGroups
from frazil.models.formats.star import StarValue, appending

PARTICLE_COLUMNS: Mapping[str, str] = {
    "score": "rlnAutopickFigureOfMerit",
    "class_id": "rlnClassNumber",
    "map_class": "rlnClassNumber",
    "rot_deg": "rlnAngleRot",
    "tilt_deg": "rlnAngleTilt",
    "psi_deg": "rlnAnglePsi",
    "origin_x_angstrom": "rlnOriginXAngst",
    "origin_y_angstrom": "rlnOriginYAngst",
    "certainty": "rlnMaxValueProbDistribution",
    "fibre": "rlnHelicalTubeID",
    "along_angstrom": "rlnHelicalTrackLengthAngst",
    "tilt_prior_deg": "rlnAngleTiltPrior",
    "psi_prior_deg": "rlnAnglePsiPrior",
    "psi_flip_ratio": "rlnAnglePsiFlipRatio",
}
"""What may be known of a particle besides its place, and RELION's label for it; a column is written when it is known of
every particle. Of the two kinds of class the map's goes before the 2-D average's.

RELION's `rlnMaxValueProbDistribution` is how sure the best pose is among all; frazil's certainty is how sure it is that
there is a particle in any. Both are near 1 for what can be trusted and small for what cannot, which is what it is
used for."""

_OF_AXIS = {"tilt_prior_deg": 90.0, "psi_flip_ratio": 0.5}
"""Of a segment whose axis is known: it lies in the plane of the image, and nobody knows which end is which."""


def segment_priors(axis_deg: float) -> dict[str, float]:
    """What a segment's direction (from +x towards +y) foretells of its angles, with the map's axis along z.

    RELION's matrix takes z to (-cos psi, sin psi) at tilt 90: the line at psi = -direction, as its own extraction of
    helical segments has it.

    >>> segment_priors(30.0)
    {'tilt_prior_deg': 90.0, 'psi_flip_ratio': 0.5, 'psi_prior_deg': -30.0}
    """
    return {**_OF_AXIS, "psi_prior_deg": -axis_deg}


def write_particles(
    path: Path,
    kept: Sequence[Mapping[str, Any]],
    known: Sequence[str],
    pages: Iterable[Sequence[Mapping[str, Any]]],
    image_name: Callable[[Mapping[str, Any]], str] | None,
    first_stack: Path | None,
    *,
    groups: OpticsGroups,
    beam_tilts: Mapping[str, Sequence[StarValue]],
    diameter_angstrom: float | None,
    comment: str,
) -> int:
    """Write `data_optics` and `data_particles`; returns the number of particles.

    Parameters
    ----------
    kept:
        Kept micrographs with `movie_id`, `name`, `optics`, `optics_group` and their CTF.
    known:
        Those columns of `particles` that every particle has.
    pages:
        Rows of `particles`, a movie's together and in order.
    image_name, first_stack:
        Name of a micrograph's particle stack and one such stack, for the size of its images; None: coordinates only
        (`relion_preprocess --reextract_data_star` extracts from them).
    groups, beam_tilts:
        Those of `kept`, and columns of the optics table with what particles tell of the beam tilt.
    diameter_angstrom:
        Of the particles; gives RELION a box where there are no images yet (1.6 diameters, even).
    """
    by_id = {row["movie_id"]: row for row in kept}
    names = {*known, *(segment_priors(0.0) if "axis_deg" in known else ())}
    labels = {label: name for name, label in PARTICLE_COLUMNS.items() if name in names}
    head = ["rlnCoordinateX", "rlnCoordinateY", "rlnMicrographName", "rlnOpticsGroup", "rlnRandomSubset"]
    ctf = {
        "rlnDefocusU": "defocus_u_angstrom",
        "rlnDefocusV": "defocus_v_angstrom",
        "rlnDefocusAngle": "astigmatism_angle_deg",
        "rlnPhaseShift": "phase_shift_deg",
    }
    image = ["rlnImageName"] if image_name is not None else []
    optics = groups.block({**_image_columns(groups, first_stack, diameter_angstrom), **beam_tilts})
    with appending(path, [optics], "particles", [*image, *head, *ctf, *labels], comment=comment) as loop:
        for page in pages:
            for movie_id, particles in groupby(page, key=lambda row: row["movie_id"]):
                micrograph = by_id.get(movie_id)
                if micrograph is None:
                    continue
                u, v, *others = (float(micrograph[name]) for name in ctf.values())
                stack = None if image_name is None else image_name(micrograph)
                for particle in particles:
                    place: list[StarValue] = [] if stack is None else [f"{particle['particle']:06d}@{stack}"]
                    place += [particle["x_px"], particle["y_px"], micrograph["name"], micrograph["optics_group"]]
                    of_axis = segment_priors(particle["axis_deg"]) if "axis_deg" in known else {}
                    own = [of_axis[name] if name in of_axis else particle[name] for name in labels.values()]
                    over = particle["defocus_offset_angstrom"] or 0.0
                    loop.add([(*place, particle["half_set"], u + over, v + over, *others, *own)])
    return loop.row_count


def _image_columns(
    groups: OpticsGroups, first_stack: Path | None, diameter_angstrom: float | None
) -> dict[str, list[StarValue]]:
    pixel_sizes: list[float] = [o.pixel_size_angstrom for o in groups.optics]
    boxes: list[int] = []
    if first_stack is not None:
        from frazil.models.formats.movie import open_movie  # late: it brings decoders and their compiler

        with open_movie(first_stack) as stack:
            header = stack.header
        boxes = [header.width_px] * len(pixel_sizes)
        if header.pixel_size_angstrom is not None:
            pixel_sizes = [header.pixel_size_angstrom] * len(pixel_sizes)
    elif diameter_angstrom is not None:
        boxes = [2 * math.ceil(0.8 * diameter_angstrom / pixel) for pixel in pixel_sizes]
    columns: dict[str, list[StarValue]] = {"rlnImagePixelSize": [*pixel_sizes]}
    if boxes:
        columns |= {"rlnImageSize": [*boxes], "rlnImageDimensionality": [2] * len(boxes)}
    return columns
