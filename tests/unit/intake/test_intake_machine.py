"""The intake machine as plain function calls: each rule, and each fault of a session."""

from __future__ import annotations

import pytest

from frazil.config.settings import IntakeSettings
from frazil.daemon.intake import events as ev
from frazil.daemon.intake import instructions as do
from frazil.daemon.intake.identity import FileStat, movie_id
from frazil.daemon.intake.machine import IntakeMachine
from frazil.daemon.intake.norm import CHANGED_AFTER
from frazil.daemon.intake.record import Phase
from frazil.models.records import AcquisitionMetadata, MovieState

HINT_CLOSED = ev.HintKind.CLOSED


@pytest.fixture
def whole(kit):
    return kit.Content(frames=40, final_frames=40)


def sidecar_world(kit, mode="auto", **more):
    return kit.World(IntakeSettings(settle_s=1.0, sidecar=mode, sidecar_wait_s=10.0, **more))


# ---- stable and complete


def test_a_whole_file_is_taken_once_after_it_stood_still(world, whole):
    world.put("a.tif", whole)
    world.scan()
    assert not world.asked, "one look is not two"
    world.later(0.9)
    assert not world.announced
    world.later(60)
    assert world.taken() == [("a.tif", 1)]
    movie = world.announced[0].movie
    assert movie.movie_id == movie_id("a.tif", 1)
    assert movie.stat == world.names["a.tif"].stat
    assert movie.header.frame_count == 40
    assert movie.found_monotonic_s == 1000.0
    assert movie.complete_monotonic_s == pytest.approx(1001.0)
    assert str(movie.path) == "/raw/a.tif"


def test_each_change_restarts_the_settle_time(world, kit):
    content = kit.Content(frames=1, final_frames=40)
    world.put("a.tif", content)
    for frames in range(2, 41):
        world.write("a.tif", kit.replace(content, frames=frames))
        world.later(0.9, scan_every_s=0.3)
        assert not world.announced
    world.later(5)
    assert [said.movie.header.frame_count for said in world.announced] == [40]


def test_change_between_the_look_and_the_check_is_seen_by_the_check(world, whole, kit):
    world.put("a.tif", kit.replace(whole, frames=12))
    world.scan()
    world.now_s += 1.0
    world.tell(ev.Tick())  # asks for the structure
    world.write("a.tif", whole)
    world.work()
    assert not world.announced
    world.later(5)
    assert [said.movie.header.frame_count for said in world.announced] == [40]


def test_answer_that_was_overtaken_by_a_change_is_not_used(world, whole, kit):
    world.put("a.tif", kit.replace(whole, frames=12))
    world.scan()
    world.now_s += 1.0
    world.tell(ev.Tick())
    world.ask()  # the disk answered `complete, 12 frames` ...
    world.now_s += 0.1
    world.write("a.tif", whole)
    world.scan()  # ... the change is seen first ...
    world.answer()  # ... and the answer comes late
    assert not world.announced
    world.later(5)
    assert [said.movie.header.frame_count for said in world.announced] == [40]


def test_stale_scan_after_the_movie_was_taken_makes_no_new_generation(world, whole, kit):
    world.put("a.tif", kit.replace(whole, frames=12))
    world.scan()
    started_s, old = world.now_s, world.snapshot()
    world.now_s += 0.5
    world.write("a.tif", whole)
    world.later(5)
    world.tell(ev.ScanFinished(started_s, old))
    world.later(5)
    assert world.taken() == [("a.tif", 1)]


def test_answer_about_an_older_content_does_not_serve_the_newer_one(world, whole, kit):
    world.put("a.tif", kit.replace(whole, frames=12))
    world.scan()
    world.now_s += 1.0
    world.tell(ev.Tick())
    world.ask()  # `12 frames, complete` is under way
    world.now_s += 0.1
    world.write("a.tif", kit.replace(whole, torn=True))
    world.scan()
    world.now_s += 1.0
    world.tell(ev.Tick())  # the newer content is asked about, too
    assert len(world.asked) == 1
    world.answer()  # the first answer arrives while the second check is under way
    world.later(10)
    assert not world.announced


