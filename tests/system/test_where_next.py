"""A running session whose grid is told of late, by halves and anew: movies never wait, and find their holes."""

from __future__ import annotations

import shutil
import tarfile

from grid_files import shared

FIRST_S = 180.0
"""Loops are compiled at the first movie, beside whatever else the machine has to do."""
NAVIGATOR = "AdocVersion = 2.00\nLastSavedAs = grid.nav\n\n"
ITEM = """[Item = {label}]
Color = 0
StageXYZ = {x} 0 0
NumPts = 1
Regis = 1
Type = 0
MapID = {number}
Acquire = {acquire}
PtsX = {x}
PtsY = 0

"""
MDOC = """T = SerialEM: made up

[FrameSet = 0]
PixelSpacing = 1.3
Voltage = 300
NavigatorLabel = {label}
StagePosition = {x} 0
ExposureTime = 2
NumSubFrames = 6
DateTime = 24-Nov-26  10:0{number}:00
"""


def navigator(*acquire: bool) -> str:
    items = enumerate(acquire)
    return NAVIGATOR + "".join(
        ITEM.format(label=f"{n}-A", x=10 * n, number=900000 + n, acquire=int(mark)) for n, mark in items
    )


def no_worry(live) -> bool:
    return not any("the grid waits" in text for text in live.alerts())


def test_serialem_writes_its_navigator_late_and_again(kit, live) -> None:
    for number in range(3):
        (live.raw / f"m{number}.mdoc").write_text(MDOC.format(label=f"{number}-A", x=10 * number, number=number))
        kit.put_movie(live.raw / f"m{number}.tiff", number)
    live.start(camera__no_gain=True)
    client = live.client()
    for number in range(3):
        live.wait_state(f"m{number}.tiff", "ready", "rejected", timeout_s=FIRST_S)
    assert live.state().next_line == ""
    nav = live.raw / "grid.nav"
    nav.write_text(navigator(True, True, True, True, True, True)[:150])  # as one looks that is being written
    nav.write_text(navigator(True, True, True, True, True, True))
    row = kit.wait_for(lambda: (found := client.named("next_rounds").as_dicts()) and found[0], "a first round")
    assert (row["holes"], row["exposed"], row["outcomes"]) == (6, 3, 3)
    linked = live.sql("SELECT relative_path, hole_id, linked_by FROM movie_targets JOIN movies USING (movie_id)")
    assert {(one["relative_path"], one["hole_id"]) for one in linked} == {
        (f"m{number}.tiff", f"grid/serialem:item:{900000 + number}") for number in range(3)
    }
    ranked = {one["name"] for one in client.named("next_targets").as_dicts()}
    assert ranked == {"3-A", "4-A", "5-A"}
    kit.wait_for(lambda: live.state().next_line.startswith("next: "), "the line on the screen")

    client.command("target-avoid", target_id="4-A")
    kit.wait_for(
        lambda: "4-A" not in {one["name"] for one in client.named("next_targets").as_dicts()}, "a round that hears"
    )
    nav.write_text(navigator(False, False, False, True, True))  # one item was deleted
    kit.wait_for(lambda: client.named("target", target_id="grid/serialem:item:900005").as_dicts()[0]["gone"], "its end")
    assert no_worry(live)
    live.stop()


def test_a_real_grid_of_epu_comes_while_movies_do(kit, live, tmp_path) -> None:
    with tarfile.open(shared("epu37_session.tar.gz")) as archive:
        archive.extractall(tmp_path / "there", filter="data")
    there = tmp_path / "there" / "epu37"
    visit = live.raw / "visit"
    data = visit / "Images-Disc1" / "GridSquare_4590776" / "Data"
    names = ["FoilHole_5665438_Data_4601896_4601898_20240406_102527_fractions.tiff",
             "FoilHole_5665439_Data_4601896_4601898_20240406_102631_fractions.tiff"]  # fmt: skip
    for number, name in enumerate(names):
        kit.put_movie(data / name, number)
    live.start(camera__no_gain=True)
    metadata = visit / "Metadata" / "GridSquare_4590776.dm"
    metadata.parent.mkdir(parents=True)
    whole = (there / "session" / "Metadata" / metadata.name).read_bytes()
    metadata.write_bytes(whole[: len(whole) // 3])
    client = live.client()
    for name in names:
        live.wait_state(f"visit/Images-Disc1/GridSquare_4590776/Data/{name}", "ready", "rejected", timeout_s=FIRST_S)
    assert client.named("grid").as_dicts()[0]["holes"] == 0, "half a file tells nothing"
    metadata.write_bytes(whole)
    shutil.copy(there / "session" / "EpuSession.dm", visit)
    shutil.copytree(there / "Atlas", live.raw / "Atlas")

    def all_there():
        grid = client.named("grid").as_dicts()[0]
        return (grid["squares"], grid["holes"], grid["movies"]) == (222, 570, 2) and grid

    grid = kit.wait_for(all_there, "the grid", timeout_s=120.0)
    assert (grid["exposed"], grid["processed"]) == (217, 2)
    row = kit.wait_for(lambda: (found := client.named("next_rounds").as_dicts()) and found[0], "a first round")
    assert row["holes"] >= 276, "those that were selected, at least"
    taken = live.sql("SELECT p.target_id FROM target_predictions p JOIN grid_targets t USING (target_id) "
                     "WHERE t.state = 'exposed'")  # fmt: skip
    assert taken == []
    assert no_worry(live)
    live.stop()
