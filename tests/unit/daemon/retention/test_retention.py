"""What may go from finished sessions goes, and nothing else: not the database, not raw movies, not what runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from movie_results import movie_result
from typer.testing import CliRunner

from frazil.config.errors import NotThereError, RetryLaterError, SessionLockedError, UsageError
from frazil.config.serving import RetentionRules
from frazil.daemon.cli.main import build
from frazil.daemon.cli.status import state_of
from frazil.daemon.http.pictures import PictureDesk
from frazil.daemon.report.summary.collect import summarise
from frazil.daemon.report.summary.text import to_json, to_text
from frazil.daemon.retention.plan import SessionPlan, plan_retention
from frazil.daemon.retention.remove import remove
from frazil.daemon.status.reads import picture_of
from frazil.daemon.store.lock import SessionLock
from frazil.daemon.store.reading import FileReader
from frazil.daemon.store.removed import REMOVED_NAME, check_not_removed, removals
from frazil.daemon.store.rows import MovieRow, SessionRow
from frazil.daemon.store.store import Store
from frazil.daemon.store.writes import movie_writes, session_writes
from frazil.daemon.transport.messages import Picture
from frazil.models.records import MovieFiles

DAY_US = 86_400_000_000
ENDED_UTC_US = 1_790_000_000_000_000
KEPT = {
    "session.duckdb", "settings.yaml", "motion/a.star", "restored/networks/v0001.npz", "thumbnails/a.png",
    "maps/map.mrc", "results/a.msgpack", "logs/daemon.log", "particles/list.star", "export/a.mrc",
}  # fmt: skip
GONE = {
    "restored": {"restored/a.mrc", "restored/lessons/a.npz"},
    "particles": {"particles/a.mrcs", "particles/sq1__a.mrcs"},
    "sums": {"motion/a.mrc", "motion/a_EVN.mrc", "motion/a_noDW.mrc"},
}
ALL = RetentionRules(restored_days=10, particles_days=20, sums_days=30)


def add_movie(store: Store, stem: str, relative_path: str) -> None:
    """Processed; its sums have the names of `GONE`."""
    store.submit(movie_writes.register_movie, MovieRow(stem, relative_path, 0, 1, sequence=1, stem=stem)).result()
    sums = MovieFiles(
        micrograph=f"motion/{stem}.mrc",
        micrograph_no_dose_weighting=f"motion/{stem}_noDW.mrc",
        even=f"motion/{stem}_EVN.mrc",
    )
    result = movie_result(stem, files=sums)
    store.submit(movie_writes.record_result, result, ready_utc_us=2, lag_s=1.0, rejection_reason=None).result()


def session(folder: Path, raw: Path, *, closed: bool = True) -> Path:
    """A finished session of one movie, with a file of 1000 bytes of each kind; a link leads out of it."""
    row = SessionRow(folder.name, folder.name, str(raw), ENDED_UTC_US - DAY_US, "", "0.1.0")
    for made in (raw, folder):
        made.mkdir(parents=True, exist_ok=True)
    with Store.open(folder, now_utc_us=1) as store:
        store.submit(session_writes.create_session, row).result()
        add_movie(store, "a", "movie.mrc")
        if closed:
            store.submit(session_writes.finish_session, ENDED_UTC_US).result()
    for name in KEPT.union(*GONE.values()) - {"session.duckdb"}:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1000))
    (raw / "movie.mrc").write_bytes(bytes(10))
    (folder / "motion" / "linked.mrc").symlink_to(raw / "movie.mrc")
    return folder


def plans(root: Path, days: float, rules: RetentionRules = ALL) -> list[SessionPlan]:
    return list(plan_retention(root, rules, state_of, now_utc_us=ENDED_UTC_US + int(days * DAY_US)))


def files(folder: Path) -> set[str]:
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return found - {"session.lock", "session.duckdb.wal", REMOVED_NAME, "motion/linked.mrc"}


@pytest.fixture
def night(tmp_path: Path) -> Path:
    return session(tmp_path / "sessions" / "night", tmp_path / "raw")


@pytest.mark.parametrize(
    ("days", "kinds"),
    [(9.9, ()), (10, ("restored",)), (25, ("restored", "particles")), (31, ("restored", "particles", "sums"))],
)
def test_each_kind_goes_by_its_own_age_and_the_plan_touches_nothing(
    night: Path, days: float, kinds: tuple[str, ...]
) -> None:
    before = files(night)
    (plan,) = plans(night.parent, days)
    assert tuple(one.kind for one in plan.removable) == kinds
    for one in plan.removable:
        assert {str(path.relative_to(night)) for path in one.files} == GONE[one.kind]
        assert one.size_bytes == 1000 * len(GONE[one.kind])
    assert files(night) == before
    assert plan.ended_days == pytest.approx(days)


def test_what_is_removed_is_what_was_planned_and_is_noted(night: Path, tmp_path: Path) -> None:
    (plan,) = plans(night.parent, 31)
    done = remove(plan, by="em@scope", now_utc_us=ENDED_UTC_US + 31 * DAY_US)
    assert (done.files, done.size_bytes, done.failed) == (7, 7000, ())
    assert files(night) == KEPT
    assert (tmp_path / "raw" / "movie.mrc").stat().st_size == 10
    assert (night / "motion" / "linked.mrc").is_symlink()
    assert [(one.kind, one.files, one.by) for one in removals(night)] == [
        ("restored", 2, "em@scope"), ("particles", 2, "em@scope"), ("sums", 3, "em@scope"),
    ]  # fmt: skip
    assert plans(night.parent, 32)[0].removable == ()


def test_summary_page_and_screen_say_when_and_by_whom(night: Path) -> None:
    (plan,) = plans(night.parent, 31)
    remove(plan, by="em@scope", now_utc_us=ENDED_UTC_US)
    words = "restored micrographs (2 files, 0.0 GB) were removed on 2026-09-21 by em@scope"
    with FileReader(night) as reader:
        summary = summarise(reader, night, now_utc_us=ENDED_UTC_US, live=False)
    assert words in summary.removed
    assert words in to_text(summary)
    assert words in json.loads(to_json(summary))["removed"]
    movie = {"restored_path": "restored/a.mrc", "thumbnail_path": None, "micrograph_path": "motion/a.mrc"}
    desk = PictureDesk(night, lambda movie_id: movie)
    with pytest.raises(NotThereError, match=r"restored micrographs .* were removed on 2026-09-21 by em@scope"):
        desk.picture("m", "restored", small=False, width_px=100)
    with pytest.raises(NotThereError, match=r"motion-corrected sums .* were removed"):
        desk.micrograph_file("m", "sum")

    class OneMovie:
        def named(self, name: str, params: object = None) -> object:
            return type("Rows", (), {"as_dicts": lambda self: [movie]})()

    with pytest.raises(NotThereError, match=r"restored micrographs .* were removed"):
        picture_of(OneMovie(), night, Picture("m", "restored", 100, 100))  # type: ignore[arg-type]
    # What is missing for another reason is told as before, and so is what is there again.
    check_not_removed(night, night / "thumbnails" / "none.png")
    (night / "restored" / "a.mrc").touch()
    check_not_removed(night, night / "restored" / "a.mrc")


def test_nothing_of_a_session_that_runs_or_may_go_on(tmp_path: Path) -> None:
    night = session(tmp_path / "s" / "night", tmp_path / "raw")
    session(tmp_path / "s" / "killed", tmp_path / "raw", closed=False)
    (planned,) = (plan for plan in plans(tmp_path / "s", 31) if plan.folder == night)
    with SessionLock(night):
        why = {plan.folder.name: (plan.why_not, plan.removable) for plan in plans(tmp_path / "s", 31)}
        assert why == {
            "killed": ("nobody closed it: `frazil watch` on it finishes it", ()),
            "night": ("it runs", ()),
        }
        with pytest.raises(SessionLockedError):
            remove(planned, by="x", now_utc_us=1)
    with Store.open(night, now_utc_us=2) as store:  # somebody has gone on with it, and ended it again
        store.submit(session_writes.finish_session, ENDED_UTC_US + 1).result()
    with pytest.raises(RetryLaterError, match="gone on with this session"):
        remove(planned, by="x", now_utc_us=1)
    assert files(night) == KEPT.union(*GONE.values())
    assert removals(night) == ()


def test_sums_stay_where_the_movies_are_gone(night: Path, tmp_path: Path) -> None:
    (tmp_path / "raw" / "movie.mrc").unlink()
    (tmp_path / "raw").rmdir()
    (plan,) = plans(night.parent, 31)
    assert [one.kind for one in plan.removable] == ["restored", "particles"]
    assert plan.why_not == "its sums stay: the movies are not there any more"


def test_the_sum_of_a_movie_that_is_gone_stays_and_the_others_go(tmp_path: Path) -> None:
    night, raw = tmp_path / "s" / "night", tmp_path / "raw"
    session(night, raw, closed=False)
    with Store.open(night, now_utc_us=2) as store:
        for stem in ("b", "c's"):
            (night / "motion" / f"{stem}.mrc").write_bytes(bytes(1000))
            (raw / f"{stem}.mrc").touch()
            add_movie(store, stem, f"{stem}.mrc")
        store.submit(session_writes.finish_session, ENDED_UTC_US).result()
    (night / "motion" / "whose.mrc").touch()
    (raw / "b.mrc").unlink()
    (plan,) = plans(tmp_path / "s", 31)
    assert plan.why_not == "2 of its sums stay: their movies are not there any more, or not known"
    remove(plan, by="x", now_utc_us=1)
    left = {path.name for path in (night / "motion").glob("*.mrc") if not path.is_symlink()}
    assert left == {"b.mrc", "whose.mrc"}


def test_a_folder_that_is_a_link_and_one_with_raw_movies_are_left_alone(tmp_path: Path) -> None:
    night = session(tmp_path / "s" / "night", tmp_path / "s" / "night" / "motion" / "raw")
    elsewhere = tmp_path / "elsewhere"
    (night / "restored").rename(elsewhere)
    (night / "restored").symlink_to(elsewhere)
    assert [one.kind for one in plans(tmp_path / "s", 31)[0].removable] == ["particles"]


def test_the_verb_is_dry_unless_it_is_told_otherwise(night: Path) -> None:
    app = build("retain")
    before = files(night)
    words = ["retain", str(night.parent), "--restored-days", "1"]
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0, shown.output
    assert "restored micrographs 2 files 0.00 GB" in shown.output
    assert "could be removed (--remove does it)" in shown.output
    assert files(night) == before
    shown = CliRunner().invoke(app, [*words, "--remove", "--json"])
    (row,) = json.loads(shown.output)
    assert (row["removed_files"], row["removed_bytes"], row["failed"]) == (2, 2000, [])
    assert before - files(night) == GONE["restored"]
    refused = CliRunner().invoke(app, ["retain", str(night.parent), "--remove"])
    assert isinstance(refused.exception, UsageError)


def test_a_file_that_cannot_be_removed_is_named(night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (plan,) = plans(night.parent, 11)
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".npz":
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    done = remove(plan, by="x", now_utc_us=1)
    assert (done.files, done.failed) == (1, (f"{night / 'restored/lessons/a.npz'}: Permission denied",))