def test_scan_that_began_before_a_file_was_found_does_not_lose_it(world, whole):
    started_s, before = world.now_s, world.snapshot()
    world.now_s += 0.5
    world.put("a.tif", whole)
    world.tell(ev.Hint("a.tif", ev.HintKind.CHANGED))
    world.work()
    world.tell(ev.ScanFinished(started_s, before))
    assert not world.of(do.Vanished)
    world.later(5)
    assert world.taken() == [("a.tif", 1)]


def test_late_answer_about_a_deleted_file_does_not_bring_it_back(world, whole):
    world.put("a.tif", whole)
    world.scan()
    world.now_s += 1.0
    world.tell(ev.Tick())
    world.ask()
    world.now_s += 0.1
    del world.names["a.tif"]
    world.scan()
    assert world.of(do.Vanished)
    world.answer()
    assert len(world.of(do.Found)) == 1


def test_mtime_is_never_compared_with_now(kit, whole):
    """A file server a year ahead, or in 1970, settles like any other."""
    for mtime_ns in (0, 10**19):
        world = kit.World()
        world.put("a.tif", whole)
        file = world.names["a.tif"]
        file.stat = file.stat._replace(mtime_ns=mtime_ns)
        world.later(10)
        assert world.taken() == [("a.tif", 1)]


def test_wall_clock_jumps_change_nothing(world, whole):
    world.put("a.tif", whole)
    world.scan()
    world.utc_us -= 10**13
    world.later(0.5)
    assert not world.announced
    world.utc_us += 2 * 10**13
    world.later(0.4)
    assert not world.announced
    world.later(1)
    assert world.taken() == [("a.tif", 1)]


# ---- hints


def test_closed_hint_shortens_the_wait_when_the_frame_count_is_vouched_for(kit, whole):
    world = kit.World(IntakeSettings(settle_s=5.0, sidecar="ignore", expected_frames=40))
    world.put("a.tif", whole)
    world.tell(ev.Hint("a.tif", HINT_CLOSED))
    world.work()
    world.later(0.5)
    assert world.taken() == [("a.tif", 1)]


def test_time_that_is_set_after_closing_is_no_second_generation(kit, whole):
    """As Python's `shutil.copy2` does it."""
    world = kit.World(IntakeSettings(settle_s=5.0, sidecar="ignore", expected_frames=40))
    world.put("a.tif", whole)
    world.tell(ev.Hint("a.tif", HINT_CLOSED))
    world.work()
    world.now_s += 0.1
    world.write("a.tif", whole)  # only its time changes
    world.later(20)
    assert world.taken() == [("a.tif", 1)]


def test_closed_hint_alone_proves_nothing(kit, whole):
    """Header written and closed, reopened for data; or a writer that closes after each frame."""
    world = kit.World(IntakeSettings(settle_s=5.0, sidecar="ignore"))
    world.put("a.tif", kit.replace(whole, frames=1))
    world.tell(ev.Hint("a.tif", HINT_CLOSED))
    world.work()
    world.later(1.0)
    assert not world.announced
    world.write("a.tif", whole)
    world.later(20)
    assert [said.movie.header.frame_count for said in world.announced] == [40]


def test_without_any_hint_the_scan_finds_everything(world, whole):
    for index in range(20):
        world.put(f"{index}.tif", whole)
    world.later(10)
    assert len(world.taken()) == 20


def test_a_lost_queue_asks_for_a_rescan(world):
    assert world.tell(ev.Hint("", ev.HintKind.TREE)) == [do.Rescan()]


def test_a_thousand_writes_cost_one_look(world, whole):
    world.put("a.tif", whole)
    for _ in range(1000):
        world.tell(ev.Hint("a.tif", ev.HintKind.CHANGED))
    assert len(world.asked) == 1


