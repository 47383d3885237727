"""A real K3 session's arrivals, replayed: none lost, none taken twice, lag and memory reported.

    ./run bench k3_replay --data DATA [--mode paced|fast|both] [--limit N] [--json OUT.json]

`acquisition/k3_test_02_arrivals.csv` holds the time, frame count and mode of 3,200 exposures of a K3 (SerialEM): 8
modes, 1 to 40 frames. Each becomes a small movie with its frame count, in its format, under its name, followed by the
mdoc that SerialEM would have written. Every second movie appears by rename, the others grow under their final name.

    paced   100 arrivals (6 to 15 frames, LZW TIFF) at their own pace
    fast    all 3,200 in their order, as fast as they can be written

Lag is measured from outside too: from the moment the last byte of a movie (and its mdoc) was written to the time stamps
of the store.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.real_data import shared_data
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.formats.tiff_write import write_movie_tiff

PIXEL_SIZE_ANGSTROM = 0.83
"""Not in the table: a K3 at 105,000 x. Half of it in super-resolution."""
E_PER_PX_PER_FRAME = 1.0
SETTINGS = """\
motion: {patch_grid_x: 1, patch_grid_y: 1}  # 64 pixels hold no patches
ctf: {box_px: 128}
store: {min_free_disk_gb: 1}
"""
PACED_CONFIG, PACED_FIRST, PACED_COUNT = "tif/count/normed", 50, 100
FINAL = ("ready", "rejected", "quarantined")


@dataclass(frozen=True, slots=True)
class Arrival:
    """One exposure of the table."""

    config: str
    """format/mode/processing, for example `tif/super/unproc`."""
    file: str
    when: datetime
    frame_count: int
    exposure_time_s: float
    binning: float

    @property
    def relative_path(self) -> str:
        return f"{self.config.replace('/', '_')}/{self.file}"

    @property
    def super_resolution(self) -> bool:
        return self.binning < 1


def read_arrivals(path: Path) -> list[Arrival]:
    """The table, in the order of time."""
    with path.open(newline="") as stream:
        arrivals = [
            Arrival(
                row["config"],
                row["file"],
                datetime.strptime(row["DateTime"], "%d-%b-%y  %H:%M:%S"),
                int(row["NumSubFrames"]),
                float(row["ExposureTime_s"]),
                float(row["Binning"]),
            )
            for row in csv.DictReader(stream)
        ]
    return sorted(arrivals, key=lambda arrival: (arrival.when, arrival.relative_path))


def paced_stretch(arrivals: list[Arrival]) -> list[Arrival]:
    """100 arrivals in a row with a real cadence: 1 to 3 s, and about 20 s where the operator's script paused."""
    chosen = [arrival for arrival in arrivals if arrival.config == PACED_CONFIG]
    return chosen[PACED_FIRST : PACED_FIRST + PACED_COUNT]


def mdoc(arrival: Arrival) -> str:
    """As SerialEM writes it; what the table does not say (voltage, pixel size, stage) is a plausible Krios."""
    pixel = PIXEL_SIZE_ANGSTROM * (0.5 if arrival.super_resolution else 1.0)
    dose = E_PER_PX_PER_FRAME / pixel**2
    stamp = f"{arrival.when:%d-%b-%y  %H:%M:%S}"
    lines = [
        f"T = SerialEM: Titan Krios K3 timing   {stamp}",
        "Voltage = 300",
        "",
        "[FrameSet = 0]",
        "TiltAngle = 0.01",
        "StagePosition = 12.3 -45.6",
        "StageZ = -10.2",
        "Magnification = 105000",
        "Intensity = 0.1",
        f"ExposureDose = {dose * arrival.frame_count:.6g}",
        f"PixelSpacing = {pixel:g}",
        "SpotSize = 5",
        "Defocus = -1.5",
        "RotationAngle = 0",
        f"ExposureTime = {arrival.exposure_time_s:g}",
        f"Binning = {arrival.binning:g}",
        "CameraIndex = 1",
        "DividedBy2 = 0",
        # SerialEM names the reference where it did not apply it.
        *(["GainReference = CountRef.dm4"] if arrival.config.endswith("unproc") else []),
        f"SubFramePath = X:\\K3\\{arrival.file}",
        f"NumSubFrames = {arrival.frame_count}",
        f"FrameDosesAndNumber = {dose:.6g} {arrival.frame_count}",
        f"DateTime = {stamp}",
    ]
    return "\r\n".join(lines) + "\r\n"


