"""The counts of a pretend device, by stage and by line of the code that caused them."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[2]
_ROOMS = tuple(f"{ROOT}/{room}/" for room in ("models", "actors", "daemon", "tests"))


@dataclass(slots=True)
class StageCounts:
    """Of one stage."""

    launches: int = 0
    """Kernels that a GPU would start; views and copies between host and device are none."""
    uploads: int = 0
    uploaded_bytes: int = 0
    float_uploads: list[int] = field(default_factory=list)
    """Bytes of each upload of floating point numbers."""
    downloads: int = 0
    downloaded_bytes: int = 0
    synchronisations: int = 0
    """Times that the host waits for the device: each copy back, and what needs a value to go on (`nonzero`, ...)."""


class Ledger:
    """Counts by stage; `mark` begins the next."""

    def __init__(self) -> None:
        self.stages: dict[str, StageCounts] = {}
        self.lines: Counter[tuple[str, str, str]] = Counter()
        """(stage, launch | upload | synchronisation, file:line) -> how often."""
        self._stage = "before"

    def mark(self, stage: str) -> None:
        self._stage = stage

    def _now(self, what: str) -> StageCounts:
        self.lines[self._stage, what, _line()] += 1
        return self.stages.setdefault(self._stage, StageCounts())

    def launch(self) -> None:
        self._now("launch").launches += 1

    def upload(self, size_bytes: int, *, floating: bool) -> None:
        counts = self._now("upload")
        counts.uploads += 1
        counts.uploaded_bytes += size_bytes
        if floating:
            counts.float_uploads.append(size_bytes)

    def download(self, size_bytes: int) -> None:
        counts = self._now("synchronisation")
        counts.synchronisations += 1
        counts.downloads += 1
        counts.downloaded_bytes += size_bytes

    def wait(self) -> None:
        self._now("synchronisation").synchronisations += 1

    def together(self, *stages: str) -> StageCounts:
        """The sum over some stages (those that never began count nothing)."""
        total = StageCounts()
        for name in stages:
            one = self.stages.get(name, StageCounts())
            total.launches += one.launches
            total.uploads += one.uploads
            total.uploaded_bytes += one.uploaded_bytes
            total.float_uploads += one.float_uploads
            total.downloads += one.downloads
            total.downloaded_bytes += one.downloaded_bytes
            total.synchronisations += one.synchronisations
        return total

    def worst_lines(self, what: str, stages: tuple[str, ...], most: int = 10) -> list[str]:
        """Where most of the launches, uploads or synchronisations come from, for the message of a failed budget."""
        of = Counter[str]()
        for (stage, kind, line), times in self.lines.items():
            if kind == what and stage in stages:
                of[line] += times
        return [f"{times} at {line}" for line, times in of.most_common(most)]


def _line() -> str:
    """The innermost line of this repository's own code on the stack."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(_ROOMS):
            return f"{Path(name).relative_to(ROOT)}:{frame.f_lineno}"
        frame = frame.f_back
    return "elsewhere"