# ---- the faults


def test_growing_file_paused_longer_than_the_settle_time_is_not_taken(world, kit):
    part = kit.Content(frames=12, final_frames=40, self_describing=True)
    world.put("a.mrc", part)
    world.later(300)
    assert not world.announced
    assert world.row("a.mrc").state is MovieState.SETTLING
    world.write("a.mrc", kit.replace(part, frames=40))
    world.later(40)
    assert world.taken() == [("a.mrc", 1)]


@pytest.mark.parametrize("frames", range(1, 40))
def test_tiff_cut_at_a_frame_boundary_is_quarantined_as_truncated(world, whole, kit, frames):
    for index in range(4):
        world.put(f"good{index}.tif", whole)
    world.later(5)
    world.put("cut.tif", kit.replace(whole, frames=frames))
    world.later(590)
    assert len(world.taken()) == 4
    assert world.row("cut.tif").state is MovieState.SETTLING
    world.later(20)
    [said] = world.of(do.Quarantine)
    assert said.reason == (
        f"Truncated: {frames} of 40 frames (the other movies of this session have 40); "
        "the file has not changed for 10 min"
    )
    assert said.evidence["frames_present"] == frames
    assert ("cut.tif", 1) not in world.taken()


def test_truncated_movie_that_grows_after_quarantine_is_still_the_same_generation(world, whole, kit):
    for index in range(4):
        world.put(f"good{index}.tif", whole)
    world.put("slow.tif", kit.replace(whole, frames=12))
    world.later(700)
    assert world.row("slow.tif").state is MovieState.QUARANTINED
    world.write("slow.tif", whole)
    world.later(10)
    assert [said.reason.split(" from ")[0] for said in world.of(do.Revived)] == ["its size changed"]
    assert ("slow.tif", 1) in world.taken()


def test_preallocated_file_with_zero_frames_waits(world, whole, kit):
    world.put("a.mrc", kit.replace(whole, zero_frames=20))
    world.later(100)
    assert not world.announced
    assert "zero" in world.machine.describe("a.mrc")[1]
    world.write("a.mrc", whole)
    world.later(40)
    assert world.taken() == [("a.mrc", 1)]


def test_damaged_file_is_quarantined_as_soon_as_it_stands_still(world, whole, kit):
    world.put("bomb.mrc", kit.replace(whole, damaged=True))
    world.put("good.mrc", whole)
    world.later(3)
    [said] = world.of(do.Quarantine)
    assert (said.path, said.reason) == ("bomb.mrc", "Damaged: the header claims 100000 x 100000 pixels")
    assert world.taken() == [("good.mrc", 1)]


def test_empty_file_waits_and_is_then_quarantined(world, whole, kit):
    world.put("a.tif", kit.replace(whole, empty=True))
    world.later(610)
    assert [said.reason for said in world.of(do.Quarantine)] == [
        "Truncated: the file is empty; the file has not changed for 10 min"
    ]
    assert not [said for said in world.said if isinstance(said, do.CheckStructure)]


def test_unreadable_file_is_tried_again_and_then_named(world, whole):
    world.put("a.tif", whole)
    world.scan()
    for _ in range(1000):
        world.now_s += 1.0
        world.tell(ev.Tick())
        while world.asked:
            world.tell(ev.CheckFailed(world.asked.pop().path, "Permission denied"))
    [said] = world.of(do.Quarantine)
    assert "Permission denied" in said.reason


def test_a_check_that_crashes_three_times_is_quarantined_with_its_traceback(world, whole):
    world.put("a.tif", whole)
    world.scan()
    for _ in range(60):
        world.now_s += 1.0
        world.tell(ev.Tick())
        while world.asked:
            world.tell(ev.CheckFailed(world.asked.pop().path, "IndexError: 7", "Traceback ..."))
    [said] = world.of(do.Quarantine)
    assert said.evidence["traceback"] == "Traceback ..."


