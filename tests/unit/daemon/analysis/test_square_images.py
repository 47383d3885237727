"""Images of squares while a session runs: measured once, calibrated on exposures, told; bad ones told once."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from frazil.config.settings import Settings
from frazil.daemon.analysis.targets.book import GridBook
from frazil.daemon.analysis.targets.desk import GridDesk
from frazil.daemon.analysis.targets.exposed_ice import ExposedIce, HoleIce
from frazil.daemon.analysis.targets.grid_work import GridWork, judge_without_daemon
from frazil.daemon.analysis.targets.ice import calibrated
from frazil.daemon.analysis.targets.image_features import image_features
from frazil.daemon.analysis.targets.square_images import SquareImages
from frazil.daemon.store.rows import SessionRow
from frazil.daemon.store.target_rows import MovieTargetRow
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import session_writes, target_writes
from frazil.models.formats.mrc_write import write_mrc
from frazil.models.optics.ice import inelastic_mean_free_path_nm
from frazil.models.records import ExposureFacts, MovieEvidence
from frazil.models.simulation.grid.clock import MoveTimes
from frazil.models.simulation.grid.draw import draw_grid
from frazil.models.simulation.grid.epu_folder import EpuFolder
from frazil.models.simulation.grid.settings import grid_of_kind

ZERO = -0.03
"""What the camera misses, in ln counts."""
SMALL = grid_of_kind("gradient", 12).with_changes(
    film={"squares_a_side": 3, "surveyed_squares": 2}, damage={"crystals_a_square": 0.0, "dirty_share": 0.0},
    patches=False,
)  # fmt: skip


class Session:
    """A simulated grid on disk, two squares imaged, and the work that looks at it, with a clock that the test turns."""

    def __init__(self, context, store, root: Path) -> None:
        self.root, self.store, self.now_s = root, store, 0.0
        self.truth = draw_grid(SMALL)
        self.folder = EpuFolder(root, self.truth, MoveTimes())
        self.folder.begin("s", 1_767_225_600_000_000, output="Tiff")
        self.surveyed = [at for at, one in enumerate(self.truth.squares) if one.surveyed]
        for number, at in enumerate(self.surveyed):
            self.folder.image_square(at, 1_767_225_600_000_000 + 60_000_000 * number)
        row = SessionRow("s", "s", str(root / "raw"), 1, "{}", "1")
        store.write(WritePolicy.DURABLE, session_writes.create_session, row)
        self.context = context(settings=Settings(), clock=lambda: self.now_s, utc_us=lambda: int(1e6 * self.now_s) + 1)
        self.work = self.new_work()

    def new_work(self) -> GridWork:
        return GridWork(self.context, self.root / "raw", stop=lambda: False, now_ns=lambda: 4 * 10**18)

    def images(self) -> list[Path]:
        return sorted((self.root / "raw").rglob("GridSquare_*.mrc"))

    def expose(self, put, number: int, hole: int) -> None:
        """A movie of a hole: its counts, as a filtered camera would have them."""
        ice_nm = float(self.truth.holes.ice_nm[hole])
        noise = np.random.default_rng(number).normal(0.0, 0.01)
        counts = 5.0 * 0.83**2 * np.exp(ZERO - ice_nm / inelastic_mean_free_path_nm(300.0) + noise)
        evidence = MovieEvidence(
            (), (), (), 0.2, 40, 5.0 * 0.9, 0.0, float(counts), 0.83, 300.0, 2.7, 15_000.0, None, log_ssnr=(),
            log_ssnr_sd=0.25, exposure=ExposureFacts(stated_dose_per_frame_e_per_a2=5.0, energy_filter=True),
        )  # fmt: skip
        movie_id = put(number, evidence=evidence).movie_id
        name = f"epu:hole:{self.truth.holes.number[hole]}"
        row = MovieTargetRow(movie_id, name, name, "name")
        self.store.write(WritePolicy.DURABLE, target_writes.record_links, [row])

    def ice(self) -> dict[int, tuple[float, float]]:
        rows = self.store.rows("SELECT hole_id, ice_nm, ice_sd_nm FROM hole_ice WHERE ice_nm IS NOT NULL")
        return {int(str(name).rsplit(":", 1)[1]): (nm, sd) for name, nm, sd in rows}

    def wrong_nm(self) -> np.ndarray:
        """Error of every hole that has ice, in its own standard deviations, and in nm."""
        told, holes = self.ice(), self.truth.holes
        known = [at for at in range(len(holes)) if int(holes.number[at]) in told and holes.ice_nm[at] > 0.0]
        nm, sd = np.array([told[int(holes.number[at])] for at in known]).T
        return np.stack([nm - holes.ice_nm[known], sd])


@pytest.fixture
def session(context, store, tmp_path):
    return Session(context, store, tmp_path)


def test_ice_is_told_before_exposures_and_better_after_them(session, put, store) -> None:
    session.work.carry_out(frozenset(), final=True)
    images = store.rows("SELECT upside_down, seen_holes, abs(shift_x_px), abs(shift_y_px) FROM square_images")
    assert len(images) == 2
    for upside_down, seen, x_px, y_px in images:
        assert not upside_down
        assert seen > 150
        assert max(x_px, y_px) < 1.5
    first = session.wrong_nm()
    assert (np.abs(first[0]) < 2.0 * first[1]).mean() > 0.8, "physics alone says little, and says so"
    rng = np.random.default_rng(3)
    holes = session.truth.holes
    open_holes = np.flatnonzero(np.isin(holes.square, session.surveyed) & (holes.ice_nm > 0.0) & (holes.bar_um > 4.0))
    for number, hole in enumerate(rng.choice(open_holes, 30, replace=False).tolist()):
        session.expose(put, number, hole)
    session.work.carry_out(frozenset(), final=True)
    wrong = session.wrong_nm()
    (calibration,) = store.named("ice_calibration").as_dicts()
    assert (calibration["exposures"], calibration["images"], calibration["refused"]) == (30, 2, "")
    assert calibration["length_nm"] == pytest.approx(300.0, abs=2.5 * calibration["length_sd_nm"])
    assert wrong[1].mean() < 0.7 * first[1].mean()
    # All are off together by the exposures' own zero: what is left is how they differ.
    assert np.std(wrong[0]) < 6.0
    assert (np.abs(wrong[0]) < 2.0 * wrong[1]).mean() > 0.9

    row = store.named(
        "square_targets", {"square_id": f"epu:square:{session.truth.squares[session.surveyed[0]].number}"}
    )
    assert all(one["ice_sd_nm"] > 0.0 for one in row.as_dicts() if one["ice_nm"] is not None)
    reasons = [str(one["reason"]) for one in store.named("next_targets").as_dicts()]
    assert reasons
    assert all("; ice " in reason and reason.endswith(" nm") for reason in reasons)
    again = judge_without_daemon(store, utc_us=10**12)
    assert [one.reason for one in again.answer.ranked][:5] == reasons[:5], "without a daemon the same is known"


def test_each_image_is_measured_once(session, store) -> None:
    session.work.carry_out(frozenset(), final=True)
    measured = store.rows("SELECT square_id, measured_utc_us FROM square_images ORDER BY 1")
    session.now_s += 100.0
    session.work.carry_out(frozenset(), final=True)
    session.new_work().carry_out(frozenset(), final=True)  # as after a restart
    assert store.rows("SELECT square_id, measured_utc_us FROM square_images ORDER BY 1") == measured
    path = session.images()[0]
    os.utime(path, (1.0e9, 1.0e9))
    session.work.carry_out(frozenset(), final=True)
    now = store.rows("SELECT square_id, measured_utc_us FROM square_images ORDER BY 1")
    assert [old != new for old, new in zip(measured, now, strict=True)].count(True) == 1, "the one that has changed"


def test_half_an_image_is_told_once_and_read_when_it_is_whole(session, store) -> None:
    path = session.images()[0]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 3])
    done = session.work.carry_out(frozenset(), final=True)
    assert not done.problems
    assert len(store.rows("SELECT 1 FROM square_images")) == 1, "the other one is there"
    session.now_s += 61.0
    told = session.work.carry_out(frozenset(), final=True).problems
    assert [problem.path for problem in told] == [path]
    assert not session.work.carry_out(frozenset(), final=True).problems, "once"
    path.write_bytes(whole)
    done = session.work.carry_out(frozenset(), final=True)
    assert told[0].alert_id in done.over
    assert len(store.rows("SELECT 1 FROM square_images")) == 2


@pytest.mark.parametrize("kind", ["other size", "no image", "picture"])
def test_what_cannot_be_measured_is_told_once_and_takes_nothing_away(session, store, kind) -> None:
    session.work.carry_out(frozenset(), final=True)
    before = store.rows("SELECT * FROM hole_images ORDER BY 1")
    path = session.images()[0]
    if kind == "other size":
        write_mrc(path, np.full((700, 1440), 800, dtype=np.uint16), 485.0)
    elif kind == "no image":
        path.write_bytes(b"this is no image" * 4096)
    else:
        path.with_suffix(".jpg").write_bytes(b"grey values")
        path.unlink()
        session.work = session.new_work()
    problems = session.work.carry_out(frozenset(), final=True).problems
    assert len(problems) == 1
    assert problems[0].severity == "info"
    assert not session.work.carry_out(frozenset(), final=True).problems
    assert store.rows("SELECT * FROM hole_images ORDER BY 1") == before


def test_a_desk_drains_with_images(context, store, tmp_path) -> None:
    session = Session(context, store, tmp_path)
    desk = GridDesk(session.context, now_ns=lambda: 4 * 10**18)
    try:
        ends_s = time.monotonic() + 60.0
        while not desk.drained(final=True) and time.monotonic() < ends_s:
            time.sleep(0.02)
        assert len(store.rows("SELECT 1 FROM square_images")) == 2
    finally:
        desk.close()


def test_exposures_of_one_hole_are_one_and_those_of_others_are_left(session, put, store, tmp_path) -> None:
    session.work.carry_out(frozenset(), final=True)
    hole = int(
        np.flatnonzero((session.truth.holes.square == session.surveyed[0]) & (session.truth.holes.ice_nm > 0))[9]
    )
    unseen = int(np.flatnonzero(~np.isin(session.truth.holes.square, session.surveyed))[0])
    for number, at in enumerate((hole, hole, unseen)):
        session.expose(put, number, at)
    ice = ExposedIce(store, tmp_path)
    (told,) = ice.read(everything=True)
    assert told.hole_id == f"epu:hole:{session.truth.holes.number[hole]}"
    assert told.thickness_nm == pytest.approx(session.truth.holes.ice_nm[hole], abs=2.0 * told.zero_sd_nm)
    assert told.own_sd_nm < 4.0 < told.zero_sd_nm
    assert ice.complete


def test_a_calibration_leaves_out_what_is_not_known_and_uses_vacuum() -> None:
    rows = [("s", f"h{n}", 6.8 - 0.001 * n, 0.005, 0.01 * n - 0.5, 0.0) for n in range(100)]
    rows[5] = ("s", "h5", None, None, 0.0, 0.0)
    exposed = [HoleIce(f"h{n}", 20.0 + 0.3 * n, 5.0, 10.0) for n in range(10, 60)] + [HoleIce("other", 1.0, 1.0, 99.0)]
    zero_sd_nm, ice = calibrated(rows, exposed, {"s": (6.87, 0.01, 0.0, 0.0), "t": (9.0, 0.01, 0.0, 0.0)})
    assert (zero_sd_nm, ice.exposures, ice.references) == (10.0, 50, 1)
    assert np.isnan(ice.ice_nm[5])
    assert ice.ice_nm[80] == pytest.approx(20.0 + 0.3 * 80, abs=2.0 * ice.ice_sd_nm[80])
    assert calibrated(rows, [], {})[0] is None


def test_features_are_those_of_the_store(session, store) -> None:
    assert image_features(store) == {}
    session.work.carry_out(frozenset(), final=True)
    told = image_features(store)
    ice = session.ice()
    assert {name for name, known in told.items() if "ice_nm" in known} == {f"epu:hole:{number}" for number in ice}
    one = next(iter(ice))
    assert (told[f"epu:hole:{one}"]["ice_nm"], told[f"epu:hole:{one}"]["ice_sd_nm"]) == ice[one]


def test_images_are_left_when_the_time_is_over(session, store) -> None:
    session.work.carry_out(frozenset(), final=True)
    book = session.work._book
    store.write(WritePolicy.DURABLE, lambda connection: connection.execute("DELETE FROM square_images"))
    images = SquareImages(store, lambda: 0.0, lambda: 4 * 10**18, lambda: 1, lambda: False)
    pictures = session.work._reader.pictures
    asked = iter([False, True])
    assert not images.measure(book, pictures, until=lambda: next(asked))
    assert images.version == 1
    assert images.measure(book, pictures, until=lambda: False)
    assert images.version == 2
    assert images.measure(GridBook(), pictures, until=lambda: False), "no holes are known: nothing is measured"
