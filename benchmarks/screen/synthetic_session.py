"""A session that never was, behind the daemon's real sockets: for the screen's tests, its benchmark and its pictures.

Rows are drawn from a seed with the dependencies that a real session has (thick ice fits badly, drift comes in bursts
after stage moves), so that plots look like plots. Nothing here measures anything; see `frazil simulate` for a
microscope with truth.
"""

from __future__ import annotations

import argparse
import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.screen import synthetic_scores
from benchmarks.screen.synthetic_grid import NEXT_LINE, SyntheticGrid
from frazil.config.errors import NotThereError, QueryError
from frazil.daemon.report.verdict_seen import told
from frazil.daemon.transport.messages import (
    Command,
    Done,
    GateState,
    LiveState,
    NamedQuery,
    Picture,
    PictureReply,
    Rows,
    Scalar,
    Sql,
    VerdictState,
    WorkerState,
)
from frazil.daemon.transport.server import QueryServer
from frazil.models.session_verdict.judge import Judge
from frazil.models.session_verdict.records import Fault, MovieSeen, SessionSeen, VerdictLimits

START_UTC_US = 1_790_000_000_000_000
INTERVAL_S = 11.5
PIXEL_SIZE_ANGSTROM = 0.834

_PICTURE_PX = 384
_FIELD_PX = 4096

COLUMNS = (
    "movie_id", "number", "relative_path", "generation", "state", "attempts", "grid_square", "hole", "optics_group",
    "frame_count", "ctf_fit_angstrom", "ctf_score", "defocus_um", "astigmatism_angstrom", "phase_shift_deg",
    "motion_total_angstrom", "motion_early_angstrom", "motion_late_angstrom", "ice_ring_density",
    "relative_ice_thickness", "mean_counts_per_px", "half_frc_0143_angstrom", "particle_count", "ice_nm", "ice_sd_nm",
    "named_cause",
    "reliable", "flags", "reason", "lag_s", "found_utc_us", "ready_utc_us",
)  # fmt: skip
"""Those of the named query `movies` (tests/tui compares them with the store's)."""

Row = dict[str, Scalar]