def test_same_name_in_two_squares_is_two_movies(world, whole):
    world.put("square1/a.tif", whole)
    world.put("square2/a.tif", whole)
    world.later(5)
    assert sorted(world.taken()) == [("square1/a.tif", 1), ("square2/a.tif", 1)]
    assert len({said.movie.movie_id for said in world.announced}) == 2
    assert [said.movie.duplicate_of for said in world.announced] == [None, None]


def test_hard_link_is_a_movie_of_its_own_and_says_whose_double_it_is(world, whole):
    world.put("a.tif", whole)
    world.later(5)
    world.names["b.tif"] = world.names["a.tif"]
    world.later(5)
    assert world.announced[1].movie.duplicate_of == "a.tif"
    assert "duplicate" in world.announced[1].movie.flags


def test_replaced_file_is_a_new_generation(world, whole):
    world.put("a.tif", whole)
    world.later(5)
    world.put("a.tif", whole)
    world.later(5)
    assert world.taken() == [("a.tif", 1), ("a.tif", 2)]
    assert [(said.old_generation, said.reason) for said in world.of(do.Replaced)] == [
        (1, "the file was replaced by another one")
    ]
    assert world.row("a.tif", 1).state is MovieState.OUTDATED


def test_truncation_after_processing_is_a_new_generation_that_waits(world, whole, kit):
    for name in ("a.tif", "b.tif", "c.tif"):
        world.put(name, whole)
    world.later(5)
    world.write("a.tif", kit.replace(whole, frames=3))
    world.later(60)
    assert world.row("a.tif", 2).state is MovieState.SETTLING
    assert ("a.tif", 2) not in world.taken()


def test_deleted_after_processing_nothing_is_lost(world, whole):
    world.put("a.tif", whole)
    world.later(5)
    file = world.names.pop("a.tif")
    said = len(world.said)
    world.later(60)
    world.names["a.tif"] = file  # and back from a backup, just as it was
    world.later(60)
    assert world.said[said:] == []


def test_deleted_before_it_was_complete(world, whole, kit):
    world.put("a.tif", kit.replace(whole, torn=True))
    world.later(20)
    del world.names["a.tif"]
    world.later(5)
    assert world.of(do.Vanished)
    assert ("a.tif", 1) not in world.rows
    world.put("a.tif", whole)
    world.later(5)
    assert world.taken() == [("a.tif", 1)]


def test_root_deleted_and_back_with_the_same_files(world, whole):
    for index in range(5):
        world.put(f"{index}.tif", whole)
    world.later(5)
    world.put("late.tif", whole)
    world.scan()
    world.root = False
    world.later(30)
    [alert] = world.of(do.Alert)
    assert alert.severity is do.Severity.ERROR
    assert "not there" in alert.text
    assert len(world.taken()) == 5
    world.root, world.root_inode = True, 99
    world.later(10)
    assert [alert.severity for alert in world.of(do.Alert)] == [do.Severity.ERROR, do.Severity.INFO]
    assert alert.alert_id == world.of(do.Alert)[1].over != ""
    assert len(world.of(do.RearmWatcher)) == 1
    assert sorted(world.taken()) == [*((f"{index}.tif", 1) for index in range(5)), ("late.tif", 1)]


def test_root_replaced_between_two_looks_rearms_the_watcher(world, whole):
    world.put("a.tif", whole)
    world.later(5)
    world.root_inode = 99
    world.later(5)
    assert len(world.of(do.RearmWatcher)) == 1
    assert world.taken() == [("a.tif", 1)]


def test_unreadable_folder_is_not_an_empty_one(world, whole, kit):
    world.put("square/a.tif", kit.replace(whole, torn=True))
    world.later(5)
    file = world.names.pop("square/a.tif")
    world.unreadable = {"square": "Permission denied"}
    world.later(10)
    assert not world.of(do.Vanished)
    assert len(world.of(do.Alert)) == 1
    world.unreadable, world.names["square/a.tif"] = {}, file
    world.write("square/a.tif", whole)
    world.later(40)
    assert world.taken() == [("square/a.tif", 1)]


