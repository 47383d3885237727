"""What is asked after a new version of the prior, in which order, and what is kept of movies: without Ray and disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from frazil.daemon.analysis import evidence as evidence_module
from frazil.daemon.analysis import losses as losses_module
from frazil.daemon.analysis.actor_call import Answer, ProcessEndedError
from frazil.daemon.analysis.advice import Advice
from frazil.daemon.analysis.after_version import AfterVersion
from frazil.daemon.analysis.evaluation import prospects
from frazil.daemon.analysis.evidence import KEPT_MOVIES, EvidenceCache
from frazil.daemon.analysis.losses import LossesOfEarlierMovies
from frazil.daemon.session.epochs import MadeWith
from frazil.models.causal.prior import PriorSnapshot, physics_prior
from frazil.models.causal.structural_model import structural_model
from frazil.models.records import MovieEvidence, MovieResult

MakeResult = Callable[..., MovieResult]
EVIDENCE = MovieEvidence(
    (0.0, 0.0), (0.0, 0.0), (0.1, 0.1), 0.0, 2, 1.0, 0.0, 1.0, pixel_size_angstrom=1.0, voltage_kv=300.0, cs_mm=2.7,
    defocus_angstrom=15_000.0, relative_ice_thickness=None, log_ssnr=(), log_ssnr_sd=0.1,
)  # fmt: skip


class FakeActor:
    """Remembers what it is asked; `answer` hands over what it is given."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[Any, ...]]] = []
        self.take_in: Callable[[Answer], None] | None = None

    def ask(self, take_in: Callable[[Answer], None], method: str, *arguments: Any, **_: Any) -> None:
        self.asked.append((method, arguments))
        self.take_in = take_in

    def answer(self, answer: Answer) -> None:
        assert self.take_in is not None
        self.take_in(answer)


class FakeStore:
    """Finished movies m000, m001, ..., the newest first."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.listed = 0
        """Outdated movies that were told."""
        self.written: list[str] = []

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        if "count(*)" in statement:
            return [(self.count,)]
        if "prior_version" in statement:
            before = min(self.count, int(str(values[-1])))
            page = [(f"m{number:03d}", number) for number in reversed(range(before))][: losses_module._PAGE]
            self.listed += len(page)
            return page
        if "sequence DESC LIMIT" in statement:
            return [(f"m{number:03d}", number, "ready") for number in reversed(range(self.count))]
        return []

    def write(self, policy: object, work: Callable[..., object], *args: object, **kwargs: object) -> None:
        self.written.append(work.__name__)

    def read(self, work: Callable[..., object], *args: object) -> dict[str, object]:
        return {}


@pytest.fixture
def room(make_result: MakeResult, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    store, actor, told = FakeStore(6), FakeActor(), []
    monkeypatch.setattr("frazil.daemon.analysis.losses.particle_writes.read_evidence", lambda *_: {})
    context: Any = SimpleNamespace(
        store=store,
        session_dir=Path("/nowhere"),
        notices=SimpleNamespace(alert=lambda *words: told.append(words)),
        utc_us=lambda: 1,
        made_with=MadeWith("h", "v"),
        causal_model=structural_model(),
    )

    def snapshot(version: int) -> PriorSnapshot:
        return replace(physics_prior(), version=version)

    after = AfterVersion(actor, context, snapshot=snapshot)  # type: ignore[arg-type]
    for number in range(store.count):
        after.has_read(replace(make_result(number), evidence=EVIDENCE))
    return SimpleNamespace(after=after, store=store, actor=actor, told=told, context=context, snapshot=snapshot)


def test_advice_comes_before_losses_and_each_is_asked_once(room: SimpleNamespace) -> None:
    room.after.new_version(2, changed=False)
    assert room.after.ask_next(2)
    assert room.after.ask_next(2)
    assert [method for method, _ in room.actor.asked] == ["advise", "attribute"]
    prior, evidence, *_ = room.actor.asked[1][1]
    assert (prior.version, len(evidence)) == (2, 6)


def test_a_process_that_ends_is_asked_no_more_and_a_person_is_told(room: SimpleNamespace) -> None:
    room.after.new_version(2, changed=False)
    room.after.ask_next(2)
    room.actor.answer(Answer(None, ProcessEndedError("gone", 3)))
    assert room.after.ask_next(2) is False
    assert [words[1] for words in room.told] == ["prior"]
    assert room.store.written == []


def test_losses_that_cannot_be_computed_stay_as_they_were(room: SimpleNamespace) -> None:
    losses = LossesOfEarlierMovies(
        room.actor, room.context, EvidenceCache(Path("/nowhere")), snapshot=room.snapshot, failed=lambda *_: True
    )
    losses.new_version()
    assert losses.ask(2, everything=False, final=False) is False  # nothing can be read of any movie
    assert room.actor.asked == []


def test_few_outdated_movies_are_listed_while_others_arrive_and_all_in_the_end(
    room: SimpleNamespace, make_result: MakeResult
) -> None:
    count = room.store.count = 2 * losses_module._PAGE + 50
    unknown = {f"m{number:03d}" for number in range(60, 360)}  # more than a page in a row

    class Cache(EvidenceCache):
        def of(self, movie_id: str) -> MovieEvidence | None:
            return None if movie_id in unknown else EVIDENCE

    losses = LossesOfEarlierMovies(
        room.actor, room.context, Cache(Path("/nowhere")), snapshot=room.snapshot, failed=lambda *_: True
    )
    losses.new_version()
    assert losses.ask(2, everything=False, final=False)
    assert room.store.listed == losses_module._PAGE
    asked = 0
    while losses.ask(2, everything=True, final=True):
        asked += len(room.actor.asked[-1][1][1])
    assert asked == count - len(unknown)
    assert losses.left == 0


def test_the_same_question_is_not_asked_twice(room: SimpleNamespace, make_result: MakeResult) -> None:
    cache = EvidenceCache(Path("/nowhere"))
    for number in range(room.store.count):
        cache.add(replace(make_result(number), evidence=EVIDENCE))
    advice = Advice(room.actor, room.context, cache, snapshot=room.snapshot, failed=lambda *_: True)
    assert advice.ask(2, everything=True, together=None)
    room.actor.answer(Answer(None, ProcessEndedError("gone", 3)))
    assert advice.ask(2, everything=True, together=None) is False


def test_evidence_of_the_newest_movies_is_kept_and_read_once(
    make_result: MakeResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []

    def read(path: Path) -> Any:
        reads.append(path)
        raise FileNotFoundError(path)

    monkeypatch.setattr(evidence_module.result_files, "read_result", read)
    cache = EvidenceCache(Path("/nowhere"))
    for number in range(KEPT_MOVIES + 1):
        cache.add(replace(make_result(number), evidence=EVIDENCE))
    assert cache.of(f"m{KEPT_MOVIES:03d}") is EVIDENCE
    assert reads == []
    assert cache.of("m000") is None  # too long ago: asked of its file, which is not there
    assert cache.of("m000") is None
    assert len(reads) == 1
    cache.forget("m000")
    cache.of("m000")
    assert len(reads) == 2


def test_the_maps_record_is_what_the_store_says_in_numbers() -> None:
    answers = iter([[(10, 8.5), (20, 7.25)], [(10, 20, 7.0, 6.5, 7.5)]])
    store: Any = SimpleNamespace(rows=lambda *_: next(answers))
    rounds, (forecast,) = prospects.map_record(store, 20)
    assert rounds == ((10, 8.5), (20, 7.25))
    assert (forecast.low_angstrom, forecast.high_angstrom) == (6.5, 7.5)