def make_rows(count: int, seed: int, waiting: int = 4) -> list[Row]:
    """Movies in the order of their discovery; the last `waiting` have no result yet."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    ice, drift = 0.3, 0.0
    for i in range(count):
        square, hole = i // 60, i % 60
        if hole == 0:
            ice, drift = float(rng.gamma(3.0, 0.1)), float(rng.gamma(2.0, 4.0))
        drift *= 0.85
        thick = max(0.02, ice + float(rng.normal(0, 0.05)))
        early = float(rng.gamma(6.0, 0.6)) + 0.5 * drift
        total = early + float(rng.gamma(5.0, 0.8)) + drift
        fit = 2.9 + 3.5 * thick + 0.08 * total + float(rng.gamma(1.2, 0.25))
        found_us = START_UTC_US + int(i * INTERVAL_S * 1e6)
        row: Row = dict.fromkeys(COLUMNS)
        row.update(
            movie_id=f"{i:08x}", number=i + 1,
            relative_path=f"Images-Disc1/GridSquare_{14370000 + square}/Data/FoilHole_{14380000 + i // 3}_Data_"
            f"{14371000 + i % 3}_{i % 60}_20260921_{(i * 11 // 3600) % 24:02d}{i * 11 // 60 % 60:02d}{i * 11 % 60:02d}"
            "_Fractions.tiff",
            generation=1, state="ready", attempts=1, grid_square=f"GridSquare_{14370000 + square}",
            hole=f"FoilHole_{14380000 + i // 3}", optics_group=i % 3 + 1, frame_count=40, found_utc_us=found_us,
            flags="",
        )  # fmt: skip
        rows.append(row)
        if i >= count - waiting:
            row["state"] = ("processing", "processing", "queued", "settling")[min(3, i - count + waiting)]
            row["attempts"] = 0
            continue
        if rng.random() < 0.002:
            row.update(
                state="quarantined",
                attempts=2,
                reason="the file ends in frame 31 of 40, and has not grown for 10 minutes",
            )
            continue
        row.update(
            ctf_fit_angstrom=round(fit, 2), ctf_score=round(0.95 - 0.08 * fit, 3),
            defocus_um=round(1.6 + 0.5 * math.sin(i / 37) + float(rng.normal(0, 0.12)), 3),
            astigmatism_angstrom=round(float(rng.gamma(3, 60)), 0), phase_shift_deg=0.0,
            motion_total_angstrom=round(total, 2), motion_early_angstrom=round(early, 2),
            motion_late_angstrom=round(total - early, 2), ice_ring_density=round(0.9 + thick * 1.2, 3),
            relative_ice_thickness=round(thick, 3), ice_nm=round(395 * thick, 1), ice_sd_nm=9.5,
            mean_counts_per_px=round(28 * math.exp(-thick), 2),
            half_frc_0143_angstrom=round(fit * 1.4, 2), particle_count=int(rng.poisson(160 / (1 + thick))),
            reliable=True, lag_s=round(float(rng.gamma(8, 2.4)), 1),
        )  # fmt: skip
        lag_s = row["lag_s"]
        assert isinstance(lag_s, float)
        row["ready_utc_us"] = found_us + int(lag_s * 1e6)
        if total > 25:
            row["flags"] = "large-motion"
        row["named_cause"] = "motion" if total > 18 else "ice" if thick > 0.55 else None
        if fit > 6.5:
            row.update(state="rejected", reason=f"CTF fits to {fit:.1f} A, the limit is 6.5 A")
    return rows


@dataclass
class SyntheticService:
    """Answers like the daemon; `commands` keeps what was ordered, in order. Thread-safe."""

    rows: list[Row]
    session_dir: Path = Path("/data/krios1/2026-09-21_apoferritin")
    commands: list[Command] = field(default_factory=list)
    blocked: bool = False
    alerts: int = 1
    status: str = "running"
    with_map: bool = True
    grid: SyntheticGrid | None = None
    """None: no grid is known."""
    last_found_utc_us: int | None = None
    """None: a moment ago."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._by_id = {str(row["movie_id"]): row for row in self.rows}
        self._orders: dict[tuple[Scalar, ...], list[int]] = {}
        self._sequence = 0
        self.started_utc_us = START_UTC_US

    # ---- QueryService

    def named(self, request: NamedQuery) -> Rows:
        if request.name in _TOLD:
            return _TOLD[request.name]
        if request.name in _MACHINERY:
            return _MACHINERY[request.name]
        if request.name in _MAP:
            return _MAP[request.name] if self.with_map else Rows(("round",), ())
        if request.name in _GRID:
            return _NO_GRID if self.grid is None else self.grid.answer(request.name, request.params)
        answers: dict[str, Callable[[dict[str, Scalar]], Rows]] = {
            "movies": self._movies,
            "movie": self._movie,
            "picks": lambda params: _picks(self._by_id[str(params["movie_id"])]),
            "trend": self._trend,
            "frame_shifts": lambda params: _shifts(self._by_id[str(params["movie_id"])]),
            "losses": self._losses_of,
            "losses_at": self._losses_of,
            "mean_losses_at": self._mean_losses,
            "verdicts": lambda params: synthetic_scores.answer("verdicts", params, len(self.rows) // 5),
            "evidence": lambda params: synthetic_scores.answer("evidence", params, len(self.rows) // 5),
            "failures": lambda params: _failures(self.rows),
            "worst_squares": lambda params: _worst_squares(self.rows),
            "alerts": lambda params: _alerts(self.alerts, bool(params.get("open_only"))),
        }
        if request.name not in answers:
            raise QueryError(f"there is no query named {request.name!r}", remedy="use another")
        return answers[request.name](request.params)

    def _movie(self, params: dict[str, Scalar]) -> Rows:
        row = self._by_id.get(str(params["movie_id"]))
        found = [] if row is None else [_whole(row)]
        return Rows(tuple(found[0]) if found else ("movie_id",), tuple(tuple(r.values()) for r in found))

    def _trend(self, params: dict[str, Scalar]) -> Rows:
        metrics = str(params["metrics"]).split(",")
        done = [row for row in self.rows[-2000:] if row["ready_utc_us"] is not None]
        columns = ("movie_id", "relative_path", "state", "ready_utc_us", *metrics)
        last = params["last"]
        assert isinstance(last, int)
        return Rows(columns, tuple(tuple(row[c] for c in columns) for row in done[-last:]))

    def _losses_of(self, params: dict[str, Scalar]) -> Rows:
        return _losses(self._by_id[str(params["movie_id"])], params.get("resolution_angstrom"))

    def _mean_losses(self, params: dict[str, Scalar]) -> Rows:
        done = [row for row in self.rows if row["ready_utc_us"] is not None]
        last = params["last"]
        assert isinstance(last, int)
        return _mean_losses([_losses(row, params["resolution_angstrom"]) for row in done[-last:]])

    def _movies(self, params: dict[str, Scalar]) -> Rows:
        order = self._order(params["sort"], params["order"], params["search"], params["state"])
        offset, limit = params.get("offset", 0), params.get("limit", 100)
        assert isinstance(offset, int)
        assert isinstance(limit, int)
        rows = (self.rows[i] for i in order[offset : offset + limit])
        return Rows(COLUMNS, tuple(tuple(row.values()) for row in rows), total=len(order))

    def _order(self, sort: Scalar, order: Scalar, search: Scalar, state: Scalar) -> list[int]:
        key = (sort, order, search, state, len(self.rows))
        with self._lock:
            known = self._orders.get(key)
            if known is not None:
                return known
            chosen = [
                i
                for i, row in enumerate(self.rows)
                if (state is None or row["state"] == state)
                and (
                    not search
                    or str(search).lower() in f"{row['relative_path']} {row['flags']} {row['reason']}".lower()
                )
            ]
            present = [i for i in chosen if self.rows[i][str(sort)] is not None]
            absent = [i for i in chosen if self.rows[i][str(sort)] is None]
            present.sort(key=lambda i: self.rows[i][str(sort)], reverse=order == "desc")  # type: ignore[arg-type,return-value]
            self._orders = {key: present + absent}
            return self._orders[key]

    def sql(self, request: Sql) -> Rows:
        raise QueryError("a synthetic session has no database", remedy="ask a real one")

    def picture(self, request: Picture) -> PictureReply:
        if request.kind in ("map_sections", "map_projections"):
            return _map_picture(request)
        row = self._by_id.get(request.movie_id)
        if row is None or row["ctf_fit_angstrom"] is None:
            raise NotThereError("this picture has not been written", remedy="wait until the movie is ready")
        if request.kind == "regions":
            return _regions(request)
        image = _micrograph(row, _PICTURE_PX) if request.kind != "power_spectrum" else _spectrum(row, _PICTURE_PX)
        if request.kind == "restored":
            image = -image  # the specimen is bright
        left, top, width, height = (round(share * _PICTURE_PX) for share in request.part)
        image = image[top : top + max(1, height), left : left + max(1, width)]
        factor = max(1, -(-image.shape[1] // request.max_width_px), -(-image.shape[0] // request.max_height_px))
        rows, columns = image.shape[0] // factor, image.shape[1] // factor
        image = image[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor).mean(axis=(1, 3))
        low, high = np.percentile(image, (1, 99))
        gray = np.clip((image - low) / (high - low) * 255, 0, 255).astype(np.uint8)
        field = (0, 0) if request.kind == "power_spectrum" else (_FIELD_PX, _FIELD_PX)
        return PictureReply(
            columns, rows, gray.tobytes(), 4096, PIXEL_SIZE_ANGSTROM, request.part, field, PIXEL_SIZE_ANGSTROM
        )

    def command(self, request: Command) -> Done:
        with self._lock:
            self.commands.append(request)
            if request.name.startswith("target-") and self.grid is not None:
                return self.grid.carry_out(request)
            row = self._by_id.get(str(request.args.get("movie_id")))
            if request.name == "reject" and row is not None:
                row.update(state="rejected", reason=f"{request.who}: {request.args['reason']}")
            if request.name == "requeue" and row is not None:
                row.update(state="queued", reason=None)
            if request.name == "accept" and row is not None:
                row.update(state="ready", reason=None)
            if request.name in ("pause", "resume"):
                self.status = "paused" if request.name == "pause" else "running"
            if request.name == "acknowledge":
                self.alerts = 0
            if request.name == "what-if":
                return Done(json.dumps(self._what_if(request.args)))
        return Done("")

    def _what_if(self, changes: Mapping[str, Scalar]) -> dict[str, object]:
        """Of the resolution of the fit alone."""
        limit = changes.get("max_ctf_fit_resolution_angstrom", 10.0)
        kept = [row for row in self.rows if row["state"] == "ready"]
        fits = [row["ctf_fit_angstrom"] for row in kept]
        lost = sum(isinstance(limit, float) and isinstance(fit, float) and fit > limit for fit in fits)
        present: dict[str, object] = {
            "max_ctf_fit_resolution_angstrom": 10.0,
            "max_astigmatism_angstrom": 5000.0,
            "max_total_motion_angstrom": None,
            "min_defocus_um": None,
            "max_defocus_um": None,
            "max_ice_ring_density": None,
            "cuts": [],
        }
        line = f"movies     {len(kept)} kept now, {len(kept) - lost} then: {lost} set aside, 0 kept again"
        return {"lines": [line], "thresholds": {**present, **changes}}

    def snapshot(self) -> LiveState:
        self._sequence += 1
        counts: dict[str, int] = {}
        for row in self.rows:
            counts[str(row["state"])] = counts.get(str(row["state"]), 0) + 1
        finished = [row for row in self.rows[-200:] if row["state"] in ("ready", "rejected")]
        evidence = (
            "the pattern of the movies agrees with the reference turned by 180° (slope 0.97 ± 0.02), not as it is "
            "(slope 0.03 ± 0.02), in 3 of 3 movies"
        )
        remedy = "restart with --gain-orientation rot180, or with --no-gain if the camera corrects the movies"
        processing = [str(row["relative_path"]) for row in self.rows if row["state"] == "processing"]
        workers = tuple(
            WorkerState(
                f"gpu{i}", "krios1", f"cuda:{i}", "NVIDIA A100 40GB", "working" if i < len(processing) else "idle",
                processing[i] if i < len(processing) else None, 4.2 + i, len(self.rows) // 4, int(i == 2),
            )
            for i in range(4)
        )  # fmt: skip
        newest = "drift after stage moves: 31 % of the last 25 movies moved more than 20 Å"
        particles = sum(int(row["particle_count"] or 0) for row in self.rows if row["state"] == "ready")
        now_us = START_UTC_US + int(len(self.rows) * INTERVAL_S * 1e6)
        return LiveState(
            sequence=self._sequence, daemon_started_utc_us=self.started_utc_us, utc_us=now_us,
            session_name=self.session_dir.name, session_dir=str(self.session_dir), raw_root="/data/krios1/raw",
            session_started_utc_us=START_UTC_US, status="blocked" if self.blocked else self.status, preset="krios-k3",
            instrument="Krios G4, K3, BioQuantum", voltage_kv=300.0, pixel_size_angstrom=PIXEL_SIZE_ANGSTROM,
            dose_per_frame_e_per_a2=1.02, total_dose_e_per_a2=40.8, counts=counts, found_per_hour=313.0,
            last_found_utc_us=self.last_found_utc_us if self.last_found_utc_us is not None else now_us - 11_000_000,
            ready_per_hour=309.0, lag_p50_s=18.4, lag_p95_s=34.0, queue_depth=counts.get("queued", 0),
            free_disk_bytes=7_310_000_000_000, written_bytes_per_s=61e6, disk_full_in_h=33.3,
            disk_shrinks_bytes_per_s=75e6, workers=workers,
            gate=GateState("blocked", True, evidence, remedy) if self.blocked else GateState(),
            last_movie_id=str(finished[-1]["movie_id"]) if finished else None, alerts_open=self.alerts,
            newest_alert=newest if self.alerts else None,
            recent_kept=sum(row["state"] == "ready" for row in finished[-25:]), recent_total=len(finished[-25:]),
            prior_version=len(finished) // 5, map_resolution_angstrom=3.42,
            map_round=30, map_particle_count=37_500, particle_count=particles, verdict=self._verdict(finished),
            **({} if self.grid is None else self._grid_state(self.grid)),
        )  # fmt: skip

    def _verdict(self, finished: list[Row]) -> VerdictState:
        """By the daemon's own rules."""
        faults = [_fault(row) for row in reversed(finished)]
        seen = SessionSeen(
            status="blocked" if self.blocked else self.status,
            ended=len(faults),
            total=len(self.rows),
            waiting=len(self.rows) - len(faults),
            newest=tuple(map(MovieSeen, faults[:24])),
            good_before=faults[24:].count(None),
            ended_before=len(faults[24:]),
            gate_blocks=self.blocked,
            gate_evidence="no way to turn the reference fits",
        )
        return told(Judge(VerdictLimits()).step(seen))

    @staticmethod
    def _grid_state(grid: SyntheticGrid) -> dict[str, Any]:
        said = {"next_line": NEXT_LINE, "next_round": 17} if grid.rounds else {}
        return said | {"grid_squares": 37, "grid_holes": 1920, "grid_exposed": 96}


def _fault(row: Row) -> Fault | None:
    """By the limits that ship."""
    fit, early = row["ctf_fit_angstrom"], row["motion_early_angstrom"]
    assert isinstance(fit, float)
    assert isinstance(early, float)
    return Fault.DRIFT if early > 8.0 else Fault.CTF if fit > 6.0 else None


def _whole(row: Row) -> Row:
    """What the named query `movie` adds or calls otherwise."""
    whole = dict(row)
    reason, state = whole.pop("reason"), row["state"]
    whole.update(
        rejection_reason=reason if state == "rejected" else None,
        failure_reason=reason if state != "rejected" else None,
        failure_stage="intake" if state == "quarantined" else None, size_bytes=412_000_000, width_px=5760,
        height_px=4092, fit_resolution_angstrom=row["ctf_fit_angstrom"], score=row["ctf_score"], flag="",
        defocus_sd_angstrom=38.0, defocus_systematic_sd_angstrom=165.0, fit_resolution_sd_angstrom=0.08,
        astigmatism_angle_deg=-34.0, local_motion_rms_angstrom=0.41,
        named_excess_ln_ssnr=0.62 if row["named_cause"] else 0.0, dose_per_frame_e_per_px=0.71, hot_pixel_count=112,
        pixel_size_angstrom=PIXEL_SIZE_ANGSTROM,
    )  # fmt: skip
    return whole


def _losses(row: Row, resolution_angstrom: Scalar) -> Rows:
    """Curves that grow with motion and ice of the movie; at one resolution, or everywhere."""
    total, thick = row["motion_total_angstrom"], row["relative_ice_thickness"]
    columns = ("factor", "frequency_per_angstrom", "loss_ln_ssnr", "loss_sd", "prior_version")
    if not isinstance(total, float) or not isinstance(thick, float):
        return Rows(columns, ())
    fall = {
        "motion": (0.02 * total, 0.08), "radiation_damage": (1.5, 0.1), "spatial_coherence": (0.25, 0.1),
        "temporal_coherence": (0.05, 0.02), "ice": (thick, 0.1), "detector": (0.3, 0.06),
        "coincidence": (0.08, 0.02), "heterogeneity": (0.0, 0.2), "unexplained": (0.04, 0.15),
        "aberrations": (0.1, 0.04), "defocus_spread": (0.6 * thick, 0.3), "motion_uncorrected": (0.09 * total, 0.02),
    }  # fmt: skip
    level = ("ice", "detector", "coincidence", "motion_uncorrected")
    if resolution_angstrom is None:
        frequencies = [1 / 40 + i * (1 / 2.8 - 1 / 40) / 23 for i in range(24)]
    else:
        assert isinstance(resolution_angstrom, float)
        frequencies = [1 / resolution_angstrom]
    rows = []
    for factor, (loss, sd) in sorted(fall.items()):
        for k in frequencies:
            share = min(1.0, 0.3 + 3.5 * k) if factor in level else (k / 0.2) ** 2
            rows.append((factor, k, round(loss * share, 4), round(sd * share, 4), 61))
    return Rows(columns, tuple(rows))


def _mean_losses(movies: list[Rows]) -> Rows:
    columns = ("factor", "loss_ln_ssnr", "spread_ln_ssnr", "loss_sd", "movies")
    by_factor: dict[str, list[Row]] = {}
    for movie in movies:
        for row in movie.as_dicts():
            by_factor.setdefault(str(row["factor"]), []).append(row)
    rows: list[tuple[Scalar, ...]] = []
    for factor, found in by_factor.items():
        losses = [row["loss_ln_ssnr"] for row in found if isinstance(row["loss_ln_ssnr"], float)]
        rows.append((factor, float(np.mean(losses)), float(np.std(losses)), found[0]["loss_sd"], len(found)))
    return Rows(columns, tuple(rows))


_ALERT_COLUMNS = (
    "alert_id", "created_utc_us", "severity", "subject", "text", "remedy", "acknowledged_utc_us", "acknowledged_by",
)  # fmt: skip


def _alerts(count: int, open_only: bool) -> Rows:
    """The newest ones are open; two old ones have been seen to."""
    text = "drift after stage moves: 31 % of the last 25 movies moved more than 20 Å"
    remedy = "wait 10 s after stage moves"
    rows: list[tuple[Scalar, ...]] = [
        ("a1", START_UTC_US + 3_300_000_000, "warning", "motion", text, remedy, None, None)
    ] * count
    path = "Images-Disc1/GridSquare_14370001/Data/FoilHole_14380021_Data_14371001_3_20260921_001144_Fractions.tiff"
    aside = f"{path} is set aside: the file ends in frame 31 of 40, and has not grown for 10 minutes"
    seen = (START_UTC_US + 900_000_000, "anna")
    if not open_only:
        rows += [
            ("a0", START_UTC_US + 720_000_000, "warning", "movie", aside, None, *seen),
            ("a2", START_UTC_US + 300_000_000, "error", "worker", "worker gpu2 was started again", None, *seen),
            ("a3", START_UTC_US + 9_000_000, "info", "gain", "the gain reference fits: multiply", None, None, None),
        ]
    return Rows(_ALERT_COLUMNS, tuple(rows))


def _worst_squares(rows: list[Row]) -> Rows:
    """What came of each square that has five movies with a result; of those that are not kept the CTF is the matter."""
    found: list[tuple[Scalar, ...]] = []
    for square in sorted({str(row["grid_square"]) for row in rows}):
        done = [row for row in rows if row["grid_square"] == square and row["ctf_fit_angstrom"] is not None]
        if len(done) >= 5:
            good = sum(row["state"] == "ready" for row in done)
            fits, ice = ([float(row[name] or 0) for row in done] for name in ("ctf_fit_angstrom", "ice_nm"))
            fault = None if good == len(done) else "poor CTF fits"
            found.append((square, len(done), good, fault, sorted(fits)[len(fits) // 2], max(ice)))
    columns = ("grid_square", "movies", "good", "usual_fault", "ctf_fit_angstrom", "thickest_nm")
    return Rows(columns, tuple(sorted(found, key=lambda row: int(str(row[2])) / int(str(row[1])))))


def _failures(movies: list[Row]) -> Rows:
    columns = ("movie_id", "relative_path", "state", "attempts", "failure_stage", "reason", "found_utc_us")
    found = [row for row in movies if row["state"] in ("failed", "quarantined")][::-1]
    return Rows(
        columns,
        tuple(
            (row["movie_id"], row["relative_path"], row["state"], row["attempts"], "intake", row["reason"],
             row["found_utc_us"])
            for row in found
        ),
    )  # fmt: skip


_GRID = ("grid", "grids", "grid_squares", "square_targets", "next_targets", "next_rounds")
_NO_GRID = Rows(("target_id",), ())

_MACHINERY = {
    "stage_timings": Rows(
        ("stage", "movies", "p50_s", "p95_s", "total_s"),
        (
            ("ctf", 200, 2.86, 4.35, 590.0), ("align_global", 200, 2.43, 3.17, 498.0),
            ("restore", 200, 0.75, 1.09, 152.0),
            ("pick", 200, 0.69, 1.06, 141.0), ("align_local", 200, 0.5, 0.9, 104.0), ("read", 200, 0.46, 0.85, 95.0),
            ("write", 200, 0.24, 0.42, 50.0), ("sum", 200, 0.23, 0.45, 48.0), ("quality", 200, 0.15, 0.21, 31.0),
            ("attribute", 200, 0.026, 0.05, 5.4), ("extract", 200, 0.008, 0.02, 1.6), ("open", 200, 0.002, 0.004, 0.4),
        ),
    ),
    "devices": Rows(
        ("worker", "node", "device", "device_name", "device_uuid", "movies", "busy_s"),
        tuple((f"gpu{i}", "krios1", f"cuda:{i}", "NVIDIA A100 40GB", f"GPU-{i}", 79, 661.0 + i) for i in range(4)),
    ),
}  # fmt: skip


_TOLD = {
    "interventions": Rows(
        ("place", "factor", "action", "scope", "sentence", "who", "created_utc_us", "known_by", "known_how",
         "refuters"),
        (
            (1, "motion", "settle+10s", "session",
             "wait 10 s longer after moving the stage: map 3.4 -> 3.2 A (3.0-3.3); signal at 5 A "
             "x1.42 (x1.20-1.71); the same map from 29 % fewer movies; costs 70 movies/h; all in all x1.19 an hour",
             "frazil", START_UTC_US, "adjusted",
             "after twice the settle time the stage drifts x0.54 (x0.41-0.71) in 90 movies alike in stage move, order "
             "of the holes and time into the session, physics says some x0.50; doubtful only if a hidden cause "
             "explained 27 % of what is left of both",
             "placebo: passed: dealt out anew it seems to act in 4 % of 200 trials (5 % are stated), as clearly as "
             "here in 0 %\nnegative control: passed: it does nothing to electrons counted, defocus, as it must\n"
             "random common cause: passed: a made-up confounder moves it by 0.07 of its sd"),
            (2, "ice", "thin-ice", "session",
             "skip holes with ice above 58 nm: map 3.4 -> 3.3 A (3.2-3.4); signal at 5 A x1.21 (x1.08-1.44); the same "
             "map from 17 % fewer movies; gives up 6 of 25 holes; all in all x1.17 an hour",
             "frazil", START_UTC_US, "physics",
             "physics alone: no number that every movie has shows its effect", None),
            (None, "motion", None, "session", "5 s more wait after stage moves", "anna", START_UTC_US + 900_000_000,
             None, None, None),
        ),
    ),
    "experiments": Rows(
        ("words", "state", "better", "sentence", "stopped_utc_us", "stopped_by", "net_ln", "net_low_ln", "net_high_ln",
         "pairs", "most_pairs", "movies_a", "movies_b", "failed_a", "failed_b", "complied_share", "compliance",
         "strangers"),
        (("settle time 20 s (A) against settle time 5 s (B)", "running", None,
          "not yet: x1.14 (x0.98-1.33) after 62 movies; about 70 movies more (0.6 h) needed", None, None,
          0.131, -0.02, 0.285, 31, 100, 31, 31, 0, 2, 0.97, "97 % of the movies were taken as assigned", 0),),
    ),
    "change_points": Rows(
        ("number", "movie_number", "acquired_utc_us", "cause", "sentence"),
        ((1, 180, START_UTC_US + int(180 * INTERVAL_S * 1e6), "illumination",
          "the beam is -9 % as counted, though the same dose is stated, or the ice there is thicker"),),
    ),
    "causal_shares": Rows(
        ("factor", "loss_ln_ssnr", "sd", "converged", "movie_count", "prior_version", "first_sd", "told_nats"),
        (
            ("radiation_damage", 1.5, 0.1, False, 25, 64, 0.11, 0.1),
            ("ice", 0.4, 0.08, True, 25, 64, 0.31, 1.9),
            ("motion", 0.31, 0.08, True, 25, 64, 0.16, 0.4),
        ),
    ),
    "priors": Rows(("version", "movie_count"), ((61, 305),)),
}  # fmt: skip


def _rounds() -> Rows:
    columns = (
        "round", "created_utc_us", "movie_count", "particle_count", "resolution_0143_angstrom",
        "resolution_05_angstrom", "map_path", "symmetry", "mask", "sphericity", "best_direction_angstrom",
        "worst_direction_angstrom", "orientation_efficiency", "preferred_orientation", "orientation_sentence",
        "b_factor_a2", "b_factor_low_a2", "b_factor_high_a2",
    )  # fmt: skip
    rows = []
    for number in range(1, 31):
        particles = 1250 * number
        resolution = (0.01 + math.log(particles / 1000) / 65) ** -0.5
        rows.append((
            number, START_UTC_US + number, 10 * number, particles, resolution, 1.25 * resolution, "maps/map.mrc", "O",
            "map", 0.94, 0.93 * resolution, 1.2 * resolution, 0.71, True,
            "preferred orientation: 46% of the views within 30 deg of rot 12, tilt 85 (13% if even); the map has 71% "
            "of the signal that even views would give", 148.0, 121.0, 177.0,
        ))  # fmt: skip
    return Rows(columns, tuple(rows))


def _fsc() -> Rows:
    columns = ("round", "frequency_per_angstrom", "fsc", "fsc_unmasked", "fsc_masked", "fsc_randomised")
    rows = []
    for shell in range(1, 46):
        k = shell / 150
        true, without = 1 / (1 + math.exp((k - 0.22) * 50)), 1 / (1 + math.exp((k - 0.18) * 50))
        noise = 0.1 * math.exp(-((k - 0.17) ** 2) * 300) if k > 0.16 else 0.0
        rows.append((30, k, true, without, true * (1 - noise) + noise, noise))
    return Rows(columns, tuple(rows))


def _forecast() -> Rows:
    end = "after 600 movies (75,000 particles): 3.7 A (80 %: 3.6 to 3.8)"
    step = "690 more movies, 2.2 h to reach 3.5 A (80 %: 520 to 900 movies)"
    no = "2.8 A is out of reach: 31,000 movies; limited by ice thickness"
    return Rows(
        ("round", "place", "sentence", "reachable"), ((30, 1, end, True), (30, 2, step, True), (30, 3, no, False))
    )


_MAP = {"reconstructions": _rounds(), "fsc": _fsc(), "forecast": _forecast(), "classes": Rows(("round",), ())}


def _map_picture(request: Picture) -> PictureReply:
    """Three hollow shells in a row."""
    side = max(2, min(request.max_width_px // 3, request.max_height_px))
    v, u = (np.mgrid[0:side, 0:side] - (side - 1) / 2) / (side / 2)
    shell = np.exp(-(((np.hypot(u, v) - 0.62) / 0.16) ** 2)) * (1 + 0.35 * np.cos(6 * np.arctan2(v, u)))
    gray = np.clip(np.concatenate([shell, shell.T, shell], axis=1) / 1.35 * 255, 0, 255).astype(np.uint8)
    return PictureReply(3 * side, side, gray.tobytes(), 3 * side, 0.0)


def _shifts(row: Row) -> Rows:
    columns = ("frame", "shift_x_angstrom", "shift_y_angstrom", "sd_angstrom")
    total = row["motion_total_angstrom"]
    if not isinstance(total, float):
        return Rows(columns, ())
    rng = np.random.default_rng(int(str(row["movie_id"]), 16))
    t = np.arange(40)
    speed = np.exp(-t / 5) + 0.12
    angle = rng.uniform(0, 2 * math.pi) + np.cumsum(rng.normal(0, 0.12, 40))
    step = speed / speed.sum() * total
    x, y = np.cumsum(step * np.cos(angle)), np.cumsum(step * np.sin(angle))
    x, y = x - x.mean(), y - y.mean()
    return Rows(columns, tuple((i + 1, float(x[i]), float(y[i]), 0.2) for i in range(40)))


def _picks(row: Row) -> Rows:
    """Where `_micrograph` has put the particles; row 0 at the bottom."""
    _, places = _places(row, _PICTURE_PX)
    scale = _FIELD_PX / _PICTURE_PX
    diameter_angstrom = 0.1 * _FIELD_PX * PIXEL_SIZE_ANGSTROM
    return Rows(
        ("x_px", "y_px", "diameter_angstrom"),
        tuple(
            ((float(x) + 0.5) * scale - 0.5, _FIELD_PX - 0.5 - (float(y) + 0.5) * scale, diameter_angstrom)
            for x, y in places
        ),
    )


def _regions(request: Picture) -> PictureReply:
    """Contamination at the upper left, carbon along the right edge, of the whole."""
    side = 64
    bits = np.zeros((side, side), dtype=np.uint8)
    bits[4:16, 6:20] = 1
    bits[:, 56:] |= 2
    left, top, width, height = (round(share * side) for share in request.part)
    cut = bits[top : top + max(1, height), left : left + max(1, width)]
    return PictureReply(cut.shape[1], cut.shape[0], cut.tobytes(), side, part=request.part)


def _places(row: Row, side: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Noise, and the particles' (x, y) in it."""
    rng = np.random.default_rng(int(str(row["movie_id"]), 16))
    noise, half = rng.normal(0, 0.25, (side, side)), round(0.08 * side)
    return noise, rng.integers(half, side - half, (45, 2))


def _micrograph(row: Row, side: int) -> NDArray[Any]:
    noise, places = _places(row, side)
    image = noise + 0.5 * np.linspace(-0.5, 0.5, side)
    half = round(0.08 * side)
    v, u = np.mgrid[-half : half + 1, -half : half + 1] / (0.028 * side)
    d = np.hypot(u, v)
    particle = 0.5 * np.exp(-((d - 1.5) ** 2) * 6) - 1.3 * np.exp(-(d**4))
    for px, py in places:
        image[py - half : py + half + 1, px - half : px + half + 1] += particle
    return image


def _spectrum(row: Row, side: int) -> NDArray[Any]:
    defocus, fit = row["defocus_um"], row["ctf_fit_angstrom"]
    assert isinstance(defocus, float)
    assert isinstance(fit, float)
    rng = np.random.default_rng(int(str(row["movie_id"]), 16))
    v, u = (np.mgrid[0:side, 0:side] - side / 2) / (side / 2) / 5.0  # to 5 A at the edge
    k = np.hypot(u, v)
    z = defocus * 1e4 + 300 * np.cos(2 * (np.arctan2(v, u) + 0.6))
    chi = math.pi * 0.0197 * z * k**2 - math.pi / 2 * 2.7e7 * 0.0197**3 * k**4 + 0.1
    rings = np.sin(chi) ** 2
    seen = 0.5 + (rings - 0.5) * np.exp(-((k * fit * 0.8) ** 2)) + rng.normal(0, 0.12, (side, side))
    fitted = np.where(k < 1 / fit, rings, 0.5)
    return np.where(u < 0, seen, fitted)


def main() -> None:
    """Serves until killed; prints `ready` when it can be asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("session", type=Path)
    parser.add_argument("--movies", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--blocked", action="store_true")
    given = parser.parse_args()
    service = SyntheticService(make_rows(given.movies, given.seed), blocked=given.blocked, grid=SyntheticGrid())
    with QueryServer(given.session, service) as server:
        print("ready", flush=True)
        while True:
            server.publish(service.snapshot())
            time.sleep(1.0)


if __name__ == "__main__":
    main()