def test_refused_links_are_told_once_and_together(world):
    world.refused = {f"{index}.tif": "the link leads out of the raw folder" for index in range(5000)}
    world.later(20)
    [alert] = world.of(do.Alert)
    assert "and 4999 more" in alert.text
    assert len(alert.paths) == 20


def test_five_thousand_files_at_once(kit, whole, monkeypatch):
    """Counts steps instead of seconds: each file costs a fixed number of judgements."""
    world = kit.World()
    monkeypatch.setattr(IntakeMachine, "validate", lambda self: None)
    judged = 0
    original = IntakeMachine._judge_count

    def counted(self, record):
        nonlocal judged
        judged += 1
        return original(self, record)

    monkeypatch.setattr(IntakeMachine, "_judge_count", counted)
    for index in range(5000):
        world.put(f"{index:05}.tif", whole)
    world.later(10)
    assert len(set(world.taken())) == 5000 == len(world.taken())
    assert judged <= 4 * 5000


# ---- frame counts


def test_no_norm_below_three_movies(world, kit):
    world.put("a.tif", kit.Content(frames=40, final_frames=40))
    world.later(3)
    world.put("b.tif", kit.Content(frames=12, final_frames=12))
    world.later(3)
    assert len(world.taken()) == 2


def test_short_movie_taken_before_the_norm_was_known_is_reported(world, whole, kit):
    world.put("first.tif", kit.replace(whole, frames=12))
    world.later(5)
    for index in range(3):
        world.put(f"{index}.tif", whole)
    world.later(5)
    [alert] = world.of(do.Alert)
    assert alert.paths == ("first.tif",)
    assert "12 of 40 frames" in alert.text


def test_expected_frames_hold_from_the_first_movie(kit, whole):
    world = kit.World(IntakeSettings(settle_s=1.0, sidecar="ignore", expected_frames=40))
    world.put("a.tif", kit.replace(whole, frames=12))
    world.later(610)
    [said] = world.of(do.Quarantine)
    assert "12 of 40 frames (the setting intake.expected_frames says 40)" in said.reason


def test_a_shorter_exposure_chosen_by_the_operator_is_followed(world, kit):
    for index in range(10):
        world.put(f"a{index}.tif", kit.Content(frames=40, final_frames=40))
    world.later(5)
    for index in range(CHANGED_AFTER):
        assert len(world.taken()) == 10, "so far these may be truncated"
        world.put(f"b{index}.tif", kit.Content(frames=30, final_frames=30))
        world.later(5)
    assert len(world.taken()) == 10 + CHANGED_AFTER
    assert all("frame-count-changed" in said.movie.flags for said in world.announced[10:])


def test_eer_frame_counts_may_jitter(world, kit):
    for index, frames in enumerate((1000, 1003, 998, 1001, 997)):
        world.put(f"{index}.eer", kit.Content(frames=frames, final_frames=frames, file_format="eer"))
    world.later(5)
    assert len(world.taken()) == 5
    world.put("cut.eer", kit.Content(frames=700, final_frames=1000, file_format="eer"))
    world.later(60)
    assert len(world.taken()) == 5


def test_quarantined_movie_can_be_taken_as_it_is(world, whole, kit):
    for index in range(4):
        world.put(f"good{index}.tif", whole)
    world.put("cut.tif", kit.replace(whole, frames=12))
    world.later(700)
    world.tell(ev.Reconsider("cut.tif", accept_as_is=True))
    world.later(5)
    assert ("cut.tif", 1) in world.taken()
    assert "accepted-as-is" in world.announced[-1].movie.flags
    world.tell(ev.Reconsider("cut.tif"))  # for its sidecar, say: nobody has taken back what was said
    world.later(5)
    assert [said.movie.relative_path for said in world.announced[-2:]] == ["cut.tif", "cut.tif"]
    assert "accepted-as-is" in world.announced[-1].movie.flags
    world.tell(ev.Reconsider("cut.tif", accept_as_is=False))
    world.later(700)
    assert world.machine.describe("cut.tif")[0] is Phase.QUARANTINED


