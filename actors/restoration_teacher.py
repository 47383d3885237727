"""The actor that teaches the learned residual what the session's own micrographs show."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from frazil.actors import niceness
from frazil.actors.movie_output import lessons_path, network_path, write_bytes
from frazil.models.deconvolution.lessons import (
    LearningReport,
    Lesson,
    learn,
    lessons_from_bytes,
    network_bytes,
    network_from_bytes,
)
from frazil.models.deconvolution.weights import shipped_network

_log = logging.getLogger(__name__)
_STEPS = 24
"""A few seconds of one core; the next round goes on from there."""


class RestorationTeacher:
    """Stateless: weights and lessons lie in the session folder, so that a restart loses nothing.
    `polite`: movies go first where cores are few."""

    def __init__(self, *, polite: bool = False) -> None:
        # Frame workers come first.
        torch.set_num_threads(1)
        if polite:
            niceness.give_way(niceness.MAP)

    def teach(
        self,
        session_dir: str,
        version_before: int,
        version: int,
        lesson_stems: Sequence[str],
        check_stems: Sequence[str],
    ) -> LearningReport:
        """Learn from some movies; if the halves of the others are predicted better, write the weights of `version`.

        Raises
        ------
        OSError
            If the weights cannot be written.
        """
        folder, device = Path(session_dir), torch.device("cpu")
        network = shipped_network(device)
        if version_before:
            network = network_from_bytes((folder / network_path(version_before)).read_bytes(), device)
        lessons, checks = _read(folder, lesson_stems), _read(folder, check_stems)
        taught, report = learn(network, lessons, checks, steps=_STEPS, seed=version, device=device)
        if report.accepted:
            write_bytes(folder / network_path(version), network_bytes(taught))
        return report


def _read(folder: Path, stems: Iterable[str]) -> list[Lesson]:
    """A movie without lessons, or whose lessons are damaged, teaches nothing."""
    found: list[Lesson] = []
    for stem in stems:
        path = folder / lessons_path(stem)
        try:
            found += lessons_from_bytes(path.read_bytes())
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            _log.warning("the lessons %s cannot be read: %s", path, error)
    return found
