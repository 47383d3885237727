"""From what the intake says to what the store, the analysis and the intake are asked: the lifecycle's shell."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from shell_doubles import SETTINGS, Shells

from frazil.config.errors import FormatError, NotThereError, SettingsError, UsageError
from frazil.daemon.intake import instructions as intake
from frazil.daemon.processing.arrivals import Arrivals
from frazil.daemon.processing.late_sidecars import LateSidecars
from frazil.daemon.processing.places import Place
from frazil.daemon.session.registry import REPROCESS_PRIORITY, EarlierMovie
from frazil.models.formats.metadata_limits import without_impossible
from frazil.models.records import AcquisitionMetadata, MovieState

PATH = "sq1/a.tiff"
NO_PIXEL_SIZE = SETTINGS.model_copy(update={"microscope": SETTINGS.microscope.model_copy(update={"cs_mm": None})})


def announced(shells: Shells, path: str = PATH) -> str:
    name = shells.found(path)
    shells.movies.take(intake.Announce(shells.movie(path)))
    return name


def test_a_complete_movie_is_stored_with_what_it_was_taken_with_and_queued() -> None:
    shells = Shells()
    name = announced(shells)
    assert shells.store.names() == ["register_movie", "register_movie", "set_state"]
    row = shells.store.written[1][1][0]
    assert (row.movie_id, row.pixel_size_angstrom, row.complete_utc_us) == (name, 1.0, 7)
    assert shells.store.written[2][1] == (name, MovieState.QUEUED)
    assert shells.lifecycle.place(name) is Place.QUEUED
    assert shells.listener.began == [0, 0]  # found, complete


def test_an_impossible_value_is_told_once_and_moves_nothing() -> None:
    shells = Shells()
    said = without_impossible(AcquisitionMetadata(image_shift_x_um=4e6, image_shift_y_um=0.0, voltage_kv=300.0))
    for path in (PATH, "b.tiff"):
        shells.found(path)
        shells.movies.take(intake.Announce(shells.movie(path, sidecar=said)))
    ((severity, subject, text),) = shells.notices.told
    assert (severity, subject) == ("warning", "metadata")
    assert PATH in text
    assert "image_shift_x_um is 4e+06 um" in text
    known = shells.lifecycle.in_process(shells.movie("b.tiff").movie_id)
    assert known is not None
    assert known[1].acquisition.exposure.image_shift_x_um is None


def test_a_file_that_does_not_become_complete_is_waited_for_no_longer_than_is_reasonable() -> None:
    shells = Shells(arrivals=Arrivals(60.0, (5,)))
    assert shells.listener.began == [5]
    shells.found(PATH)
    shells.movies.take(intake.Announce(shells.movie("b.tiff", movie_id=shells.found("b.tiff"))))
    shells.clock.now_s += 59.0
    shells.movies.step()
    assert shells.listener.ended == []
    shells.clock.now_s += 2.0
    shells.movies.step()
    assert shells.listener.ended == [(0, None)]  # of 5 nothing is later
    shells.movies.take(intake.Announce(shells.movie(PATH)))
    assert shells.listener.began[-1] == 0, "complete after all: its end is waited for"


def test_a_missing_value_stops_a_first_start_and_sets_a_later_movie_aside() -> None:
    first = Shells(NO_PIXEL_SIZE, any_resolved=False, ask_when_unknown=True)
    with pytest.raises(SettingsError, match="cs_mm"):
        announced(first)
    assert first.store.names()[-2:] == ["register_movie", "flush"]
    later = Shells(NO_PIXEL_SIZE, any_resolved=True, ask_when_unknown=True)
    name = announced(later)
    assert later.lifecycle.place(name) is Place.SET_ASIDE
    assert later.store.written[-1][2]["stage"] == "metadata"
    assert later.listener.ended == [(0, None)]
    assert [subject for _, subject, _ in later.notices.told] == ["metadata"]


def test_a_movie_waits_for_the_gain_gate_which_is_offered_it() -> None:
    settings = SETTINGS.model_copy(update={"camera": SETTINGS.camera.model_copy(update={"no_gain": False})})
    shells = Shells(settings)
    name = announced(shells)
    assert shells.lifecycle.place(name) is Place.AWAITING_GAIN
    assert shells.lifecycle.awaiting_gain == 1


def test_what_the_intake_sets_aside_is_told_once_with_its_evidence() -> None:
    shells = Shells()
    name = shells.found(PATH)
    item = intake.Quarantine(PATH, 1, name, shells.movie(PATH).stat, "truncated", {"frames_present": 3})
    shells.movies.take(item)
    function, _, words = shells.store.written[-1]
    assert (function, words["reason"], words["evidence"]) == ("quarantine", "truncated", {"frames_present": 3})
    assert shells.notices.told == [("warning", "movie", f"{PATH} is set aside: truncated")]
    shells.movies.take(intake.Revived(PATH, 1, name, "it grew"))
    assert shells.notices.ended == [f"set-aside:{name}"], "over by itself when the file changes"


def test_a_replaced_file_outdates_the_earlier_generation() -> None:
    shells = Shells()
    old = announced(shells)
    shells.movies.take(intake.Replaced(PATH, 1, old, "its size changed"))
    assert shells.store.written[-1][:2] == ("mark_outdated", (PATH, 2))
    assert shells.listener.ended == [(0, None)]


def test_a_late_sidecar_of_a_finished_movie_is_stored_and_asks_for_another_look_where_it_changes_the_result() -> None:
    done = EarlierMovie("m1", PATH, 0, "a", MovieState.READY)
    for metadata, asked in ((AcquisitionMetadata(voltage_kv=200.0), 1), (AcquisitionMetadata(stage_x_um=1.0), 0)):
        shells = Shells(earlier=[done], exists=lambda path: True)
        shells.movies.take(intake.LateSidecar(PATH, 1, "m1", "a.xml", metadata, None))
        assert shells.store.names()[0] == "update_metadata"
        assert len(shells.asked) == asked
        assert shells.movies.waiting is bool(asked)
        assert shells.movies.late_sidecars.among(0, 1) == 1


def test_a_late_sidecar_of_a_movie_that_was_moved_away_leaves_its_result() -> None:
    shells = Shells(earlier=[EarlierMovie("m1", PATH, 0, "a", MovieState.READY)], exists=lambda path: False)
    shells.movies.take(intake.LateSidecar(PATH, 1, "m1", "a.xml", AcquisitionMetadata(voltage_kv=200.0), None))
    assert shells.store.names() == ["update_metadata"]
    assert (shells.asked, shells.lifecycle.place("m1")) == ([], Place.DONE)


def test_a_late_sidecar_of_a_waiting_movie_changes_what_it_is_processed_with() -> None:
    shells = Shells(SETTINGS.model_copy(update={"microscope": SETTINGS.microscope.model_copy(update={"cs_mm": None})}))
    name = shells.found(PATH)
    shells.movies.take(intake.Announce(shells.movie(PATH, sidecar=AcquisitionMetadata(cs_mm=2.7))))
    shells.movies.take(intake.LateSidecar(PATH, 1, name, "a.xml", AcquisitionMetadata(cs_mm=0.01), None))
    known = shells.lifecycle.in_process(name)
    assert known is not None
    assert known[1].acquisition.cs_mm == 0.01


def test_a_late_sidecar_that_contradicts_is_told_and_changes_nothing() -> None:
    shells = Shells()
    name = announced(shells)
    other = AcquisitionMetadata(pixel_size_angstrom=4.0, image_width_px=7, image_height_px=9)
    before = shells.lifecycle.in_process(name)
    shells.movies.take(intake.LateSidecar(PATH, 1, name, "a.xml", other, None))
    assert [(severity, subject) for severity, subject, _ in shells.notices.told] == [("warning", "metadata")]
    assert shells.lifecycle.in_process(name) == before


def test_a_redo_whose_file_went_away_is_made_from_what_is_stored_or_given_up() -> None:
    def nothing_stored(path: Path) -> None:
        raise FormatError("no result", path=path)

    redo = EarlierMovie("m1", PATH, 0, "a", MovieState.FAILED, REPROCESS_PRIORITY, redo=True)
    shells = Shells(earlier=[redo], stored_result=nothing_stored)
    shells.movies.take(intake.Vanished(PATH, 1, "m1"))
    assert shells.lifecycle.place("m1") is Place.GIVEN_UP
    assert shells.store.names() == ["keep_result"]


def test_a_person_queues_again_what_has_ended_and_is_told_where_everything_else_is() -> None:
    earlier = [
        EarlierMovie("bad", "b.tiff", 0, "b", MovieState.QUARANTINED),
        EarlierMovie("old", "o.tiff", 1, "o", MovieState.OUTDATED),
        EarlierMovie("done", "d.tiff", 2, "d", MovieState.READY),
    ]
    shells = Shells(earlier=earlier)
    shells.store.movie_rows = [{"movie_id": movie.movie_id, "state": movie.state.value} for movie in earlier]
    assert shells.movies.requeue("bad", accept_as_is=True) == "b.tiff is queued again"
    assert shells.store.names()[-2:] == ["requeue", "flush"]
    assert shells.store.written[-2] == ("requeue", ("bad",), {"accept_as_is": True})
    assert shells.asked[-1].accept_as_is is True
    with pytest.raises(NotThereError):
        shells.movies.requeue("nobody", accept_as_is=False)
    with pytest.raises(UsageError, match="replaced by a newer one"):
        shells.movies.requeue("old", accept_as_is=False)
    with pytest.raises(UsageError, match="file is gone"):
        shells.movies.requeue("done", accept_as_is=False)
    name = announced(shells)
    shells.store.movie_rows.append({"movie_id": name, "state": "queued"})
    assert "on its way already" in shells.movies.requeue(name, accept_as_is=False)


def test_an_alert_of_the_intake_is_told_and_ends_the_one_that_it_is_the_end_of() -> None:
    shells = Shells()
    shells.movies.take(
        intake.Alert(
            intake.Severity.INFO, "intake", "the folder is back", None, alert_id="back", over="raw-folder-lost"
        )
    )
    assert shells.notices.ended == ["raw-folder-lost"]
    assert shells.notices.told == [("info", "intake", "the folder is back")]


def test_late_sidecars_are_counted_among_the_newest_movies_of_this_run() -> None:
    late = LateSidecars(newest_before=9)
    assert late.among(newest=12, last=5) is None  # three movies in this run say nothing yet
    late.add(11)
    assert late.among(newest=12, last=5) == 1
    assert late.among(newest=20, last=5) == 0
