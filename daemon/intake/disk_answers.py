"""Answering the machine's questions about the disk. Runs in the pool; each question gets exactly one answer."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from frazil.config.errors import FrazilError, QuarantineError
from frazil.daemon.intake import events as ev
from frazil.daemon.intake import instructions as do
from frazil.daemon.intake.clock import Clock
from frazil.daemon.intake.scan import Tree
from frazil.models.records import AcquisitionMetadata


class SidecarReader(Protocol):
    """`frazil.models.formats.sidecar.read_sidecar` is one."""

    def __call__(self, path: Path, *, settled: bool = False) -> AcquisitionMetadata: ...


@dataclass(frozen=True, slots=True)
class DiskTools:
    """The functions that read movies and sidecars; tests put their own in."""

    check_structure: Callable[[Path], ev.Structure]
    read_sidecar: SidecarReader | None = None
    sidecar_candidates: Callable[[str, Sequence[Path]], Sequence[Path]] | None = None
    """(movie's relative path, roots) -> where its sidecar may lie, the best first."""


class DiskAnswers:
    """Turns questions into events.

    Parameters
    ----------
    put:
        Takes the answer.
    record_failure:
        Called within an exception handler, for exceptions that nobody foresaw.
    """

    def __init__(
        self,
        tree: Tree,
        tools: DiskTools,
        clock: Clock,
        put: Callable[[ev.Event], None],
        record_failure: Callable[[str], None],
    ) -> None:
        self._root = tree.root
        self._tree = tree
        self._tools = tools
        self._clock = clock
        self._put = put
        self._record_failure = record_failure

    def look(self, instruction: do.LookAt) -> None:
        stat = None
        looked_s = self._clock.monotonic_s()
        try:
            stat = self._tree.look(instruction.path)
        except Exception:  # a named boundary: each question must be answered, or the movie hangs
            self._record_failure(f"{instruction.path} could not be looked at")
        self._put(ev.Looked(instruction.path, looked_s, stat, instruction.closed))

    def check(self, instruction: do.CheckStructure) -> None:
        path = instruction.path
        answer: ev.Event
        try:
            answer = self._checked(path)
        except FrazilError as error:
            # Not being readable now is no fault of the file; anything else that is typed is a verdict on it.
            answer = ev.CheckFailed(
                path, error.what, traceback.format_exc() if isinstance(error, QuarantineError) else ""
            )
        except OSError as error:
            answer = ev.CheckFailed(path, error.strerror or str(error))
        except Exception as error:  # a named boundary: a parser's mistake is the movie's evidence, not our end
            self._record_failure(f"{path}: the structure check failed in an unforeseen way")
            answer = ev.CheckFailed(path, f"{type(error).__name__}: {error}", traceback.format_exc())
        self._put(answer)

    def _checked(self, path: str) -> ev.StructureChecked | ev.CheckFailed:
        before = self._tree.look(path)
        if before is None:
            gone = not (self._root / path).exists()
            return ev.CheckFailed(path, "it is gone" if gone else "it cannot be opened", gone=gone)
        report = self._tools.check_structure(self._root / path)
        looked_s = self._clock.monotonic_s()
        after = self._tree.look(path)
        if after is None:
            return ev.CheckFailed(path, "it went away during the check", gone=True)
        return ev.StructureChecked(path, looked_s, after, report if before == after else None)

    def read_sidecar(self, instruction: do.ReadSidecar) -> None:
        path, sidecar = instruction.path, instruction.sidecar_path
        answer: ev.Event
        try:
            if self._tools.read_sidecar is None:
                raise RuntimeError("candidates without a reader")
            metadata = self._tools.read_sidecar(Path(sidecar), settled=instruction.settled)
            answer = ev.SidecarRead(path, sidecar, metadata)
        except FrazilError as error:
            answer = ev.SidecarFailed(path, sidecar, error.what)
        except OSError as error:
            answer = ev.SidecarFailed(path, sidecar, error.strerror or str(error))
        except Exception as error:  # a named boundary: a sidecar must never stop a movie
            self._record_failure(f"{sidecar}: the sidecar could not be read, in an unforeseen way")
            answer = ev.SidecarFailed(path, sidecar, f"{type(error).__name__}: {error}")
        self._put(answer)
