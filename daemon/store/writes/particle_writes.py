"""What a movie's particles say of it, written and read again.

Like `writes.py`: functions for `Store.submit`, idempotent, without clocks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from frazil.daemon.store.engine import Connection
from frazil.daemon.store.movie_states import kept
from frazil.daemon.store.rows import ParticleRows
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import session_writes
from frazil.models.causal.bands import band_frequencies_per_angstrom
from frazil.models.particle_evidence import ParticleEvidence

_COLUMNS = (
    "movie_id, particle_count, reference_renewal, beam_tilt_x_mrad, beam_tilt_y_mrad, beam_tilt_xx_mrad2, "
    "beam_tilt_xy_mrad2, beam_tilt_yy_mrad2, frequency_per_angstrom, frc, band_per_angstrom, log_ssnr, log_ssnr_sd"
)
_READ_SQL = f"""
SELECT e.movie_id, e.particle_count, e.reference_renewal, e.beam_tilt_x_mrad, e.beam_tilt_y_mrad,
       e.beam_tilt_xx_mrad2, e.beam_tilt_xy_mrad2, e.beam_tilt_yy_mrad2, e.log_ssnr, e.log_ssnr_sd
FROM particle_evidence_arrays e JOIN movies m USING (movie_id) WHERE {kept("m")} ORDER BY m.sequence DESC LIMIT ?
"""


def record_poses(connection: Connection, row: ParticleRows, evidence: ParticleEvidence | None) -> None:
    """What the map says of a movie's particles, and they of the movie."""
    session_writes.record_particles(connection, row)
    record_evidence(connection, row.movie_id, evidence)


def record_evidence(connection: Connection, movie_id: str, evidence: ParticleEvidence | None) -> None:
    """Replace a movie's row; None takes it away: the particles of now say nothing."""
    connection.execute("DELETE FROM particle_evidence_arrays WHERE movie_id = ?", [movie_id])
    if evidence is None:
        return
    covariance = evidence.beam_tilt_covariance_mrad2 or (None, None, None)
    values: list[object] = [
        movie_id,
        evidence.particle_count,
        evidence.reference_renewal,
        evidence.beam_tilt_x_mrad,
        evidence.beam_tilt_y_mrad,
        *covariance,
        list(evidence.frequency_per_angstrom),
        list(evidence.frc),
        band_frequencies_per_angstrom().tolist(),
        list(evidence.log_ssnr),
        list(evidence.log_ssnr_sd),
    ]
    marks = ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO particle_evidence_arrays ({_COLUMNS}) VALUES ({marks})", values)


def read_evidence(store: Store, movies: int) -> dict[str, ParticleEvidence]:
    """Of the newest kept movies that have any, oldest first; without their FRC curves, which nobody learns from."""
    found = {}
    for row in reversed(store.rows(_READ_SQL, movies)):
        movie_id, count, renewal, x, y, xx, xy, yy, log_ssnr, sd = row
        found[str(movie_id)] = ParticleEvidence(
            particle_count=float(count),
            reference_renewal=int(renewal),
            frequency_per_angstrom=(),
            frc=(),
            log_ssnr=tuple(log_ssnr),
            log_ssnr_sd=tuple(sd),
            beam_tilt_x_mrad=x,
            beam_tilt_y_mrad=y,
            beam_tilt_covariance_mrad2=None if xx is None else (xx, xy, yy),
        )
    return found


def fingerprint(evidence: Sequence[tuple[str, ParticleEvidence]]) -> str | None:
    """Of all that the session's particles say; None: nothing."""
    return hashlib.sha256(repr(evidence).encode()).hexdigest()[:24] if evidence else None
