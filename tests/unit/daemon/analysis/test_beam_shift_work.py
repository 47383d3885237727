"""EPU's beam shift calibrated while a session runs: a known matrix goes in as EPU's files, and comes back, is used and
told; or it does not, and the reason is."""

from __future__ import annotations

import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from grid_files import hole_xml, shared, square_xml

from frazil.config.settings import Settings
from frazil.daemon.analysis.targets import beam_shift as module
from frazil.daemon.analysis.targets.beam_shift import ALERT, BeamShiftWork
from frazil.daemon.analysis.targets.book import GridBook
from frazil.daemon.analysis.targets.desk import GridDesk
from frazil.daemon.report.next_targets import next_answer, next_lines
from frazil.daemon.store.reading import open_session
from frazil.daemon.store.rows import SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.target_rows import BeamShiftRow
from frazil.daemon.store.writer import WritePolicy
from frazil.daemon.store.writes import movie_writes, session_writes
from frazil.models.formats.epu_xml import read_epu_xml
from frazil.models.formats.sidecar import read_sidecar
from frazil.models.optics.beam_shift_calibration import BeamShiftAnswer
from frazil.models.optics.beam_shift_history import WINDOW
from frazil.models.records import AcquisitionMetadata

LONG_S = 30.0
RING = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]


def matrix_of(scale_um: float, *, turn_deg: float = 27.0) -> np.ndarray:
    turn = np.deg2rad(turn_deg)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return scale_um * rotation @ np.diag([1.01, -0.99])


@dataclass(frozen=True)
class Shot:
    """One exposure with its truth."""

    number: int
    hole_um: np.ndarray
    stage_um: np.ndarray
    shift: np.ndarray
    square: int

    @property
    def said(self) -> AcquisitionMetadata:
        return AcquisitionMetadata(
            stage_x_um=float(self.stage_um[0]),
            stage_y_um=float(self.stage_um[1]),
            beam_shift_x_au=float(self.shift[0]),
            beam_shift_y_au=float(self.shift[1]),
            hole=str(self.number),
            beam_shift_group="5",
            grid_square=str(self.square),
        )