def test_what_was_taken_as_it_is_is_taken_so_after_a_restart_until_the_file_changes(kit, whole):
    short = kit.replace(whole, frames=12)
    settings = IntakeSettings(settle_s=1.0, sidecar="ignore", expected_frames=40)
    for changed in (False, True):
        world = kit.World(settings)
        world.put("cut.tif", short)
        stat = world.names["cut.tif"].stat
        world.rows["cut.tif", 1] = kit.Row(MovieState.FAILED, stat, 0, announced=True)
        world.tell(ev.RestoredMovie("cut.tif", 1, MovieState.FAILED, stat, 0, announced=True, accept_as_is=True))
        if changed:
            world.put("cut.tif", short)
        world.later(700)
        assert world.taken() == ([] if changed else [("cut.tif", 1)])
        assert bool(world.of(do.Quarantine)) is changed


# ---- sidecars


def test_sidecar_before_the_movie(kit, whole):
    world = sidecar_world(kit)
    world.put_sidecar("a.tif", AcquisitionMetadata(voltage_kv=300.0))
    world.later(60)
    world.put("a.tif", whole)
    world.later(3)
    movie = world.announced[0].movie
    assert (movie.sidecar, movie.sidecar_path, movie.flags) == (
        AcquisitionMetadata(voltage_kv=300.0), "/side/a.tif.xml", (),
    )  # fmt: skip


def test_sidecar_after_the_movie_within_the_wait(kit, whole):
    world = sidecar_world(kit)
    world.put("a.tif", whole)
    world.later(8)
    assert world.machine.describe("a.tif")[1] == "complete; it waits for its sidecar"
    world.put_sidecar("a.tif", AcquisitionMetadata(voltage_kv=300.0))
    world.later(6)
    assert [said.movie.sidecar.voltage_kv for said in world.announced] == [300.0]


def test_sidecar_five_minutes_late_updates_the_movie(kit, whole):
    world = sidecar_world(kit)
    world.put("a.tif", whole)
    world.later(20)
    assert world.announced[0].movie.flags == ("no-sidecar",)
    world.later(300)
    world.put_sidecar("a.tif", AcquisitionMetadata(voltage_kv=300.0))
    world.later(5)
    [late] = world.of(do.LateSidecar)
    assert (late.movie_id, late.metadata.voltage_kv, late.previous) == (movie_id("a.tif", 1), 300.0, None)
    world.later(60)
    assert len(world.of(do.LateSidecar)) == 1
    assert len(world.announced) == 1


def test_required_sidecar_is_waited_for(kit, whole):
    world = sidecar_world(kit, "required")
    world.put("a.tif", whole)
    world.later(1000)
    assert not world.announced
    assert not world.of(do.Quarantine)
    assert "required" in world.machine.describe("a.tif")[1]
    world.put_sidecar("a.tif", AcquisitionMetadata(voltage_kv=300.0))
    world.later(5)
    assert world.taken() == [("a.tif", 1)]


def test_half_written_sidecar_is_read_again(kit, whole):
    world = sidecar_world(kit)
    world.put("a.tif", whole)
    world.put_sidecar("a.tif", None)
    world.later(5)
    assert "cannot be read" in world.machine.describe("a.tif")[1]
    world.put_sidecar("a.tif", AcquisitionMetadata(voltage_kv=300.0))
    world.later(5)
    assert [said.movie.sidecar.voltage_kv for said in world.announced] == [300.0]


