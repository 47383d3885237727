"""What results say of their movies, read from the result files once and kept for the newest movies."""

from __future__ import annotations

from pathlib import Path

from frazil.config.errors import FormatError
from frazil.daemon.store import result_files
from frazil.models.records import MovieEvidence, MovieResult

KEPT_MOVIES = 200


class EvidenceCache:
    """Evidence by movie id."""

    def __init__(self, session_dir: Path) -> None:
        self._session_dir = session_dir
        self._evidence: dict[str, MovieEvidence | None] = {}
        """Oldest first; None: the movie's result cannot be read or has none."""

    def of(self, movie_id: str) -> MovieEvidence | None:
        """None: the movie's result cannot be read or has none."""
        if movie_id not in self._evidence:
            try:
                path = result_files.result_path(self._session_dir, movie_id)
                evidence = result_files.read_result(path).result.evidence
            except (FormatError, OSError):
                evidence = None  # learning from it has said so to a person
            self._keep(movie_id, evidence)
        return self._evidence[movie_id]

    def add(self, result: MovieResult) -> None:
        """It was read for another reason and need not be read again."""
        self._keep(result.movie_id, result.evidence)

    def forget(self, movie_id: str) -> None:
        """The movie has another result."""
        self._evidence.pop(movie_id, None)

    def _keep(self, movie_id: str, evidence: MovieEvidence | None) -> None:
        self._evidence.pop(movie_id, None)
        self._evidence[movie_id] = evidence
        while len(self._evidence) > KEPT_MOVIES:
            self._evidence.pop(next(iter(self._evidence)))
