"""Poses as the store has them: Euler angles of RELION, origins in angstrom, one movie at a time."""

from __future__ import annotations

from frazil.actors.reconstruction_records import MapMovie, ParticlePoses
from frazil.models.particle_evidence import ParticleEvidence
from frazil.models.reconstruction.classes.class_averages import ClassAssignment
from frazil.models.reconstruction.orientation.orientation_search import FoundPoses
from frazil.models.reconstruction.orientation.rotations import euler_deg_from_matrices


def poses_in_map(
    movie: MapMovie,
    found: FoundPoses,
    *,
    pixel_size_angstrom: float,
    class_id: tuple[int, ...] | None,
    map_class: tuple[int, ...] | None,
    evidence: ParticleEvidence | None,
) -> ParticlePoses:
    """Where a movie's particles lie in the map.

    Parameters
    ----------
    pixel_size_angstrom:
        Of the map's grid, in which the shifts are.
    class_id, map_class:
        The particles' 2-D and 3-D classes, from 1; None: there are none.
    """
    euler = euler_deg_from_matrices(found.poses)
    origin = -found.shift_px * pixel_size_angstrom
    return ParticlePoses(
        movie_id=movie.movie_id,
        half_set=movie.half_sets(len(found.poses)),
        class_id=class_id,
        rot_deg=tuple(euler[:, 0].tolist()),
        tilt_deg=tuple(euler[:, 1].tolist()),
        psi_deg=tuple(euler[:, 2].tolist()),
        origin_x_angstrom=tuple(origin[:, 0].tolist()),
        origin_y_angstrom=tuple(origin[:, 1].tolist()),
        certainty=tuple(found.certainty.tolist()),
        map_class=map_class,
        evidence=evidence,
    )


def poses_in_classes(movie: MapMovie, assigned: ClassAssignment, *, pixel_size_angstrom: float) -> ParticlePoses:
    """How a movie's particles lie in their 2-D classes: turned in the plane only."""
    origin = -assigned.shift_px * pixel_size_angstrom
    return ParticlePoses(
        movie_id=movie.movie_id,
        half_set=movie.half_sets(len(assigned.class_id)),
        class_id=tuple(assigned.class_id.tolist()),
        rot_deg=None,
        tilt_deg=None,
        psi_deg=tuple(assigned.psi_deg.tolist()),
        origin_x_angstrom=tuple(origin[:, 0].tolist()),
        origin_y_angstrom=tuple(origin[:, 1].tolist()),
    )