def test_sidecar_has_to_stand_still_as_its_movie_has(kit, whole):
    """The first half of an mdoc is an mdoc, too."""
    world = sidecar_world(kit)
    world.put("a.tif", whole)
    world.later(5)
    world.put_sidecar("a.tif", AcquisitionMetadata(voltage_kv=300.0))
    world.scan()
    world.work()
    assert not world.announced
    world.put_sidecar("a.tif", AcquisitionMetadata(voltage_kv=300.0, frame_count=40))
    world.later(5)
    assert [said.movie.sidecar.frame_count for said in world.announced] == [40]


def test_sidecar_that_is_being_read_is_waited_for_even_without_patience(kit, whole):
    world = kit.World(IntakeSettings(settle_s=1.0, sidecar="auto", sidecar_wait_s=0.0))
    world.put("a.tif", whole)
    world.put_sidecar("a.tif", AcquisitionMetadata(voltage_kv=300.0))
    world.scan()
    (read,) = world.asked
    world.asked.clear()
    world.now_s += 1.0
    world.tell(ev.Tick())
    world.work()
    assert not world.announced
    world.asked.append(read)
    world.later(5)
    assert [said.movie.flags for said in world.announced] == [()]


def test_sidecar_that_never_stands_still_holds_no_movie_for_ever(kit, whole):
    """SerialEM may keep one mdoc for many exposures, and add to it each time."""
    world = sidecar_world(kit)
    world.put("a.tif", whole)
    for exposure in range(100):
        world.put_sidecar("a.tif", AcquisitionMetadata(voltage_kv=300.0, stage_x_um=float(exposure)))
        world.later(0.5, scan_every_s=0.25)
    assert len(world.announced) == 1


def test_sidecar_that_stays_broken_is_flagged(kit, whole):
    world = sidecar_world(kit)
    world.put("a.tif", whole)
    world.put_sidecar("a.tif", None)
    world.later(20)
    assert world.announced[0].movie.flags == ("bad-sidecar",)


def test_sidecar_vouches_for_fewer_frames_than_the_siblings_have(kit, whole):
    world = sidecar_world(kit)
    for index in range(4):
        world.put_sidecar(f"{index}.tif", AcquisitionMetadata(frame_count=40))
        world.put(f"{index}.tif", whole)
    world.put_sidecar("short.tif", AcquisitionMetadata(frame_count=12))
    world.put("short.tif", kit.Content(frames=12, final_frames=12))
    world.later(10)
    assert len(world.taken()) == 5


def test_sidecar_promises_more_frames_than_there_are(kit, whole):
    world = sidecar_world(kit)
    world.put_sidecar("a.tif", AcquisitionMetadata(frame_count=40))
    world.put("a.tif", kit.replace(whole, frames=12))
    world.later(620)
    [said] = world.of(do.Quarantine)
    assert "12 of 40 frames (its sidecar promises 40)" in said.reason


def test_late_sidecar_saves_a_quarantined_short_movie(kit, whole):
    world = sidecar_world(kit)
    for index in range(4):
        world.put(f"{index}.tif", whole)
    world.put("short.tif", kit.Content(frames=12, final_frames=12))
    world.later(700)
    assert world.row("short.tif").state is MovieState.QUARANTINED
    world.put_sidecar("short.tif", AcquisitionMetadata(frame_count=12))
    world.later(10)
    assert ("short.tif", 1) in world.taken()


def test_a_session_without_any_sidecar_stops_waiting_for_them(kit, whole):
    world = sidecar_world(kit)
    for index in range(3):
        world.put(f"{index}.tif", whole)
    world.later(20)
    world.put("next.tif", whole)
    world.later(3)
    assert ("next.tif", 1) in world.taken()


# ---- space, restart


def test_low_space_holds_everything_and_then_lets_it_go(world, whole):
    world.put("a.tif", whole)
    world.scan()
    world.tell(ev.SpaceLow(10**9, 5 * 10**9))
    world.put("b.tif", whole)
    world.later(100)
    assert not world.announced
    world.tell(ev.SpaceOk(10**11))
    world.later(5)
    assert sorted(world.taken()) == [("a.tif", 1), ("b.tif", 1)]
    assert not world.of(do.Alert)  # the daemon, which measures it, has told of it


