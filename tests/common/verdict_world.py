"""A session as its daemon sees it: movies go into a real store, time goes by, and each state is built, judged by the
alert rules and shown by the daemon's own code; only the disk's free space and the workers' states are made up."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from movie_results import movie_result

from frazil.config.settings import Settings
from frazil.daemon.alerts.disk import DiskWatch
from frazil.daemon.alerts.rule_check import RuleCheck
from frazil.daemon.session.notices import Notices
from frazil.daemon.status import live_state
from frazil.daemon.status.live_state import LiveStateBuilder
from frazil.daemon.store import rebuild, result_files
from frazil.daemon.store.result_files import StoredResult
from frazil.daemon.store.rows import ADVISER, InterventionRow, MovieRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import causal_writes, movie_writes
from frazil.daemon.transport.messages import GateState, LiveState, WorkerState
from frazil.models.records import AcquisitionMetadata, CausalLosses, CtfEstimate, FrameShifts, MovieState

GB = 1 << 30
T0_US = 1_790_000_000_000_000
OPEN = GateState("open", False, "", "")
BLOCKED = GateState("blocked", True, "no way to turn the reference makes the movies even", "give the right --gain")
BOTH = (WorkerState("worker-0", state="working", done=9), WorkerState("worker-1", state="working", done=9))


class World:
    """Times in seconds since the session began."""

    def __init__(self, store: Store, folder: Path, monkeypatch: Any, **settings: Any) -> None:
        self.store, self.folder = store, folder
        self.now_s, self.movies = 0.0, 0
        self.free_bytes, self.movie_bytes = 5000 * GB, 0.02 * GB
        self.gate, self.workers, self.status, self.queue = OPEN, BOTH, "running", 0
        monkeypatch.setattr(live_state.shutil, "disk_usage", lambda _: SimpleNamespace(free=int(self.free_bytes)))
        monkeypatch.setattr(live_state.DiskMeter, "_size", lambda *_: int(self.movie_bytes))
        self.settings = Settings(**settings)
        options = SimpleNamespace(session_dir=folder, raw_root=folder / "raw", settings=self.settings)
        self.builder = LiveStateBuilder(
            options, store, self.utc_us, lambda: self.now_s, live_state.disk_meter(options, store)
        )
        self.notices = Notices(store, utc_us=self.utc_us)
        self.rules = RuleCheck(self.settings.alerts, store, self.notices, late_sidecars=lambda _: 0)
        floor_gb = self.settings.store.min_free_disk_gb
        self.disk = DiskWatch(folder, floor_gb, self.notices, lambda _: None, free_bytes=lambda _: int(self.free_bytes))

    def utc_us(self) -> int:
        return T0_US + int(self.now_s * 1e6)

    def state(self) -> LiveState:
        """As the daemon's loop makes it: the disk is looked at, the state built, then the rules look at it. Twice, as
        what the rules tell is in the next one."""
        for _ in range(2):
            self.disk.look()
            self.store.flush()
            state = self.builder.build(
                status=self.status, workers=self.workers, gate=self.gate, queue_depth=self.queue, analysis=None
            )
            self.rules.step(state, expecting=self.status != "finished")
            self.now_s += 1.0
        return state

    def wait(self, seconds: float, every_s: float = 60.0) -> LiveState:
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s = min(end_s, self.now_s + every_s)
            state = self.state()
        return state

    def movie(
        self,
        *,
        fit_angstrom: float | None = 3.8,
        early_angstrom: float = 2.0,
        ice_nm: float | None = 45.0,
        kept: bool = True,
        cause: str = "",
        after_s: float = 30.0,
    ) -> None:
        """One more, found and done; `kept` False: a threshold rejects it."""
        self.now_s += after_s
        number, self.movies = self.movies, self.movies + 1
        still = (0.0,) * 4
        losses = CausalLosses(("ice",), (0.1,), ((0.3,),), ((0.1,),), 1, cause, 0.5 if cause else 0.0, (), ice_nm, 8.0)
        result = movie_result(
            f"m{number:04d}",
            shifts=FrameShifts(still, still, (0.1,) * 4, early_angstrom + 2, early_angstrom, 1.0, converged=True),
            ctf=CtfEstimate(15_000.0, 14_900.0, 20.0, 0.0, 20.0, 20.0, fit_angstrom, 0.4, 0.1, reliable=True),
            losses=losses,
        )
        row = self._row(number, self.utc_us() - 8_000_000)
        stored = StoredResult(row, result, self.utc_us(), 8.0)
        result_files.write_result(self.folder, stored)
        self.store.submit(rebuild.adopt, stored).result()
        if not kept:
            self.sql(
                "UPDATE movies SET state = 'rejected', rejection_reason = ? WHERE movie_id = ?",
                "astigmatism",
                row.movie_id,
            )
        self.free_bytes -= self.movie_bytes

    def _row(self, number: int, found_utc_us: int) -> MovieRow:
        return MovieRow(
            movie_id=f"m{number:04d}",
            relative_path=f"{number}.tif",
            generation=0,
            found_utc_us=found_utc_us,
            sequence=number,
            stem=str(number),
            complete_utc_us=found_utc_us,
            metadata=AcquisitionMetadata(voltage_kv=300.0),
        )

    def good(self, count: int, **how: Any) -> None:
        for _ in range(count):
            self.movie(**how)

    def found(self, count: int) -> None:
        """Movies that come and are not processed."""
        for _ in range(count):
            number, self.movies = self.movies, self.movies + 1
            row = self._row(number, self.utc_us())
            self.store.submit(movie_writes.register_movie, row).result()
            self.sql("UPDATE movies SET state = ? WHERE movie_id = ?", MovieState.QUEUED.value, row.movie_id)

    def advise(self, *, gain: float, low: float, net: float) -> None:
        row = InterventionRow(
            intervention_id="advice-01", created_utc_us=self.utc_us(), factor="motion", scope="session",
            sentence="wait 10 s longer after moving the stage: signal at 5 A x1.4", who=ADVISER,
            gain_ln_ssnr=gain, gain_sd=0.1, gain_low_ln_ssnr=low, gain_high_ln_ssnr=2 * gain - low, place=1,
            net_ln_ssnr=net, pays_probability=0.99,
        )  # fmt: skip
        self.store.submit(causal_writes.replace_advice, (row,), ()).result()

    def sql(self, text: str, *values: object) -> None:
        self.store.submit(lambda connection: connection.execute(text, list(values)) and None).result()
