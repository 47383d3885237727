"""Thousands of files at once through the whole daemon: all registered, numbered and finished, none twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import frazil.daemon.run as run
from frazil.actors.frame_worker import FrameWorker
from frazil.daemon.session.epochs import EPOCH_MOVIES

REAL = 5
"""So many movies a worker really computes; the others get the first one's result under their own name."""


class _QuickAfterSome(FrameWorker):
    def process(self, task):
        done = self.__dict__.setdefault("_done", [])
        if len(done) < REAL:
            done.append(super().process(task))
            return done[-1]
        return replace(done[0], movie_id=task.movie_id, prior_version=task.prior.version)


@pytest.mark.parametrize("count", [100, pytest.param(5000, marks=pytest.mark.slow)])
@pytest.mark.timeout(1800)
def test_flood_of_files_is_finished_and_nothing_is_lost_or_done_twice(kit, live, monkeypatch, tmp_path, count):
    pool = run.WorkerPool
    monkeypatch.setattr(
        run, "WorkerPool", lambda runtime, configs: pool(runtime, configs, worker_class=_QuickAfterSome)
    )
    data = kit.put_movie(tmp_path / "one.tiff", 1, count=2, size_px=64).read_bytes()
    names = [f"sq{index % 7}/m{index:05d}.tiff" for index in range(count)]
    for name in names:
        path = Path(live.raw / name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    live.start(once=True, camera__no_gain=True)
    report = live.join(1700.0)
    assert live.error is None
    assert report.ok
    live.start(camera__no_gain=True)
    rows = live.sql("SELECT relative_path, state, attempts, sequence, stem FROM movies ORDER BY sequence")
    assert [row["relative_path"] for row in rows] == sorted(names)
    assert [row["sequence"] for row in rows] == list(range(count))
    assert {row["state"] for row in rows} <= {"ready", "rejected"}
    assert {row["attempts"] for row in rows} == {1}
    assert len({row["stem"] for row in rows}) == count
    assert live.sql("SELECT count(*) AS n FROM quality")[0]["n"] == count
    assert live.sql("SELECT max(version) AS n FROM priors")[0]["n"] == count // EPOCH_MOVIES