class Courier:
    """Brings movies to the raw folder; one payload is made for each format, mode and frame count."""

    def __init__(self, raw: Path, staging: Path, size_px: int) -> None:
        self._raw, self._staging, self._size_px = raw, staging, size_px
        self._payloads: dict[tuple[str, bool, int], bytes] = {}
        self.delivered_utc_us: dict[str, int] = {}
        staging.mkdir(parents=True, exist_ok=True)

    def prepare(self, arrivals: list[Arrival]) -> None:
        for arrival in arrivals:
            self._payload(arrival)

    def deliver(self, arrival: Arrival, *, grow: bool, pause_s: float) -> None:
        """The movie, by rename or grown in place with a pause in the middle, then its mdoc."""
        target = self._raw / arrival.relative_path
        target.parent.mkdir(parents=True, exist_ok=True)
        payload = self._payload(arrival)
        if grow:
            with target.open("wb", buffering=0) as sink:
                sink.write(payload[: len(payload) // 2])
                time.sleep(pause_s)
                sink.write(payload[len(payload) // 2 :])
        else:
            staged = self._staging / arrival.file
            staged.write_bytes(payload)
            os.replace(staged, target)
        target.with_name(f"{arrival.file}.mdoc").write_text(mdoc(arrival), newline="")
        self.delivered_utc_us[arrival.relative_path] = time.time_ns() // 1000

    def _payload(self, arrival: Arrival) -> bytes:
        suffix = Path(arrival.file).suffix
        key = (suffix, arrival.super_resolution, arrival.frame_count)
        if key not in self._payloads:
            path = self._staging / f"payload{suffix}"
            frames = self._frames(arrival)
            pixel = PIXEL_SIZE_ANGSTROM * (0.5 if arrival.super_resolution else 1.0)
            if suffix == ".tif":
                write_movie_tiff(path, frames, pixel_size_angstrom=pixel)
            else:
                write_mrc(path, frames.view(np.int8), pixel)
            self._payloads[key] = path.read_bytes()
        return self._payloads[key]

    def _frames(self, arrival: Arrival) -> NDArray[Any]:
        size = self._size_px * (2 if arrival.super_resolution else 1)
        rng = np.random.default_rng([arrival.frame_count, size])
        return rng.poisson(E_PER_PX_PER_FRAME, (arrival.frame_count, size, size)).astype(np.uint8)


@dataclass(slots=True)
class _Run:
    """When things were done, in s from the start, and the daemon's memory on the way."""

    delivered_s: float = 0.0
    taken_s: float | None = None
    done_s: float | None = None
    memory_bytes: list[int] = field(default_factory=list)


def replay(
    arrivals: list[Arrival], folder: Path, *, paced: bool, workers: int, size_px: int, limit_s: float
) -> dict[str, object]:
    """Start a daemon, deliver, wait until all are done (or the time is up), stop it, and look at what it has."""
    raw, session_dir = folder / "raw", folder / "session"
    raw.mkdir(parents=True)
    (folder / "settings.yaml").write_text(SETTINGS)
    courier = Courier(raw, folder / "staging", size_px)
    courier.prepare(arrivals)
    flags = ("--no-gain", "--cs-mm", 2.7, "--workers", workers, "--config", folder / "settings.yaml")
    watch = shared_data.Watch(raw, session_dir, *flags)
    try:
        if not watch.wait(lambda state: state.get("status") == "running", 120):
            raise RuntimeError("frazil watch does not start")
        run = _deliver_and_wait(arrivals, courier, watch, paced=paced, limit_s=limit_s)
    finally:
        exit_code, asked = watch.stop()
    memory_mb = [value / 1e6 for value in run.memory_bytes]
    figures: dict[str, object] = {
        "arrivals": len(arrivals),
        "span_of_the_real_arrivals_s": (arrivals[-1].when - arrivals[0].when).total_seconds(),
        "delivered_after_s": round(run.delivered_s, 1),
        "all_in_the_store_after_s": None if run.taken_s is None else round(run.taken_s, 1),
        "all_processed_after_s": None if run.done_s is None else round(run.done_s, 1),
        "exit_code": exit_code,
        "asked_to_stop": asked,
        "load_average": [round(value, 1) for value in os.getloadavg()],
        "cores": len(os.sched_getaffinity(0)),
        "workers": workers,
        "daemon_memory_mb": {
            "start": round(memory_mb[0]),
            "largest": round(max(memory_mb)),
            "end": round(memory_mb[-1]),
        },
        "database_mb": round((session_dir / "session.duckdb").stat().st_size / 1e6, 1),
    }
    return figures | account(arrivals, session_dir, courier.delivered_utc_us)


def _deliver_and_wait(
    arrivals: list[Arrival], courier: Courier, watch: shared_data.Watch, *, paced: bool, limit_s: float
) -> _Run:
    run = _Run(memory_bytes=[watch.memory_bytes()])
    start_s, first = time.monotonic(), arrivals[0].when
    for index, arrival in enumerate(arrivals):
        if paced:
            due_s = start_s + (arrival.when - first).total_seconds()
            time.sleep(max(0.0, due_s - time.monotonic()))
        courier.deliver(arrival, grow=index % 2 == 1, pause_s=0.3 if paced else 0.0)
        if index % 50 == 49:
            run.memory_bytes.append(watch.memory_bytes())
    run.delivered_s = time.monotonic() - start_s

    def taken(state: dict[str, Any]) -> bool:
        counts = state.get("counts", {})
        return not {"found", "settling"} & counts.keys() and sum(counts.values()) >= len(arrivals)

    def done(state: dict[str, Any]) -> bool:
        run.memory_bytes.append(watch.memory_bytes())
        return sum(state.get("counts", {}).get(name, 0) for name in FINAL) >= len(arrivals)

    all_taken = watch.wait(taken, limit_s)
    taken_s = time.monotonic() - start_s
    all_done = watch.wait(done, max(1.0, limit_s - (taken_s - run.delivered_s)))
    run.taken_s = taken_s if all_taken else None
    run.done_s = time.monotonic() - start_s if all_done else None
    run.memory_bytes.append(watch.memory_bytes())
    return run


def account(arrivals: list[Arrival], session_dir: Path, delivered_utc_us: dict[str, int]) -> dict[str, object]:
    """Every arrival against the store's rows: lost, taken twice, with the right frame count; lags."""
    movies = shared_data.rows(
        session_dir,
        "SELECT relative_path, generation, state, frame_count, flags, failure_reason, complete_utc_us, ready_utc_us, "
        "lag_s, sidecar_path FROM movies",
    )
    by_path: dict[str, list[dict[str, Any]]] = {}
    for movie in movies:
        by_path.setdefault(movie["relative_path"], []).append(movie)
    states: dict[str, int] = {}
    for movie in movies:
        states[movie["state"]] = states.get(movie["state"], 0) + 1
    processed = [movie for movie in movies if movie["ready_utc_us"] is not None]
    taken = [movie for movie in movies if movie["complete_utc_us"] is not None]
    frames = {arrival.relative_path: arrival.frame_count for arrival in arrivals}
    results = list((session_dir / "results").rglob("*")) if (session_dir / "results").exists() else []
    by_stage = shared_data.rows(
        session_dir, "SELECT count(*) AS n FROM (SELECT movie_id FROM stages WHERE stage = 'ctf' GROUP BY movie_id)"
    )

    def since_delivery(name: str, chosen: list[dict[str, Any]]) -> dict[str, float]:
        return quantiles([(m[name] - delivered_utc_us[m["relative_path"]]) / 1e6 for m in chosen])

    return {
        "rows": len(movies),
        "lost": sorted(set(frames) - set(by_path)),
        "twice": sorted(path for path, found in by_path.items() if len(found) > 1),
        "strangers": sorted(set(by_path) - set(frames)),
        "states": states,
        "processed": len(processed),
        "results_by_stage": by_stage[0]["n"],
        "result_files": sum(path.is_file() for path in results),
        "wrong_frame_count": [m["relative_path"] for m in taken if m["frame_count"] != frames[m["relative_path"]]],
        "without_sidecar": [m["relative_path"] for m in taken if m["sidecar_path"] is None],
        "set_aside": {m["relative_path"]: m["failure_reason"] for m in movies if m["state"] == "quarantined"},
        "single_frame_flagged": sum("single-frame" in (m["flags"] or "") for m in processed),
        "single_frame_sent": sum(count == 1 for count in frames.values()),
        "written_to_taken_s": since_delivery("complete_utc_us", taken),
        "written_to_ready_s": since_delivery("ready_utc_us", processed),
        "found_to_ready_s": quantiles([m["lag_s"] for m in processed if m["lag_s"] is not None]),
    }


def quantiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    p50, p95 = np.percentile(values, (50, 95))
    return {"p50": round(float(p50), 2), "p95": round(float(p95), 2), "max": round(max(values), 2)}


def show(name: str, figures: dict[str, object]) -> None:
    print(f"\n{name}")
    for key, value in figures.items():
        text = f"{len(value)}: {value[:3]}" if isinstance(value, list) else value
        if isinstance(value, dict) and len(value) > 8:
            text = f"{len(value)}: {dict(itertools.islice(value.items(), 3))}"
        print(f"  {key.replace('_', ' '):28s} {text}")


def holds(figures: dict[str, Any]) -> bool:
    """None lost, none twice, nothing set aside, every frame count right."""
    bad = ("lost", "twice", "strangers", "wrong_frame_count", "set_aside")
    return not any(figures[name] for name in bad) and figures["exit_code"] == 0


def main() -> int:
    parser = shared_data.parser(__doc__)
    parser.add_argument("--mode", choices=("paced", "fast", "both"), default="both")
    parser.add_argument("--limit", type=int, help="only the first so many arrivals of each replay")
    parser.add_argument("--size-px", type=int, default=64, help="of a counted frame; super-resolution has twice that")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limit-s", type=float, default=900.0, help="wait so long for the processing to end")
    args: argparse.Namespace = parser.parse_args()
    table = shared_data.data_file(args, "acquisition/k3_test_02_arrivals.csv")
    if table is None:
        return 0
    arrivals = read_arrivals(table)
    folder = args.keep or Path(tempfile.mkdtemp(prefix="k3-replay-"))
    figures: dict[str, dict[str, object]] = {}
    try:
        for mode in ("paced", "fast") if args.mode == "both" else (args.mode,):
            chosen = paced_stretch(arrivals) if mode == "paced" else arrivals
            figures[mode] = replay(
                chosen[: args.limit],
                folder / mode,
                paced=mode == "paced",
                workers=args.workers,
                size_px=args.size_px,
                limit_s=args.limit_s,
            )
            show(mode, figures[mode])
            shared_data.write_json(args, figures)
    finally:
        if args.keep is None:
            shutil.rmtree(folder)
    return 0 if all(holds(mode) for mode in figures.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