def test_restart_takes_up_what_was_under_way_and_leaves_what_is_done(world, whole, kit):
    for name in ("done.tif", "queued.tif"):
        world.put(name, whole)
    world.later(5)
    world.row("done.tif").state = MovieState.READY
    world.put("young.tif", kit.replace(whole, torn=True))
    world.later(5)
    world.announced.clear()
    world.restart()
    world.write("young.tif", whole)
    world.later(40)
    assert sorted(world.taken()) == [("queued.tif", 1), ("young.tif", 1)]
    assert "resumed" in world.announced[0].movie.flags


def test_file_replaced_while_the_daemon_was_down(world, whole):
    world.put("a.tif", whole)
    world.later(5)
    world.row("a.tif").state = MovieState.READY
    world.put("a.tif", whole)
    world.restart()
    world.later(5)
    assert world.taken() == [("a.tif", 1), ("a.tif", 2)]
    assert world.row("a.tif", 1).state is MovieState.OUTDATED


def test_queued_movie_that_was_replaced_while_it_was_gone(world, whole):
    world.put("a.tif", whole)
    world.later(5)
    del world.names["a.tif"]
    world.restart()
    world.later(5)
    assert len(world.of(do.Vanished)) == 1
    world.put("a.tif", whole)
    world.later(5)
    assert world.taken() == [("a.tif", 1), ("a.tif", 2)], "one generation is one content"


def test_file_that_comes_back_as_it_was_has_its_result_again(world, whole, kit):
    """Replaced, the replacement deleted, the daemon restarted, the old file put back: it must not stay outdated."""
    world.put("a.tif", whole)
    world.later(5)
    world.row("a.tif").state = MovieState.READY
    old = world.names["a.tif"]
    world.put("a.tif", kit.replace(whole, torn=True))
    world.later(5)
    del world.names["a.tif"]
    world.later(5)
    world.restart()
    world.names["a.tif"] = old
    world.later(5)
    assert world.row("a.tif").state is MovieState.QUEUED


def test_lost_database_gives_the_same_names_again(world, whole):
    world.put("a.tif", whole)
    world.later(5)
    world.rows.clear()
    world.restart()
    world.later(5)
    assert len({said.movie.movie_id for said in world.announced}) == 1


def test_restored_sidecar_is_not_read_again_for_twenty_thousand_movies(kit, whole):
    world = sidecar_world(kit)
    world.put("a.tif", whole)
    stat = world.names["a.tif"].stat
    world.put_sidecar("a.tif", AcquisitionMetadata(voltage_kv=300.0))
    world.rows["a.tif", 1] = kit.Row(MovieState.READY, stat, 0)
    world.tell(ev.RestoredMovie("a.tif", 1, MovieState.READY, stat, 0, sidecar_path="/side/a.tif.xml"))
    world.later(10)
    assert not world.of(do.ReadSidecar)
    world.put_sidecar("a.tif", AcquisitionMetadata(voltage_kv=200.0))
    world.later(10)
    assert [late.metadata.voltage_kv for late in world.of(do.LateSidecar)] == [200.0]


def test_movie_ids_differ_by_path_and_generation():
    names = {movie_id(path, generation) for path in ("a.tif", "b/a.tif", "a.tif1") for generation in (1, 2, 11)}
    assert len(names) == 9
    assert all(len(name) == 16 and set(name) <= set("0123456789abcdef") for name in names)


def test_stat_of_the_store_may_be_unknown(world, whole, kit):
    world.put("a.tif", whole)
    world.rows["a.tif", 1] = kit.Row(MovieState.READY, FileStat(0, 0, 0), 0)
    world.tell(ev.RestoredMovie("a.tif", 1, MovieState.READY, None, 0))
    world.later(5)
    assert not world.announced
    assert not world.of(do.Replaced)
