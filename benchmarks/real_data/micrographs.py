"""Real exposures through `frazil watch` as single-frame movies: taken, flagged, and a CTF only where there are rings.

    ./run bench real_micrographs --data DATA [--pictures docs/images] [--json OUT.json]

Four sessions, each the folder that a person would have:

    mixed       all of `micrographs/` as if they had landed in one raw folder: a cryo exposure (KLH), a stained one,
                and four images of holes and a square that are no exposures at all
    klh         the KLH exposure alone, with the band of the fit opened to where its first zero lies
    low-mag     the hole images with pixels near their own (90 A): too coarse for any ring
    ribosome    five cryo particle images of one micrograph (256 x 256) with RELION's defoci in their STAR

No file says voltage, Cs or pixel size: they are given by flags. KLH: 120 kV, 2.0 mm, 2.2 A (as the set was published,
Zhu 2003; its cylinders then measure 30 nm across). For the others the same values are wrong, as at a real scope.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np

from benchmarks.real_data import shared_data
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.formats.star import read_star

PANEL_PX = 200
DEFOCUS_TOLERANCE_ANGSTROM = 500.0
"""Against RELION's per-particle defoci, which themselves scatter by 600 A within this one micrograph."""


@dataclass(frozen=True, slots=True)
class Session:
    name: str
    files: tuple[str, ...]
    pixel_size_angstrom: float
    voltage_kv: float
    cs_mm: float
    yaml: str = ""


LOW_MAG = ("leginon_08mar13e_hl.mrc", "leginon_08mar13e_sq.mrc", "leginon_tilt1.mrc", "leginon_tilt2.mrc")
SESSIONS = (
    Session("mixed", ("leginon_07jan05b_12gr_02en_00.dwn.mrc", *LOW_MAG, "xmipp_KLH.tif"), 2.2, 120.0, 2.0),
    Session(
        "klh",
        ("xmipp_KLH.tif",),
        2.2,
        120.0,
        2.0,
        "ctf: {min_resolution_angstrom: 50, max_resolution_angstrom: 8}\n"
        "thresholds: {max_ctf_fit_resolution_angstrom: 25}\n",
    ),
    Session("low-mag", LOW_MAG, 90.0, 120.0, 2.0),
    Session("ribosome", (), 2.806, 300.0, 0.01, "ctf: {box_px: 256}\n"),
)
SQL = """
SELECT m.relative_path, m.state, m.flags, m.rejection_reason, m.failure_reason, m.width_px, m.height_px, m.frame_count,
       c.defocus_u_angstrom, c.defocus_v_angstrom, c.astigmatism_angle_deg, c.defocus_sd_angstrom,
       c.fit_resolution_angstrom, c.reliable, c.flag, q.already_summed, q.motion_total_angstrom,
       q.thumbnail_path, q.power_spectrum_path
FROM movies m LEFT JOIN ctf c USING (movie_id) LEFT JOIN quality q USING (movie_id) ORDER BY m.relative_path
"""


def fill(raw: Path, session: Session, data: Path) -> dict[str, float]:
    """Put the session's files into its raw folder; the known mean defocus (A) by file name, where there is one."""
    raw.mkdir(parents=True)
    for name in session.files:
        shutil.copy(data / "micrographs" / name, raw / name)
    if session.name != "ribosome":
        return {}
    stack = mrcfile.read(data / "particles" / "cryodrgn_relion31.mrcs").astype(np.float32)
    star = read_star(data / "particles" / "cryodrgn_relion31.star")
    defocus_u, defocus_v = star["particles"].floats("rlnDefocusU"), star["particles"].floats("rlnDefocusV")
    known: dict[str, float] = {}
    for index, image in enumerate(stack):
        name = f"particle_{index + 1}.mrc"
        write_mrc(raw / name, image, session.pixel_size_angstrom)
        known[name] = (defocus_u[index] + defocus_v[index]) / 2
    return known


def run(session: Session, folder: Path, data: Path) -> list[dict[str, Any]]:
    """One session through `frazil watch --once`; its rows."""
    raw, session_dir = folder / session.name / "raw", folder / session.name / "session"
    known = fill(raw, session, data)
    config = folder / session.name / "settings.yaml"
    config.write_text("store: {min_free_disk_gb: 1}\n" + session.yaml)
    shared_data.watch_once(
        raw,
        session_dir,
        "--pixel-size-angstrom",
        session.pixel_size_angstrom,
        "--voltage-kv",
        session.voltage_kv,
        "--cs-mm",
        session.cs_mm,
        "--workers",
        1,
        "--config",
        config,
    )
    found = shared_data.rows(session_dir, SQL)
    for row in found:
        row["session"] = session.name
        row["known_defocus_angstrom"] = known.get(row["relative_path"])
    return found


