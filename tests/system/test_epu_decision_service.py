"""A running session that tells a stand-in for EPU's decision service what to do, with a real session's numbers."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

from athena_stand_in import SESSION_ID, StandIn
from grid_files import shared

from frazil.models.formats.grid.epu_session import read_epu_plan
from frazil.models.formats.grid.epu_square import read_grid_square

FIRST_S = 180.0
"""Loops are compiled at the first movie, beside whatever else the machine has to do."""
SQUARE = 4590776
MOVIE = "FoilHole_5665438_Data_4601896_4601898_20240406_102527_fractions.tiff"


def folder_of_epu(raw: Path, there: Path) -> Path:
    visit = raw / "visit"
    (visit / "Metadata").mkdir(parents=True)
    shutil.copy(there / "session" / "Metadata" / f"GridSquare_{SQUARE}.dm", visit / "Metadata")
    shutil.copy(there / "session" / "EpuSession.dm", visit)
    return visit


def test_a_real_grid_of_epu_is_decided_and_a_service_that_comes_back_hears_the_newest(kit, live, tmp_path) -> None:
    with tarfile.open(shared("epu37_session.tar.gz")) as archive:
        archive.extractall(tmp_path / "there", filter="data")
    visit = folder_of_epu(live.raw, tmp_path / "there" / "epu37")
    holes = [one for one in read_grid_square(visit / "Metadata" / f"GridSquare_{SQUARE}.dm").targets
             if one.level == "hole"]  # fmt: skip
    service = StandIn()
    service.sessions = {SESSION_ID: str(read_epu_plan(visit / "EpuSession.dm").name)}
    service.register({SQUARE: [int(one.name) for one in holes]})
    kit.put_movie(visit / "Images-Disc1" / f"GridSquare_{SQUARE}" / "Data" / MOVIE, 0)
    live.start(camera__no_gain=True, targets__athena_url=service.url)  # nobody answers there yet
    client = live.client()
    kit.wait_for(lambda: client.named("next_rounds").as_dicts(), "a first round", timeout_s=FIRST_S)
    down = "what frazil advises does not reach EPU"
    kit.wait_for(lambda: any(text.startswith(down) for text in live.alerts()), "that the service is down")

    with service.serve():
        kit.wait_for(lambda: service.latest("acquisitionOrder"), "decisions", timeout_s=60.0)
        included = service.latest("include")
        ordered = service.latest("acquisitionOrder")
        first = client.named("next_targets").as_dicts()[0]
        assert ordered[int(first["name"])] == str(min(int(order) for area, order in ordered.items() if area != SQUARE))
        assert included[SQUARE] == "true"
        taken = {int(one.name) for one in holes if one.state == "exposed"}
        assert len(taken) == 217
        assert not taken & included.keys()
        selection = {one["areaId"]: one["result"] for one in json.loads(service.latest("foilHoleSelection")[SQUARE])}
        assert taken <= selection.keys()

        client.command("target-avoid", target_id=first["target_id"])
        kit.wait_for(lambda: service.latest("include")[int(first["name"])] == "false", "the word of a person")
    told = client.named("athena_decisions", limit=1000).as_dicts()
    assert {row["target_id"] for row in told} >= {first["target_id"], f"epu:square:{SQUARE}"}
    assert service.complaints == []
    live.stop()
