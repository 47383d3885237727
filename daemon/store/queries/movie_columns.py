"""Columns of the movie table and metrics over time, as SQL expressions on `movies m` and the tables beside it."""

from __future__ import annotations

from collections.abc import Mapping

from frazil.daemon.store.movie_states import finished
from frazil.models.causal.factors import BESIDE_TOTAL

TREND_METRICS: Mapping[str, str] = {
    "ctf_fit_angstrom": "c.fit_resolution_angstrom",
    "ctf_score": "c.score",
    "defocus_um": "(c.defocus_u_angstrom + c.defocus_v_angstrom) / 2e4",
    "astigmatism_angstrom": "c.astigmatism_angstrom",
    "phase_shift_deg": "c.phase_shift_deg",
    "motion_total_angstrom": "q.motion_total_angstrom",
    "motion_early_angstrom": "q.motion_early_angstrom",
    "motion_late_angstrom": "q.motion_late_angstrom",
    "ice_ring_density": "c.ice_ring_density",
    "relative_ice_thickness": "q.relative_ice_thickness",
    "mean_counts_per_px": "q.mean_counts_per_px",
    "half_frc_0143_angstrom": "q.half_frc_0143_angstrom",
    "particle_count": "q.particle_count",
    "ice_nm": "k.ice_nm",
    "lag_s": "m.lag_s",
}
"""What can be drawn against time, and its expression."""


MOVIE_COLUMNS: Mapping[str, str] = {
    "movie_id": "m.movie_id",
    "number": "m.sequence + 1",
    "relative_path": "m.relative_path",
    "generation": "m.generation",
    "state": "m.state",
    "attempts": "m.attempts",
    "grid_square": "m.grid_square",
    "hole": "m.hole",
    "optics_group": "m.optics_group",
    "frame_count": "m.frame_count",
    **{name: TREND_METRICS[name] for name in TREND_METRICS if name != "lag_s"},
    "ice_sd_nm": "k.ice_sd_nm",
    "named_cause": "k.named_cause",
    "reliable": "c.reliable",
    "flags": "m.flags",
    "reason": "coalesce(m.rejection_reason, m.failure_reason)",
    "lag_s": "m.lag_s",
    "found_utc_us": "m.found_utc_us",
    "ready_utc_us": "m.ready_utc_us",
}
"""Columns of the movie table, in its order, and their expressions."""


_BESIDE = {"c": "ctf", "q": "quality", "k": "named_causes"}


def joins_for(expressions: str) -> str:
    """Of the tables beside `movies m`, those that the expressions name."""
    return " ".join(
        f"LEFT JOIN {table} {alias} USING (movie_id)" for alias, table in _BESIDE.items() if f"{alias}." in expressions
    )


ALL_BESIDE = joins_for("c. q. k.")


JOINED = f"FROM movies m {ALL_BESIDE}"
OF_TOTAL = f"factor NOT IN {BESIDE_TOTAL}"
"""Of `causal_loss_arrays`: losses that add up to a movie's total; what processing undoes is told beside it."""


LAST_RESULTS = (
    f"(SELECT movie_id FROM movies WHERE ready_utc_us IS NOT NULL AND {finished()} "
    "ORDER BY ready_utc_us DESC LIMIT $last)"
)