def problems(row: dict[str, Any]) -> list[str]:
    """What is wrong with one row: not taken as a single frame, moved, or a CTF that cannot be."""
    bad = []
    if row["state"] not in ("ready", "rejected"):
        bad.append(f"state {row['state']}: {row['failure_reason']}")
    if "single-frame" not in (row["flags"] or "") or not row["already_summed"] or row["motion_total_angstrom"]:
        bad.append("not taken as already summed")
    if row["reliable"] and row["relative_path"] in LOW_MAG:
        bad.append("rings were seen where there are none")
    if row["known_defocus_angstrom"] is not None:
        mean = (row["defocus_u_angstrom"] + row["defocus_v_angstrom"]) / 2
        if row["reliable"] and abs(mean - row["known_defocus_angstrom"]) > DEFOCUS_TOLERANCE_ANGSTROM:
            bad.append("defocus is not RELION's")
    return bad


def panel(session_dir: Path, row: dict[str, Any]) -> shared_data.Image:
    """Thumbnail and power spectrum side by side."""
    parts = []
    for name in ("thumbnail_path", "power_spectrum_path"):
        image = shared_data.read_png(session_dir / row[name])
        height = PANEL_PX
        width = PANEL_PX if name == "power_spectrum_path" else round(PANEL_PX * image.shape[1] / image.shape[0])
        parts.append(np.pad(shared_data.resized(image, height, min(width, PANEL_PX)), 2, constant_values=255))
    joined = np.hstack(parts)
    return np.pad(joined, ((0, 0), (0, 2 * PANEL_PX + 8 - joined.shape[1])), constant_values=255)


def montage(folder: Path, found: list[dict[str, Any]]) -> shared_data.Image:
    """Two panels a row."""
    panels = [panel(folder / row["session"] / "session", row) for row in found]
    if len(panels) % 2:
        panels.append(np.full_like(panels[0], 255))
    return np.vstack([np.hstack(panels[i : i + 2]) for i in range(0, len(panels), 2)])


def show(found: list[dict[str, Any]]) -> None:
    print(
        f"{'session':9s} {'file':38s} {'pixels':>10s} {'state':9s} {'flags':34s} {'defocus A':>10s} {'+-':>6s}"
        f" {'known':>6s} {'to A':>5s}  reason"
    )
    for row in found:
        usable = row["fit_resolution_angstrom"] is not None
        mean = f"{(row['defocus_u_angstrom'] + row['defocus_v_angstrom']) / 2:.0f}" if usable else "-"
        sd = f"{row['defocus_sd_angstrom']:.0f}" if usable else "-"
        known = "-" if row["known_defocus_angstrom"] is None else f"{row['known_defocus_angstrom']:.0f}"
        to = f"{row['fit_resolution_angstrom']:.1f}" if usable else "-"
        print(
            f"{row['session']:9s} {row['relative_path']:38s} {row['width_px']:5d}x{row['height_px']:<4d}"
            f" {row['state']:9s} {row['flags']:34s} {mean:>10s} {sd:>6s} {known:>6s} {to:>5s}"
            f"  {row['rejection_reason'] or ''}"
        )
        for problem in problems(row):
            print(f"          PROBLEM: {problem}")


def main() -> int:
    parser = shared_data.parser(__doc__)
    parser.add_argument("--only", nargs="*", choices=[session.name for session in SESSIONS], help="some sessions")
    args = parser.parse_args()
    if shared_data.data_file(args, "micrographs") is None:
        return 0
    folder = args.keep or Path(tempfile.mkdtemp(prefix="real-micrographs-"))
    try:
        found = [
            row
            for session in SESSIONS
            if not args.only or session.name in args.only
            for row in run(session, folder, Path(args.data))
        ]
        show(found)
        if args.pictures is not None:
            for session in SESSIONS:
                if chosen := [row for row in found if row["session"] == session.name]:
                    picture = montage(folder, chosen)
                    shared_data.write_png(args.pictures / f"real-micrographs-{session.name}.png", picture)
        shared_data.write_json(args, {"micrographs": found})
    finally:
        if args.keep is None:
            shutil.rmtree(folder)
    return 1 if any(problems(row) for row in found) else 0


if __name__ == "__main__":
    raise SystemExit(main())
