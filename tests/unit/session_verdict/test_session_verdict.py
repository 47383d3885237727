"""The rules alone: what a noisy session does to the verdict, and lines that always fit."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from frazil.models.session_verdict.judge import Judge, ordered
from frazil.models.session_verdict.not_good import not_good_words, of_movies
from frazil.models.session_verdict.quality import REMEDIES, Standing, is_worse
from frazil.models.session_verdict.records import (
    LONGEST_LINE,
    Advised,
    Fault,
    MovieSeen,
    NotGood,
    OpenAlert,
    SessionSeen,
    VerdictLimits,
    Word,
)

LIMITS = VerdictLimits()


def seen(faults: list[Fault | None], **fields: object) -> SessionSeen:
    """Of all movies in order; the newest last."""
    newest = [MovieSeen(fault) for fault in reversed(faults[-LIMITS.movies :])]
    before = faults[: -LIMITS.movies]
    plain = SessionSeen(
        status="running", ended=len(faults), total=len(faults), waiting=0, newest=newest,
        good_before=before.count(None), ended_before=len(before),
    )  # fmt: skip
    return replace(plain, **fields)  # type: ignore[arg-type]


def words_of(good_share: float, movies: int, seed: int) -> list[Word]:
    """The verdict after each movie of a session whose movies are good with this chance, each on its own."""
    rng, judge = np.random.default_rng(seed), Judge(LIMITS)
    faults: list[Fault | None] = []
    words = []
    for _ in range(movies):
        faults.append(None if rng.random() < good_share else Fault.CTF)
        words.append(judge.step(seen(faults)).word)
    return words[LIMITS.fewest :]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("good_share", [0.25, 0.3, 0.72, 0.75, 0.8])
def test_it_does_not_flicker_where_a_session_lies_at_a_limit(good_share, seed):
    """500 movies about a limit: no verdict goes and comes back within ten movies, and there are few changes."""
    words = words_of(good_share, 500, seed)
    changes = [n for n in range(1, len(words)) if words[n] is not words[n - 1]]
    # Worse at once, better only after six good windows: from one change to the next but one ten movies at least.
    assert all(later - earlier >= 6 for earlier, later in zip(changes, changes[2:], strict=False))
    assert len(changes) <= 24
    without = sum(
        (a < 18) != (b < 18) for a, b in zip(*(lambda c: (c, c[1:]))(counts(good_share, 500, seed)), strict=False)
    )
    if good_share in (0.72, 0.75):
        assert len(changes) < without / 2, "a bare limit would flicker"


def counts(good_share: float, movies: int, seed: int) -> list[int]:
    rng = np.random.default_rng(seed)
    good = [rng.random() < good_share for _ in range(movies)]
    return [sum(good[n - 24 : n]) for n in range(24, movies)]


@pytest.mark.parametrize("seed", range(5))
def test_an_ordinary_session_is_left_in_peace(seed):
    """95 % good, each movie on its own: `go on` in all of 500 movies."""
    assert set(words_of(0.95, 500, seed)) == {Word.GO_ON}


def test_chance_makes_few_false_alarms():
    """Twenty sessions of 500 movies, 92 % of them good: less than one movie in fifty is told to change something."""
    words = [word for seed in range(20) for word in words_of(0.92, 500, seed)]
    assert words.count(Word.STOP) == 0
    assert words.count(Word.CHANGE) < len(words) / 50


def test_it_says_change_soon_and_is_over_after_it():
    judge, faults = Judge(LIMITS), [None] * 60
    assert judge.step(seen(faults)).word is Word.GO_ON
    said = []
    for fault in [Fault.ICE] * 24 + [None] * 60:
        faults.append(fault)
        said.append(judge.step(seen(faults)).word)
    assert said.index(Word.CHANGE) == 6, "with the seventh of 24: at two movies a minute after four minutes"
    assert said.index(Word.STOP) == 18
    last_bad = max(n for n, word in enumerate(said) if word is not Word.GO_ON)
    assert 24 + 20 <= last_bad <= 24 + 36
    assert said[-1] is Word.GO_ON


def test_is_worse_needs_both_an_amount_and_a_chance():
    good, bad = None, Fault.CTF
    assert not is_worse(seen([good] * 20 + [bad] * 20), 4), "the session before is shorter than what is judged"
    assert is_worse(seen([good] * 200 + [bad] * 5 + [good] * 19), 19)
    assert not is_worse(seen([good] * 200 + [bad] * 4 + [good] * 20), 20), "17 % fewer: not so much"
    mixed = ([bad] + [good] * 2) * 12
    assert not is_worse(seen(mixed + [bad] * 12 + [good] * 12), 12), (
        "two in three before: half of 24 may be an accident"
    )


def test_standing_waits_for_calm():
    rule = Standing()
    steps = [
        (1, True, False),
        (2, False, False),
        (3, False, True),
        (4, False, False),
        (5, False, True),
        (10, False, True),
    ]
    said = [rule.step(ended, beyond=beyond, back=back, calm_movies=5) for ended, beyond, back in steps]
    assert said == [True, True, True, True, True, False]


def test_every_line_fits_and_begins_with_its_word():
    text = "a very long text of an alert that goes on and on, with a path /data/krios1/2026-09-21/Images-Disc1/x.tiff"
    alerts = [
        OpenAlert(alert_id, "error", "change", text, "do this")
        for alert_id in (
            "rule-no-movie",
            "rule-lag",
            "rule-disk-hours",
            "disk-floor",
            "raw-folder-lost",
            "rule-cause:ice",
            "x",
        )
    ]
    everything = seen(
        [Fault.REJECTED] * 24, alerts=alerts, workers=128, workers_dead=128, gate_blocks=True, gate_evidence=text,
        waiting=123_456, ready_per_hour=1.0, free_bytes=123_456_789_012, disk_full_in_h=5.9, no_movie_for_s=360_000.0,
        advised=[Advised(text, 1.0, 0.9)],
    )  # fmt: skip
    verdict = Judge(LIMITS).step(everything)
    assert len(verdict.reasons) >= 10
    for line in verdict.reasons:
        assert len(line) <= LONGEST_LINE
        assert line.startswith(("stop: ", "change: "))
    assert verdict.line == verdict.reasons[0]
    for status in ("finished", "stopping", "paused", "starting"):
        assert len(Judge(LIMITS).step(seen([None] * 99_999, status=status, waiting=123_456)).line) <= LONGEST_LINE


def test_order_is_stop_then_broken_quality_machinery_pays():
    judge = Judge(LIMITS)
    found = judge.step(
        seen(
            [None] * 80 + [Fault.DRIFT] * 9 + [None] * 15,
            workers=2,
            workers_dead=1,
            advised=[Advised("wait longer", 0.5, 0.4)],
            alerts=[OpenAlert("rule-no-movie", "warning", "acquisition", "no new movie for 15 minutes")],
        )
    )
    assert [line.partition(": ")[2][:8] for line in found.reasons] == [
        "no new m",
        "drift: 1",
        "worse th",
        "1 of 2 w",
        "wait lon",
    ]
    assert ordered(()) == ()


def test_advice_whose_interval_holds_no_gain_is_not_told():
    judge = Judge(LIMITS)
    unsure, sure = Advised("a", 0.4, math.log(1.09)), Advised("b", 0.3, math.log(1.11))
    assert judge.step(seen([None] * 24, advised=[unsure])).word is Word.GO_ON
    assert judge.step(seen([None] * 24, advised=[unsure, sure])).line.startswith("change: b: x1.3")


def test_it_says_what_is_the_matter_with_single_movies_and_where():
    """20 movies of which 4 are not good: nothing is to be changed, and still each of the four is accounted for."""
    bad = [MovieSeen(Fault.ICE, square="GridSquare_7")] * 3 + [MovieSeen(Fault.DRIFT, square="2")]
    newest = [MovieSeen(None)] * 16 + bad
    told = "4 not good: thick ice (3, in square 7), drift (1, in square 2)"
    running = SessionSeen(status="running", ended=20, total=20, waiting=0, newest=newest)
    verdict = Judge(LIMITS).step(running)
    assert (verdict.word, verdict.not_good, verdict.reasons[1]) == (Word.GO_ON, told, told)
    assert told in verdict.sentence
    assert not verdict.rules, "no rule speaks"
    over = replace(running, status="finished", not_good=[NotGood(Fault.ICE, "7", 3), NotGood(Fault.DRIFT, "2", 1)])
    verdict = Judge(LIMITS).step(over)
    assert verdict.sentence == f"Finished: 16 of 20 movies are good. {told}."
    assert verdict.reasons == ("finished: 16 of 20 movies are good", told)
    assert Judge(LIMITS).step(replace(running, newest=[MovieSeen(None)] * 20)).reasons == ()


@pytest.mark.parametrize(
    ("squares", "said"),
    [
        (["7", "7", "7"], "3, in square 7"),
        (["7", "7", "8"], "3, 2 of them in square 7"),
        (["7", "8"], "2"),
        ([""], "1"),
    ],
)
def test_a_square_is_named_where_most_of_a_faults_movies_are(squares, said):
    found = of_movies([MovieSeen(Fault.CTF, square=square) for square in squares])
    assert not_good_words(found) == f"{len(squares)} not good: poor CTF fits ({said})"


def test_what_to_do_is_told_by_itself():
    verdict = Judge(LIMITS).step(seen([Fault.ICE] * 24))
    assert verdict.action == REMEDIES[Fault.ICE]
    assert verdict.not_good == "24 not good: thick ice (24)"
