"""A movie's numbers as people read them: its name, its state, its values with their units. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from frazil.daemon.report.why import cause_words
from frazil.daemon.transport.messages import Row, Scalar
from frazil.daemon.transport.reasons import motion_seen

NOT_KNOWN = "–"
STATES = {
    "ready": "✔ kept",
    "rejected": "✖ rejected",
    "quarantined": "▲ set aside",
    "failed": "▲ failed, is tried again",
    "processing": "… in work",
    "queued": "… waits",
    "settling": "… still being written",
    "found": "… just found",
    "outdated": "– replaced by another file",
}


def movie_name(relative_path: Scalar) -> str:
    """Without folders."""
    return str(relative_path).rsplit("/", 1)[-1]


def state_words(state: Scalar) -> str:
    """With a sign, so that no colour is needed."""
    return STATES.get(str(state), str(state))


def quantity(value: Scalar, unit: str, digits: int = 1) -> str:
    """With its unit; a dash for what is not known."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return NOT_KNOWN
    return f"{value:,.{digits}f}{f' {unit}' if unit else ''}"


def time_words(utc_us: Scalar) -> str:
    """Day and time of day, UTC."""
    if not isinstance(utc_us, int) or utc_us <= 0:
        return NOT_KNOWN
    return datetime.datetime.fromtimestamp(utc_us / 1e6, datetime.UTC).strftime("%d %b %H:%M")


def facts(row: Row, shifts: Sequence[Row] = ()) -> list[tuple[str, str]]:
    """Name and value of all that a person asks of one exposure, what is most wanted first; unknown ones left out.
    `shifts`: of `frame_shifts`."""
    sd = row.get("defocus_sd_angstrom")
    defocus = quantity(row.get("defocus_um"), "um", 2)
    if isinstance(sd, int | float) and defocus != NOT_KNOWN:
        defocus = f"{defocus} +- {sd / 1e4:.3f} um"
    astigmatism = quantity(row.get("astigmatism_angstrom"), "A", 0)
    angle = quantity(row.get("astigmatism_angle_deg"), "", 0)
    pairs = [
        ("CTF fits to", quantity(row.get("fit_resolution_angstrom"), "A")),
        ("costs it most", cause_words(str(row["named_cause"])) if row.get("named_cause") else "no single cause"),
        ("seen", motion_seen(row.get("flags"), shifts) or NOT_KNOWN),
        ("number, as found", quantity(_number(row), "", 0)),
        ("defocus", defocus),
        ("astigmatism", astigmatism if NOT_KNOWN in (astigmatism, angle) else f"{astigmatism} at {angle}°"),
        ("motion, whole", quantity(row.get("motion_total_angstrom"), "A")),
        ("motion, first 4 e/A2", quantity(row.get("motion_early_angstrom"), "A")),
        ("motion within the frame", quantity(row.get("local_motion_rms_angstrom"), "A rms", 2)),
        ("ice, -ln(transmission)", quantity(row.get("relative_ice_thickness"), "", 2)),
        ("ice rings", quantity(row.get("ice_ring_density"), "", 2)),
        ("particles", quantity(row.get("particle_count"), "", 0)),
        ("counts a pixel", quantity(row.get("mean_counts_per_px"), "")),
        ("frames", quantity(row.get("frame_count"), "", 0)),
        ("square", str(row.get("grid_square") or NOT_KNOWN)),
        ("hole", str(row.get("hole") or NOT_KNOWN)),
        ("found", time_words(row.get("found_utc_us"))),
        ("result after", quantity(row.get("lag_s"), "s")),
        ("flags", str(row.get("flags") or NOT_KNOWN)),
    ]
    return [(name, value) for name, value in pairs if value != NOT_KNOWN]


def _number(row: Row) -> Scalar:
    """From 1, in the order in which movies were found: of the queries `movie` and `movies`."""
    sequence = row.get("sequence")
    return row.get("number") if not isinstance(sequence, int) else sequence + 1


def reason(row: Row) -> str:
    """Why it is not kept; empty: it is, or may be yet."""
    if row.get("state") not in ("rejected", "failed", "quarantined"):
        return ""
    return str(row.get("rejection_reason") or row.get("failure_reason") or row.get("reason") or "no reason was kept")
