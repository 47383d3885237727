"""Asks the gain gate at the right moment and remembers its answer; until then no movie goes to a worker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec

from frazil.actors.messages import GainGateTask
from frazil.config.settings import CameraSettings, GainOrientation, Settings
from frazil.daemon.intake.identity import CompleteMovie
from frazil.daemon.session.folder import file_digest
from frazil.daemon.store.rows import StoredVerdict
from frazil.daemon.transport.messages import GateState
from frazil.models.gain.decision import GainDecision, GainVerdict
from frazil.models.gain.gate import decide

_DEATHS_TO_GIVE_UP = 3
GAIN_BLOCKS = "gain-gate-blocks"
"""Id of the alert that says so."""


class GainGate:
    """The gate of one session.

    Parameters
    ----------
    stored:
        The session's stored verdict (JSON) when it resumes; used only if the same question is asked.
    """

    def __init__(self, settings: Settings, *, stored: str | None) -> None:
        self._camera: CameraSettings = settings.camera
        self._pixel_size_angstrom = settings.microscope.pixel_size_angstrom
        self._movie_paths: list[str] = []
        self._asked_about = 0
        self._asking = False
        self._deaths = 0
        self._paths_given_up: set[str] = set()
        self._given_up_sentence: str | None = None
        """Why the gate looks at some movies no more, for a person."""
        self.decision: GainDecision | None = None
        self._question = "|".join(
            (
                file_digest(self._camera.gain),
                file_digest(self._camera.defects),
                self._camera.gain_orientation.value,
                self._camera.gain_convention,
                str(self._camera.no_gain),
            )
        )
        if self._camera.no_gain:
            self.decision = decide(
                movie_residuals=[],
                half_residuals=None,
                reference=None,
                no_gain=True,
                defects_path=self._camera.defects,
            )
        elif stored is not None:
            try:
                verdict = msgspec.json.decode(stored.encode(), type=StoredVerdict)
            except msgspec.DecodeError:
                return  # of another version of frazil: asked again
            if verdict.question == self._question and verdict.decision.passes:
                # The same files may lie elsewhere now: their digests were compared, their paths are today's.
                decision = verdict.decision
                self.decision = replace(
                    decision,
                    gain_path=None if decision.gain_path is None else self._camera.gain,
                    defects_path=None if decision.defects_path is None else self._camera.defects,
                )

    @property
    def open(self) -> bool:
        return self.decision is not None and self.decision.passes

    @property
    def blocked(self) -> bool:
        return self.decision is not None and not self.decision.passes

    @property
    def asking(self) -> bool:
        """A worker has the question."""
        return self._asking

    def busy(self) -> bool:
        """A worker is looking at the movies, or would be asked to if nothing more came."""
        return self._asking or self._has_question(nothing_more_comes=True)

    def _has_question(self, nothing_more_comes: bool) -> bool:
        if self.open or self._asking or len(self._movie_paths) <= self._asked_about:
            return False
        if self.decision is not None and self.decision.verdict is not GainVerdict.UNDECIDED:
            return False
        # After an undecided answer ask again when the evidence has doubled.
        enough = max(self._camera.gain_gate_movies, min(2 * self._asked_about, self._most_movies))
        return len(self._movie_paths) >= enough or nothing_more_comes

    @property
    def _most_movies(self) -> int:
        return 10 * self._camera.gain_gate_movies

    def needs_gate(self, movie: CompleteMovie) -> bool:
        """A single frame is an exposure that somebody has already summed and corrected: nothing to decide."""
        return movie.header.frame_count > 1

    def decision_for(self, movie: CompleteMovie) -> GainDecision:
        """The decision that a worker applies to this movie; the gate must be open or not needed."""
        if self.needs_gate(movie):
            assert self.decision is not None
            return self.decision
        return GainDecision(
            verdict=GainVerdict.NOT_NEEDED,
            sentence="a single frame: taken as already summed and gain-corrected",
            remedy=None,
            gain_path=None,
            defects_path=None,
            orientation=GainOrientation.IDENTITY,
            convention="none",
            movie_count=0,
            pattern_rms=None,
            pattern_sigma=None,
        )

    def offer(self, movie: CompleteMovie) -> None:
        """A complete movie that the gate may look at."""
        if self.decision is None or self.decision.verdict is GainVerdict.UNDECIDED:
            path = str(movie.path)
            if (
                path not in self._movie_paths
                and path not in self._paths_given_up
                and len(self._movie_paths) < self._most_movies
            ):
                self._movie_paths.append(path)

    def next_question(self, *, nothing_more_comes: bool) -> GainGateTask | None:
        """What to ask a worker now, if anything.

        `nothing_more_comes`: the intake is idle, so the gate must make do with what is there.
        """
        if not self._has_question(nothing_more_comes):
            return None
        self._asked_about = len(self._movie_paths)
        self._asking = True
        return GainGateTask(
            movie_paths=tuple(path for path in self._movie_paths if Path(path).exists()),
            gain_path=self._camera.gain,
            defects_path=self._camera.defects,
            orientation=self._camera.gain_orientation.value,
            convention=self._camera.gain_convention,
            no_gain=False,
            eer_dose_per_fraction_e_per_a2=self._camera.eer_dose_per_fraction_e_per_a2,
            pixel_size_angstrom=self._pixel_size_angstrom,
        )

    def decided(self, decision: GainDecision) -> str:
        """Take the worker's answer; returns what the session is to store."""
        self._asking = False
        if decision.verdict is GainVerdict.UNDECIDED and self._asked_about >= self._most_movies:
            decision = replace(
                decision,
                sentence=f"{decision.sentence}; after {self._asked_about} movies the gain gate looks at no more",
                remedy="say with --gain or --no-gain what is right, then start again",
            )
        self.decision = decision
        self._deaths = 0
        return msgspec.json.encode(StoredVerdict(self._question, decision)).decode()

    def ask_again(self) -> str | None:
        """The worker that was asked died or failed. After the third time it is not asked about these movies again: one
        of them kills it, and the gate is for those that come after them to open. Returns what a person is to know."""
        self._asking = False
        self._asked_about = 0
        self._deaths += 1
        if self._deaths >= _DEATHS_TO_GIVE_UP:
            self._deaths = 0
            self._given_up_sentence = (
                f"the gain gate leaves {len(self._movie_paths)} movies aside: the worker that looked at them ended "
                f"{_DEATHS_TO_GIVE_UP} times"
            )
            self._paths_given_up.update(self._movie_paths)
            self._movie_paths.clear()
            return self._given_up_sentence
        return None

    def state(self) -> GateState:
        """For the screen."""
        if self.decision is None:
            text = (
                f"looking at the first movies ({len(self._movie_paths)} so far)"
                if self._movie_paths
                else "no movie yet"
            )
            if self._given_up_sentence is not None and not self._movie_paths:
                return GateState(
                    "waiting", True, self._given_up_sentence, "wait for more movies, or say --gain or --no-gain"
                )
            return GateState("waiting", False, text, "")
        if self.decision.passes:
            status = "overridden" if self.decision.verdict is GainVerdict.OVERRIDDEN else "open"
            return GateState(status, False, self.decision.sentence, "")
        status = "waiting" if self.decision.verdict is GainVerdict.UNDECIDED else "blocked"
        return GateState(status, True, self.decision.sentence, self.decision.remedy or "")
