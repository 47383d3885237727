"""More files at once than the kernel's event queue holds, with real threads and the real watcher: none is lost."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from frazil.config.settings import IntakeSettings
from frazil.daemon.intake.service import DiskTools, IntakeService
from frazil.models.formats.structure import check_structure
from frazil.models.formats.tiff_write import write_movie_tiff


class Listener:
    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.taken: list[str] = []
        self.lags_s: list[float] = []
        self.others: list[object] = []
        self.done = threading.Event()

    def complete(self, movie):
        self.taken.append(movie.movie_id)
        self.lags_s.append(movie.complete_monotonic_s - movie.found_monotonic_s)
        if len(self.taken) >= self.wanted:
            self.done.set()

    def found(self, movie):
        pass

    def settling(self, movie):
        pass

    def replaced(self, movie):
        self.others.append(movie)

    revived = vanished = quarantined = late_sidecar = alert = replaced


@pytest.mark.slow
def test_twenty_thousand_files_while_the_watcher_runs(tmp_path):
    frames = np.random.default_rng(1).poisson(1.0, (3, 16, 16)).astype(np.uint8)
    write_movie_tiff(tmp_path / "first.tif", frames)
    data = (tmp_path / "first.tif").read_bytes()
    listener = Listener(20_001)
    service = IntakeService(
        tmp_path,
        IntakeSettings(settle_s=0.5, sidecar="ignore", watch="events"),
        DiskTools(check_structure),
        listener,
    )
    service.start()
    try:
        for square in range(100):
            folder = tmp_path / f"square{square}"
            folder.mkdir()
            for index in range(200):
                (folder / f"{index}.tif").write_bytes(data)
        assert listener.done.wait(100), len(listener.taken)
    finally:
        assert service.stop()
    assert len(set(listener.taken)) == len(listener.taken) == 20_001
    assert listener.others == []
    assert service.status().failures == 0
