"""One movie in words and numbers. Pure."""

from __future__ import annotations

import math

from rich.text import Text

from frazil.daemon.transport.messages import Row
from frazil.tui.words.causes import beyond_usual, cause_word
from frazil.tui.words.formatting import NOT_KNOWN, clean, clock, count, duration, movie_name, number, quantity, size
from frazil.tui.words.palette import GRAY, ORANGE, VERMILION, movie_look


def movie_title(row: Row) -> Text:
    """State and name."""
    look = movie_look(row.get("state"))
    return Text.assemble((f"{look.text} ", f"bold {look.color}"), (movie_name(row.get("relative_path", "")), "bold"))


def reason_text(row: Row) -> Text | None:
    """Why it was set aside, if it was; what it waits for."""
    reason = row.get("rejection_reason") or row.get("failure_reason")
    if not reason or row.get("state") not in ("settling", "rejected", "failed", "quarantined"):
        return None
    stage = row.get("failure_stage") if not row.get("rejection_reason") else None
    color = ORANGE if row.get("state") in ("rejected", "settling") else VERMILION
    return Text.assemble((f"{'in ' + clean(stage) + ': ' if stage else ''}{clean(reason)}", f"bold {color}"))


def facts(row: Row) -> list[tuple[str, str]]:
    """Pairs of name and value with unit, most wanted first; what is not known is left out."""
    unreliable = "" if row.get("reliable") is not False else f" ({clean(row.get('flag') or 'not reliable')})"
    pairs = [
        (
            "CTF fit",
            _with_error(row.get("fit_resolution_angstrom"), row.get("fit_resolution_sd_angstrom")) + unreliable,
        ),
        ("first cause", _cause(row)),
        ("seen", clean(row.get("motion_seen") or NOT_KNOWN)),
        ("number", number(_number(row), 0)),
        ("defocus", _defocus(row)),
        ("  fit alone", _scatter(row)),
        ("astigmatism", _astigmatism(row)),
        ("phase shift", quantity(row.get("phase_shift_deg") or None, "°", 0)),
        ("score", number(row.get("score"), 2)),
        ("motion", quantity(row.get("motion_total_angstrom"), "Å")),
        ("early, late", _early_late(row)),
        ("local motion", quantity(row.get("local_motion_rms_angstrom"), "Å rms", 2)),
        ("half-set FRC", quantity(row.get("half_frc_0143_angstrom"), "Å")),
        ("ice", _with_error(row.get("ice_nm"), row.get("ice_sd_nm"), "nm", 0)),
        ("ice ring", number(row.get("ice_ring_density"), 2)),
        ("ice, -ln T", number(row.get("relative_ice_thickness"), 2)),
        ("dose", quantity(row.get("dose_per_frame_e_per_px"), "e/px/frame", 2)),
        ("counts", quantity(row.get("mean_counts_per_px"), "per px", 1)),
        ("particles", count(_int(row.get("particle_count")))),
        ("frames", _frames(row)),
        ("found", clock(row.get("found_utc_us"))),
        ("lag", duration(row.get("lag_s"))),
        ("path", clean(row.get("relative_path") or NOT_KNOWN)),
        ("square", clean(row.get("grid_square") or NOT_KNOWN)),
        ("hole", clean(row.get("hole") or NOT_KNOWN)),
        ("optics group", _group(row)),
        ("attempts", str(row["attempts"]) if (_int(row.get("attempts")) or 0) > 1 else NOT_KNOWN),
        ("flags", clean(row.get("flags") or NOT_KNOWN)),
        ("hot pixels", count(_int(row.get("hot_pixel_count")))),
        ("file", size(_int(row.get("size_bytes")))),
    ]
    return [(name, value) for name, value in pairs if value and not value.startswith(NOT_KNOWN)]


def facts_text(row: Row, width: int, height: int) -> Text:
    """The facts in as many columns of at least 30 cells as fit, at most `height` lines."""
    pairs = facts(row)
    columns = max(1, min(3, width // 34))
    if len(pairs) <= height:
        columns = 1
    cell = width // columns
    lines = -(-len(pairs) // columns)
    text = Text(no_wrap=True, overflow="ellipsis")
    for line in range(min(lines, height)):
        if line:
            text.append("\n")
        for column in range(columns):
            index = column * lines + line
            if index >= len(pairs):
                continue
            name, value = pairs[index]
            entry = Text.assemble((f"{name:12} ", GRAY), value)
            entry.truncate(max(1, cell - 1), overflow="ellipsis")
            entry.pad_right(max(0, cell - entry.cell_len) if column < columns - 1 else 0)
            text.append_text(entry)
    return text


def _cause(row: Row) -> str:
    """What costs it most beyond the usual, and how much."""
    word, excess = cause_word(row.get("named_cause")), row.get("named_excess_ln_ssnr")
    return ", ".join(part for part in (word, beyond_usual(excess)) if part) if word else NOT_KNOWN


def _number(row: Row) -> int | None:
    """In the order in which movies were found, from 1."""
    sequence = _int(row.get("sequence"))
    return _int(row.get("number")) if sequence is None else sequence + 1


def _group(row: Row) -> str:
    """Exposures with one beam shift; where it is known, the shift."""
    group = _int(row.get("optics_group"))
    if group is None:
        return NOT_KNOWN
    x, y = number(row.get("image_shift_x_um"), 2), number(row.get("image_shift_y_um"), 2)
    return f"{group}" if NOT_KNOWN in (x, y) else f"{group} (shift {x}, {y} µm)"


def _with_error(value: object, sd: object, unit: str = "Å", digits: int = 1) -> str:
    """`4.1 ± 0.1 Å`; without its error where that is not known."""
    text, error = number(value, digits), number(sd, digits)
    if text == NOT_KNOWN or error == NOT_KNOWN:
        return quantity(value, unit, digits)
    return f"{text} ± {error} {unit}"


def _defocus(row: Row) -> str:
    """With its whole error: the fit's scatter, and what pixel size and Cs leave uncertain of all movies alike; without
    one where only the scatter is known."""
    scatter, common = row.get("defocus_sd_angstrom"), row.get("defocus_systematic_sd_angstrom")
    if not isinstance(scatter, int | float) or not isinstance(common, int | float):
        return quantity(row.get("defocus_um"), "µm", 3)
    return _with_error(row.get("defocus_um"), math.hypot(scatter, common) / 1e4, "µm", 3)


def _scatter(row: Row) -> str:
    """Of one movie's defocus against the next one's."""
    scatter = row.get("defocus_sd_angstrom")
    return f"{number(scatter / 1e4, 3)} µm scatter" if isinstance(scatter, int | float) else NOT_KNOWN


def _astigmatism(row: Row) -> str:
    text = quantity(row.get("astigmatism_angstrom"), "Å", 0)
    angle = number(row.get("astigmatism_angle_deg"), 0)
    return text if angle == NOT_KNOWN else f"{text} at {angle}°"


def _early_late(row: Row) -> str:
    early, late = number(row.get("motion_early_angstrom")), number(row.get("motion_late_angstrom"))
    return NOT_KNOWN if NOT_KNOWN in (early, late) else f"{early}, {late} Å"


def _frames(row: Row) -> str:
    frames = _int(row.get("frame_count"))
    if frames is None:
        return NOT_KNOWN
    shape = f" of {row['width_px']} × {row['height_px']} px" if row.get("width_px") else ""
    return f"{frames}{shape}"


def _int(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