def shots(count: int, matrix: np.ndarray, *, seed: int = 0, square: int = 77, first: int = 1) -> list[Shot]:
    """Clusters of nine holes of one lattice; the stage misses the middle by 0.3 um and is read with an error."""
    rng = np.random.default_rng(seed)
    film = 2.5 * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    found: list[Shot] = []
    while len(found) < count:
        cluster = len(found) // len(RING)
        centre = np.array([4 * (cluster % 8), 4 * (cluster // 8)]) + rng.integers(0, 2, 2)
        stage = film @ centre + rng.normal(0, 0.3, 2)
        read = stage + rng.normal(0, 0.03, 2)
        for step in RING[: count - len(found)]:
            hole = film @ (centre + np.array(step))
            shift = np.linalg.solve(matrix, hole - stage) + rng.normal(0, 0.0004, 2)
            found.append(Shot(first + len(found), hole, read, shift, square))
    return found


class Memory:
    """As much of a store as this needs: movies in, calibrations kept."""

    def __init__(self, taken: Sequence[AcquisitionMetadata]) -> None:
        self.movies = [(number, msgspec.json.encode(one).decode()) for number, one in enumerate(taken)]
        self.visible = len(self.movies)
        self.kept: dict[int, BeamShiftRow] = {}
        self.read = 0

    def rows(self, sql: str, *args: object) -> list[tuple[Any, ...]]:
        if "FROM movies" in sql:
            found = [row for row in self.movies[: self.visible] if row[0] > args[0]]
            self.read += len(found)
            return found
        return [_row(row) for _, row in sorted(self.kept.items())]

    def write(self, _: object, __: object, row: BeamShiftRow) -> None:
        self.kept[row.exposures] = row


def _row(row: BeamShiftRow) -> tuple[Any, ...]:
    found = row.answer.calibration
    if found is None:
        return (row.exposures, *[None] * 12, row.answer.reason, row.words)
    numbers = [value for matrix in (found.um_per_unit, found.error_um_per_unit) for line in matrix for value in line]
    facts = found.residual_um, found.cluster_count, found.hole_count, found.coherence
    return row.exposures, *numbers, *facts, row.answer.reason, row.words


def work_on(memory: Memory, setting_um: float | None = None) -> BeamShiftWork:
    return BeamShiftWork(memory, setting_um, lambda: 1)  # type: ignore[arg-type]


def feed(memory: Memory, work: BeamShiftWork, *, batch: int = 7) -> None:
    """Movies that come in, some at a time."""
    for visible in range(batch, len(memory.movies) + batch, batch):
        memory.visible = min(visible, len(memory.movies))
        work.changed()
        work.step(GridBook(), everything=False)


def metadata(*stretches: Sequence[Shot]) -> list[AcquisitionMetadata]:
    return [one.said for stretch in stretches for one in stretch]


def told(work: BeamShiftWork) -> dict[str, str]:
    """The last word on each alert."""
    return {notice.alert_id: notice.text for notice in work.notices}


def test_the_matrix_comes_back_and_is_told_once() -> None:
    truth = matrix_of(24.7)
    memory = Memory(metadata(shots(200, truth)))
    work = work_on(memory)
    feed(memory, work)
    assert work.um_per_shift is not None
    np.testing.assert_allclose(np.array(work.um_per_shift), truth, atol=0.25)
    (text,) = [notice.text for notice in work.notices if notice.alert_id == ALERT]
    assert text.startswith("EPU's beam shift: 24.7")
    assert "um for 1, from " in text
    counts = list(memory.kept)
    assert counts == sorted(counts)
    assert counts[-1] <= 200


def test_the_same_exposures_give_the_same_whatever_their_pace() -> None:
    taken = metadata(shots(200, matrix_of(24.7)))
    found = []
    for batch in (3, 200):
        memory = Memory(taken)
        work = work_on(memory)
        feed(memory, work, batch=batch)
        work.step(GridBook(), everything=True)
        assert list(memory.kept)[-1] == 200, "in the end everything counts"
        found.append(work.um_per_shift)
    assert found[0] == found[1]


def test_a_restart_goes_on_and_tells_nothing_again(monkeypatch) -> None:
    memory = Memory(metadata(shots(200, matrix_of(24.7))))
    first = work_on(memory)
    feed(memory, first)
    monkeypatch.setattr(module, "calibrate_beam_shift", lambda _: pytest.fail("it is in the store"))
    again = work_on(memory)
    again.step(GridBook(), everything=False)
    assert again.um_per_shift == first.um_per_shift
    assert [notice for notice in again.notices if notice.text] == []


def test_another_length_in_the_middle_is_told_and_places_nothing_until_it_is_sure() -> None:
    before, after = shots(220, matrix_of(24.7)), shots(680, matrix_of(27.5), seed=1, square=78, first=221)
    memory = Memory(metadata(before, after))
    work = work_on(memory)
    doubts: list[bool] = []
    for visible in range(20, len(memory.movies) + 20, 20):
        memory.visible = min(visible, len(memory.movies))
        work.changed()
        work.step(GridBook(), everything=False)
        doubts.append(bool(told(work).get(f"{ALERT}-changed")))
    assert any(doubts)
    assert not doubts[-1], "and it is over when the next one agrees"
    texts = [notice.text for notice in work.notices if notice.alert_id == f"{ALERT}-changed" and notice.text]
    assert len(texts) == 1
    assert "27.5" in texts[0]
    assert work.um_per_shift is not None
    np.testing.assert_allclose(np.array(work.um_per_shift), matrix_of(27.5), atol=0.3)


def test_a_persons_setting_stands_and_one_that_disagrees_is_told() -> None:
    taken = metadata(shots(200, matrix_of(24.7)))
    near, far = work_on(Memory(taken), 25.0), work_on(Memory(taken), 30.0)
    for work in (near, far):
        work.step(GridBook(), everything=True)
    assert near.um_per_shift is not None
    assert [notice.text for notice in near.notices if notice.text] == []
    assert far.um_per_shift is None
    assert "says 30: the setting stands" in told(far)[f"{ALERT}-setting"]

    corrected = BeamShiftWork(far.store, None, lambda: 1)
    corrected.step(GridBook(), everything=False)
    assert corrected.um_per_shift is not None
    assert told(corrected)[f"{ALERT}-setting"] == "", "it is over"
    assert not any("says 30" in row.words for row in list(far.store.kept.values())[-1:])  # type: ignore[attr-defined]


def test_without_a_shift_nothing_is_said_and_with_too_few_clusters_why() -> None:
    unshifted = [AcquisitionMetadata(stage_x_um=3.0 * n, stage_y_um=0.0, beam_shift_x_au=0.0, beam_shift_y_au=0.0)
                 for n in range(60)]  # fmt: skip
    memory = Memory(unshifted)
    feed(memory, work_on(memory))
    assert memory.kept == {}
    memory = Memory([AcquisitionMetadata(stage_x_um=1.0, stage_y_um=1.0) for _ in range(60)])
    feed(memory, work_on(memory))
    assert memory.kept == {}, "SerialEM does not say it"
    memory = Memory(metadata(shots(27, matrix_of(24.7))))
    work = work_on(memory)
    feed(memory, work)
    assert work.um_per_shift is None
    assert "the stage stood at" in list(memory.kept.values())[-1].words


def test_ten_thousand_exposures_cost_no_more_than_the_first(monkeypatch) -> None:
    sizes: list[int] = []

    def counted(some: Sequence[object]) -> BeamShiftAnswer:
        sizes.append(len(some))
        return BeamShiftAnswer(None, "not looked at")

    monkeypatch.setattr(module, "calibrate_beam_shift", counted)
    one = shots(9, matrix_of(24.7))
    memory = Memory([one[number % 9].said for number in range(10_000)])
    feed(memory, work_on(memory), batch=50)
    assert max(sizes) == WINDOW
    assert len(sizes) < 60
    assert memory.read < 6 * 10_000, "of the movies only the newest are looked at again"

    sizes.clear()
    old = Memory([one[number % 9].said for number in range(10_000)])
    work_on(old).step(GridBook(), everything=False)
    assert len(sizes) <= 2, "a long session that comes without calibrations is not gone through again"


def test_real_exposures_of_epu(tmp_path: Path) -> None:
    with tarfile.open(shared("epu26_afis_exposures.tar.gz")) as archive:
        archive.extractall(tmp_path, filter="data")
    paths = [path for path in sorted(tmp_path.rglob("FoilHole_*.xml")) if not path.stem.endswith("_Fractions")]
    memory = Memory([read_epu_xml(path) for path in paths])
    work = work_on(memory)
    feed(memory, work)
    work.step(GridBook(), everything=True)
    words = list(memory.kept.values())[-1].words
    assert words == "EPU's beam shift: 24.33 +- 0.02 um for 1, from 63 holes (mirrored and turned by 26 degrees)"


# --- a simulated folder of EPU, and the desk over it --------------------------------------------------------------


def exposure_xml(shot: Shot) -> str:
    x_m, y_m = (shot.stage_um * 1e-6).tolist()
    shift_x, shift_y = shot.shift.tolist()
    return (
        "<MicroscopeImage><microscopeData><acquisition><camera><ExposureTime>2</ExposureTime></camera></acquisition>"
        f"<optics><BeamShift><_x>{shift_x!r}</_x><_y>{shift_y!r}</_y></BeamShift></optics>"
        f"<stage><Position><A>0</A><B>0</B><X>{x_m!r}</X><Y>{y_m!r}</Y><Z>0</Z></Position></stage>"
        "</microscopeData></MicroscopeImage>"
    )


class Session:
    """EPU's folder with its movies in the store, the last of them under a name that says nothing."""

    def __init__(self, store: Store, put: Callable[..., Any], root: Path, taken: Sequence[Shot]) -> None:
        self.store, self.root = store, root
        raw = root / "raw"
        (raw / "Metadata").mkdir(parents=True)
        row = SessionRow("s", "s", str(raw), 1, "{}", "1")
        store.write(WritePolicy.DURABLE, session_writes.create_session, row)
        holes = "".join(
            hole_xml(one.number, 10.0 * one.number, 5.0, tuple(one.hole_um.tolist()), order=n)
            for n, one in enumerate(taken)
        )
        (raw / "Metadata" / "GridSquare_77.dm").write_text(square_xml(holes, number=77), encoding="utf-8")
        data = raw / "Images-Disc1" / "GridSquare_77" / "Data"
        data.mkdir(parents=True)
        for n, one in enumerate(taken):
            path = data / f"FoilHole_{one.number}_Data_5_6_20260101_1010{n % 60:02d}.xml"
            path.write_text(exposure_xml(one), encoding="utf-8")
            movie_id = put(n).movie_id
            name = "moved/by_hand.tif" if one is taken[-1] else str(path.with_suffix(".tif").relative_to(raw))
            change = "UPDATE movies SET relative_path = ? WHERE movie_id = ?"
            store.write(WritePolicy.DURABLE, lambda c, v=(change, [name, movie_id]): c.execute(*v))
            said = read_sidecar(path)
            if one is taken[-1]:
                said = AcquisitionMetadata(
                    stage_x_um=said.stage_x_um, stage_y_um=said.stage_y_um,
                    beam_shift_x_au=said.beam_shift_x_au, beam_shift_y_au=said.beam_shift_y_au,
                )  # fmt: skip
            store.submit(movie_writes.update_metadata, movie_id, said, "").result()

    def linked(self) -> list[tuple[str, str]]:
        links = "movie_targets JOIN movies USING (movie_id)"
        return self.store.rows(f"SELECT hole_id, linked_by FROM {links} WHERE relative_path LIKE 'moved%'")


@pytest.fixture
def desk(context) -> Iterator[Callable[..., GridDesk]]:
    made: list[GridDesk] = []

    def make(**microscope: object) -> GridDesk:
        settings = Settings.model_validate({"microscope": microscope})
        made.append(GridDesk(context(settings=settings, clock=time.monotonic, utc_us=lambda: time.time_ns() // 1000)))
        ends_s = time.monotonic() + LONG_S
        while not made[-1].drained(final=True) and time.monotonic() < ends_s:
            time.sleep(0.01)
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_movie_without_a_name_finds_its_hole_by_the_calibrated_shift(desk, store, put, tmp_path, alerts) -> None:
    taken = shots(40, matrix_of(24.7))
    session = Session(store, put, tmp_path, taken)
    desk()
    assert session.linked() == [(f"epu:hole:{taken[-1].number}", "stage")]
    assert len([text for text in alerts() if text.startswith("EPU's beam shift: 24.7")]) == 1
    (row,) = store.named("beam_shift").as_dicts()
    assert row["um_per_unit"] == pytest.approx(24.7 * (1.01 * 0.99) ** 0.5, abs=5 * row["um_per_unit_sd"] + 0.01)
    assert row["coherence"] is None, "the holes' own positions were known"
    store.close()
    with open_session(tmp_path) as reader:
        answer = next_answer(reader)
    assert answer.beam_shift in next_lines(answer, limit=5)
    assert answer.beam_shift == row["words"]


def test_a_setting_that_disagrees_leaves_it_where_it_was(desk, store, put, tmp_path, alerts) -> None:
    session = Session(store, put, tmp_path, shots(40, matrix_of(24.7)))
    desk(beam_shift_um_per_unit=12.0)
    assert session.linked() == []
    assert any("microscope.beam_shift_um_per_unit says 12: the setting stands" in text for text in alerts())
    desk(beam_shift_um_per_unit=24.5)
    assert len(session.linked()) == 1, "corrected, it is placed"
    store.flush()
    open_now = [str(row["text"]) for row in store.named("alerts", {"open_only": True, "limit": 50}).as_dicts()]
    assert not any("says 12" in text for text in open_now)
